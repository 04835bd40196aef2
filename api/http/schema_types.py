"""What the API's shapes are made of: how a body is read and an answer described, times, and people's words."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, StringConstraints


class RequestModel(BaseModel):
    """A request's body: nothing in it that we do not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class ResponseModel(BaseModel):
    """A part of an answer. What is said of its fields is said in OpenAPI, too."""

    model_config = ConfigDict(use_attribute_docstrings=True)


_DATE = r"\d{4}-\d{2}-\d{2}"
_TIME = r"[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})"


def _written_as(pattern: str) -> Callable[[object], object]:
    """Pydantic would also take a number, in text too, as seconds of some age or other."""
    form = re.compile(pattern, re.ASCII)

    def check(value: object) -> object:
        if not (isinstance(value, str) and form.fullmatch(value)):
            raise ValueError("must be written as RFC 3339 has it")
        return value

    return check


def _in_utc(time: datetime) -> datetime:
    """Postgres and Python's own arithmetic take no time that is out of the calendar there."""
    try:
        return time.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("is out of the calendar in UTC") from error


RequestDate = Annotated[date, BeforeValidator(_written_as(_DATE))]
RequestTime = Annotated[AwareDatetime, BeforeValidator(_written_as(_DATE + _TIME)), AfterValidator(_in_utc)]
Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000, pattern=r"^[^\x00]*$")]
"""Any text but NUL, which Postgres cannot keep."""


REFERENCE = "#/components/schemas/{model}"

"""Building blocks of the schemas: base models of requests and responses, times, and free text."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, StringConstraints


class RequestModel(BaseModel):
    """A request body. Unknown members are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class ResponseModel(BaseModel):
    """A response body or a part of one. The docstrings of its fields appear in OpenAPI."""

    model_config = ConfigDict(use_attribute_docstrings=True)


_DATE = r"\d{4}-\d{2}-\d{2}"
_TIME = r"[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})"


def _matching(pattern: str) -> Callable[[object], object]:
    """Pydantic alone would also accept numbers, even as text, and read them as Unix timestamps."""
    expected = re.compile(pattern, re.ASCII)

    def check(value: object) -> object:
        if not (isinstance(value, str) and expected.fullmatch(value)):
            raise ValueError("must be written as RFC 3339 has it")
        return value

    return check


def _in_utc(time: datetime) -> datetime:
    """Neither Postgres nor `datetime` has a time that leaves the calendar when it is converted to UTC."""
    try:
        return time.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("is out of the calendar in UTC") from error


RequestDate = Annotated[date, BeforeValidator(_matching(_DATE))]
RequestTime = Annotated[AwareDatetime, BeforeValidator(_matching(_DATE + _TIME)), AfterValidator(_in_utc)]
FreeText = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000, pattern=r"^[^\x00]*$")
]
"""1 to 1000 characters. Anything but NUL, which Postgres cannot store."""


REFERENCE = "#/components/schemas/{model}"

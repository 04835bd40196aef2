"""One resource in several forms: which of them a request asks for, and how files are given."""

import csv
from collections.abc import Iterable, Sequence
from io import StringIO
from typing import Annotated, Any

from fastapi import Header, Response

from models.documents import page
from models.domain.money import Money

JSON, CSV, PDF = "application/json", "text/csv", page.MEDIA_TYPE

Accept = Annotated[str, Header(include_in_schema=False)]
"""OpenAPI says of it all that is to be said by an answer's types."""


def preferred(accept: str, offered: Sequence[str]) -> str:
    """The offered type that the `Accept` header likes best (RFC 9110, 12.5.1); the first one if it likes none."""
    wishes: dict[str, float] = {}
    for part in accept.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weights = [_weight(parameter[2:]) for parameter in parameters if parameter.startswith("q=")]
        wishes[name] = weights[0] if weights else 1.0
    return max(offered, key=lambda name: _liking(wishes, name))


def file(content: bytes, media_type: str, name: str) -> Response:
    return Response(
        content,
        media_type=media_type,
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Vary": "Accept"},
    )


def csv_file(head: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """RFC 4180, UTF-8. Amounts are in the currency's own unit, with a point."""
    lines = StringIO(newline="")
    writer = csv.writer(lines)
    writer.writerow(head)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return lines.getvalue().encode()


def forms(description: str, *types: str) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI of a successful answer that comes in these forms besides JSON."""
    schemas: dict[str, Any] = {CSV: {"type": "string"}, PDF: {"type": "string", "format": "binary"}}
    return {200: {"description": description, "content": {name: {"schema": schemas[name]} for name in types}}}


def _cell(value: object) -> object:
    if isinstance(value, Money):
        return value.in_units()
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        # A spreadsheet would reckon with it: a person's name may be a formula (OWASP, "CSV Injection").
        return f"'{value}"
    return value


def _liking(wishes: dict[str, float], name: str) -> float:
    return next((wishes[asked] for asked in (name, f"{name.split('/')[0]}/*", "*/*") if asked in wishes), -1.0)


def _weight(text: str) -> float:
    """A preference between forms, not an amount: the one float there is."""
    try:
        return float(text)
    except ValueError:
        return 0.0

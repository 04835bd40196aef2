"""Content negotiation: choosing a representation from `Accept`, and sending CSV and PDF files."""

import csv
from collections.abc import Iterable, Sequence
from io import StringIO
from typing import Annotated, Any

from fastapi import Header, Response

from models.documents import page
from models.domain.money import Money
from models.languages import LANGUAGES, SOURCE, Language, find

JSON, CSV, PDF = "application/json", "text/csv", page.MEDIA_TYPE

NAMED_FILE = {"Content-Disposition": {"description": "The file's name.", "schema": {"type": "string"}}}
"""The OpenAPI of the header that a download has."""
_HEADERS = NAMED_FILE | {
    "Vary": {"description": "Always `Accept`.", "schema": {"type": "string"}},
}

Accept = Annotated[str, Header(include_in_schema=False)]
"""Left out of OpenAPI: the media types of the responses already describe it."""


def preferred(accept: str, offered: Sequence[str]) -> str:
    """The offered type with the highest weight in `Accept` (RFC 9110, 12.5.1); the first one if none is acceptable."""
    weights = _weights(accept)
    return max(offered, key=lambda name: _weight_of(name, weights))


def preferred_language(accept: str) -> Language:
    """The supported language with the highest weight in `Accept-Language` (RFC 9110, 12.5.4); else English."""
    weights = sorted(_weights(accept).items(), key=lambda each: -each[1])
    found = (find(tag) for tag, weight in weights if weight > 0)
    return next((each for each in found if each), LANGUAGES[SOURCE])


def attachment(content: bytes, media_type: str, name: str) -> Response:
    return Response(
        content,
        media_type=media_type,
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Vary": "Accept"},
    )


def csv_file(head: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """RFC 4180, in UTF-8. Amounts are in major units, with a decimal point."""
    lines = StringIO(newline="")
    writer = csv.writer(lines)
    writer.writerow(head)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return lines.getvalue().encode()


def representations(description: str, *types: str) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI of a 200 response that is available in these media types besides JSON."""
    schemas: dict[str, Any] = {CSV: {"type": "string"}, PDF: {"type": "string", "format": "binary"}}
    content = {name: {"schema": schemas[name]} for name in types}
    return {200: {"description": description, "content": content, "headers": _HEADERS}}


def _cell(value: object) -> object:
    if isinstance(value, Money):
        return value.in_units()
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        # A spreadsheet would run it as a formula, and people choose their own names (OWASP, "CSV Injection").
        return f"'{value}"
    return value


def _weights(header: str) -> dict[str, float]:
    weights: dict[str, float] = {}
    for part in header.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = [_parse_weight(parameter[2:]) for parameter in parameters if parameter.startswith("q=")]
        weights[name] = quality[0] if quality else 1.0
    return weights


def _weight_of(name: str, weights: dict[str, float]) -> float:
    """The weight of the most specific range that matches."""
    return next((weights[each] for each in (name, f"{name.split('/')[0]}/*", "*/*") if each in weights), -1.0)


def _parse_weight(text: str) -> float:
    """A float is fine here: it is a preference, not an amount."""
    try:
        return float(text)
    except ValueError:
        return 0.0

"""A letter as subject, text and HTML. Each notice is one template of plain text; both forms are made of its paragraphs.

A template's first paragraph is the subject. Whatever stands between `{{` and `}}` comes out on one line, so no name
can add a header or a paragraph; in HTML it is escaped as well.
"""

import re
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from activities.mail.notifications import Letter
from activities.mail.templates import one_line


def _said(value: object) -> object:
    return one_line(value) if type(value) is str else value


_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    finalize=_said,
)
_BLANK_LINES = re.compile(r"\n\s*\n")


class Rendered(NamedTuple):
    subject: str
    text: str
    html: str


def render(letter: Letter) -> Rendered:
    written = _TEMPLATES.get_template(f"{letter.notification}.txt").render(letter.words)
    subject, *paragraphs = [one_line(part) for part in _BLANK_LINES.split(written) if part.strip()]
    shown = {
        "subject": subject,
        "name": letter.reader.name,
        "paragraphs": paragraphs,
        "details": letter.details,
        "links": letter.links,
    }
    text, html = (_TEMPLATES.get_template(f"layout.{kind}").render(shown) for kind in ("txt", "html"))
    return Rendered(subject, text, html)

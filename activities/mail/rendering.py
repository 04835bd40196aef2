"""Renders subject, text and HTML. Each notification has one plain-text template; both bodies use its paragraphs.

The template's first paragraph is the subject. Every value between `{{` and `}}` is put on one line, so that no name
can add a header or a paragraph. In HTML it is escaped as well.
"""

import re
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from activities.mail.notifications import MailContent
from activities.mail.templates import one_line


def _on_one_line(value: object) -> object:
    return one_line(value) if type(value) is str else value


_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    finalize=_on_one_line,
)
_BLANK_LINES = re.compile(r"\n\s*\n")


class RenderedMail(NamedTuple):
    subject: str
    text: str
    html: str


def render(content: MailContent) -> RenderedMail:
    body = _TEMPLATES.get_template(f"{content.notification}.txt").render(content.variables)
    subject, *paragraphs = [one_line(part) for part in _BLANK_LINES.split(body) if part.strip()]
    layout_variables = {
        "subject": subject,
        "name": content.reader.name,
        "paragraphs": paragraphs,
        "details": content.details,
        "links": content.links,
    }
    text, html = (_TEMPLATES.get_template(f"layout.{kind}").render(layout_variables) for kind in ("txt", "html"))
    return RenderedMail(subject, text, html)

"""Renders subject, text and HTML. Each notification has one plain-text template; both bodies use its paragraphs.

The template's first paragraph is the subject. Every text of a user is put on one line before, so that no name can add a
header or a paragraph. In HTML it is escaped as well.
"""

import re
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from activities.mail.content import MailContent
from activities.mail.templates import one_line
from models.languages import LANGUAGES, Language

TEMPLATES = Path(__file__).parent / "templates"
_BLANK_LINES = re.compile(r"\n\s*\n")


class RenderedMail(NamedTuple):
    subject: str
    text: str
    html: str


def _environment(language: Language) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
    )
    language.install_in(environment)
    return environment


_ENVIRONMENTS = {code: _environment(language) for code, language in LANGUAGES.items()}


def render(content: MailContent, platform: str) -> RenderedMail:
    """The mail in the reader's language. `platform` is the name of who sends it."""
    environment = _ENVIRONMENTS[content.language.code]
    variables = {name: _on_one_line(value) for name, value in content.variables.items()}
    body = environment.get_template(f"{content.notification}.txt").render(variables)
    subject, *paragraphs = [one_line(part) for part in _BLANK_LINES.split(body) if part.strip()]
    layout_variables = {
        "language": content.language.code,
        "subject": subject,
        "name": one_line(content.reader.name),
        "platform": one_line(platform),
        "paragraphs": paragraphs,
        "details": [(label, _on_one_line(value)) for label, value in content.details],
        "links": content.links,
    }
    text, html = (environment.get_template(f"layout.{kind}").render(layout_variables) for kind in ("txt", "html"))
    return RenderedMail(subject, text, html)


def _on_one_line(value: object) -> object:
    return one_line(value) if type(value) is str else value

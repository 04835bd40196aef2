"""The templates, one environment for each language, and the names of our static files."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from models.domain.zones import names
from models.languages import LANGUAGES, Language

STATIC = Path(__file__).with_name("static")
_TEMPLATES = Path(__file__).with_name("templates")


def render(template: str, language: Language, context: Mapping[str, Any]) -> str:
    return _ENVIRONMENTS[language.code].get_template(template).render(context)


def _zone_options(chosen: str) -> Markup:
    """The options of a list of time zones. Each page has one, and to render 600 options takes longer than the rest."""
    value = f'value="{escape(chosen)}"'
    return Markup(_ZONES.replace(value, f"{value} selected", 1))  # noqa: S704 - names of zones, and escaped


def _environment(language: Language) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        # Otherwise each page looks at the time of each file that it is made of.
        auto_reload=False,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    language.install_in(environment)
    environment.globals |= {"language": language, "assets": _ASSETS, "zone_options": _zone_options}
    return environment


def _versioned(path: Path) -> str:
    """With a fingerprint of the content, so that browsers keep a file until it changes."""
    return f"/static/{path.name}?v={hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"


_ZONES = "\n".join(f'<option value="{escape(name)}">{escape(name)}</option>' for name in sorted(names()))
_ASSETS = {path.name: _versioned(path) for path in STATIC.iterdir()}
_ENVIRONMENTS = {code: _environment(language) for code, language in LANGUAGES.items()}

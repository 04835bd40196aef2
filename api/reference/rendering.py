"""The OpenAPI document as one HTML page, which needs no script and loads nothing."""

import json
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

Json = dict[str, Any]

_TEMPLATES = Path(__file__).parent / "templates"
_PREFIX = "#/components/schemas/"
_METHODS = ("get", "post", "put", "patch", "delete")
_BOUNDS = {
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minimum": "at least {:g}",
    "exclusiveMinimum": "more than {:g}",
    "maximum": "at most {:g}",
    "exclusiveMaximum": "less than {:g}",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "default": "default {!r}",
}


def render(document: Json) -> str:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"markdown": _markdown, "type": _type, "bounds": _bounds, "json": _json}
    template = environment.get_template("reference.html")
    return template.render(info=document["info"], sections=list(_sections(document)), schemas=_schemas(document))


def _sections(document: Json) -> Iterator[Json]:
    for tag in document["tags"]:
        operations = [each for each in _operations(document) if tag["name"] in each["tags"]]
        yield tag | {"operations": operations}


def _operations(document: Json) -> Iterator[Json]:
    for path, methods in document["paths"].items():
        for method in _METHODS:
            if method in methods:
                yield {"parameters": [], "requestBody": None} | methods[method] | {"path": path, "method": method}


def _schemas(document: Json) -> Json:
    schemas: Json = document["components"]["schemas"]
    return dict(sorted(schemas.items()))


def _type(schema: Json) -> Markup:
    """The type in a word or two, with links to the schemas that it names."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(_PREFIX)
        return Markup('<a href="#{0}">{0}</a>').format(name)
    if options := schema.get("anyOf") or schema.get("oneOf"):
        return Markup(" or ").join(map(_type, options))
    if schema.get("type") == "array":
        return Markup("array of {}").format(_type(schema.get("items", {})))
    word = schema.get("format") or schema.get("type", "any")
    return Markup("{}").format(" or ".join(word) if isinstance(word, list) else word)


def _bounds(schema: Json) -> str:
    parts = [schema, *(schema.get("anyOf") or ())]
    found = [text.format(part[name]) for part in parts for name, text in _BOUNDS.items() if part.get(name) is not None]
    return ", ".join(found)


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _markdown(text: str | None) -> Markup:
    """As much of Markdown as our descriptions use: paragraphs, lists, `code` and **emphasis**."""
    blocks = re.split(r"\n{2,}", escape(text or "", quote=False).strip())
    return Markup("\n".join(_block(block) for block in blocks if block))  # noqa: S704 - escaped above


def _block(block: str) -> str:
    styled = re.sub(r"`([^`]+)`", r"<code>\1</code>", re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", block))
    if styled.startswith("- "):
        items = re.split(r"^- ", styled, flags=re.MULTILINE)[1:]
        return "<ul>" + "".join(f"<li>{item.strip()}</li>" for item in items) + "</ul>"
    return f"<p>{styled}</p>"

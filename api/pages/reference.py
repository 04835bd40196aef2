"""`/docs`: the OpenAPI document as a page, rendered here, so that it loads nothing from elsewhere."""

from collections.abc import Iterator
from typing import Any

from fastapi import Request, Response

from api.pages.page import WithPage, page_router

router = page_router()

Json = dict[str, Any]


@router.get("/docs")
async def reference(request: Request, page: WithPage) -> Response:
    schema: Json = request.app.openapi()
    operations = list(_operations(schema))
    tags = [(tag, [each for each in operations if tag["name"] in each["tags"]]) for tag in schema["tags"]]
    return page.show("reference.html", schema=schema, tags=tags, type_of=_type_of)


def _operations(schema: Json) -> Iterator[Json]:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield operation | {"method": method.upper(), "path": path}


def _type_of(schema: Json) -> str:
    """A short name of a schema: a component's name, or its type."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return " | ".join(_type_of(each) for each in schema[several])
    if schema.get("type") == "array":
        return f"[{_type_of(schema.get('items', {}))}]"
    return str(schema.get("format") or schema.get("type") or "any")

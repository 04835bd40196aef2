"""The reference under `/docs` shows the whole document, and loads nothing."""

import re

import httpx
import pytest
from fastapi import FastAPI
from markupsafe import escape

from api.reference.rendering import render


@pytest.fixture
async def page(client: httpx.AsyncClient) -> str:
    answer = await client.get("/docs")
    assert answer.headers["Content-Type"].startswith("text/html")
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    return answer.text


def test_every_operation_and_schema_is_shown_and_every_link_leads_somewhere(page: str, app: FastAPI) -> None:
    document = app.openapi()
    operations = {each["operationId"] for methods in document["paths"].values() for each in methods.values()}
    anchors = re.findall(r'id="([^"]+)"', page)
    assert set(anchors) == operations | set(document["components"]["schemas"]) | {"schemas"}
    assert len(set(anchors)) == len(anchors)
    links = set(re.findall(r'href="([^"]+)"', page))
    assert links - {f"#{anchor}" for anchor in anchors} == {"v1/openapi.json"}


def test_nothing_is_loaded(page: str) -> None:
    assert not re.search(r"<script|<link|<img|<iframe|@import|url\(|src=", page)


def test_text_of_the_document_is_escaped(app: FastAPI) -> None:
    evil = "<script>alert(1)</script>"
    document = app.openapi() | {"info": {"title": evil, "description": f"{evil} and `{evil}`"}}
    assert evil not in render(document)
    assert str(escape(evil)) in render(document)

"""The OpenAPI document, and a page that shows it. Neither changes while the process runs, so each is built once."""

import json

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool

from api.http.representations import REVALIDATED
from api.reference.rendering import render

router = APIRouter(include_in_schema=False)

_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
"""The style is inline; the page loads nothing."""
_KEPT = {"Cache-Control": "no-cache"}


@router.get("/v1/openapi.json", dependencies=REVALIDATED["dependencies"])
async def openapi_document(request: Request) -> Response:
    return Response(await _built(request, "openapi_json"), media_type="application/json", headers=_KEPT)


@router.get("/docs", dependencies=REVALIDATED["dependencies"], response_class=HTMLResponse)
async def reference(request: Request) -> HTMLResponse:
    page = await _built(request, "reference_page")
    return HTMLResponse(page, headers=_KEPT | {"Content-Security-Policy": _PAGE_POLICY})


async def _built(request: Request, name: str) -> str:
    state = request.app.state
    if not hasattr(state, name):
        document = request.app.openapi()
        built = json.dumps if name == "openapi_json" else render
        setattr(state, name, await run_in_threadpool(built, document))
    text: str = getattr(state, name)
    return text

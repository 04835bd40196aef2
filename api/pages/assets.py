"""The stylesheet, the script and the icon. A link names the file's fingerprint, so browsers may keep it for good."""

from fastapi import APIRouter
from fastapi.responses import FileResponse

from api.http.problems import Kind, Problem
from api.pages.templates import STATIC

router = APIRouter(include_in_schema=False)

_FILES = {path.name: path for path in STATIC.iterdir()}


@router.get("/static/{name}")
async def static_file(name: str) -> FileResponse:
    if name not in _FILES:
        raise Problem(Kind.NOT_FOUND)
    return FileResponse(_FILES[name], headers={"Cache-Control": "public, max-age=31536000, immutable"})

"""`/`: the first page for a browser, the API's own description for a program."""

from typing import Annotated

from fastapi import Header, Request, Response

from api import openapi
from api.catalogue import offerings
from api.catalogue.queries import OfferingFilter
from api.http.database import WithDatabase
from api.http.pagination import Page as PageOfList
from api.pages.errors import wants_page
from api.pages.offerings import with_next_free
from api.pages.page import WithPage, page_router
from api.settings import WithSettings

router = page_router()

_NEWEST = 6


@router.get("/")
async def home(
    request: Request,
    page: WithPage,
    database: WithDatabase,
    settings: WithSettings,
    accept: Annotated[str, Header()] = "",
) -> Response:
    if not wants_page(accept):
        return await openapi.describe(request)
    newest = await offerings.list_offerings(OfferingFilter(), PageOfList(_NEWEST, None), database, settings)
    return page.show("home.html", offerings=await with_next_free(newest.data, database))

"""An instructor's public profile."""

from uuid import UUID

from fastapi import Response

from api.catalogue import offerings
from api.catalogue.queries import OfferingFilter
from api.http.database import WithDatabase
from api.http.pagination import PageParams
from api.pages.offerings import with_next_free
from api.pages.page import WithPage, page_router
from api.people import instructors
from api.settings import WithSettings

router = page_router()


@router.get("/instructors/{instructor_id}")
async def show(
    instructor_id: UUID, page: WithPage, position: PageParams, database: WithDatabase, settings: WithSettings
) -> Response:
    instructor = await instructors.profile(instructor_id, database)
    theirs = OfferingFilter(instructor_id=instructor_id)
    found = await offerings.list_offerings(theirs, position, database, settings)
    path = f"/instructors/{instructor_id}"
    return page.show(
        "instructor.html",
        instructor=instructor,
        offerings=await with_next_free(found.data, database),
        next_page=page.url(path, cursor=found.next_cursor) if found.next_cursor else None,
    )

"""For operators: people, and who is suspended."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Response

from api.http.auth import AsOperator
from api.http.database import WithDatabase
from api.http.pagination import PageParams
from api.pages.forms import Typed
from api.pages.page import WithPage, page_router
from api.people import suspensions

router = page_router()

_PATH = "/operator/people"


@router.get(_PATH)
async def find(
    page: WithPage,
    position: PageParams,
    operator: AsOperator,
    database: WithDatabase,
    q: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    q = q.strip().replace("\x00", "")
    found = await suspensions.find_people(operator, position, database, q or None)
    return page.show(
        "operator_people.html",
        people=found.data,
        typed=Typed({"q": q}),
        next_page=page.url(_PATH, q=q, cursor=found.next_cursor) if found.next_cursor else None,
    )


@router.post(_PATH + "/{person_id}/suspend")
async def suspend(person_id: UUID, page: WithPage, operator: AsOperator, database: WithDatabase) -> Response:
    done = await suspensions.suspend(person_id, operator, database)
    said = page.say("The account is suspended.")
    if done.open_bookings:
        said = page.say("The account is suspended. Its open bookings are below: they go on unless you release them.")
        return page.redirect(f"/operator/bookings?person={person_id}", said)
    return page.redirect(f"{_PATH}?q={person_id}", said)


@router.post(_PATH + "/{person_id}/reinstate")
async def reinstate(person_id: UUID, page: WithPage, operator: AsOperator, database: WithDatabase) -> Response:
    await suspensions.reinstate(person_id, operator, database)
    return page.redirect(f"{_PATH}?q={person_id}", page.say("The account is reinstated. The person can sign in again."))

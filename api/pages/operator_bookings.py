"""For operators: any booking, by its id, its PaymentIntent or its people, with the trace of its money."""

from dataclasses import replace
from typing import Annotated
from uuid import UUID

from fastapi import Query, Response

from api.bookings import options, presenters, queries, trace
from api.bookings.filters import BookingFilter
from api.http.auth import AsOperator, Caller
from api.http.database import Database, WithDatabase
from api.http.pagination import Page as PageOfList
from api.http.pagination import PageParams
from api.pages import audit_trail, charts, clauses
from api.pages.forms import Typed
from api.pages.page import Page, WithPage, page_router
from api.payments import ledger
from api.people import suspensions
from api.people.schemas import PersonForOperator
from models.domain.actors import SignUpRole
from models.domain.policy import BookingPolicy, LossBearer
from models.domain.states import BookingStatus

router = page_router()

_PATH = "/operator/bookings"
_FIRST = PageOfList(limit=10, after=None)


@router.get(_PATH)
async def search(
    page: WithPage,
    position: PageParams,
    operator: AsOperator,
    database: WithDatabase,
    q: Annotated[str, Query(max_length=200)] = "",
    status: str = "",
    person: str = "",
) -> Response:
    q = q.strip().replace("\x00", "")
    people: list[PersonForOperator] = []
    filters = BookingFilter(status=BookingStatus(status) if status in list(BookingStatus) else None)
    if id := _uuid(person or q):
        async with database.reading() as session:
            if not person and await queries.booking_by_id(session, id):
                return page.redirect(f"{_PATH}/{id}")
        people = (await suspensions.find_people(operator, _FIRST, database, str(id))).data
        is_student = any(each.role is SignUpRole.STUDENT for each in people)
        filters = replace(filters, student_id=id) if is_student else replace(filters, instructor_id=id)
    elif q.startswith("pi_"):
        filters = replace(filters, payment_intent_id=q)
    elif q.startswith("po_"):
        filters = replace(filters, stripe_payout_id=q)
    elif q:
        people = (await suspensions.find_people(operator, _FIRST, database, q)).data
    is_by_name = bool(q) and not (_uuid(person or q) or q.startswith(("pi_", "po_")))
    async with database.reading() as session:
        found = [] if is_by_name else await queries.bookings(session, filters, position.after, position.limit + 1)
    cursor = presenters.next_cursor(found, position.limit) if found else None
    return page.show(
        "operator_bookings.html",
        bookings=[presenters.booking_for_operator(record) for record in found[: position.limit]],
        people=people,
        is_by_name=is_by_name,
        statuses=list(BookingStatus),
        typed=Typed({"q": q, "status": status}),
        next_page=page.url(_PATH, q=q, status=status, person=person, cursor=cursor) if cursor else None,
    )


@router.get(_PATH + "/{booking_id}")
async def show(booking_id: UUID, page: WithPage, operator: AsOperator, database: WithDatabase) -> Response:
    return await booking_page(booking_id, page, operator, database)


async def booking_page(
    booking_id: UUID,
    page: Page,
    operator: Caller,
    database: Database,
    status: int = 200,
    typed: Typed | None = None,
) -> Response:
    async with database.reading() as session:
        record = await queries.existing_booking(session, booking_id, operator)
    booking, policy = presenters.booking_for_operator(record), BookingPolicy.model_validate(record.request.policy)
    found = options.options(record, operator)
    traced = await trace.trace_booking(booking_id, operator, database, page.settings)
    return page.show(
        "operator_booking.html",
        status,
        typed=typed or Typed(),
        booking=booking,
        policy=policy,
        secured=clauses.secured(record.request.plan, page),
        decided_by=clauses.decided_by(booking, policy, traced.events, page),
        fee_clause=clauses.fee(policy, page),
        borne={bearer: clauses.borne(bearer, page) for bearer in LossBearer},
        steps=audit_trail.steps(traced.events, page, record.request.currency),
        options={option.action.value: option for option in found.data if option.is_possible},
        refundable=found.refundable,
        ledger=await ledger.get_booking_ledger(booking_id, operator, database),
        trace=traced,
        bars=charts.attendance_bars(booking),
    )


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None

"""Payouts and balances, for instructors and operators."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from sqlalchemy import tuple_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from api.bookings.presenters import payout_of_booking
from api.bookings.schemas import BookingNames, BookingPayout
from api.http import pagination
from api.http.auth import AsInstructor, AsOperator
from api.http.database import WithDatabase
from api.http.pagination import Page, PageParams
from api.http.problems import Kind, problem_responses
from api.http.schema_types import ResponseModel
from api.payments import balances
from models.domain.money import Money
from models.domain.states import PayoutStatus
from models.tables.bookings import BookingRequest
from models.tables.payments import InstructorPayout, Payment
from models.tables.people import Instructor, Student

router = APIRouter(prefix="/v1/instructors/me", tags=["instructors"])
operator_router = APIRouter(prefix="/v1/operator", tags=["operator"])

_Row = tuple[InstructorPayout, str, str, str, Payment | None]
"""With the booking's title and the names of student and instructor."""

_CREATED_AT, _ID = col(InstructorPayout.created_at), col(InstructorPayout.id)

_LIST_ERRORS = (
    Kind.CURSOR_UNKNOWN,
    Kind.NOT_SIGNED_IN,
    Kind.WRONG_ROLE,
    Kind.REQUEST_INVALID,
    Kind.INTERNAL,
    Kind.UNAVAILABLE,
)

Status = Annotated[PayoutStatus | None, Query(description="Only payouts with this status.")]


class Payout(BookingPayout, BookingNames):
    """An instructor's share of one booking."""

    id: UUID
    """The share's id."""
    booking_id: UUID
    """The booking."""
    created_at: datetime
    """When it was created."""
    updated_at: datetime
    """When it last changed."""


class PayoutPage(ResponseModel):
    data: list[Payout]
    """The items of this page."""
    balances: list[Money]
    """The Stripe balance in each currency: earnings not yet paid out. Negative after a refund or a dispute of money
    that was paid out already; later earnings make up for it."""
    next_cursor: str | None
    """The `cursor` of the next page; `null` on the last page."""


class PayoutForOperator(Payout):
    instructor_id: UUID
    """The instructor."""


class PayoutPageForOperator(ResponseModel):
    data: list[PayoutForOperator]
    """The items of this page."""
    next_cursor: str | None
    """The `cursor` of the next page; `null` on the last page."""


_MOST_BALANCES = 1_000


class NegativeBalance(ResponseModel):
    instructor_id: UUID
    """The instructor."""
    instructor_name: str
    """The instructor's display name."""
    balance: Money
    """What the instructor owes, as a negative amount."""


class NegativeBalances(ResponseModel):
    data: list[NegativeBalance]
    """At most 1,000."""
    has_more: bool
    """There are smaller debts than those listed."""


@router.get("/payouts", operation_id="listOwnPayouts", responses=problem_responses(*_LIST_ERRORS))
async def own_payouts(
    caller: AsInstructor, page: PageParams, database: WithDatabase, status: Status = None
) -> PayoutPage:
    """The caller's payouts, newest first, and balances."""
    async with database.reading() as session:
        found = await _payouts(session, page, status, caller.id)
        own_balances = await balances.of_instructor(session, caller.id)
    return PayoutPage(
        data=[Payout(**_fields(*row)) for row in found[: page.limit]],
        balances=own_balances,
        next_cursor=_next_cursor(found, page),
    )


@operator_router.get("/payouts", operation_id="listAllPayouts", responses=problem_responses(*_LIST_ERRORS))
async def all_payouts(
    operator: AsOperator,
    page: PageParams,
    database: WithDatabase,
    status: Status = None,
    instructor_id: Annotated[UUID | None, Query(description="Only this instructor's payouts.")] = None,
) -> PayoutPageForOperator:
    """All instructors' payouts, newest first."""
    async with database.reading() as session:
        found = await _payouts(session, page, status, instructor_id)
    return PayoutPageForOperator(
        data=[PayoutForOperator(instructor_id=row[0].instructor_id, **_fields(*row)) for row in found[: page.limit]],
        next_cursor=_next_cursor(found, page),
    )


@operator_router.get(
    "/negative-balances",
    operation_id="listNegativeBalances",
    responses=problem_responses(Kind.NOT_SIGNED_IN, Kind.WRONG_ROLE, Kind.INTERNAL, Kind.UNAVAILABLE),
)
async def negative_balances(operator: AsOperator, database: WithDatabase) -> NegativeBalances:
    """Instructors with a negative Stripe balance, largest debt first. The platform covers it until they earn it."""
    async with database.reading() as session:
        found = await balances.below_zero(session, _MOST_BALANCES + 1)
    return NegativeBalances(
        data=[
            NegativeBalance(instructor_id=id, instructor_name=name, balance=balance)
            for id, name, balance in found[:_MOST_BALANCES]
        ],
        has_more=len(found) > _MOST_BALANCES,
    )


async def _payouts(
    session: AsyncSession, page: Page, status: PayoutStatus | None, instructor_id: UUID | None
) -> list[_Row]:
    # SQLModel types no more than four columns.
    query: Any = (
        select(InstructorPayout, BookingRequest.title, Student.name, Instructor.name)
        .add_columns(Payment)
        .outerjoin(Payment, col(Payment.booking_id) == col(InstructorPayout.booking_id))
        .join(BookingRequest, col(BookingRequest.id) == col(InstructorPayout.booking_id))
        .join(Student, col(Student.id) == col(BookingRequest.student_id))
        .join(Instructor, col(Instructor.id) == col(InstructorPayout.instructor_id))
        .order_by(_CREATED_AT.desc(), _ID.desc())
        .limit(page.limit + 1)
    )
    if status is not None:
        query = query.where(col(InstructorPayout.status) == status)
    if instructor_id is not None:
        query = query.where(col(InstructorPayout.instructor_id) == instructor_id)
    if page.after is not None:
        query = query.where(tuple_(_CREATED_AT, _ID) < (page.after.at, page.after.id))
    return list(await session.exec(query))


def _next_cursor(found: list[_Row], page: Page) -> str | None:
    return pagination.next_cursor(found, page.limit, lambda last: (last[0].created_at, last[0].id))


def _fields(
    row: InstructorPayout, title: str, student_name: str, instructor_name: str, payment: Payment | None
) -> dict[str, Any]:
    fields = row.model_dump(include={"id", "booking_id", "created_at", "updated_at"})
    names = {"title": title, "student_name": student_name, "instructor_name": instructor_name}
    return fields | names | dict(payout_of_booking(row, payment))

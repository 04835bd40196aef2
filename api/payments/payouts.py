"""Shares on their way to instructors' banks, and balances, as instructors and operators see them."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from sqlalchemy import tuple_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from api.bookings.presenters import payout_of_booking
from api.bookings.schemas import PayoutOfBooking
from api.http import pagination
from api.http.auth import AsInstructor, AsOperator
from api.http.database import WithDatabase
from api.http.pagination import AskedPage, Page
from api.http.problems import Kind, declared
from api.http.schema_types import ResponseModel
from api.payments import balances
from models.domain.money import Money
from models.domain.states import PayoutStatus
from models.tables.payments import InstructorPayout

router = APIRouter(prefix="/v1/instructors/me", tags=["instructors"])
operator_router = APIRouter(prefix="/v1/operator", tags=["operator"])

_AT, _ID = col(InstructorPayout.created_at), col(InstructorPayout.id)

_LISTED = (
    Kind.CURSOR_UNKNOWN,
    Kind.NOT_SIGNED_IN,
    Kind.WRONG_ROLE,
    Kind.REQUEST_INVALID,
    Kind.INTERNAL,
    Kind.UNAVAILABLE,
)

Status = Annotated[PayoutStatus | None, Query(description="Only these.")]


class Payout(PayoutOfBooking):
    """The share of one booking."""

    id: UUID
    booking_id: UUID
    created_at: datetime
    updated_at: datetime


class PayoutPage(ResponseModel):
    data: list[Payout]
    balances: list[Money]
    """At Stripe, in each currency: what no payout has left with yet. Below zero after a refund or a dispute of what had
    been paid out; then it is made up by what is earned next."""
    next_cursor: str | None
    """`cursor` of the next page; `null` on the last one."""


class PayoutForOperator(Payout):
    instructor_id: UUID


class PayoutPageForOperator(ResponseModel):
    data: list[PayoutForOperator]
    next_cursor: str | None
    """`cursor` of the next page; `null` on the last one."""


class NegativeBalance(ResponseModel):
    instructor_id: UUID
    balance: Money


class NegativeBalances(ResponseModel):
    data: list[NegativeBalance]


@router.get("/payouts", operation_id="listOwnPayouts", responses=declared(*_LISTED))
async def own_payouts(
    caller: AsInstructor, page: AskedPage, database: WithDatabase, status: Status = None
) -> PayoutPage:
    """The caller's shares, the newest first, and their balance."""
    async with database.reading() as session:
        found = await _found(session, page, status, caller.id)
        own = await balances.of_instructor(session, caller.id)
    return PayoutPage(
        data=[Payout(**_shown(row)) for row in found[: page.limit]],
        balances=own,
        next_cursor=_next(found, page),
    )


@operator_router.get("/payouts", operation_id="listAllPayouts", responses=declared(*_LISTED))
async def all_payouts(
    operator: AsOperator,
    page: AskedPage,
    database: WithDatabase,
    status: Status = None,
    instructor_id: Annotated[UUID | None, Query(description="Only this instructor's.")] = None,
) -> PayoutPageForOperator:
    """Everybody's shares, the newest first."""
    async with database.reading() as session:
        found = await _found(session, page, status, instructor_id)
    return PayoutPageForOperator(
        data=[PayoutForOperator(instructor_id=row.instructor_id, **_shown(row)) for row in found[: page.limit]],
        next_cursor=_next(found, page),
    )


@operator_router.get(
    "/negative-balances",
    operation_id="listNegativeBalances",
    responses=declared(Kind.NOT_SIGNED_IN, Kind.WRONG_ROLE, Kind.INTERNAL, Kind.UNAVAILABLE),
)
async def negative_balances(operator: AsOperator, database: WithDatabase) -> NegativeBalances:
    """Instructors who owe what was taken back of a payout, the deepest first; until they earn it, the platform does."""
    async with database.reading() as session:
        found = await balances.below_zero(session)
    return NegativeBalances(data=[NegativeBalance(instructor_id=id, balance=balance) for id, balance in found])


async def _found(
    session: AsyncSession, page: Page, status: PayoutStatus | None, instructor_id: UUID | None
) -> list[InstructorPayout]:
    query = select(InstructorPayout).order_by(_AT.desc(), _ID.desc()).limit(page.limit + 1)
    if status is not None:
        query = query.where(col(InstructorPayout.status) == status)
    if instructor_id is not None:
        query = query.where(col(InstructorPayout.instructor_id) == instructor_id)
    if page.after is not None:
        query = query.where(tuple_(_AT, _ID) < (page.after.at, page.after.id))
    return list(await session.exec(query))


def _next(found: list[InstructorPayout], page: Page) -> str | None:
    return pagination.next_cursor(found, page.limit, lambda last: (last.created_at, last.id))


def _shown(row: InstructorPayout) -> dict[str, object]:
    own = {"id": row.id, "booking_id": row.booking_id, "created_at": row.created_at, "updated_at": row.updated_at}
    return own | dict(payout_of_booking(row))

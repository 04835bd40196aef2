"""An operator's decisions about a booking, each a form beside its preview."""

from collections.abc import Awaitable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query, Response
from pydantic import BaseModel, Field

from api.bookings import operator as decisions
from api.bookings import options
from api.bookings.decision_handler import WithDecisionHandler
from api.bookings.refunds import WithRefundService
from api.bookings.schemas import DeadlineExtension, RefundRequest, Settlement
from api.http.auth import AsOperator, Caller
from api.http.database import Database, WithDatabase
from api.http.idempotency import OptionalKey
from api.http.problems import Problem
from api.pages.forms import InvalidForm, Typed, TypedForm
from api.pages.operator_bookings import booking_page
from api.pages.page import Page, WithPage, page_router
from models.domain.money import Money, exponent
from models.domain.policy import LossBearer

router = page_router()

_PATH = "/operator/bookings/{booking_id}"


class _Amount(BaseModel):
    """In major units, as people write it."""

    amount: Annotated[Decimal, Field(gt=0, lt=10**12)]


class _Until(BaseModel):
    """As `datetime-local` sends it: a time in the reader's zone."""

    until: datetime


async def _decided(
    page: Page,
    booking_id: UUID,
    operator: Caller,
    database: Database,
    typed: Typed,
    decision: Awaitable[Any],
    said: str,
) -> Response:
    """Back to the booking: with what was done, or with why it was refused."""
    try:
        await decision
    except Problem as problem:
        typed.refused(problem, page)
        return await booking_page(booking_id, page, operator, database, problem.status_code, typed)
    return page.redirect(f"/operator/bookings/{booking_id}", said)


@router.post(_PATH + "/settle")
async def settle(
    booking_id: UUID,
    page: WithPage,
    typed: TypedForm,
    operator: AsOperator,
    handler: WithDecisionHandler,
    database: WithDatabase,
) -> Response:
    async def settle_() -> None:
        settlement = typed.read(Settlement) if typed.get("reason") else None
        await decisions.settle(booking_id, operator, handler, settlement)

    return await _decided(page, booking_id, operator, database, typed, settle_(), page.say("The booking is settled."))


@router.post(_PATH + "/release")
async def release(
    booking_id: UUID,
    page: WithPage,
    typed: TypedForm,
    operator: AsOperator,
    handler: WithDecisionHandler,
    database: WithDatabase,
) -> Response:
    done = decisions.release(booking_id, operator, handler)
    said = page.say("The booking is released: the student gets everything back.")
    return await _decided(page, booking_id, operator, database, typed, done, said)


@router.post(_PATH + "/extend")
async def extend(
    booking_id: UUID,
    page: WithPage,
    typed: TypedForm,
    operator: AsOperator,
    handler: WithDecisionHandler,
    database: WithDatabase,
) -> Response:
    async def extend_() -> None:
        until = typed.read(_Until).until.replace(tzinfo=page.zone).astimezone(UTC)
        extension = DeadlineExtension.model_validate({"until": until.isoformat()})
        await decisions.extend(booking_id, extension, operator, handler)

    return await _decided(page, booking_id, operator, database, typed, extend_(), page.say("The deadline is moved."))


@router.post(_PATH + "/retry")
async def retry(
    booking_id: UUID,
    page: WithPage,
    typed: TypedForm,
    operator: AsOperator,
    handler: WithDecisionHandler,
    refunds: WithRefundService,
    database: WithDatabase,
    key: OptionalKey = None,
) -> Response:
    done = decisions.retry(booking_id, operator, handler, refunds, key)
    said = page.say("The failed step is tried again.")
    return await _decided(page, booking_id, operator, database, typed, done, said)


@router.get(_PATH + "/refund")
async def preview_refund(
    booking_id: UUID,
    page: WithPage,
    operator: AsOperator,
    handler: WithDecisionHandler,
    amount: Annotated[str, Query(max_length=20)] = "",
    reason: Annotated[str, Query(max_length=1000)] = "",
    borne_by: str = LossBearer.BOTH,
) -> Response:
    given = {"amount": amount, "reason": reason, "borne_by": borne_by}
    typed = Typed({name: text for name, text in given.items() if text})
    return await _refund_form(booking_id, page, operator, handler, typed)


@router.post(_PATH + "/refund")
async def refund(
    booking_id: UUID,
    page: WithPage,
    typed: TypedForm,
    operator: AsOperator,
    handler: WithDecisionHandler,
    refunds: WithRefundService,
    key: OptionalKey = None,
) -> Response:
    record = await handler.find(booking_id, operator)
    try:
        amount = _read_amount(typed, record.request.currency)
        requested = typed.read(RefundRequest, amount_minor=amount.amount_minor)
        await decisions.refund(booking_id, requested, operator, handler, refunds, key)
    except Problem as problem:
        typed.refused(problem, page)
        return await _refund_form(booking_id, page, operator, handler, typed, problem.status_code)
    said = page.say("%(amount)s goes back to the student.", amount=page.language.money(amount))
    return page.redirect(f"/operator/bookings/{booking_id}", said)


async def _refund_form(
    booking_id: UUID, page: Page, operator: AsOperator, handler: WithDecisionHandler, typed: Typed, status: int = 200
) -> Response:
    record = await handler.find(booking_id, operator)
    bearer = LossBearer(typed.get("borne_by")) if typed.get("borne_by") in list(LossBearer) else LossBearer.BOTH
    preview, minor = None, None
    if typed.get("amount"):
        try:
            minor = _read_amount(typed, record.request.currency).amount_minor
        except Problem as problem:
            status = problem.status_code
            typed.refused(problem, page)
    found = options.options(record, operator, minor, bearer)
    option = next(each for each in found.data if each.action is options.OperatorAction.REFUND)
    if minor is not None:
        preview = option
    units = Decimal(found.refundable.amount_minor).scaleb(-exponent(found.refundable.currency))
    return page.show(
        "operator_refund.html",
        status,
        typed=typed,
        id=booking_id,
        title=record.request.title,
        is_closed=record.is_closed,
        refundable=found.refundable,
        needs_reason=option.needs_reason,
        preview=preview,
        suggestion=f"{units:f}",
    )


def _read_amount(typed: Typed, currency: str) -> Money:
    """Raises `InvalidForm` for what is not an amount, or has more decimals than the currency."""
    minor = typed.read(_Amount).amount.scaleb(exponent(currency))
    if minor != minor.to_integral_value():
        raise InvalidForm({"amount": "decimals"})
    return Money(amount_minor=int(minor), currency=currency)

"""What a service token may spend: the sum of its bookings' prices, less what was returned, stays within its limit."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import case
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import and_, col, func, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from api.http.problems import Kind, Problem
from models.domain.money import Money
from models.domain.states import HOLDS_SLOT
from models.tables.bookings import BookingRequest
from models.tables.payments import Payment
from models.tables.service_tokens import ServiceToken, ServiceTokenBooking

_STARTING = timedelta(minutes=5)
"""A booking without a row is being reserved. After that it was not, or it was deleted unpaid."""


async def spend(session: AsyncSession, token_id: UUID, booking_id: UUID, price: Money, now: datetime) -> None:
    """Count a booking against the token. Raises the 403 `Problem` if it is too much.

    The token's row is locked: of concurrent bookings, each sees those before it.
    """
    token = await session.get_one(ServiceToken, token_id, with_for_update=True)
    if token.spend_limit_minor is not None and token.spend_limit_currency is not None:
        limit = Money(amount_minor=token.spend_limit_minor, currency=token.spend_limit_currency)
        spent = Money(amount_minor=await _spent(session, token_id, booking_id, now), currency=limit.currency)
        if price.currency != limit.currency or spent.amount_minor + price.amount_minor > limit.amount_minor:
            raise Problem(
                Kind.SPEND_LIMIT_REACHED,
                f"The token may spend {limit.format()}, of which {spent.format()} is spent. This costs "
                f"{price.format()}. Ask the person to book it, or for a token with a higher limit.",
                spend_limit=limit.model_dump(),
                spent=spent.model_dump(),
            )
    row = ServiceTokenBooking(
        booking_id=booking_id,
        token_id=token_id,
        price_minor=price.amount_minor,
        currency=price.currency,
        created_at=now,
    )
    await session.exec(insert(ServiceTokenBooking).values(row.model_dump()).on_conflict_do_nothing())


async def _spent(session: AsyncSession, token_id: UUID, but_for: UUID, now: datetime) -> int:
    is_starting = and_(col(BookingRequest.id).is_(None), col(ServiceTokenBooking.created_at) > now - _STARTING)
    is_unpaid = and_(col(BookingRequest.status).in_(HOLDS_SLOT), col(Payment.booking_id).is_(None))
    is_paid = and_(col(BookingRequest.id).is_not(None), col(Payment.booking_id).is_not(None))
    amount = case(
        (or_(is_starting, is_unpaid), col(ServiceTokenBooking.price_minor)),
        (is_paid, col(Payment.amount_minor) - col(Payment.returned_minor)),
        else_=0,
    )
    total = (
        select(func.coalesce(func.sum(amount), 0))
        .select_from(ServiceTokenBooking)
        .outerjoin(BookingRequest, col(BookingRequest.id) == col(ServiceTokenBooking.booking_id))
        .outerjoin(Payment, col(Payment.booking_id) == col(ServiceTokenBooking.booking_id))
        .where(col(ServiceTokenBooking.token_id) == token_id, col(ServiceTokenBooking.booking_id) != but_for)
    )
    return int((await session.exec(total)).one())

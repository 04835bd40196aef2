"""The catalogue's writes: offerings and slots."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnExpressionArgument, Uuid, any_, literal
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlmodel import col, exists, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from api.catalogue.queries import OfferingRecord
from api.catalogue.schemas import NewOffering, OfferingChange, SlotsWithdrawn, policy_of
from api.http.auth import Caller
from api.http.problems import Kind, Problem
from models.domain.actors import Subject
from models.domain.states import HOLDS_SLOT
from models.tables.audit import event_about
from models.tables.bookings import BookingRequest
from models.tables.catalogue import Offering, Slot
from models.tables.people import Instructor

_FREE_TEXT = frozenset({"title", "description"})
"""Columns whose values are left out of audit events."""


async def add_offering(
    session: AsyncSession, id: UUID, caller: Caller, new: NewOffering, now: datetime
) -> OfferingRecord:
    """Raises the 403 `Problem` for a token without an account."""
    # Locked as a reference to it would lock it: an account that is being closed takes no new offering.
    instructor = await session.get(Instructor, caller.id, with_for_update={"read": True, "key_share": True})
    if instructor is None or instructor.closed_at is not None:
        raise Problem(Kind.NO_ACCOUNT)
    offering = Offering(
        id=id,
        instructor_id=caller.id,
        title=new.title,
        description=new.description,
        duration_minutes=new.duration_minutes,
        buffer_before_minutes=new.buffer_before_minutes,
        buffer_after_minutes=new.buffer_after_minutes,
        min_notice_minutes=new.min_notice_minutes,
        price_minor=new.price.amount_minor,
        currency=new.price.currency,
        cancellation=policy_of(new.cancellation).model_dump(mode="json"),
        is_recorded=new.is_recorded,
        created_at=now,
    )
    session.add(offering)
    await session.flush()
    session.add(event_about(Subject.OFFERING, offering.id, "offering.created", caller.actor, caller.channel, now))
    return OfferingRecord(offering, instructor)


async def change_offering(
    session: AsyncSession, offering: Offering, change: OfferingChange, caller: Caller, now: datetime
) -> None:
    """Applies to future bookings only: existing ones keep their frozen terms. A change of nothing writes nothing."""
    columns: dict[str, Any] = {**change}
    if "price" in change:
        del columns["price"]
        columns |= {"price_minor": change["price"].amount_minor, "currency": change["price"].currency}
    if "cancellation" in change:
        columns["cancellation"] = policy_of(change["cancellation"]).model_dump(mode="json")
    await session.refresh(offering, with_for_update=True)
    before = {name: getattr(offering, name) for name, value in columns.items() if getattr(offering, name) != value}
    if not before:
        return
    offering.sqlmodel_update({name: columns[name] for name in before})
    detail = {name: None if name in _FREE_TEXT else {"from": before[name], "to": columns[name]} for name in before}
    action = "offering.changed"
    occasion = now.isoformat()
    session.add(event_about(Subject.OFFERING, offering.id, action, caller.actor, caller.channel, now, detail, occasion))


async def withdraw_slots(
    session: AsyncSession,
    offering: Offering,
    conditions: Iterable[ColumnExpressionArgument[bool]],
    caller: Caller,
    now: datetime,
) -> SlotsWithdrawn:
    """Withdraw the matching future slots that no open booking holds.

    The slots are locked before the bookings are read: a booking in progress finishes first, and a later one finds the
    slot withdrawn.
    """
    of_offering = (col(Slot.offering_id) == offering.id, col(Slot.withdrawn_at).is_(None), col(Slot.starts_at) > now)
    lock = select(Slot.id).where(*of_offering, *conditions).order_by(col(Slot.starts_at)).with_for_update()
    locked = (await session.exec(lock)).all()
    booked = exists().where(col(BookingRequest.slot_id) == col(Slot.id), col(BookingRequest.status).in_(HOLDS_SLOT))
    withdraw = (
        update(Slot)
        .where(col(Slot.id) == any_(literal(locked, ARRAY(Uuid()))), ~booked)
        .values(withdrawn_at=now)
        .returning(col(Slot.id))
    )
    withdrawn = [str(id) for (id,) in await session.exec(withdraw)]
    if withdrawn:
        action = "offering.slots_withdrawn"
        detail, occasion = {"slot_ids": withdrawn}, withdrawn[0]
        session.add(
            event_about(Subject.OFFERING, offering.id, action, caller.actor, caller.channel, now, detail, occasion)
        )
    return SlotsWithdrawn(withdrawn=len(withdrawn), booked=len(locked) - len(withdrawn))


async def add_slots(
    session: AsyncSession, offering: Offering, starts: Sequence[datetime], caller: Caller, now: datetime
) -> None:
    """Existing slots are left unchanged."""
    duration = timedelta(minutes=offering.duration_minutes)
    rows = [
        Slot(
            offering_id=offering.id,
            instructor_id=offering.instructor_id,
            starts_at=starts_at,
            ends_at=starts_at + duration,
        ).model_dump()
        for starts_at in starts
    ]
    statement = insert(Slot).values(rows).on_conflict_do_nothing().returning(col(Slot.id))
    added = [str(id) for (id,) in await session.exec(statement)]
    if added:
        action = "offering.slots_added"
        detail = {"slot_ids": added}
        session.add(
            event_about(
                Subject.OFFERING, offering.id, action, caller.actor, caller.channel, now, detail, occasion=added[0]
            )
        )

"""Postgres was restored from a backup: what workflows have written since is written again, from their histories.

Every write is idempotent, and its audit row proves that it is there. So all are repeated in their order, and those that
the backup has change nothing.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.database.transactions import transaction
from activities.gateways import RestoreGateway
from models.domain.actors import Role, SignUpRole
from models.domain.messages import MoveResult, MoveSlot, RecordCheckout, ReserveSlot
from models.domain.proposals import ProposalStatus
from models.domain.refunds import RefundSnapshot
from models.domain.states import RefundStatus
from models.domain.terms import BookingTerms
from models.tables.bookings import BookingRequest, RescheduleProposal
from models.tables.catalogue import Offering, Slot
from models.tables.people import Instructor, Student
from models.tables.refunds import Refund
from workflows.client.restore.histories import Write

_UNKNOWN_TITLE = "Session"
_UNKNOWN_OPERATOR = UUID(int=0)
"""Who ordered a refund was in Postgres alone."""

log = logging.getLogger("holdfast.restore")


class RecordRestore:
    """`activities` are those that write, by name."""

    def __init__(
        self,
        engine: AsyncEngine,
        activities: Mapping[str, Callable[[Any], Awaitable[Any]]],
        gateway: RestoreGateway,
    ) -> None:
        self._engine = engine
        self._activities = activities
        self._gateway = gateway

    async def write_again(self, writes: Sequence[Write]) -> dict[str, str]:
        """Repeat the writes. Returns why those of a workflow cannot be repeated, by its id.

        Two bookings may need each other's writes: one has a slot that the other has left. What fails is tried again
        after the others, for as long as that helps.
        """
        checkouts = {each.message.booking_id: each.message for each in writes if each.activity == "record_checkout"}
        left, failures = sorted(writes, key=lambda each: each.at), dict[str, str]()
        while left:
            failures, again = dict[str, str](), list[Write]()
            for write in left:
                if write.workflow_id in failures:
                    again.append(write)
                elif failure := await self._repeat(write, checkouts):
                    failures[write.workflow_id] = failure
                    again.append(write)
            if len(again) == len(left):
                break
            left = again
        return failures

    async def _repeat(self, write: Write, checkouts: Mapping[Any, RecordCheckout]) -> str | None:
        message = write.message
        try:
            match message:
                case ReserveSlot():
                    if write.result is not True:
                        return None  # It was refused, or the booking went on from its records.
                    await self._restore_parties(message.terms, checkouts.get(message.terms.booking_id))
                    message = message.model_copy(update={"limits": None, "allow_overlap": True})
                case MoveSlot():
                    if write.result is not MoveResult.MOVED:
                        return None
                    await self._restore_proposal(message)
            if isinstance(write.result, RefundSnapshot):
                await self._restore_refund(write)
            result = await self._activities[write.activity](message)
        except Exception as error:
            log.warning("%s of %s fails: %s", write.activity, write.workflow_id, type(error).__name__)
            return f"{write.activity}: {type(error).__name__}"
        if result != write.result and isinstance(message, ReserveSlot | MoveSlot):
            return f"{write.activity}: the slot is not free"
        return None

    async def _restore_parties(self, terms: BookingTerms, checkout: RecordCheckout | None) -> None:
        """What the booking refers to, if it is newer than the backup: the people as far as Stripe knows them."""
        async with transaction(self._engine) as session:
            if await session.get(BookingRequest, terms.booking_id):
                return
            rows = await self._missing(session, terms, checkout)
            for row in rows:
                await session.exec(insert(type(row)).values(row.model_dump()).on_conflict_do_nothing())

    async def _missing(
        self, session: AsyncSession, terms: BookingTerms, checkout: RecordCheckout | None
    ) -> list[SQLModel]:
        rows: list[SQLModel] = []
        at = terms.starts_at if checkout is None else checkout.at
        if await session.get(Student, terms.student_id) is None and checkout:
            customer_id = checkout.checkout.customer_id
            if contact := await self._gateway.student(customer_id):
                rows.append(
                    Student(
                        id=terms.student_id,
                        email=contact.email,
                        name=contact.name,
                        stripe_customer_id=customer_id,
                        created_at=at,
                    )
                )
        if await session.get(Instructor, terms.instructor_id) is None and (
            contact := await self._gateway.instructor(terms.stripe_account_id)
        ):
            rows.append(
                Instructor(
                    id=terms.instructor_id,
                    email=contact.email,
                    name=contact.name,
                    stripe_account_id=terms.stripe_account_id,
                    created_at=at,
                )
            )
        if await session.get(Offering, terms.offering_id) is None:
            title = checkout and await self._gateway.offering_title(checkout.checkout.checkout_session_id)
            rows.append(
                Offering(
                    id=terms.offering_id,
                    instructor_id=terms.instructor_id,
                    title=title or _UNKNOWN_TITLE,
                    duration_minutes=int((terms.ends_at - terms.starts_at).total_seconds() // 60),
                    buffer_before_minutes=terms.buffer_before_minutes,
                    buffer_after_minutes=terms.buffer_after_minutes,
                    price_minor=terms.price.amount_minor,
                    currency=terms.price.currency,
                    cancellation=terms.policy.cancellation.model_dump(mode="json"),
                    is_recorded=terms.is_recorded,
                    created_at=at,
                )
            )
        rows.append(
            Slot(
                id=terms.slot_id,
                offering_id=terms.offering_id,
                instructor_id=terms.instructor_id,
                starts_at=terms.starts_at,
                ends_at=terms.ends_at,
            )
        )
        return rows

    async def _restore_proposal(self, message: MoveSlot) -> None:
        """Both sides have agreed on it. The one who decided is not the one who proposed."""
        to = message.decision
        async with transaction(self._engine) as session:
            booking = await session.get_one(BookingRequest, message.booking_id)
            slot = Slot(
                id=to.slot_id,
                offering_id=booking.offering_id,
                instructor_id=booking.instructor_id,
                starts_at=to.starts_at,
                ends_at=to.ends_at,
            )
            await session.exec(insert(Slot).values(slot.model_dump()).on_conflict_do_nothing())
            proposal = RescheduleProposal(
                id=to.proposal_id,
                booking_id=booking.id,
                slot_id=to.slot_id,
                starts_at=to.starts_at,
                ends_at=to.ends_at,
                proposed_by=SignUpRole.INSTRUCTOR if to.actor.role is Role.STUDENT else SignUpRole.STUDENT,
                status=ProposalStatus.OPEN,
                created_at=message.at,
            )
            await session.exec(insert(RescheduleProposal).values(proposal.model_dump()).on_conflict_do_nothing())

    async def _restore_refund(self, write: Write) -> None:
        """As it was ordered. One that was made in Stripe's dashboard is adopted by its own write."""
        snapshot: RefundSnapshot = write.result
        booking_id = snapshot.parties.booking_id
        refund = Refund(
            id=snapshot.refund_id,
            booking_id=booking_id,
            status=RefundStatus.REQUESTED,
            amount_minor=snapshot.amount.amount_minor,
            currency=snapshot.amount.currency,
            borne_by=snapshot.borne_by,
            ordered_by=_UNKNOWN_OPERATOR,
            created_at=write.at,
            updated_at=write.at,
        )
        async with transaction(self._engine) as session:
            is_known = (await session.exec(select(Refund.id).where(col(Refund.id) == refund.id))).first()
            if is_known is None and write.activity == "reserve_refund":
                await session.exec(insert(Refund).values(refund.model_dump()).on_conflict_do_nothing())

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
from sqlmodel import col, select

from activities.booking import session_reports
from activities.database.transactions import transaction
from activities.gateways import RestoreGateway
from models.domain.actors import Role, SignUpRole
from models.domain.messages import MoveResult, MoveSlot, RecordCheckout, ReserveSlot
from models.domain.onboarding import RecordAccount
from models.domain.proposals import ProposalStatus
from models.domain.refunds import RefundSnapshot
from models.domain.session_reports import JudgeSession
from models.domain.states import RefundStatus
from models.tables.bookings import BookingRequest, RescheduleProposal
from models.tables.catalogue import Slot
from models.tables.refunds import Refund
from workflows.client.restore.histories import Write
from workflows.client.restore.parties import PartyRestore, slot

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
        self._parties = PartyRestore(engine, gateway)

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
                    checkout = checkouts.get(message.terms.booking_id)
                    await self._parties.restore(message.terms, checkout, message.booked_at)
                    message = message.model_copy(update={"limits": None, "allow_overlap": True})
                case RecordAccount():
                    await self._parties.restore_instructor(message.instructor_id, message.account_id, write.at)
                case JudgeSession():
                    # Who was there is lost, and what the workflow made of it is not.
                    async with transaction(self._engine) as session:
                        await session_reports.record_verdict(session, message, write.result, {})
                    return None
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
            return f"{write.activity}: the slot is not free, or somebody is unknown"
        return None

    async def _restore_proposal(self, message: MoveSlot) -> None:
        """Both sides have agreed on it. The one who decided is not the one who proposed."""
        to = message.decision
        async with transaction(self._engine) as session:
            booking = await session.get_one(BookingRequest, message.booking_id)
            moved = {"slot_id": to.slot_id, "starts_at": to.starts_at, "ends_at": to.ends_at}
            new_slot = slot(booking.terms.model_copy(update=moved))
            await session.exec(insert(Slot).values(new_slot.model_dump()).on_conflict_do_nothing())
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

"""A session moved by agreement: the hold, the deadlines and the policy go with it, and nobody pays again."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlmodel import col, update
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from models.domain.actors import SignUpRole
from models.domain.errors import Unknown
from models.domain.messages import Approve, Cancel, Complete, Refusal, Reschedule
from models.domain.policy import TYPICAL_HOLD_DURATION
from models.domain.proposals import ProposalStatus
from models.domain.states import BookingStatus, PaymentStatus
from models.tables.bookings import RescheduleProposal
from sandbox import seed
from tests.workflows.saga import Booked, Saga
from workflows.booking.workflow import BookingWorkflow

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


async def approved(saga: Saga, **wish: timedelta) -> Booked:
    booked = await saga.paid(**wish)
    await booked.handle.execute_update(BookingWorkflow.approve, Approve(actor=booked.instructor))
    return booked


async def slot(saga: Saga, booked: Booked, starts_at: datetime) -> UUID:
    return await seed.add_slot(saga.engine, booked.order.terms.offering_id, starts_at, starts_at + HOUR)


async def agreed(saga: Saga, booked: Booked, later: timedelta, starts_at: datetime | None = None) -> Reschedule:
    """On a slot that begins that much later than the booked one."""
    terms = booked.order.terms
    to = terms.starts_at + later
    proposal = RescheduleProposal(
        booking_id=terms.booking_id,
        slot_id=await slot(saga, booked, to),
        starts_at=to,
        ends_at=to + HOUR,
        proposed_by=SignUpRole.STUDENT,
        status=ProposalStatus.OPEN,
        created_at=datetime.now(UTC),
    )
    async with AsyncSession(saga.engine, expire_on_commit=False) as session, session.begin():
        await session.exec(
            update(RescheduleProposal)
            .where(col(RescheduleProposal.booking_id) == terms.booking_id)
            .where(col(RescheduleProposal.status) == ProposalStatus.OPEN)
            .values(status=ProposalStatus.WITHDRAWN)
        )
        session.add(proposal)
    return Reschedule(
        actor=booked.instructor,
        proposal_id=proposal.id,
        slot_id=proposal.slot_id,
        starts_at=to,
        ends_at=to + HOUR,
        from_starts_at=starts_at or terms.starts_at,
    )


async def move(booked: Booked, to: Reschedule) -> None:
    await booked.handle.execute_update(BookingWorkflow.reschedule, to)


async def refused(booked: Booked, to: Reschedule) -> tuple[str | None, str]:
    with pytest.raises(WorkflowUpdateFailedError) as caught:
        await move(booked, to)
    cause = caught.value.cause
    assert isinstance(cause, ApplicationError)
    return cause.type, cause.message


async def test_an_accepted_session_is_held_at_the_other_time_and_settled_there(saga: Saga) -> None:
    booked = await approved(saga)
    to = await agreed(saga, booked, DAY)
    await move(booked, to)
    request = await booked.request()
    assert request is not None
    assert (request.slot_id, request.starts_at, request.status) == (to.slot_id, to.starts_at, BookingStatus.ACCEPTED)
    assert request.next_deadline_at == to.ends_at + DAY
    await booked.until_begun()
    with pytest.raises(WorkflowUpdateFailedError):
        await booked.handle.execute_update(BookingWorkflow.complete, Complete(actor=booked.instructor))
    await saga.env.sleep(DAY)
    await booked.handle.execute_update(BookingWorkflow.complete, Complete(actor=booked.instructor))
    assert (await booked.result()).payment_status is PaymentStatus.CAPTURED


async def test_nobody_says_anything_by_the_new_deadline(saga: Saga) -> None:
    booked = await approved(saga)
    await move(booked, await agreed(saga, booked, -DAY))
    assert (await booked.result()).booking_status is BookingStatus.CANCELLED
    # Two days to the new start, an hour of session, a day to say something.
    assert timedelta(days=3) <= await booked.lasted() < timedelta(days=3, hours=2)


async def test_before_the_decision_the_instructor_still_has_to_decide_and_by_the_new_start(saga: Saga) -> None:
    booked = await saga.paid()
    to = await agreed(saga, booked, 6 * HOUR - 3 * DAY)
    await move(booked, to)
    request = await booked.request()
    assert request is not None
    assert (request.status, request.next_deadline_at) == (BookingStatus.PENDING, to.starts_at)
    assert (await booked.result()).booking_status is BookingStatus.EXPIRED
    assert await booked.lasted() < 7 * HOUR


async def test_cancelling_counts_from_the_new_start(saga: Saga) -> None:
    booked = await approved(saga)
    await move(booked, await agreed(saga, booked, 12 * HOUR - 3 * DAY))
    await booked.handle.execute_update(BookingWorkflow.cancel, Cancel(actor=booked.student))
    assert (await booked.result()).payment_status is PaymentStatus.PARTIALLY_REFUNDED
    assert (await booked.figures()).student_paid_minor == 5_000


async def test_a_slot_that_was_taken_meanwhile_leaves_the_booking_as_it_is(saga: Saga) -> None:
    booked = await approved(saga)
    to = await agreed(saga, booked, DAY)
    terms = booked.order.terms
    student = await seed.add_student(saga.engine)
    rival = booked.order.model_copy(
        update={
            "terms": terms.model_copy(
                update={
                    "booking_id": uuid4(),
                    "student_id": student,
                    "slot_id": to.slot_id,
                    "starts_at": to.starts_at,
                    "ends_at": to.ends_at,
                }
            )
        }
    )
    await saga.start(rival)
    kind, _ = await refused(booked, to)
    assert kind == Refusal.SLOT_TAKEN
    request = await booked.request()
    assert request is not None
    assert request.starts_at == terms.starts_at
    # Nothing is left behind: the booking goes on at its old time.
    await move(booked, await agreed(saga, booked, -DAY))


async def test_a_proposal_that_was_withdrawn_meanwhile_leaves_the_booking_as_it_is(saga: Saga) -> None:
    booked = await approved(saga)
    withdrawn = await agreed(saga, booked, DAY)
    await agreed(saga, booked, -DAY)  # replaces it
    assert await refused(booked, withdrawn) == (Refusal.NOT_POSSIBLE_NOW, "The proposal is no longer open.")
    request = await booked.request()
    assert request is not None
    assert request.starts_at == booked.order.terms.starts_at


async def test_a_session_beyond_the_hold_is_refused_with_how_far_it_reaches(saga: Saga) -> None:
    booked = await approved(saga)
    kind, sentence = await refused(booked, await agreed(saga, booked, TYPICAL_HOLD_DURATION))
    assert kind == Refusal.NOT_POSSIBLE_NOW
    assert "hold does not reach" in sentence


async def test_what_cannot_be_moved_is_refused(saga: Saga) -> None:
    unpaid = await saga.booked()
    assert "no session to move" in (await refused(unpaid, await agreed(saga, unpaid, DAY)))[1]
    booked = await approved(saga)
    longer = await agreed(saga, booked, DAY)
    longer = longer.model_copy(update={"ends_at": longer.ends_at + HOUR})
    assert "different lengths" in (await refused(booked, longer))[1]
    assert "has started" in (await refused(booked, await agreed(saga, booked, -5 * DAY)))[1]
    outdated = await agreed(saga, booked, 2 * HOUR, starts_at=booked.order.terms.starts_at - HOUR)
    assert "rescheduled since" in (await refused(booked, outdated))[1]
    await booked.until_begun()
    assert "session has started" in (await refused(booked, await agreed(saga, booked, 3 * HOUR)))[1]


async def test_an_answer_that_is_lost_moves_it_once(saga: Saga) -> None:
    booked = await approved(saga)
    to = await agreed(saga, booked, DAY)
    saga.faults.fail("after", "move_slot", Unknown("the answer was lost"))
    await move(booked, to)
    await move(booked, to)
    assert saga.faults.all_taken
    request = await booked.request()
    assert request is not None
    assert request.starts_at == to.starts_at


async def test_an_approval_and_a_move_at_once_are_both_carried_out_one_after_the_other(saga: Saga) -> None:
    booked = await saga.paid()
    to = await agreed(saga, booked, DAY)

    async def agree() -> None:
        await move(booked, to)

    async def approve() -> None:
        await booked.handle.execute_update(BookingWorkflow.approve, Approve(actor=booked.instructor))

    # Either may be heard first. The other is carried out after it, or told to ask again.
    outcomes = await asyncio.gather(agree(), approve(), return_exceptions=True)
    for ask_again, outcome in zip((agree, approve), outcomes, strict=True):
        if outcome is not None:
            assert isinstance(outcome, WorkflowUpdateFailedError)
            assert isinstance(outcome.cause, ApplicationError)
            assert outcome.cause.type == Refusal.NOT_POSSIBLE_NOW
            await ask_again()
    assert any(outcome is None for outcome in outcomes)
    request = await booked.request()
    assert request is not None
    assert (request.status, request.starts_at) == (BookingStatus.ACCEPTED, to.starts_at)
    # Whichever came first, the deadline is that of the new time.
    assert request.next_deadline_at == to.ends_at + DAY


async def test_the_worker_may_change_in_between(saga: Saga) -> None:
    booked = await approved(saga)
    await move(booked, await agreed(saga, booked, DAY))
    async with saga.workers.stopped():
        pass
    await booked.until_begun()
    await saga.env.sleep(DAY)
    await booked.handle.execute_update(BookingWorkflow.complete, Complete(actor=booked.instructor))
    assert (await booked.result()).booking_status is BookingStatus.COMPLETED

"""Rescheduling a session: the payment, the deadlines and the policy move with it, and nobody pays again."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from models.domain.errors import Unknown
from models.domain.messages import Approve, Cancel, Complete, Refusal, Reschedule
from models.domain.states import BookingStatus, PaymentStatus
from sandbox import seed
from tests.workflows.booking.reschedule_steps import HOUR, move, proposal
from tests.workflows.saga import Booked, Saga, both_plans
from workflows.booking.workflow import BookingWorkflow

pytestmark = both_plans

DAY = timedelta(days=1)


async def refused(booked: Booked, to: Reschedule) -> tuple[str | None, str]:
    with pytest.raises(WorkflowUpdateFailedError) as caught:
        await move(booked, to)
    cause = caught.value.cause
    assert isinstance(cause, ApplicationError)
    return cause.type, cause.message


async def test_accepted_session_moves_and_settles_at_the_new_time(saga: Saga) -> None:
    booked = await saga.accepted()
    to = await proposal(saga, booked, DAY)
    await move(booked, to)
    request = await booked.request()
    assert request is not None
    assert (request.slot_id, request.starts_at, request.status) == (to.slot_id, to.starts_at, BookingStatus.ACCEPTED)
    assert request.next_deadline_at == to.ends_at + DAY
    await booked.until_begun()
    with pytest.raises(WorkflowUpdateFailedError):
        await booked.handle.execute_update(BookingWorkflow.complete, Complete(actor=booked.instructor))
    await saga.env.sleep(DAY + HOUR)
    await booked.handle.execute_update(BookingWorkflow.complete, Complete(actor=booked.instructor))
    assert (await booked.result()).payment_status is PaymentStatus.CAPTURED


async def test_completion_timeout_counts_from_the_new_time(saga: Saga) -> None:
    booked = await saga.accepted()
    await move(booked, await proposal(saga, booked, -DAY))
    assert (await booked.result()).booking_status is BookingStatus.CANCELLED
    # Two days to the new start, an hour of session, a day to report on it.
    assert timedelta(days=3) <= await booked.lasted() < timedelta(days=3, hours=2)


async def test_pending_booking_must_be_approved_by_the_new_start(saga: Saga) -> None:
    booked = await saga.paid()
    to = await proposal(saga, booked, 6 * HOUR - 3 * DAY)
    await move(booked, to)
    request = await booked.request()
    assert request is not None
    assert (request.status, request.next_deadline_at) == (BookingStatus.PENDING, to.starts_at)
    assert (await booked.result()).booking_status is BookingStatus.EXPIRED
    assert await booked.lasted() < 7 * HOUR


async def test_cancellation_tier_counts_from_the_new_start(saga: Saga) -> None:
    booked = await saga.accepted()
    await move(booked, await proposal(saga, booked, 12 * HOUR - 3 * DAY))
    await booked.handle.execute_update(BookingWorkflow.cancel, Cancel(actor=booked.student))
    assert (await booked.result()).payment_status is PaymentStatus.PARTIALLY_REFUNDED
    assert (await booked.figures()).student_paid_minor == 5_000


async def test_taken_slot_is_refused_and_changes_nothing(saga: Saga) -> None:
    booked = await saga.accepted()
    to = await proposal(saga, booked, DAY)
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
    # The booking keeps its old time and can still be moved.
    await move(booked, await proposal(saga, booked, -DAY))


async def test_a_proposal_that_was_withdrawn_meanwhile_leaves_the_booking_as_it_is(saga: Saga) -> None:
    booked = await saga.accepted()
    withdrawn = await proposal(saga, booked, DAY)
    await proposal(saga, booked, -DAY)  # replaces it
    assert await refused(booked, withdrawn) == (Refusal.NOT_POSSIBLE_NOW, "The proposal is no longer open.")
    request = await booked.request()
    assert request is not None
    assert request.starts_at == booked.order.terms.starts_at


async def test_session_beyond_the_holding_limit_is_refused(saga: Saga) -> None:
    booked = await saga.accepted()
    kind, sentence = await refused(
        booked, await proposal(saga, booked, booked.order.terms.policy.deadlines.holding_limit)
    )
    assert kind == Refusal.NOT_POSSIBLE_NOW
    assert "cannot be held for a session that ends after" in sentence


async def test_reschedule_is_refused(saga: Saga) -> None:
    unpaid = await saga.booked()
    assert "no session to move" in (await refused(unpaid, await proposal(saga, unpaid, DAY)))[1]
    booked = await saga.accepted()
    longer = await proposal(saga, booked, DAY)
    longer = longer.model_copy(update={"ends_at": longer.ends_at + HOUR})
    assert "different lengths" in (await refused(booked, longer))[1]
    assert "has started" in (await refused(booked, await proposal(saga, booked, -5 * DAY)))[1]
    outdated = await proposal(saga, booked, 2 * HOUR, starts_at=booked.order.terms.starts_at - HOUR)
    assert "rescheduled since" in (await refused(booked, outdated))[1]
    await booked.until_begun()
    assert "session has started" in (await refused(booked, await proposal(saga, booked, 3 * HOUR)))[1]


async def test_lost_response_moves_the_slot_once(saga: Saga) -> None:
    booked = await saga.accepted()
    to = await proposal(saga, booked, DAY)
    saga.faults.fail("after", "move_slot", Unknown("the response was lost"))
    await move(booked, to)
    await move(booked, to)
    assert saga.faults.all_taken
    request = await booked.request()
    assert request is not None
    assert request.starts_at == to.starts_at


async def test_concurrent_approval_and_reschedule_both_apply(saga: Saga) -> None:
    booked = await saga.paid()
    to = await proposal(saga, booked, DAY)

    async def agree() -> None:
        await move(booked, to)

    async def approve() -> None:
        await booked.handle.execute_update(BookingWorkflow.approve, Approve(actor=booked.instructor))

    # Either may be handled first. The other is handled after it, or is refused for now.
    outcomes = await asyncio.gather(agree(), approve(), return_exceptions=True)
    for retry, outcome in zip((agree, approve), outcomes, strict=True):
        if outcome is not None:
            assert isinstance(outcome, WorkflowUpdateFailedError)
            assert isinstance(outcome.cause, ApplicationError)
            assert outcome.cause.type == Refusal.NOT_POSSIBLE_NOW
            await retry()
    assert any(outcome is None for outcome in outcomes)
    request = await booked.request()
    assert request is not None
    assert (request.status, request.starts_at) == (BookingStatus.ACCEPTED, to.starts_at)
    # Whichever came first, the deadline is that of the new time.
    assert request.next_deadline_at == to.ends_at + DAY


@pytest.mark.uncached
async def test_rescheduled_booking_survives_a_new_worker(saga: Saga) -> None:
    booked = await saga.accepted()
    await move(booked, await proposal(saga, booked, DAY))
    async with saga.workers.stopped():
        pass
    await booked.until_begun()
    await saga.env.sleep(DAY + HOUR)
    await booked.handle.execute_update(BookingWorkflow.complete, Complete(actor=booked.instructor))
    assert (await booked.result()).booking_status is BookingStatus.COMPLETED

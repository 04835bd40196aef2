"""A refused signal is seen: in the workflow's details, and once in the audit trail. So is one that is misspelt."""

from uuid import uuid4

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from models.domain.actors import Actor, Role
from models.domain.messages import Approve, Complete, Settle
from models.domain.states import BookingStatus, PaymentStatus
from sandbox.browser.checkout_page import pay
from tests.workflows.booking.refusals import details_of, recorded_refusals
from tests.workflows.saga import Saga
from workflows.booking.workflow import BookingWorkflow

STRANGER = Actor(role=Role.INSTRUCTOR, id=uuid4())


@pytest.mark.parametrize(
    ("signal", "arguments", "shown_as", "reason"),
    [
        ("complete", lambda booked: [Complete(actor=booked.instructor)], "complete", "There is no session to report"),
        ("approve", lambda booked: [Approve(actor=STRANGER)], "approve", "The actor's id is not that of"),
        ("approve", lambda booked: [Approve(actor=booked.student)], "approve", "This is for the instructor to decide"),
        ("approve", lambda booked: [], "approve", "Its input cannot be read: Input should be"),
        ("approve", lambda booked: [{"actor": "Sam"}], "approve", "Its input cannot be read: actor: Input should be"),
        ("aprove", lambda booked: [Approve(actor=booked.instructor)], "unknown", "There is no signal of this name."),
    ],
    ids=["too early", "another's id", "another's role", "no input", "unreadable", "misspelt"],
)
async def test_refused_signal_is_shown_and_recorded_once(
    saga: Saga, signal: str, arguments: object, shown_as: str, reason: str
) -> None:
    assert callable(arguments)
    booked = await saga.paid()
    for _ in range(2):
        await booked.handle.signal(signal, args=arguments(booked))
        await saga.until_audited(booked, "booking.signal_refused")
    details = await details_of(booked)
    assert f"the signal `{shown_as}` at " in details
    assert reason in details
    assert "Sam" not in details
    [recorded] = await recorded_refusals(booked)
    assert (recorded.actor_role, recorded.actor_id) == (Role.PLATFORM, None)
    assert recorded.detail is not None
    assert recorded.detail["signal"] == shown_as
    assert recorded.detail["reason"].startswith(reason)
    # The booking goes on as before.
    await booked.approve()
    assert "word that the session took place" in await details_of(booked)


async def test_signal_that_is_not_refused_needs_no_patch(saga: Saga) -> None:
    booked = await saga.paid()
    await booked.handle.signal("approve", Approve(actor=booked.instructor))
    await saga.until_status(booked, BookingStatus.ACCEPTED)
    events = (await booked.handle.fetch_history()).events
    assert "core_patch" not in {event.marker_recorded_event_attributes.marker_name for event in events}
    assert await recorded_refusals(booked) == []


@pytest.mark.parametrize("actor", ["stranger", "student"])
async def test_update_of_somebody_else_is_refused_without_an_event(saga: Saga, actor: str) -> None:
    booked = await saga.paid()
    decision = Approve(actor=STRANGER if actor == "stranger" else booked.student)
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await booked.handle.execute_update(BookingWorkflow.approve, decision)
    assert isinstance(refused.value.cause, ApplicationError)
    with pytest.raises(WorkflowUpdateFailedError):
        await booked.handle.execute_update(BookingWorkflow.settle, Settle(actor=Actor(role=Role.OPERATOR)))
    events = (await booked.handle.fetch_history()).events
    accepted = [each for each in events if each.HasField("workflow_execution_update_accepted_event_attributes")]
    assert len(accepted) == 1  # `open_checkout`


async def test_payment_is_looked_up_on_an_event_without_input(saga: Saga) -> None:
    """As an operator sends it in Temporal's UI, if Stripe's own event is lost."""
    booked = await saga.booked()
    assert await pay(booked.checkout_url)
    await booked.handle.signal("payment_event")
    await saga.until_stored(booked, PaymentStatus.PENDING)

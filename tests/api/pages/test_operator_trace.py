"""The operator's page of a booking: which clause decided, and its trail, in words of both languages."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from pydantic import HttpUrl
from sqlmodel.ext.asyncio.session import AsyncSession

from api.pages import audit_trail
from models.domain.actors import Actor, Role, Subject
from models.domain.endings import EndReason
from models.domain.messages import Channel
from models.domain.notifications import NotificationKind, Recipient
from models.domain.policy import BookingPolicy, CompletionTimeoutPolicy
from models.domain.reconciliation import Book, DriftKind
from models.domain.session_reports import Verdict
from models.domain.states import BookingStatus
from models.languages import LANGUAGES
from models.tables.audit import event_about
from models.tables.bookings import BookingRequest
from models.tables.outbox import OutboxMessage
from models.tables.reconciliation import Drift, Reconciliation
from sandbox.stack.environment import PROJECT_ROOT
from tests.api.pages.browser import Browser, text_of
from tests.api.pages.paid_bookings import paid
from tests.api.world import World

HOUR = timedelta(hours=1)


@pytest.fixture
def desk(browser: Browser, world: World) -> Browser:
    browser.become(world.operator)
    return browser


async def _ended(
    world: World, status: BookingStatus, reason: EndReason, by: Role, before_start: timedelta, kept: int, **fields: Any
) -> str:
    """A booking that was accepted, and that this side ended so long before its start."""
    id = await paid(world, timedelta(days=5), status=BookingStatus.ACCEPTED, **fields)
    await world.set(id, status=status, end_reason=reason)
    async with AsyncSession(world.engine) as session:
        starts_at = (await session.get_one(BookingRequest, id)).starts_at
    detail = {"reason": reason, "kept_minor": kept, "currency": "usd"}
    actor = Actor(role=by, id=getattr(world, by.value).id if by is not Role.PLATFORM else None)
    action = f"booking.{status.lower()}"
    event = event_about(Subject.BOOKING, id, action, actor, Channel.API, starts_at - before_start, detail)
    await world.add(event)
    return f"/operator/bookings/{id}"


CANCELLED, NO_SHOW, COMPLETED = BookingStatus.CANCELLED, BookingStatus.NO_SHOW, BookingStatus.COMPLETED
SETTLES = BookingPolicy(on_completion_timeout=CompletionTimeoutPolicy.SETTLE).model_dump(mode="json")


@pytest.mark.parametrize(
    ("status", "reason", "by", "before_start", "kept", "clause"),
    [
        (CANCELLED, "cancelled", "student", 30 * HOUR, 0, "Cancelled 24 hours or more before the start"),
        (CANCELLED, "cancelled", "student", 10 * HOUR, 5_000, "2 hours or more before the start: the student gets 50%"),
        # Recorded after the start, because its step had failed.
        (CANCELLED, "cancelled", "student", -HOUR, 5_000, "2 hours or more before the start: the student gets 50%"),
        (CANCELLED, "cancelled", "student", HOUR, 10_000, "Cancelled too near to the start: nothing is returned."),
        (CANCELLED, "cancelled", "student", -HOUR, 10_000, "A student who does not come pays 100%"),
        (CANCELLED, "cancelled", "instructor", HOUR, 0, "Only a student's cancellation costs anything"),
        (CANCELLED, "cancelled", "platform", HOUR, 5_000, "what had been captured by then is kept"),
        (NO_SHOW, "student_absent", "instructor", -HOUR, 10_000, "A student who does not come pays 100%"),
        (NO_SHOW, "instructor_absent", "student", -HOUR, 0, "In this case, everything is returned"),
        (COMPLETED, "completed", "instructor", -HOUR, 10_000, "A session that took place is paid in full."),
        (COMPLETED, "completion_timeout", "platform", -HOUR, 10_000, "Silence until the deadline"),
        (CANCELLED, "released_by_operator", "operator", HOUR, 0, "An operator decided, not the policy."),
    ],
)
async def test_each_cent_names_the_clause_that_decided(
    status: BookingStatus,
    reason: str,
    by: str,
    before_start: timedelta,
    kept: int,
    clause: str,
    desk: Browser,
    world: World,
) -> None:
    path = await _ended(world, status, EndReason(reason), Role(by), before_start, kept, policy=SETTLES)
    text = text_of(await desk.get(path))
    assert clause in text
    assert "The session is near enough for a hold on the card" in text
    assert "The platform keeps 20% of what the student pays." in text


async def test_an_open_booking_names_no_clause_of_an_end(desk: Browser, world: World) -> None:
    text = text_of(await desk.get(f"/operator/bookings/{await paid(world, timedelta(days=2))}"))
    assert "everything is returned" not in text


def _documented() -> list[str]:
    """The actions about a booking in docs/records.md."""
    found: list[str] = []
    for row in re.findall(r"^\| (`booking\.[^|]*)\|", (PROJECT_ROOT / "docs/records.md").read_text(), re.MULTILINE):
        found += [f"booking.{name}" for name in re.findall(r"`(?:booking)?\.(\w+)`", row)]
    return found


@pytest.mark.parametrize("action", _documented())
def test_every_action_is_in_words(action: str) -> None:
    texts = {audit_trail.action(action, language) for language in LANGUAGES.values()}
    assert len(texts) == len(LANGUAGES)
    assert action not in texts


async def test_the_trail_is_in_words_with_its_amounts_times_and_reasons(desk: Browser, world: World) -> None:
    id = await paid(world, timedelta(days=2))
    details: dict[str, dict[str, Any]] = {
        "extended": {"deadline_at": "2026-03-05T17:00:00+00:00"},
        "session_judged": {"verdict": Verdict.APART},
        "refund_ordered": {"amount_minor": 1_250},
        "needs_attention": {"reason": "settle_payment: declined: charge_expired_for_capture (request req_1)"},
        "dispute_opened": {"amount_minor": 10_000, "reason": "product_not_received"},
        "settlement_reason_kept": {"reason": "Both said so."},
        "of_an_earlier_version": {},
    }
    for action, detail in details.items():
        channel = Channel.STRIPE if action == "dispute_opened" else Channel.API
        actor = Actor(role=Role.OPERATOR, id=world.operator.id)
        at = (await _booking(world, id)).created_at
        await world.add(event_about(Subject.BOOKING, id, f"booking.{action}", actor, channel, at, detail))
    page = await desk.get(f"/operator/bookings/{id}")
    text = text_of(page)
    assert "Operator: Our staff moved the deadline. · Thu, 5 Mar 2026, 17:00" in text
    assert "The meeting's record was judged. · Both came, but were not there at the same time." in text
    assert "A refund was ordered. · US$12.50" in text
    assert "The payment could not be captured (Stripe's answer: charge_expired_for_capture, request req_1)." in text
    assert (
        "at Stripe: The cardholder's bank disputed the payment. · The session did not take place. · US$100.00" in text
    )
    assert "· Both said so." in text
    assert "booking.of_an_earlier_version" in text
    german = text_of(await desk.get(f"/operator/bookings/{id}", language="de"))
    assert "Beide kamen, waren aber nicht gleichzeitig da." in german
    assert "Die Zahlung konnte nicht eingezogen werden" in german


async def _booking(world: World, id: object) -> BookingRequest:
    async with AsyncSession(world.engine) as session:
        return await session.get_one(BookingRequest, id)


async def test_every_email_is_named_in_words(desk: Browser, world: World) -> None:
    id = await paid(world, timedelta(days=2))
    now = (await _booking(world, id)).created_at
    kinds = set(NotificationKind) - {NotificationKind.OPERATOR_DIGEST}  # It is about no booking.
    for kind in kinds:
        message = OutboxMessage(
            id=uuid4(), booking_id=id, kind=kind, recipient_role=Recipient.STUDENT, recipient_id=world.student.id,
            due_at=now, next_attempt_at=now, created_at=now,
        )  # fmt: skip
        await world.add(message)
    for language in LANGUAGES:
        text = text_of(await desk.get(f"/operator/bookings/{id}", language=language))
        assert not [kind for kind in kinds if "_" in kind and kind in text]


async def test_what_waits_leads_to_its_page_to_stripe_and_to_temporal(desk: Browser, world: World, app: Any) -> None:
    app.state.settings.http.holdfast_temporal_ui_url = HttpUrl("http://temporal.test/namespaces/default")
    id, other = [
        await paid(world, timedelta(days=day), needs_attention=True, attention_reason=reason)
        for day, reason in (
            (2, "reconciliation: no workflow carries it on"),
            (3, "Stripe did not take the answer to the dispute du_1"),
        )
    ]
    page = await desk.get("/operator")
    assert "No workflow carries it on." in text_of(page)
    for link in (
        "/operator/drifts",
        "/operator/disputes",
        f"https://dashboard.stripe.com/payments/pi_{id}",
        f"http://temporal.test/namespaces/default/workflows/booking-{other}",
    ):
        assert f'href="{link}"' in page.text.partition("<main")[2]
    now = datetime.now(UTC)
    run = Reconciliation(id=uuid4(), by_role=Role.PLATFORM, started_at=now)
    await world.add(run)
    drift = Drift(
        id=uuid4(), kind=DriftKind.ORPHANED, booking_id=id, book=Book.CARD_HOLDS, currency="usd", ledger_minor=0,
        stripe_minor=0, detail="no workflow carries it on", reconciliation_id=run.id, found_at=now, seen_at=now,
    )  # fmt: skip
    await world.add(drift)
    page = await desk.get(f"/operator/drifts/{drift.id}")
    assert "No workflow carries it on." in text_of(page)
    assert f'href="http://temporal.test/namespaces/default/workflows/booking-{id}"' in page.text

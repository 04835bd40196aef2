"""German pages have no English sentence: not of the pages, and none of the domain, the workflows or the API."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from html import unescape
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from babel.messages.pofile import read_po

from api.pages.sentences import table
from models.domain.actors import PLATFORM, Actor, Role, Subject
from models.domain.endings import EndReason
from models.domain.messages import Channel
from models.domain.policy import LossBearer
from models.domain.reconciliation import Book, DriftKind
from models.domain.states import BookingStatus, DisputeStatus, PayoutStatus, RefundStatus
from models.languages import CATALOGUES
from models.tables.audit import event_about
from models.tables.disputes import Dispute
from models.tables.payments import InstructorPayout
from models.tables.reconciliation import Drift, Reconciliation
from models.tables.refunds import Refund
from tests.api.pages.browser import Browser
from tests.api.pages.paid_bookings import paid
from tests.api.world import World

NOW = datetime.now(UTC)
REASONS = (
    "settle_payment: declined: charge_expired_for_capture (request req_1)",
    "the two sides disagree, or the meeting's record contradicts the report without deciding",
    "the hold ended before it was settled, and the student has not paid again",
    "The refund 1234 failed (expired_or_canceled_card): the student is owed 20.00 USD",
    "The refund 1234 waits for funds on the platform's balance at Stripe",
    "Stripe did not take the answer to the dispute du_1",
    "The card's bank warns of fraud (made_with_stolen_card): a refund now may save a dispute",
    "reconciliation: no workflow carries it on",
    "reconciliation: stripe_balance is 80.00 USD in the ledger and 75.00 USD at Stripe",
    "record_refund fails and is tried again: NotRecordedYet",
)
_WORDS = re.compile(r"[A-Za-z']+")
_PLACEHOLDER = re.compile(r"%\(\w+\)[sd]")


@cache
def _english() -> list[re.Pattern[str]]:
    """What would be English on a page: texts of three words or more, with any value in place of their placeholders."""
    with (CATALOGUES / "de.po").open("rb") as file:
        catalogue = read_po(file, locale="de")
    translated = {message.id for message in catalogue if message.string != message.id}
    texts = {text for text in translated if isinstance(text, str)} | {pattern for pattern, _ in table()}
    long = (text for text in texts if len(_WORDS.findall(_PLACEHOLDER.sub("", text))) >= 3)
    return [re.compile(".+?".join(map(re.escape, _PLACEHOLDER.split(text)))) for text in long]


def _english_in(page: httpx.Response) -> set[str]:
    assert '<html lang="de">' in page.text
    body = page.text.partition("<main")[2].partition("</main>")[0]
    texts = {unescape(text).strip() for text in re.findall(r'>([^<]+)<|aria-label="([^"]+)"', body) for text in text}
    return {text for text in texts if any(pattern.search(text) for pattern in _english())}


async def _read(browser: Browser, *paths: str) -> set[str]:
    found: set[str] = set()
    for path in paths:
        page = await browser.get(path, language="de")
        assert page.status_code in (200, 410), path
        found |= _english_in(page)
    return found


async def _happened(world: World, id: UUID, action: str, detail: dict[str, Any]) -> None:
    actor = Actor(role=Role.OPERATOR, id=world.operator.id)
    event = event_about(Subject.BOOKING, id, f"booking.{action}", actor, Channel.STRIPE, NOW, detail, str(uuid4()))
    await world.add(event)


async def test_what_waits_for_operators_is_german(browser: Browser, world: World) -> None:
    browser.become(world.operator)
    paths = ["/operator"]
    for day, reason in enumerate(REASONS, start=2):
        id = await paid(
            world, timedelta(days=day), status=BookingStatus.ACCEPTED, needs_attention=True, attention_reason=reason
        )
        await _happened(world, id, "needs_attention", {"reason": reason})
        paths.append(f"/operator/bookings/{id}")
    assert await _read(browser, *paths) == set()


async def _drift(world: World, run: Reconciliation, kind: DriftKind, **fields: Any) -> str:
    drift = Drift(
        id=uuid4(), kind=kind, book=Book.STRIPE_BALANCE, currency="usd", ledger_minor=1, stripe_minor=0,
        reconciliation_id=run.id, found_at=NOW, seen_at=NOW, **fields,
    )  # fmt: skip
    await world.add(drift)
    return f"/operator/drifts/{drift.id}"


async def test_disputes_drifts_and_refunds_are_german(browser: Browser, world: World) -> None:
    browser.become(world.operator)
    id = await paid(world, timedelta(days=3), status=BookingStatus.COMPLETED, end_reason=EndReason.SETTLED_BY_OPERATOR)
    run = Reconciliation(id=uuid4(), by_role=PLATFORM.role, started_at=NOW)
    await world.add(run)
    paths = [
        await _drift(world, run, DriftKind.BOOKING, booking_id=id),
        await _drift(world, run, DriftKind.BALANCE, instructor_id=world.instructor.id),
        await _drift(
            world, run, DriftKind.WORKFLOW, booking_id=id, detail="its record is ACCEPTED, and its workflow PENDING"
        ),
    ]
    for status in RefundStatus:
        await world.add(
            Refund(
                id=uuid4(), booking_id=id, status=status, amount_minor=100, currency="usd",
                borne_by=LossBearer.BOTH, created_at=NOW, updated_at=NOW,
            )
        )  # fmt: skip
    await world.add(
        Dispute(
            id="du_1", booking_id=id, status=DisputeStatus.NEEDS_RESPONSE, is_inquiry=True, reason="fraudulent",
            amount_minor=100, currency="usd", respond_by=NOW, created_at=NOW, updated_at=NOW,
        )
    )  # fmt: skip
    for action in ("dispute_opened", "refund_ordered", "fraud_warning", "signal_refused", "session_judged"):
        await _happened(world, id, action, {"reason": "fraudulent"} if action == "dispute_opened" else {})
    paths += ["/operator/disputes", "/operator/drifts", "/operator/reconciliations", "/operator/people"]
    paths += [f"/operator/bookings/{id}", f"/operator/bookings/{id}/refund?amount=5000", "/operator/figures"]
    assert await _read(browser, *paths, "/operator") == set()


@pytest.mark.parametrize("side", ["student", "instructor"])
async def test_the_pages_of_both_sides_are_german(side: str, browser: Browser, world: World) -> None:
    browser.become(getattr(world, side))
    ids = [
        await world.booking(
            await world.slot(timedelta(days=1)), checkout_url="https://checkout.test/pay", checkout_session_id="cs_1"
        ),
        await paid(world, timedelta(days=2)),
        await paid(world, timedelta(days=3), status=BookingStatus.ACCEPTED),
        await paid(world, -timedelta(hours=2), status=BookingStatus.ACCEPTED),
        await paid(world, timedelta(days=4), status=BookingStatus.ACCEPTED, needs_attention=True),
    ]
    ids += [
        await paid(world, timedelta(days=day), status=BookingStatus.CANCELLED, end_reason=reason)
        for day, reason in enumerate(EndReason, start=5)
    ]
    if side == "student":
        ids.append(await world.deleted_booking())
    paths = ["/bookings", "/bookings?past=yes", "/account", *(f"/bookings/{id}" for id in ids)]
    paths += [f"/bookings/{ids[2]}/cancel", f"/bookings/{ids[2]}/reschedule", f"/bookings/{ids[3]}/no-show"]
    if side == "instructor":
        for status, id in zip(PayoutStatus, ids[1:], strict=False):
            await world.add(
                InstructorPayout(
                    booking_id=id, instructor_id=world.instructor.id, status=status, amount_minor=8_000,
                    platform_fee_minor=2_000, currency="usd", failure_reason="account_closed", created_at=NOW,
                    updated_at=NOW,
                )
            )  # fmt: skip
        paths += ["/today", "/earnings", "/earnings/payouts", f"/earnings/{NOW.year}", "/onboarding", "/teaching"]
        paths += ["/teaching/new", "/teaching/calendar", f"/teaching/{world.offering_id}"]
    else:
        paths += [f"/slots/{await world.slot(timedelta(days=40))}/book", f"/offerings/{world.offering_id}"]
    assert await _read(browser, *paths) == set()


def _forms(world: World, id: UUID, over: UUID) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Forms that are refused, each with the page that has it."""
    yield "instructor", f"/bookings/{id}", {"action": f"/bookings/{id}/approve"}
    yield "instructor", f"/bookings/{id}", {"action": f"/bookings/{id}/reject", "reason": ""}
    yield "student", f"/bookings/{over}", {"action": f"/bookings/{over}/confirm"}
    yield "student", f"/bookings/{id}/cancel", {"action": f"/bookings/{id}/cancel"}
    yield "operator", f"/operator/bookings/{over}", {"action": f"/operator/bookings/{over}/release"}
    yield "instructor", "/onboarding", {"action": "/onboarding"}
    yield "instructor", f"/teaching/{world.offering_id}", {
        "action": f"/teaching/{world.offering_id}/slots", "day": "2020-01-01", "time": "10:00", "weeks": "1",
    }  # fmt: skip


async def test_why_a_form_is_refused_is_german(browser: Browser, world: World) -> None:
    """Temporal is down."""
    id = await paid(world, timedelta(days=2))
    over = await paid(world, -timedelta(hours=2), status=BookingStatus.ACCEPTED)
    for side, path, typed in _forms(world, id, over):
        browser.become(getattr(world, side))
        action = typed.pop("action")
        page = await browser.get(path, language="de")
        refused = await browser.client.post(action, params={"language": "de"}, data=_hidden(page, action) | typed)
        assert refused.status_code >= 400, action
        assert _english_in(refused) == set(), action


def _hidden(page: httpx.Response, action: str) -> dict[str, str]:
    form = page.text.partition(f'action="{action}"')[2].partition("</form>")[0]
    return {name: unescape(value) for name, value in re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', form)}

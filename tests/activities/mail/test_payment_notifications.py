"""What mails say about money when the student was charged at once, and when they have to pay again."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.booking import renewals
from activities.gateways import CheckoutPage
from activities.mail import notifications
from activities.mail.content import MailDiscarded
from models.domain.actors import Actor, Role
from models.domain.endings import Ending, cancelled, completed, not_renewed, rejected
from models.domain.messages import (
    RecordEnding,
    RecordRenewal,
    RecordRenewalClosed,
    RecordRenewedPayment,
)
from models.domain.money import Money
from models.domain.notifications import NotificationKind, Recipient
from models.domain.payments import Checkout, HoldPhase
from models.domain.policy import PaymentPlan
from models.domain.renewals import Renewal, RenewalReason
from models.domain.states import PaymentStatus
from models.domain.terms import BookingTerms
from models.tables.outbox import OutboxMessage
from models.tables.payments import Payment
from tests.activities.bookings import HOUR, NOW, STARTS_AT, Bookings, authorization, charged, ended, held, reserve
from tests.activities.mail.conftest import PUBLIC_URL
from tests.activities.mail.reading import mail, text

INSTRUCTOR = Actor(role=Role.INSTRUCTOR)
STUDENT = Actor(role=Role.STUDENT)
PRICE = Money(amount_minor=10_000, currency="usd")
PAGE = "https://checkout.example.test/renewal"


@pytest.fixture
async def terms(bookings: Bookings) -> BookingTerms:
    """A charged booking, not decided yet."""
    terms = (await bookings.terms()).model_copy(update={"plan": PaymentPlan.CHARGE_THEN_TRANSFER})
    assert await bookings.records.reserve_slot(reserve(terms))
    await bookings.records.record_authorization(authorization(terms))
    return terms


@pytest.mark.parametrize(
    ("recipient", "expected"),
    [
        (Recipient.STUDENT, "You were charged US$100.00. Nadia has until"),
        (Recipient.INSTRUCTOR, "Ada would like to book this session, and has paid the price."),
    ],
)
async def test_the_mails_about_a_charge_mention_no_hold(
    bookings: Bookings, terms: BookingTerms, recipient: Recipient, expected: str
) -> None:
    received = text(await mail(bookings, NotificationKind.BOOKING_RECEIVED, recipient))
    assert expected in received
    await bookings.records.record_acceptance(bookings.acceptance(terms))
    approved = text(await mail(bookings, NotificationKind.APPROVED, recipient))
    if recipient is Recipient.STUDENT:
        assert "You have paid for it" in approved
    assert re.search(r"\bhold\b", received + approved, re.IGNORECASE) is None


@pytest.mark.parametrize(
    ("ending", "kind", "expected"),
    [
        (lambda of: completed(of, INSTRUCTOR), NotificationKind.COMPLETED, "You were charged US$100.00.\n"),
        (
            lambda of: cancelled(of, STUDENT, of.starts_at - 3 * HOUR, accepted=True),
            NotificationKind.CANCELLED,
            "You were charged US$100.00. US$50.00 of it is refunded.",
        ),
        (
            lambda of: rejected(of, INSTRUCTOR),
            NotificationKind.REJECTED,
            "You were charged US$100.00. All of it is refunded.",
        ),
    ],
)
async def test_the_last_mail_says_what_is_refunded_of_a_charge(
    bookings: Bookings,
    terms: BookingTerms,
    ending: Callable[[BookingTerms], Ending],
    kind: NotificationKind,
    expected: str,
) -> None:
    end = ending(terms)
    if kind is not NotificationKind.REJECTED:
        await bookings.records.record_acceptance(bookings.acceptance(terms))
    await bookings.records.record_ending(_settled(terms, end))
    assert expected in text(await mail(bookings, kind, Recipient.STUDENT))


def _settled(terms: BookingTerms, ending: Ending, charged_minor: int = 10_000) -> RecordEnding:
    kept = ending.split.kept.amount_minor
    update = {
        "phase": HoldPhase.CAPTURED if kept else HoldPhase.GONE,
        "captured_minor": charged_minor,
        "refunded_minor": charged_minor - kept,
        "transferred_minor": ending.split.instructor_payout.amount_minor,
    }
    return ended(terms, ending, charged(terms).model_copy(update=update))


def _renewal(
    reason: RenewalReason = RenewalReason.HOLD_TOO_SHORT, amount: Money = PRICE, days: int = 2, page: int = 1
) -> Renewal:
    pay_by = NOW + timedelta(days=days)
    return Renewal(
        reason=reason, amount=amount, pay_by=pay_by, page=page, is_final=amount != PRICE, is_reminder=page > 1
    )


async def _ask(bookings: Bookings, terms: BookingTerms, renewal: Renewal) -> None:
    at = NOW + renewal.page * HOUR
    await renewals.record(bookings.engine, RecordRenewal(booking_id=terms.booking_id, renewal=renewal, at=at))
    checkout = Checkout(checkout_session_id=f"cs_{renewal.page}", customer_id="cus_1", expires_at=renewal.pay_by)
    page = CheckoutPage(checkout=checkout, url=f"{PAGE}/{renewal.page}")
    await renewals.record_page(bookings.engine, terms.booking_id, renewal, page)


@pytest.mark.parametrize(
    ("renewal", "to_student", "to_instructor", "otherwise"),
    [
        (
            _renewal(),
            "The hold for this session ends before it takes place. Please pay US$100.00 by Wed, 4 Mar 2026, 09:00",
            "We asked Ada to pay US$100.00 by Wed, 4 Mar 2026, 09:00",
            "Without the payment, the booking is cancelled.",
        ),
        (
            _renewal(RenewalReason.HOLD_LAPSED),
            "has ended, and nothing was charged. Please pay US$100.00",
            "The hold for this session has ended. We asked Ada",
            "Without the payment, the booking is cancelled.",
        ),
        (
            _renewal(RenewalReason.HOLD_LAPSED, Money(amount_minor=5_000, currency="usd"), days=6),
            "Please pay US$50.00 by Sun, 8 Mar 2026, 09:00",
            "We asked Ada to pay US$50.00",
            "Without the payment, our team decides.",
        ),
    ],
)
async def test_both_read_what_is_to_be_paid_again_and_only_the_student_gets_the_link(
    bookings: Bookings, renewal: Renewal, to_student: str, to_instructor: str, otherwise: str
) -> None:
    terms = await bookings.accepted()
    await _ask(bookings, terms, renewal)
    student, instructor = [text(await mail(bookings, NotificationKind.PAYMENT_RENEWAL, each)) for each in Recipient]
    assert to_student in student
    assert f"Pay now:\n{PAGE}/1" in student
    assert to_instructor in instructor
    assert PAGE not in instructor
    assert otherwise in student
    assert otherwise in instructor


async def test_a_later_page_is_a_reminder_for_the_student_and_replaces_the_link(bookings: Bookings) -> None:
    terms = await bookings.accepted()
    await _ask(bookings, terms, _renewal())
    await _ask(bookings, terms, _renewal(page=2))
    assert f"{PAGE}/2" in text(await mail(bookings, NotificationKind.PAYMENT_RENEWAL, Recipient.STUDENT))
    messages = await bookings.all(OutboxMessage)
    asked = [each for each in messages if each.kind is NotificationKind.PAYMENT_RENEWAL]
    assert sorted(str(each.recipient_role) for each in asked) == ["instructor", "student", "student"]
    first = min((each for each in asked if each.recipient_role is Recipient.STUDENT), key=lambda each: each.created_at)
    async with AsyncSession(bookings.engine) as session:
        with pytest.raises(MailDiscarded, match="out_of_date"):
            await notifications.load(session, first, PUBLIC_URL, NOW)


@pytest.mark.parametrize("recipient", Recipient)
async def test_a_request_to_pay_is_discarded_once_it_is_paid_closed_or_too_late(
    bookings: Bookings, recipient: Recipient
) -> None:
    terms = await bookings.accepted()
    await _ask(bookings, terms, _renewal())
    with pytest.raises(MailDiscarded, match="out_of_date"):
        await mail(bookings, NotificationKind.PAYMENT_RENEWAL, recipient, now=NOW + timedelta(days=2))
    closed = RecordRenewalClosed(booking_id=terms.booking_id, deadline_at=terms.ends_at, at=NOW + 2 * HOUR)
    await renewals.record_closed(bookings.engine, closed)
    with pytest.raises(MailDiscarded, match="out_of_date"):
        await mail(bookings, NotificationKind.PAYMENT_RENEWAL, recipient)


async def _pay(bookings: Bookings, terms: BookingTerms, amount: Money = PRICE) -> BookingTerms:
    renewed = terms.model_copy(update={"plan": PaymentPlan.CHARGE_THEN_TRANSFER})
    payment = charged(renewed).model_copy(update={"captured_minor": amount.amount_minor, "payment_intent_id": "pi_2"})
    record = RecordRenewedPayment(terms=renewed, payment=payment, deadline_at=terms.ends_at, at=NOW + 3 * HOUR)
    await renewals.record_renewed(bookings.engine, record)
    return renewed


async def test_both_read_that_the_student_has_paid_again(bookings: Bookings) -> None:
    terms = await bookings.accepted()
    await _ask(bookings, terms, _renewal())
    renewed = await _pay(bookings, terms)
    student, instructor = [text(await mail(bookings, NotificationKind.PAYMENT_RENEWED, each)) for each in Recipient]
    assert "You were charged US$100.00, and nothing of the old hold is charged." in student
    assert "Ada has paid again." in instructor
    await bookings.records.record_ending(_settled(renewed, rejected_late(renewed)))
    assert "You were charged US$100.00. All of it is refunded." in text(
        await mail(bookings, NotificationKind.CANCELLED, Recipient.STUDENT)
    )


def rejected_late(terms: BookingTerms) -> Ending:
    return cancelled(terms, INSTRUCTOR, STARTS_AT - HOUR, accepted=True)


async def test_what_is_due_of_a_lapsed_hold_is_all_that_was_charged(bookings: Bookings) -> None:
    """A late cancellation kept half of the price, the hold had ended, and only that half was paid again."""
    terms, half = await bookings.accepted(), Money(amount_minor=5_000, currency="usd")
    await _ask(bookings, terms, _renewal(RenewalReason.HOLD_LAPSED, half, days=6))
    renewed = await _pay(bookings, terms, half)
    late = cancelled(terms, STUDENT, terms.starts_at - 3 * HOUR, accepted=True)
    await bookings.records.record_ending(_settled(renewed, late, charged_minor=5_000))
    shown = text(await mail(bookings, NotificationKind.CANCELLED, Recipient.STUDENT))
    assert "You were charged US$50.00." in shown
    assert "refunded" not in shown


@pytest.mark.parametrize(
    ("recipient", "expected"),
    [
        (Recipient.STUDENT, "You did not pay again in time, so the booking is cancelled. You were not charged."),
        (Recipient.INSTRUCTOR, "The student did not pay again in time, so the booking is cancelled."),
    ],
)
async def test_both_read_that_the_booking_is_cancelled_unpaid(
    bookings: Bookings, recipient: Recipient, expected: str
) -> None:
    terms = await bookings.accepted()
    await bookings.records.record_ending(ended(terms, not_renewed(terms), held(terms, HoldPhase.GONE)))
    assert (await bookings.get(Payment, terms.booking_id)).status is PaymentStatus.REFUNDED
    assert expected in text(await mail(bookings, NotificationKind.CANCELLED, recipient))

"""What the two sides and operators see of a booking's payment plan, and of a payment that is to be made again."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.booking import renewals
from models.domain.messages import RecordLapse, RecordRenewal
from models.domain.money import Money
from models.domain.policy import BookingPolicy, PaymentPlan
from models.domain.renewals import Renewal, RenewalReason
from models.domain.states import BookingStatus, PaymentStatus
from models.domain.terms import BookingTerms
from models.tables.bookings import BookingRequest
from models.tables.payments import Payment, PaymentRenewal
from tests.api.world import HOUR, JSON, Person, World

PAGE = "https://checkout.example.test/renewal"


async def _add(world: World, *rows: SQLModel) -> None:
    async with AsyncSession(world.engine) as session, session.begin():
        session.add_all(rows)


async def _with_payment(world: World, **fields: Any) -> UUID:
    """An accepted booking of a session in two days, with a payment."""
    booking_id = await world.booking(await world.slot(48 * HOUR), status=BookingStatus.ACCEPTED)
    now = datetime.now(UTC)
    row: JSON = {
        "booking_id": booking_id,
        "plan": PaymentPlan.HOLD,
        "status": PaymentStatus.PENDING,
        "amount_minor": 10_000,
        "currency": "usd",
        "payment_intent_id": "pi_1",
        "hold_ends_at": now + 24 * HOUR,
        "created_at": now,
        "updated_at": now,
    }
    await _add(world, Payment(**row | fields))
    return booking_id


def _renewal(booking_id: UUID, **fields: Any) -> PaymentRenewal:
    now = datetime.now(UTC)
    row: JSON = {
        "booking_id": booking_id,
        "reason": RenewalReason.HOLD_TOO_SHORT,
        "amount_minor": 10_000,
        "currency": "usd",
        "pay_by": now + 12 * HOUR,
        "page": 1,
        "checkout_session_id": "cs_2",
        "checkout_url": PAGE,
        "requested_at": now,
    }
    return PaymentRenewal(**row | fields)


async def _read(client: httpx.AsyncClient, person: Person, booking_id: UUID) -> JSON:
    answer = await client.get(f"/v1/bookings/{booking_id}", headers=person.headers)
    assert answer.status_code == 200, answer.text
    shown: JSON = answer.json()
    return shown


async def test_a_charge_has_its_plan_and_no_hold(client: httpx.AsyncClient, world: World) -> None:
    booking_id = await _with_payment(world, plan=PaymentPlan.CHARGE_THEN_TRANSFER, hold_ends_at=None)
    payment = (await _read(client, world.student, booking_id))["payment"]
    assert (payment["plan"], payment["status"], payment["hold_ends_at"]) == ("CHARGE_THEN_TRANSFER", "PENDING", None)


async def test_a_renewal_is_shown_to_all_and_its_page_to_the_student_alone(
    client: httpx.AsyncClient, world: World
) -> None:
    booking_id = await _with_payment(world)
    await _add(world, _renewal(booking_id))
    urls = {}
    for person in (world.student, world.instructor, world.operator):
        shown = await _read(client, person, booking_id)
        renewal = shown["payment"]["renewal"]
        assert (renewal["reason"], renewal["amount"]["amount_minor"]) == ("hold_too_short", 10_000)
        assert shown["at_deadline"] == "cancelled_unpaid"
        urls[person.role] = renewal["checkout_url"]
    assert list(urls.values()) == [PAGE, None, None]


@pytest.mark.parametrize("due_minor", [5_000, 10_000], ids=["a part", "the whole price, before the session"])
async def test_the_operator_sees_what_is_due_of_a_lapsed_hold(
    client: httpx.AsyncClient, world: World, due_minor: int
) -> None:
    lapsed_at = datetime.now(UTC)
    booking_id = await _with_payment(world, lapsed_at=lapsed_at)
    due = {"reason": RenewalReason.HOLD_LAPSED, "amount_minor": due_minor, "is_final": True}
    await _add(world, _renewal(booking_id, **due))
    shown = await _read(client, world.operator, booking_id)
    assert shown["payment"]["hold_lapsed_at"] is not None
    assert shown["payment"]["renewal"]["amount"] == {"amount_minor": due_minor, "currency": "usd"}
    assert shown["at_deadline"] == "operator_decides"


@pytest.mark.parametrize("end", ["paid", "booking closed"])
async def test_a_renewal_is_gone_once_it_is_not_needed(client: httpx.AsyncClient, world: World, end: str) -> None:
    booking_id = await _with_payment(world)
    await _add(world, _renewal(booking_id, closed_at=datetime.now(UTC) if end == "paid" else None))
    if end == "booking closed":
        async with AsyncSession(world.engine) as session, session.begin():
            (await session.get_one(BookingRequest, booking_id)).status = BookingStatus.CANCELLED
    assert (await _read(client, world.student, booking_id))["payment"]["renewal"] is None


@pytest.mark.parametrize(
    ("plan", "days", "status"),
    [
        (PaymentPlan.HOLD, 30, 200),
        (PaymentPlan.HOLD, 89, 409),
        (PaymentPlan.CHARGE_THEN_TRANSFER, 30, 200),
        (PaymentPlan.CHARGE_THEN_TRANSFER, 89, 409),
    ],
)
async def test_a_session_can_be_moved_as_far_as_its_payment_can_be_kept(
    client: httpx.AsyncClient, world: World, plan: PaymentPlan, days: int, status: int
) -> None:
    """Beyond a hold, the student pays again."""
    hold_ends_at = datetime.now(UTC) + 24 * HOUR if plan is PaymentPlan.HOLD else None
    booking_id = await _with_payment(world, plan=plan, hold_ends_at=hold_ends_at)
    other = await world.slot(timedelta(days=days))
    answer = await client.post(
        f"/v1/bookings/{booking_id}/reschedule", json={"slot_id": str(other)}, headers=world.student.headers
    )
    assert answer.status_code == status, answer.text
    if status == 409:
        assert "The payment can be held for sessions that end by" in answer.json()["detail"]


async def test_the_quote_of_a_charge_says_what_is_refunded(client: httpx.AsyncClient, world: World) -> None:
    booking_id = await _with_payment(world, plan=PaymentPlan.CHARGE_THEN_TRANSFER, hold_ends_at=None)
    path = f"/v1/bookings/{booking_id}/cancellation-quote"
    quote = (await client.get(path, headers=world.student.headers)).json()
    assert (quote["refund"]["amount_minor"], quote["kept"]["amount_minor"]) == (10_000, 0)


async def test_the_event_stream_says_that_a_payment_is_to_be_made_again(
    client: httpx.AsyncClient, world: World
) -> None:
    booking_id = await _with_payment(world)
    due = Money(amount_minor=10_000, currency="usd")
    pay_by = datetime.now(UTC) + 12 * HOUR
    renewal = Renewal(reason=RenewalReason.HOLD_LAPSED, amount=due, pay_by=pay_by, page=1)
    async with AsyncSession(world.engine) as session:
        request = await session.get_one(BookingRequest, booking_id)
    terms = BookingTerms(
        **request.model_dump(exclude={"policy"}),
        booking_id=booking_id,
        price=Money(amount_minor=request.price_minor, currency=request.currency),
        policy=BookingPolicy.model_validate(request.policy),
    )
    await renewals.record_lapse(world.engine, RecordLapse(terms=terms, at=datetime.now(UTC)))
    asked = RecordRenewal(booking_id=booking_id, renewal=renewal, at=datetime.now(UTC))
    await renewals.record(world.engine, asked)
    async with AsyncSession(world.engine) as session, session.begin():
        (await session.get_one(BookingRequest, booking_id)).status = BookingStatus.CANCELLED
    headers = world.student.headers | {"Last-Event-ID": "0"}
    answer = await client.get(f"/v1/bookings/{booking_id}/events", headers=headers)
    assert "event: booking.hold_lapsed" in answer.text
    assert "event: booking.payment_renewal_requested" in answer.text

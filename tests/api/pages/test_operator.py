"""Operators' pages: what needs attention, previews that the decisions keep, and few statements."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.actors import SignUpRole
from models.domain.attendance import AttendanceKind, MeetingProvider
from models.domain.policy import PaymentPlan
from models.domain.states import BookingStatus, DisputeStatus, PaymentStatus, SessionStatus
from models.tables.bookings import AttendanceEvent, BookingRequest, LiveSession
from models.tables.disputes import Dispute
from models.tables.payments import Payment
from tests.api.pages.browser import Browser, text_of
from tests.api.sql_statements import noted
from tests.api.world import World


@pytest.fixture
def desk(browser: Browser, world: World) -> Browser:
    browser.become(world.operator)
    return browser


async def _undecided(world: World, starts_in: timedelta) -> str:
    id = await world.booking(
        await world.slot(starts_in),
        status=BookingStatus.ACCEPTED,
        needs_attention=True,
        attention_reason="the record of the meeting is not clear",
    )
    await world.add(
        Payment(
            booking_id=id,
            plan=PaymentPlan.HOLD,
            status=PaymentStatus.PENDING,
            amount_minor=10_000,
            currency="usd",
            created_at=datetime.now(UTC),
            updated_at=datetime.now(UTC),
        )
    )
    return str(id)


async def test_the_queue_shows_why_how_much_and_what_each_action_would_do(desk: Browser, world: World) -> None:
    assert "Nothing waits for you." in text_of(await desk.get("/operator"))
    await _undecided(world, timedelta(hours=-2))
    text = text_of(await desk.get("/operator"))
    assert "the record of the meeting is not clear" in text
    assert "Ada with Nadia · US$100.00" in text
    assert "Settle Back to the student US$0.00 To the platform US$20.00 To the instructor US$80.00" in text
    assert "Release Back to the student US$100.00 To the platform US$0.00 To the instructor US$0.00" in text


async def test_the_pages_send_as_many_statements_for_many_bookings_as_for_one(
    desk: Browser, world: World, engine: AsyncEngine
) -> None:
    counts = []
    for hours in (2, 4):
        booking_id = await _undecided(world, -timedelta(hours=hours))
        with noted(engine) as statements:
            await desk.get("/operator")
            await desk.get("/operator/bookings")
            await desk.get(f"/operator/bookings/{booking_id}")
            await desk.get("/operator/people")
        counts.append(len(statements))
    assert counts[0] == counts[1]


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        ("25.00", "Back to the student US$25.00 To the platform US$15.00 To the instructor US$60.00"),
        ("0.001", "Enter an amount, such as 25.00"),
        ("much", "Enter an amount, such as 25.00"),
        ("200", "The refund must be more than nothing and at most"),
    ],
)
async def test_a_refund_is_previewed_before_it_is_ordered(
    amount: str, expected: str, desk: Browser, world: World
) -> None:
    booking_id = await _undecided(world, timedelta(hours=-2))
    page = await desk.get(f"/operator/bookings/{booking_id}/refund", amount=amount, reason="They met for half of it.")
    assert expected in text_of(page)
    assert "They met for half of it." in page.text


async def test_a_booking_is_found_by_its_id_its_payment_and_its_people(desk: Browser, world: World) -> None:
    booking_id = await world.booking()
    found = await desk.get("/operator/bookings", q=str(booking_id))
    assert found.headers["location"] == f"/operator/bookings/{booking_id}"
    assert "Counterpoint" in text_of(await desk.get("/operator/bookings", q=str(world.student.id)))
    assert "Student: Ada" in text_of(await desk.get("/operator/bookings", q="Ada"))
    assert "Nothing matches." in text_of(await desk.get("/operator/bookings", q="pi_unknown"))


async def test_a_person_is_suspended_and_reinstated(desk: Browser, world: World) -> None:
    path = f"/operator/people/{world.student.id}"
    page = await desk.get("/operator/people", q=str(world.student.id))
    page = await desk.follow(await desk.submit(page, f"{path}/suspend"))
    assert "suspended" in text_of(page)
    page = await desk.follow(await desk.submit(page, f"{path}/reinstate"))
    assert "The account is reinstated." in text_of(page)


async def test_figures_are_drawn_and_in_a_table(desk: Browser, world: World) -> None:
    assert "Nothing was booked in this time." in text_of(await desk.get("/operator/figures", interval="week"))


async def test_a_dispute_shows_its_deadline_and_its_answers(desk: Browser, world: World) -> None:
    now = datetime.now(UTC)
    dispute = Dispute(
        id="du_1",
        booking_id=await world.booking(),
        status=DisputeStatus.NEEDS_RESPONSE,
        is_inquiry=False,
        reason="product_not_received",
        amount_minor=10_000,
        currency="usd",
        respond_by=now + timedelta(days=7),
        created_at=now,
        updated_at=now,
    )
    await world.add(dispute)
    text = text_of(await desk.get("/operator/disputes"))
    assert "product_not_received" in text
    assert "Answer by" in text
    for action in ("Send the evidence", "Take over", "Accept the dispute"):
        assert action in text
    assert "Open disputes" in text_of(await desk.get("/operator"))


async def test_attendance_is_drawn_on_the_sessions_time(desk: Browser, world: World) -> None:
    booking_id = await world.booking(await world.slot(timedelta(hours=-2)), status=BookingStatus.ACCEPTED)
    async with AsyncSession(world.engine) as session:
        request = await session.get_one(BookingRequest, booking_id)
        session_row = LiveSession(
            booking_id=booking_id,
            status=SessionStatus.SCHEDULED,
            total_price_minor=10_000,
            platform_fee_minor=2_000,
            instructor_payout_minor=8_000,
            currency="usd",
            created_at=request.created_at,
            updated_at=request.created_at,
        )
    await world.add(session_row)
    for kind, minutes in ((AttendanceKind.JOINED, 0), (AttendanceKind.LEFT, 30)):
        event = AttendanceEvent(
            id=kind.value,
            booking_id=booking_id,
            kind=kind,
            role=SignUpRole.STUDENT,
            connection="one",
            at=request.starts_at + timedelta(minutes=minutes),
            source=MeetingProvider.JITSI,
        )
        await world.add(event)
    page = await desk.get(f"/operator/bookings/{booking_id}")
    # The axis has a fifth of the session at each end: 600 / 1.4 for the session, of which half is drawn.
    assert '<rect class="first" x="85.7" y="8" width="214.3"' in page.text

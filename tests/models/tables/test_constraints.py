"""What the database rejects, regardless of the code."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Enum, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from models.db import build_engine
from models.domain.actors import Role, SignUpRole, Subject
from models.domain.attendance import AttendanceKind, MeetingProvider
from models.domain.policy import MODERATE, BookingPolicy, PaymentPlan
from models.domain.states import BookingStatus, PaymentStatus, PayoutStatus, SessionStatus
from models.tables.audit import AuditEvent
from models.tables.bookings import AttendanceEvent, BookingRequest, LiveSession
from models.tables.catalogue import Offering, Slot
from models.tables.payments import InstructorPayout, Payment
from models.tables.people import Instructor, Student

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
ENUM_COLUMNS = [
    (table.name, column.name, set(column.type.enums))
    for table in SQLModel.metadata.sorted_tables
    for column in table.columns
    if isinstance(column.type, Enum)
]


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = build_engine(database_url)
    yield engine
    await engine.dispose()


@pytest.fixture
async def booking(engine: AsyncEngine) -> BookingRequest:
    """An accepted booking with its session, payment and payout."""
    student = Student(email="ada@students.example", name="Ada", created_at=NOW)
    instructor = Instructor(email="nadia@instructors.example", name="Nadia", created_at=NOW)
    offering = Offering(
        instructor_id=instructor.id,
        title="Counterpoint",
        duration_minutes=60,
        price_minor=10_000,
        currency="usd",
        cancellation=MODERATE.model_dump(mode="json"),
        created_at=NOW,
    )
    slot = Slot(offering_id=offering.id, instructor_id=instructor.id, starts_at=NOW + HOUR, ends_at=NOW + 2 * HOUR)
    booking = BookingRequest(
        id=uuid4(),
        student_id=student.id,
        instructor_id=instructor.id,
        offering_id=offering.id,
        slot_id=slot.id,
        title=offering.title,
        starts_at=slot.starts_at,
        ends_at=slot.ends_at,
        status=BookingStatus.ACCEPTED,
        plan=PaymentPlan.HOLD,
        stripe_account_id="acct_1",
        price_minor=10_000,
        platform_fee_minor=2_000,
        currency="usd",
        policy=BookingPolicy().model_dump(mode="json"),
        created_at=NOW,
        updated_at=NOW,
    )
    amounts: dict[str, Any] = {"currency": "usd", "platform_fee_minor": 2_000, "created_at": NOW, "updated_at": NOW}
    live_session = LiveSession(
        booking_id=booking.id,
        status=SessionStatus.SCHEDULED,
        room="a-room",
        total_price_minor=10_000,
        instructor_payout_minor=8_000,
        **amounts,
    )
    payment = Payment(
        booking_id=booking.id,
        plan=PaymentPlan.HOLD,
        status=PaymentStatus.CAPTURED,
        amount_minor=10_000,
        captured_minor=10_000,
        **amounts,
    )
    payout = InstructorPayout(
        booking_id=booking.id,
        instructor_id=instructor.id,
        status=PayoutStatus.PROCESSING,
        amount_minor=8_000,
        **amounts,
    )
    event = AuditEvent(
        booking_id=booking.id, action="booking.accepted", actor_role=Role.INSTRUCTOR, channel="api", at=NOW
    )
    joined = AttendanceEvent(
        id="report-1",
        booking_id=booking.id,
        kind=AttendanceKind.JOINED,
        role=SignUpRole.STUDENT,
        at=NOW,
        source=MeetingProvider.JAAS,
    )
    async with AsyncSession(engine, expire_on_commit=False) as session, session.begin():
        for rows in (
            [student, instructor],
            [offering],
            [slot],
            [booking],
            [live_session, payment, payout, event, joined],
        ):
            session.add_all(rows)
            await session.flush()
    return booking


async def _error_of(engine: AsyncEngine, statement: str) -> str:
    with pytest.raises(DBAPIError) as caught:
        async with engine.begin() as connection:
            await connection.execute(text(statement))
    return str(caught.value.orig)


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("UPDATE offering SET price_minor = 0", "price_is_positive"),
        ("UPDATE offering SET duration_minutes = 0", "duration_is_positive"),
        ("UPDATE offering SET currency = 'USD'", "currency_is_a_code"),
        ("UPDATE slot SET ends_at = starts_at", "ends_after_start"),
        ("UPDATE booking_request SET ends_at = starts_at", "ends_after_start"),
        ("UPDATE booking_request SET price_minor = 0, platform_fee_minor = 0", "price_is_positive"),
        ("UPDATE booking_request SET platform_fee_minor = 10001", "fee_is_part_of_price"),
        ("UPDATE booking_request SET platform_fee_minor = -1", "fee_is_part_of_price"),
        ("UPDATE live_session SET platform_fee_minor = 2001", "parts_are_of_the_price"),
        ("UPDATE live_session SET platform_fee_minor = -1", "fee_is_not_negative"),
        ("UPDATE payment SET returned_minor = 1", "parts_are_of_the_amount"),
        ("UPDATE payment SET returned_minor = -1", "parts_are_not_negative"),
        ("UPDATE payment SET platform_fee_minor = -1", "fee_is_not_negative"),
        ("UPDATE payment SET amount_minor = 0, captured_minor = 0, platform_fee_minor = 0", "amount_is_positive"),
        ("UPDATE instructor_payout SET amount_minor = 0", "amount_is_positive"),
        ("UPDATE instructor_payout SET platform_fee_minor = -1", "fee_is_not_negative"),
    ],
)
@pytest.mark.usefixtures("booking")
async def test_invalid_amount_or_time_is_rejected(engine: AsyncEngine, statement: str, constraint: str) -> None:
    assert f'"{constraint}"' in await _error_of(engine, statement)


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit_event SET action = 'nothing'", "DELETE FROM audit_event", "TRUNCATE audit_event",
     "UPDATE audit_event SET action = 'nothing' WHERE false"],
)  # fmt: skip
@pytest.mark.usefixtures("booking")
async def test_audit_trail_is_append_only(engine: AsyncEngine, statement: str) -> None:
    assert "append only" in await _error_of(engine, statement)
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT action FROM audit_event"))).scalars().all() == [
            "booking.accepted"
        ]


@pytest.mark.parametrize(
    "statement",
    ["UPDATE attendance_event SET kind = 'left'", "DELETE FROM attendance_event", "TRUNCATE attendance_event",
     "UPDATE attendance_event SET kind = 'left' WHERE false"],
)  # fmt: skip
@pytest.mark.usefixtures("booking")
async def test_attendance_is_append_only(engine: AsyncEngine, statement: str) -> None:
    assert "append only" in await _error_of(engine, statement)
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT kind FROM attendance_event"))).scalars().all() == ["joined"]


@pytest.mark.parametrize(("kind", "role"), [("joined", "NULL"), ("recording_uploaded", "'student'")])
async def test_attendance_event_has_a_role_unless_it_is_a_recording(
    engine: AsyncEngine, booking: BookingRequest, kind: str, role: str
) -> None:
    row = f"('report-2', '{booking.id}', '{kind}', {role}, now(), 'jaas')"
    statement = f"INSERT INTO attendance_event (id, booking_id, kind, role, at, source) VALUES {row}"  # noqa: S608
    assert '"people_come_and_go"' in await _error_of(engine, statement)


@pytest.mark.parametrize(
    ("subject", "booking_id", "subject_id"),
    [("booking", None, uuid4()), ("booking", None, None), ("booking", uuid4(), uuid4()), ("person", uuid4(), None),
     ("person", None, None), ("person", uuid4(), uuid4())],
)  # fmt: skip
async def test_audit_event_has_exactly_one_subject_id(
    engine: AsyncEngine, subject: str, booking_id: UUID | None, subject_id: UUID | None
) -> None:
    event = AuditEvent(
        subject=Subject(subject),
        booking_id=booking_id,
        subject_id=subject_id,
        action="something.done",
        actor_role=Role.PLATFORM,
        channel="api",
        at=NOW,
    )
    with pytest.raises(DBAPIError, match="subject_is_named"):
        async with AsyncSession(engine) as session, session.begin():
            session.add(event)


async def test_booking_with_a_session_or_payout_cannot_be_deleted(engine: AsyncEngine, booking: BookingRequest) -> None:
    assert "foreign key" in await _error_of(engine, f"DELETE FROM booking_request WHERE id = '{booking.id}'")  # noqa: S608


@pytest.mark.parametrize("status", sorted(BookingStatus))
async def test_only_an_open_booking_rejects_an_overlapping_one(
    engine: AsyncEngine, booking: BookingRequest, status: BookingStatus
) -> None:
    rival = BookingRequest(**booking.model_dump(exclude={"id"}), id=uuid4())
    rival.starts_at += HOUR / 2
    rival.ends_at += HOUR / 2
    async with engine.begin() as connection:
        await connection.execute(update(BookingRequest).values(status=status))

    async def book_again() -> None:
        async with AsyncSession(engine) as session, session.begin():
            session.add(rival)

    if status in (BookingStatus.PENDING, BookingStatus.ACCEPTED):
        with pytest.raises(DBAPIError, match="no_double_booking"):
            await book_again()
    else:
        await book_again()


@pytest.mark.parametrize(("table", "column", "values"), ENUM_COLUMNS)
async def test_check_constraint_has_the_enums_values(
    engine: AsyncEngine, table: str, column: str, values: set[str]
) -> None:
    query = text(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE conrelid = CAST(:table AS regclass) AND conname = :name"
    )
    async with engine.connect() as connection:
        definition = (await connection.execute(query, {"table": table, "name": f"{column}_is_known"})).scalar_one()
    assert set(re.findall(r"'(\w+)'", definition)) == values


async def test_naive_datetime_is_rejected(engine: AsyncEngine, booking: BookingRequest) -> None:
    async with AsyncSession(engine) as session:
        row = await session.get(BookingRequest, booking.id)
        assert row is not None
        assert row.starts_at.utcoffset() == timedelta(0)
        row.next_deadline_at = NOW.replace(tzinfo=None)
        with pytest.raises(Exception, match=r"(?i)naive|timezone|tzinfo"):
            await session.flush()

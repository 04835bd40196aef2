"""A small marketplace for the API's tests: people with tokens, an offering with slots, bookings as rows."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from api.http.auth import issue_token
from api.http.problems import ProblemDetails
from api.meeting_provider import JitsiMeetings, MeetingSettings
from api.settings import HttpSettings, Settings
from models.domain.actors import PLATFORM, Capability, Role
from models.domain.endings import EndReason
from models.domain.messages import Channel
from models.domain.money import Money
from models.domain.policy import MODERATE, BookingPolicy, CancellationPolicy, PaymentPlan, split
from models.domain.states import BookingStatus
from models.settings import PolicySettings, RuntimeSettings, WebhookSettings
from models.tables.audit import AuditEvent
from models.tables.bookings import BookingRequest
from models.tables.catalogue import Offering, Slot
from models.tables.operators import Operator
from models.tables.people import Instructor, Student

SIGNING_KEY = "tests have a secret of their own that is long enough"
WEBHOOK_KEY = "whsec_tests"
CONNECT_WEBHOOK_KEY = "whsec_tests_connect"
MEETING_WEBHOOK_KEY = "whsec_tests_meeting"
WEBHOOK_SIGNING_KEY = "tests derive the secrets of webhooks from this key"
MEETINGS = JitsiMeetings("https://meet.test/", "holdfast-tests", "tests sign their meetings with this secret")
PUBLIC_URL = "http://holdfast.test"
HOUR = timedelta(hours=1)
PRICE = Money(amount_minor=10_000, currency="usd")
JSON = dict[str, Any]

# Read once, which takes longer than most tests. A test may change its copy.
_HTTP = HttpSettings.model_validate(
    {
        "holdfast_token_secret": SIGNING_KEY,
        "stripe_webhook_secret": WEBHOOK_KEY,
        "stripe_connect_webhook_secret": CONNECT_WEBHOOK_KEY,
        "holdfast_public_url": PUBLIC_URL,
        "holdfast_verify_addresses": False,
        "stripe_livemode": False,
    }
)
_POLICY = PolicySettings()
_MEETING = MeetingSettings.model_validate({"meeting_webhook_secret": MEETING_WEBHOOK_KEY})
_WEBHOOKS = WebhookSettings.model_validate({"holdfast_webhook_key": WEBHOOK_SIGNING_KEY})


def settings(database_url: str, task_queue: str, policy: PolicySettings | None = None) -> Settings:
    return Settings(
        runtime=RuntimeSettings(database_url=SecretStr(database_url), holdfast_task_queue=task_queue),
        http=_HTTP.model_copy(),
        policy=policy or _POLICY.model_copy(),
        meeting=_MEETING.model_copy(),
        meetings=MEETINGS,
        webhooks=_WEBHOOKS.model_copy(),
    )


@dataclass(frozen=True)
class Person:
    role: Role
    id: UUID = field(default_factory=uuid4)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {issue_token(SIGNING_KEY, self.role, self.id, HOUR)}"}


@dataclass(frozen=True)
class World:
    """One instructor's offering and a student. Everything created through it is stored in the database."""

    engine: AsyncEngine
    student: Person
    instructor: Person
    offering_id: UUID
    operator: Person

    @classmethod
    async def create(
        cls,
        engine: AsyncEngine,
        stripe_account_id: str | None = "acct_test",
        price: Money = PRICE,
        cancellation: CancellationPolicy = MODERATE,
        buffer_minutes: int = 0,
        time_zone: str = "UTC",
    ) -> "World":
        instructor = await add_instructor(engine, stripe_account_id, time_zone)
        offering = Offering(
            instructor_id=instructor.id,
            title="Counterpoint",
            duration_minutes=60,
            buffer_before_minutes=buffer_minutes,
            buffer_after_minutes=buffer_minutes,
            price_minor=price.amount_minor,
            currency=price.currency,
            cancellation=cancellation.model_dump(mode="json"),
            created_at=datetime.now(UTC),
        )
        await _add(engine, offering)
        return cls(engine, await add_student(engine), instructor, offering.id, await add_operator(engine))

    async def with_buffers(self, minutes: int) -> "World":
        async with AsyncSession(self.engine) as session, session.begin():
            offering = await session.get_one(Offering, self.offering_id)
            offering.buffer_before_minutes = offering.buffer_after_minutes = minutes
        return self

    async def with_recording(self, is_recorded: bool) -> "World":
        async with AsyncSession(self.engine) as session, session.begin():
            (await session.get_one(Offering, self.offering_id)).is_recorded = is_recorded
        return self

    async def slot(self, starts_in: timedelta = timedelta(days=2), lasts: timedelta = HOUR) -> UUID:
        starts_at = datetime.now(UTC) + starts_in
        slot = Slot(
            offering_id=self.offering_id,
            instructor_id=self.instructor.id,
            starts_at=starts_at,
            ends_at=starts_at + lasts,
        )
        await _add(self.engine, slot)
        return slot.id

    async def booking(self, slot_id: UUID | None = None, student: Person | None = None, **fields: Any) -> UUID:
        """Store a booking as the activities would, without a workflow."""
        request = await self.request(slot_id or await self.slot(), student, **fields)
        await _add(self.engine, request)
        return request.id

    async def request(self, slot_id: UUID, student: Person | None = None, **fields: Any) -> BookingRequest:
        """The booking's row, not stored."""
        async with AsyncSession(self.engine) as session:
            slot = await session.get_one(Slot, slot_id)
        policy = BookingPolicy()
        now = datetime.now(UTC)
        row: JSON = {
            "id": uuid4(),
            "student_id": (student or self.student).id,
            "instructor_id": self.instructor.id,
            "offering_id": self.offering_id,
            "slot_id": slot_id,
            "title": "Counterpoint",
            "starts_at": slot.starts_at,
            "ends_at": slot.ends_at,
            "status": BookingStatus.PENDING,
            "plan": PaymentPlan.HOLD,
            "stripe_account_id": "acct_test",
            "price_minor": PRICE.amount_minor,
            "platform_fee_minor": split(PRICE, policy).platform_fee.amount_minor,
            "currency": PRICE.currency,
            "policy": policy.model_dump(mode="json"),
            "next_deadline_at": now + HOUR,
            "created_at": now,
            "updated_at": now,
        }
        return BookingRequest(**(row | fields))

    async def deleted_booking(self, booking_id: UUID | None = None) -> UUID:
        """Store what remains of an unpaid booking: its audit event."""
        booking_id = booking_id or uuid4()
        event = AuditEvent(
            booking_id=booking_id,
            action="booking.deleted",
            actor_role=PLATFORM.role,
            channel=Channel.WORKFLOW,
            detail={
                "reason": EndReason.CARD_DECLINED,
                "decline_code": "insufficient_funds",
                "advice_code": "try_again_later",
                "student_id": str(self.student.id),
                "slot_id": str(uuid4()),
            },
            at=datetime.now(UTC),
        )
        await _add(self.engine, event)
        return booking_id

    async def set(self, booking_id: UUID, **fields: Any) -> None:
        async with AsyncSession(self.engine) as session, session.begin():
            (await session.get_one(BookingRequest, booking_id)).sqlmodel_update(fields)

    async def delete(self, booking_id: UUID) -> None:
        async with AsyncSession(self.engine) as session, session.begin():
            await session.delete(await session.get_one(BookingRequest, booking_id))

    async def add(self, row: SQLModel) -> None:
        await _add(self.engine, row)


async def add_instructor(engine: AsyncEngine, stripe_account_id: str | None = None, time_zone: str = "UTC") -> Person:
    """With a Stripe account, the instructor can be paid."""
    instructor = Person(Role.INSTRUCTOR)
    row = Instructor(
        id=instructor.id,
        email=f"{instructor.id}@instructors.test",
        name="Nadia",
        time_zone=time_zone,
        stripe_account_id=stripe_account_id,
        transfers=Capability.ACTIVE if stripe_account_id else None,
        created_at=datetime.now(UTC),
    )
    await _add(engine, row)
    return instructor


async def add_student(engine: AsyncEngine) -> Person:
    student = Person(Role.STUDENT)
    await _add(
        engine,
        Student(id=student.id, email=f"{student.id}@students.test", name="Ada", created_at=datetime.now(UTC)),
    )
    return student


async def add_operator(engine: AsyncEngine) -> Person:
    operator = Person(Role.OPERATOR)
    await _add(engine, Operator(id=operator.id, name=f"Olu {operator.id}", created_at=datetime.now(UTC)))
    return operator


async def book(client: httpx.AsyncClient, student: Person, slot_id: UUID, key: str = "first") -> httpx.Response:
    return await client.post(
        "/v1/bookings", json={"slot_id": str(slot_id)}, headers=student.headers | {"Idempotency-Key": key}
    )


def problem(answer: httpx.Response) -> tuple[int, str]:
    """Status and kind of a problem response. Fails for any other response."""
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == answer.status_code
    assert body["title"]
    assert body["request_id"] == answer.headers["x-request-id"]
    assert body.keys() <= ProblemDetails.model_fields.keys()
    assert "Traceback" not in answer.text
    kind: str = body["type"].removeprefix("urn:holdfast:problem:")
    return answer.status_code, kind


async def audited(engine: AsyncEngine, subject_id: UUID) -> list[AuditEvent]:
    """Audit events of a subject other than a booking, oldest first."""
    statement = select(AuditEvent).where(AuditEvent.subject_id == subject_id).order_by(col(AuditEvent.seq))
    async with AsyncSession(engine) as session:
        return list(await session.exec(statement))


def said(answer: httpx.Response) -> JSON:
    """A problem without its request id, which differs in every response."""
    body: JSON = answer.json()
    return {name: value for name, value in body.items() if name != "request_id"}


async def _add(engine: AsyncEngine, row: SQLModel) -> None:
    async with AsyncSession(engine, expire_on_commit=False) as session, session.begin():
        session.add(row)

"""Test data for the records: people, offerings and bookings, as messages and as rows."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.booking.records import RecordActivities
from models.domain.actors import Actor, Role
from models.domain.endings import Ending
from models.domain.messages import (
    Approve,
    Channel,
    RecordAcceptance,
    RecordAuthorization,
    RecordCheckout,
    RecordEnding,
    ReserveSlot,
)
from models.domain.money import Money
from models.domain.payments import Checkout, HoldPhase, PaymentState
from models.domain.policy import MODERATE, BookingPolicy, PaymentPlan
from models.domain.terms import BookingTerms
from models.tables.audit import AuditEvent
from models.tables.bookings import BookingRequest
from models.tables.catalogue import Offering, Slot
from models.tables.people import Instructor, Student

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
STARTS_AT = NOW + timedelta(days=3)
HOUR = timedelta(hours=1)
_POLICY = BookingPolicy()

Row = TypeVar("Row", bound=SQLModel)


@dataclass(frozen=True)
class Bookings:
    """The bookings of one instructor in one database. Each booking has a new student."""

    engine: AsyncEngine
    records: RecordActivities
    instructor: Actor = field(default_factory=lambda: Actor(role=Role.INSTRUCTOR, id=uuid4()))

    @property
    def instructor_id(self) -> UUID:
        assert self.instructor.id is not None
        return self.instructor.id

    async def terms(
        self, starts_at: datetime = STARTS_AT, ends_at: datetime | None = None, price_minor: int = 10_000
    ) -> BookingTerms:
        """Terms of a booking by a new student, of a new offering's slot at that time."""
        student = Student(email=f"{uuid4()}@example.test", name="Ada", created_at=NOW)
        offering = Offering(
            instructor_id=self.instructor_id,
            title="Counterpoint",
            duration_minutes=60,
            price_minor=price_minor,
            currency="usd",
            cancellation=MODERATE.model_dump(mode="json"),
            created_at=NOW,
        )
        slot = Slot(
            offering_id=offering.id,
            instructor_id=self.instructor_id,
            starts_at=starts_at,
            ends_at=ends_at or starts_at + HOUR,
        )
        async with AsyncSession(self.engine, expire_on_commit=False) as session, session.begin():
            if await session.get(Instructor, self.instructor_id) is None:
                session.add(
                    Instructor(id=self.instructor_id, email=f"{uuid4()}@example.test", name="Nadia", created_at=NOW)
                )
                await session.flush()
            session.add_all([student, offering])
            await session.flush()
            session.add(slot)
        return BookingTerms(
            booking_id=uuid4(),
            student_id=student.id,
            instructor_id=self.instructor_id,
            offering_id=offering.id,
            slot_id=slot.id,
            starts_at=slot.starts_at,
            ends_at=slot.ends_at,
            price=Money(amount_minor=price_minor, currency="usd"),
            policy=BookingPolicy(),
            plan=PaymentPlan.HOLD,
            stripe_account_id="acct_1",
        )

    async def reserved(self, policy: BookingPolicy = _POLICY) -> BookingTerms:
        terms = (await self.terms()).model_copy(update={"policy": policy})
        assert await self.records.reserve_slot(reserve(terms))
        await self.records.record_checkout(checkout(terms))
        async with AsyncSession(self.engine) as session, session.begin():
            booking = await session.get_one(BookingRequest, terms.booking_id)
            booking.checkout_url = f"https://checkout.example.test/{terms.booking_id}"
        return terms

    async def authorized(self, policy: BookingPolicy = _POLICY) -> BookingTerms:
        terms = await self.reserved(policy)
        await self.records.record_authorization(authorization(terms))
        return terms

    async def accepted(self, policy: BookingPolicy = _POLICY) -> BookingTerms:
        terms = await self.authorized(policy)
        await self.records.record_acceptance(self.acceptance(terms))
        return terms

    def acceptance(self, terms: BookingTerms) -> RecordAcceptance:
        return RecordAcceptance(
            terms=terms,
            decision=Approve(actor=self.instructor, channel=Channel.API),
            completion_deadline_at=terms.ends_at + 24 * HOUR,
            at=NOW + HOUR,
        )

    async def find(self, kind: type[Row], key: UUID) -> Row | None:
        async with AsyncSession(self.engine) as session:
            return await session.get(kind, key)

    async def get(self, kind: type[Row], key: UUID) -> Row:
        row = await self.find(kind, key)
        assert row is not None
        return row

    async def all(self, kind: type[Row]) -> list[Row]:
        async with AsyncSession(self.engine) as session:
            return list((await session.exec(select(kind))).all())

    async def audit(self, booking_id: UUID) -> list[AuditEvent]:
        """Ordered by time, then by action."""
        statement = (
            select(AuditEvent)
            .where(AuditEvent.booking_id == booking_id)
            .order_by(col(AuditEvent.at), col(AuditEvent.action))
        )
        async with AsyncSession(self.engine) as session:
            return list((await session.exec(statement)).all())

    async def everything(self) -> dict[str, list[dict[str, Any]]]:
        """All rows of all tables, to assert that nothing has changed."""
        async with self.engine.connect() as connection:
            return {
                table.name: [dict(row) for row in (await connection.execute(table.select())).mappings()]
                for table in SQLModel.metadata.sorted_tables
            }


def reserve(terms: BookingTerms) -> ReserveSlot:
    return ReserveSlot(terms=terms, booked_at=NOW, checkout_deadline_at=NOW + HOUR / 2)


def checkout(terms: BookingTerms, customer_id: str | None = None) -> RecordCheckout:
    return RecordCheckout(
        booking_id=terms.booking_id,
        student_id=terms.student_id,
        checkout=Checkout(
            checkout_session_id=f"cs_{terms.booking_id}",
            customer_id=customer_id or f"cus_{terms.student_id}",
            expires_at=NOW + HOUR,
        ),
        at=NOW,
    )


def authorization(terms: BookingTerms) -> RecordAuthorization:
    payment = held(terms) if terms.plan is PaymentPlan.HOLD else charged(terms)
    return RecordAuthorization(
        terms=terms, payment=payment, authorized_at=NOW + HOUR / 4, approval_deadline_at=NOW + 24 * HOUR
    )


def charged(terms: BookingTerms) -> PaymentState:
    """A charge of the platform's, of which nothing is transferred yet."""
    update = {"hold_ends_at": None, "captured_minor": terms.price.amount_minor, "transferred_minor": 0}
    fee = Money(amount_minor=320, currency=terms.price.currency)
    return held(terms).model_copy(update=update | {"stripe_fee": fee})


def held(terms: BookingTerms, phase: HoldPhase = HoldPhase.HELD) -> PaymentState:
    return PaymentState(
        phase=phase,
        payment_intent_id=f"pi_{terms.booking_id}",
        charge_id=f"ch_{terms.booking_id}",
        hold_ends_at=NOW + 7 * 24 * HOUR,
        captured_minor=terms.price.amount_minor if phase is HoldPhase.CAPTURED else 0,
    )


def ended(
    terms: BookingTerms, ending: Ending, payment: PaymentState | None, at: datetime | None = None
) -> RecordEnding:
    """A captured payment is one that the saga has settled: what the ending keeps was captured, with its fee."""
    is_hold = terms.plan is PaymentPlan.HOLD
    if is_hold and payment and payment.phase is HoldPhase.CAPTURED and not payment.refunded_minor:
        kept, fee = ending.split.kept.amount_minor, ending.split.platform_fee.amount_minor
        payment = payment.model_copy(update={"captured_minor": kept, "platform_fee_minor": fee})
    return RecordEnding(terms=terms, ending=ending, channel=Channel.API, payment=payment, at=at or NOW + 2 * HOUR)

"""What the student reads on Checkout. Read and used inside an activity: none of it may enter a workflow history."""

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select

from activities.booking.students import StudentMissing
from activities.database.transactions import transaction
from activities.gateways import CheckoutText
from models.documents.terms import absence_terms, cancellation_terms
from models.domain.policy import PaymentPlan, Split
from models.domain.terms import BookingTerms
from models.domain.zones import zone
from models.languages import language
from models.tables.catalogue import Offering
from models.tables.people import Instructor, Student


async def load_text(engine: AsyncEngine, terms: BookingTerms, split: Split) -> CheckoutText:
    """In the student's language, with the time in their zone. Raises `StudentMissing`."""
    statement = (
        select(Offering.title, Instructor.name, Student.time_zone, Student.language)
        .join(Instructor, col(Instructor.id) == col(Offering.instructor_id))
        .join(Student, col(Student.id) == terms.student_id)
        .where(col(Offering.id) == terms.offering_id)
    )
    async with transaction(engine) as session:
        row = (await session.exec(statement)).first()
    if row is None:
        raise StudentMissing(f"no student {terms.student_id}")
    title, instructor, time_zone, code = row
    reads = language(code)
    say = reads.gettext
    return CheckoutText(
        language=reads.code,
        product=title,
        description=say(
            "With %(name)s, %(time)s",
            name=instructor,
            time=reads.period(terms.starts_at, terms.ends_at, zone(time_zone)),
        ),
        disclosure=" ".join(
            (
                say("The price includes a platform fee of %(fee)s.", fee=reads.money(split.platform_fee)),
                say("A hold is placed now. You are charged only after the session.")
                if terms.plan is PaymentPlan.HOLD
                else say(
                    "You are charged now. The instructor is paid only after the session. "
                    "If it is cancelled, what you do not owe by these terms is refunded."
                ),
                cancellation_terms(reads, terms.policy.cancellation),
                absence_terms(reads, terms.price, terms.policy),
            )
        ),
    )

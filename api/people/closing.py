"""Closing an account: personal data is erased, and the books keep the person's id."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, delete, exists, or_, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from api.http.problems import Kind, Problem
from api.http.service_tokens import revoke_service_tokens
from api.people.queries import Account
from models.domain.actors import Actor, Subject
from models.domain.messages import Channel
from models.domain.states import HOLDS_SLOT
from models.tables.audit import event_about
from models.tables.blocked_times import InstructorCalendar
from models.tables.bookings import BookingRequest
from models.tables.catalogue import Offering
from models.tables.credentials import AddressVerification, Credential, PasswordReset
from models.tables.people import Instructor, Student

_NAME = "Closed account"
_NO_PASSWORD = ""
"""No password has this hash."""


async def close(session: AsyncSession, actor: Actor, person_id: UUID, now: datetime) -> bool:
    """False if a booking is open. Raises the 403 `Problem` without an account.

    A reservation locks the offering and the student before it adds a booking. With the same locks, taken in the same
    order, either the booking is seen here, or the reservation finds the offering withdrawn or the student gone.
    """
    is_own = col(Offering.instructor_id) == person_id
    await session.exec(select(Offering.id).where(is_own).order_by(col(Offering.id)).with_for_update())
    student = await session.get(Student, person_id, with_for_update=True)
    instructor = await session.get(Instructor, person_id, with_for_update=True)
    account = Account(student, instructor) if student or instructor else None
    if account is None or account.is_closed:
        raise Problem(Kind.NO_ACCOUNT)
    sides = or_(col(BookingRequest.student_id) == person_id, col(BookingRequest.instructor_id) == person_id)
    if (await session.exec(select(exists().where(sides, col(BookingRequest.status).in_(HOLDS_SLOT))))).one():
        return False
    withdraw = update(Offering).where(is_own).values(is_active=False, description="").returning(col(Offering.id))
    detail = {"offering_ids": [str(id) for (id,) in await session.exec(withdraw)]}
    email = f"{person_id}@closed.invalid"
    _erase_person(account, email, now)
    await _erase_credential(session, account, email, now)
    await session.exec(delete(InstructorCalendar).where(col(InstructorCalendar.instructor_id) == person_id))
    await revoke_service_tokens(session, person_id, now)
    session.add(event_about(Subject.PERSON, person_id, "person.closed", actor, Channel.API, now, detail))
    return True


def _erase_person(account: Account, email: str, now: datetime) -> None:
    erased = {"email": email, "name": _NAME, "time_zone": "UTC", "language": "en", "closed_at": now}
    if account.student is not None:
        account.student.sqlmodel_update(erased)
    if account.instructor is not None:
        account.instructor.sqlmodel_update(erased | {"onboarding_url": None, "onboarding_url_expires_at": None})


async def _erase_credential(session: AsyncSession, account: Account, email: str, now: datetime) -> None:
    """The row stays, also for a person who had none, so that no older token of theirs is valid again."""
    person_id = account.person.id
    await session.exec(delete(PasswordReset).where(col(PasswordReset.person_id) == person_id))
    await session.exec(delete(AddressVerification).where(col(AddressVerification.student_id) == person_id))
    erased = Credential(
        email=email,
        person_id=person_id,
        role=account.roles[0],
        password_hash=_NO_PASSWORD,
        generation=1,
        created_at=account.person.created_at,
        updated_at=now,
    )
    changed = erased.model_dump(include={"email", "password_hash", "updated_at"})
    await session.exec(
        insert(Credential)
        .values(erased.model_dump())
        .on_conflict_do_update(
            index_elements=[col(Credential.person_id)],
            set_=changed | {"generation": col(Credential.generation) + 1},
        )
    )

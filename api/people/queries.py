"""Reads and writes of people and their credentials: sign-up, sign-in, new passwords."""

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Uuid, bindparam, literal
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import SQLModel, col, delete, or_, select, update
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import Select

from api.http.service_tokens import revoke_service_tokens
from api.people.schemas import AccountChange
from models.domain.actors import PLATFORM, Actor, Role, SignUpRole, Subject
from models.domain.messages import Channel
from models.domain.notifications import NotificationKind, Recipient
from models.meeting_rooms import change_rooms_of
from models.tables.audit import event_about
from models.tables.credentials import AddressVerification, Credential, PasswordReset, token_hash
from models.tables.outbox import OutboxMessage
from models.tables.people import Instructor, Student

TABLES: dict[SignUpRole, type[Student] | type[Instructor]] = {
    SignUpRole.STUDENT: Student,
    SignUpRole.INSTRUCTOR: Instructor,
}


@dataclass(frozen=True)
class Account:
    """A person's row in each role that they have: one at least. Both have the same id, address and name."""

    student: Student | None
    instructor: Instructor | None

    @property
    def person(self) -> Student | Instructor:
        person = self.student or self.instructor
        assert person is not None
        return person

    @property
    def roles(self) -> list[SignUpRole]:
        rows = {SignUpRole.STUDENT: self.student, SignUpRole.INSTRUCTOR: self.instructor}
        return [role for role, row in rows.items() if row is not None]

    @property
    def is_closed(self) -> bool:
        return self.person.closed_at is not None


async def account(session: AsyncSession, person_id: UUID) -> Account | None:
    """The person's account, also if it is closed."""
    student, instructor = (await session.exec(_account(), params={"person_id": person_id})).one()
    return Account(student, instructor) if student or instructor else None


@cache
def _account() -> Select[Student, Instructor]:
    """Built once: each page runs it."""
    person = select(bindparam("person_id", type_=Uuid()).label("id")).subquery()
    return (
        select(Student, Instructor)
        .select_from(person)
        .outerjoin(Student, col(Student.id) == person.c.id)
        .outerjoin(Instructor, col(Instructor.id) == person.c.id)
    )


async def credential_by_email(session: AsyncSession, email: str) -> Credential | None:
    return (await session.exec(select(Credential).where(col(Credential.email) == email))).first()


async def credential_by_person(session: AsyncSession, person_id: UUID) -> Credential | None:
    return (await session.exec(select(Credential).where(col(Credential.person_id) == person_id))).first()


async def add_person(
    session: AsyncSession, role: SignUpRole, person: Student | Instructor, action: str, actor: Actor
) -> bool:
    """Whether the row exists now. False if another person, in either role, has its address.

    `action` is the action of the audit event, such as `person.signed_up`. A person has one for each role.
    """
    taken = [
        select(table.id).where(col(table.email) == person.email, col(table.id) != person.id).exists()
        for table in TABLES.values()
    ]
    if (await session.exec(select(or_(*taken)))).one():
        return False
    if await _insert(session, person):
        at = person.created_at
        session.add(event_about(Subject.PERSON, person.id, action, actor, Channel.API, at, occasion=role.value))
        return True
    return await _exists(session, TABLES[role], person.id)


async def add_role(
    session: AsyncSession, role: SignUpRole, person: Student | Instructor, action: str, actor: Actor, now: datetime
) -> bool:
    """Give a person the other role as well. Does nothing if they have it; false if its address is taken there."""
    shared = person.model_dump(include={"id", "email", "name", "time_zone", "language"})
    return await add_person(session, role, TABLES[role](**shared, created_at=now), action, actor)


async def change_account(
    session: AsyncSession, account: Account, change: AccountChange, actor: Actor, now: datetime
) -> None:
    """Change every row of the account. The values are personal, so the audit event names only the fields."""
    changed = sorted(name for name, value in change.items() if getattr(account.person, name) != value)
    if not changed:
        return
    for row in (account.student, account.instructor):
        if row is not None:
            row.sqlmodel_update({**change})
    action, detail = "person.changed", {"fields": changed}
    session.add(
        event_about(Subject.PERSON, account.person.id, action, actor, Channel.API, now, detail, now.isoformat())
    )


async def end_sessions(session: AsyncSession, person_id: UUID, now: datetime) -> bool:
    """Invalidate the person's access tokens and mailed links. False if they have no credential here.

    Their open event streams end as soon as an audit event about the person is written.
    """
    values = {"generation": col(Credential.generation) + 1, "updated_at": now}
    ended = await session.exec(update(Credential).where(col(Credential.person_id) == person_id).values(values))
    return bool(ended.rowcount)


async def sign_up(
    session: AsyncSession, role: SignUpRole, person: Student | Instructor, password_hash: str, now: datetime
) -> bool:
    """Whether the account was created. False if the address is taken, in either role.

    The credential is inserted first: concurrent sign-ups with the same address wait on its primary key.
    """
    credential = Credential(
        email=person.email, person_id=person.id, role=role, password_hash=password_hash, created_at=now, updated_at=now
    )
    actor = Actor(role=Role(role), id=person.id)
    return await _insert(session, credential) and await add_person(session, role, person, "person.signed_up", actor)


async def request_verification(session: AsyncSession, student_id: UUID, now: datetime) -> None:
    """Queue the mail with the link that verifies the student's address."""
    message = _notify(session, Recipient.STUDENT, student_id, NotificationKind.ADDRESS_VERIFICATION, now, {})
    actor, action = Actor(role=Role.STUDENT, id=student_id), "person.verification_requested"
    session.add(event_about(Subject.PERSON, student_id, action, actor, Channel.API, now, occasion=str(message.id)))


async def verify_address(session: AsyncSession, token: str, now: datetime) -> bool:
    """False unless the token is valid and its address is not verified yet. All tokens of the student are used up."""
    valid = select(AddressVerification.student_id).where(
        col(AddressVerification.token_hash) == token_hash(token), col(AddressVerification.expires_at) > now
    )
    # Of concurrent uses, the second waits for the row and then finds it verified.
    verify = (
        update(Student)
        .where(col(Student.id).in_(valid), col(Student.email_verified_at).is_(None))
        .values(email_verified_at=now)
        .returning(col(Student.id))
    )
    row = (await session.exec(verify)).first()
    if row is None:
        return False
    (student_id,) = row
    await session.exec(delete(AddressVerification).where(col(AddressVerification.student_id) == student_id))
    actor, action = Actor(role=Role.STUDENT, id=student_id), "person.address_verified"
    session.add(event_about(Subject.PERSON, student_id, action, actor, Channel.API, now))
    return True


async def mark_verified(session: AsyncSession, student_id: UUID, email: str, now: datetime) -> None:
    """For an identity provider that has verified `email`. Does nothing for another address than the student's."""
    is_theirs = (col(Student.id) == student_id, col(Student.email) == email)
    unverified = update(Student).where(*is_theirs, col(Student.email_verified_at).is_(None))
    marked = await session.exec(unverified.values(email_verified_at=now))
    if marked.rowcount:
        actor, action = Actor(role=Role.STUDENT, id=student_id), "person.address_verified"
        session.add(event_about(Subject.PERSON, student_id, action, actor, Channel.API, now))


async def replace_hash(session: AsyncSession, email: str, old: str, new: str, now: datetime) -> None:
    """Does nothing if the stored hash is no longer `old`."""
    is_current = (col(Credential.email) == email, col(Credential.password_hash) == old)
    await session.exec(update(Credential).where(*is_current).values(password_hash=new, updated_at=now))


def request_password_reset(session: AsyncSession, credential: Credential, now: datetime) -> None:
    """Queue the mail with the reset link. The audit event names the platform: the requester is not authenticated."""
    recipient, facts = Recipient(credential.role), {"generation": credential.generation}
    message = _notify(session, recipient, credential.person_id, NotificationKind.PASSWORD_RESET, now, facts)
    action = "person.password_reset_asked"
    session.add(
        event_about(Subject.PERSON, credential.person_id, action, PLATFORM, Channel.API, now, occasion=str(message.id))
    )


async def credential_to_reset(session: AsyncSession, token: str, now: datetime) -> Credential | None:
    """The credential whose password the reset token can set now, if any."""
    is_valid = (
        col(PasswordReset.token_hash) == token_hash(token),
        col(PasswordReset.generation) == col(Credential.generation),
        col(PasswordReset.expires_at) > now,
    )
    statement = select(Credential).join(PasswordReset, col(PasswordReset.person_id) == col(Credential.person_id))
    return (await session.exec(statement.where(*is_valid))).first()


async def set_password(
    session: AsyncSession, credential: Credential, password_hash: str, action: str, now: datetime
) -> bool:
    """False if the password has changed since `credential` was read: of two concurrent changes, one succeeds."""
    is_current = (
        col(Credential.person_id) == credential.person_id,
        col(Credential.generation) == credential.generation,
    )
    values = {"password_hash": password_hash, "generation": credential.generation + 1, "updated_at": now}
    if not (await session.exec(update(Credential).where(*is_current).values(values))).rowcount:
        return False
    await session.exec(delete(PasswordReset).where(col(PasswordReset.person_id) == credential.person_id))
    await change_rooms_of(session, credential.person_id)
    await revoke_service_tokens(session, credential.person_id, now)
    recipient = Recipient(credential.role)
    message = _notify(session, recipient, credential.person_id, NotificationKind.PASSWORD_CHANGED, now, {})
    actor = Actor(role=Role(credential.role), id=credential.person_id)
    session.add(
        event_about(Subject.PERSON, credential.person_id, action, actor, Channel.API, now, occasion=str(message.id))
    )
    return True


def _notify(
    session: AsyncSession,
    recipient: Recipient,
    person_id: UUID,
    notification: NotificationKind,
    now: datetime,
    facts: dict[str, Any],
) -> OutboxMessage:
    message = OutboxMessage(
        id=uuid4(),
        kind=notification,
        recipient_role=recipient,
        recipient_id=person_id,
        facts=facts,
        due_at=now,
        next_attempt_at=now,
        created_at=now,
    )
    session.add(message)
    return message


async def _insert(session: AsyncSession, row: SQLModel) -> bool:
    statement = insert(type(row)).values(row.model_dump()).on_conflict_do_nothing().returning(literal(True))
    return (await session.exec(statement)).first() is not None


async def _exists(session: AsyncSession, table: type[Student] | type[Instructor], person_id: UUID) -> bool:
    return await session.get(table, person_id) is not None

"""People's own rows: found by their address, and made when they sign up."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import literal
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import SQLModel, col, or_, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from models.audit import event_about
from models.door_tables import Credential
from models.messages import Door
from models.tables import Instructor, Student
from models.terms import Actor, Role, SignUpRole, Subject

TABLES: dict[SignUpRole, type[Student] | type[Instructor]] = {
    SignUpRole.STUDENT: Student,
    SignUpRole.INSTRUCTOR: Instructor,
}


async def credential_of(session: AsyncSession, email: str) -> Credential | None:
    return (await session.exec(select(Credential).where(col(Credential.email) == email))).first()


async def add_person(session: AsyncSession, role: SignUpRole, person: Student | Instructor, action: str) -> bool:
    """Whether the row is there now. False when its address is somebody else's, in either role.

    `action` is how they came to be here, for the audit trail.
    """
    taken = [
        select(table.id).where(col(table.email) == person.email, col(table.id) != person.id).exists()
        for table in TABLES.values()
    ]
    if (await session.exec(select(or_(*taken)))).one():
        return False
    if await _insert(session, person):
        actor = Actor(role=Role(role), id=person.id)
        session.add(event_about(Subject.PERSON, person.id, action, actor, Door.API, person.created_at))
        return True
    return await _is_there(session, TABLES[role], person.id)


async def sign_up(
    session: AsyncSession, role: SignUpRole, person: Student | Instructor, password_hash: str, now: datetime
) -> bool:
    """Whether there is an account now; False when the address is taken, in either role.

    The credential comes first: of those who sign up with one address at the same time, the others wait here.
    """
    credential = Credential(
        email=person.email, person_id=person.id, role=role, password_hash=password_hash, created_at=now, updated_at=now
    )
    return await _insert(session, credential) and await add_person(session, role, person, "person.signed_up")


async def keep_new_hash(session: AsyncSession, email: str, old: str, new: str, now: datetime) -> None:
    """Leaves a hash alone that is not `old` any more."""
    is_old = (col(Credential.email) == email, col(Credential.password_hash) == old)
    await session.exec(update(Credential).where(*is_old).values(password_hash=new, updated_at=now))


async def _insert(session: AsyncSession, row: SQLModel) -> bool:
    statement = insert(type(row)).values(row.model_dump()).on_conflict_do_nothing().returning(literal(True))
    return (await session.exec(statement)).first() is not None


async def _is_there(session: AsyncSession, table: type[Student] | type[Instructor], person_id: UUID) -> bool:
    return await session.get(table, person_id) is not None

"""Build people's response schemas from their rows."""

from api.people.schemas import PersonalAccount
from models.domain.actors import SignUpRole
from models.tables.people import Instructor, Student


def account(person: Student | Instructor, role: SignUpRole, roles: list[SignUpRole]) -> PersonalAccount:
    return PersonalAccount(
        id=person.id,
        role=role,
        roles=roles,
        email=person.email,
        name=person.name,
        time_zone=person.time_zone,
        language=person.language,
        created_at=person.created_at,
    )

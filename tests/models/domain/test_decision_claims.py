"""Whose decision is whose to make. What is possible when is in `tests/workflows/booking/test_state.py`."""

from uuid import UUID

import pytest

from models.domain.actors import PLATFORM, Actor, Role
from models.domain.decisions import claim_refusal
from models.domain.messages import Decision
from tests.workflows.booking.states import DECISIONS, INSTRUCTOR, OPERATOR, STUDENT, TERMS

STRANGER = UUID(int=99)


@pytest.mark.parametrize("decision", DECISIONS.values(), ids=DECISIONS)
def test_decision_is_its_actors_to_make(decision: Decision) -> None:
    assert claim_refusal(decision, TERMS) is None


@pytest.mark.parametrize("decision", DECISIONS.values(), ids=DECISIONS)
@pytest.mark.parametrize("id", [None, STRANGER], ids=["nobody", "a stranger"])
def test_student_or_instructor_is_the_bookings_own(decision: Decision, id: UUID | None) -> None:
    role = decision.actor.role
    claimed = decision.model_copy(update={"actor": Actor(role=role, id=id)})
    if role is Role.OPERATOR and id:
        assert claim_refusal(claimed, TERMS) is None
    else:
        assert claim_refusal(claimed, TERMS)


@pytest.mark.parametrize(
    ("name", "roles"),
    [
        ("approve", {Role.INSTRUCTOR}),
        ("complete", {Role.INSTRUCTOR}),
        ("confirm", {Role.STUDENT}),
        ("object", {Role.STUDENT}),
        ("report", {Role.STUDENT, Role.INSTRUCTOR}),
        ("reschedule", {Role.STUDENT, Role.INSTRUCTOR}),
        ("cancel by student", set(Role)),
        ("refund", {Role.OPERATOR}),
        ("extend", {Role.OPERATOR}),
    ],
)
def test_only_these_roles_decide(name: str, roles: set[Role]) -> None:
    actors = (STUDENT, INSTRUCTOR, OPERATOR, PLATFORM)
    claims = [DECISIONS[name].model_copy(update={"actor": actor}) for actor in actors]
    assert {each.actor.role for each in claims if claim_refusal(each, TERMS) is None} == roles


@pytest.mark.parametrize("party", [STUDENT, INSTRUCTOR], ids=["student", "instructor"])
def test_party_of_a_booking_is_not_its_operator(party: Actor) -> None:
    claimed = DECISIONS["settle"].model_copy(update={"actor": Actor(role=Role.OPERATOR, id=party.id)})
    assert claim_refusal(claimed, TERMS)

"""An export has all that is stored about a person, and nothing that opens a door."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import httpx
from sqlmodel import SQLModel

from api.people import export
from models import tables  # noqa: F401 - registers the tables
from models.domain.actors import Role, SignUpRole
from models.domain.attendance import AttendanceKind, MeetingProvider
from models.domain.states import BookingStatus
from models.tables.bookings import AttendanceEvent
from models.tables.disputes import PolicyAcceptance
from tests.api.world import JSON, Person, World, audited, problem

ADA = {"email": "zephyrine@students.test", "password": "a long enough password"}

NOT_EXPORTED = {
    "address_verification": "a hash, until the link is used",
    "password_reset": "a hash, until the link is used",
    "idempotency_key": "ids and fingerprints of no person",
    "ledger_entry": "amounts; the statement and the receipts have them",
    "ledger_transaction": "amounts; the statement and the receipts have them",
    "slot": "times of an offering, which anyone can read",
    "payment_renewal": "amounts and deadlines; the audit trail has them",
    "reschedule_proposal": "times; the audit trail has who proposed them",
    "service_token_booking": "prices of bookings, counted against a limit",
    "recording": "links that let anyone in, for a day; GET /v1/bookings/{booking_id}/recordings has them",
    "former_room": "names of rooms",
    "operator": "the platform's own people",
    "reconciliation": "amounts of all bookings",
    "drift": "amounts that differ",
    "instructor_balance": "sums of the ledger; GET /v1/instructors/me/payouts has them",
    "stripe_event": "ids at Stripe",
    "webhook_endpoint": "the platform's own systems",
    "webhook_delivery": "the platform's own systems",
}
"""Tables without a row about a person that the export would add something with, and why."""


async def exported(client: httpx.AsyncClient, world: World, person_id: UUID) -> JSON:
    answer = await client.get(f"/v1/operator/people/{person_id}/export", headers=world.operator.headers)
    assert answer.status_code == 200, answer.text
    body: JSON = answer.json()
    assert body["id"] == str(person_id)
    records: JSON = body["records"]
    return records


def test_every_table_is_exported_or_says_why_not() -> None:
    names = {str(table.__tablename__) for table in export._about(uuid4())}
    assert not names & NOT_EXPORTED.keys()
    assert names | NOT_EXPORTED.keys() == SQLModel.metadata.tables.keys()


async def test_export_has_what_is_stored_about_a_student(client: httpx.AsyncClient, world: World) -> None:
    signed_up = await client.post("/v1/auth/signup", json=ADA | {"name": "Zephyrine", "role": "student"})
    ada = Person(Role.STUDENT, UUID(signed_up.json()["id"]))
    token = (await client.post("/v1/auth/token", json=ADA)).json()["access_token"]
    body = {"name": "Her assistant", "scopes": ["bookings:read"]}
    made = await client.post("/v1/service-tokens", json=body, headers={"Authorization": f"Bearer {token}"})
    booking_id = await world.booking(student=ada, status=BookingStatus.COMPLETED)
    await world.booking(await world.slot(), status=BookingStatus.COMPLETED)
    now = datetime.now(UTC)
    await world.add(PolicyAcceptance(booking_id=booking_id, ip_address="203.0.113.7", user_agent="A browser", at=now))
    for role in SignUpRole:
        joined = AttendanceEvent(
            id=str(uuid4()),
            booking_id=booking_id,
            kind=AttendanceKind.JOINED,
            role=role,
            at=now,
            source=MeetingProvider.JAAS,
        )
        await world.add(joined)

    records = await exported(client, world, ada.id)
    assert records["student"][0]["name"] == "Zephyrine"
    assert records["credential"][0]["email"] == ADA["email"]
    assert [each["id"] for each in records["booking_request"]] == [str(booking_id)]
    assert records["policy_acceptance"][0]["ip_address"] == "203.0.113.7"
    assert [each["role"] for each in records["attendance_event"]] == ["student"]
    assert [each["name"] for each in records["service_token"]] == ["Her assistant"]
    assert "person.signed_up" in [each["action"] for each in records["audit_event"]]
    text = str(records)
    assert "argon2" not in text
    assert "hash" not in text
    assert made.json()["token"] not in text
    event = (await audited(world.engine, ada.id))[-1]
    assert (event.action, event.actor_id) == ("person.exported", world.operator.id)


async def test_export_of_an_instructor_has_the_own_side_of_bookings(client: httpx.AsyncClient, world: World) -> None:
    booking_id = await world.booking(status=BookingStatus.COMPLETED)
    await world.add(
        PolicyAcceptance(booking_id=booking_id, ip_address="203.0.113.7", user_agent="", at=datetime.now(UTC))
    )
    records = await exported(client, world, world.instructor.id)
    assert [each["id"] for each in records["booking_request"]] == [str(booking_id)]
    assert {"instructor", "offering"} <= records.keys()
    assert not records.keys() & {"student", "policy_acceptance", "payment"}


async def test_export_of_nobody_is_not_found(client: httpx.AsyncClient, world: World) -> None:
    answer = await client.get(f"/v1/operator/people/{uuid4()}/export", headers=world.operator.headers)
    assert problem(answer) == (404, "not-found")

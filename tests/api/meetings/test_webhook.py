import logging
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from api.meetings.webhook_events import is_signed
from models.domain.states import BookingStatus
from tests.api.meetings.provider_events import PATH, recorded, report, scheduled, send
from tests.api.world import JSON, World, add_student, problem

MINUTE = timedelta(minutes=1)

# The example in 8x8's "Check the webhook signatures", verbatim.
_BODY = (
    b'{"eventType":"PARTICIPANT_JOINED","sessionId":"9a441d60-ceaf-4eba-b0a8-a7d940a76e1b","timestamp":1632490058278,'
    b'"fqn":"vpaas-magic-cookie-96f0941768964ab380ed0fbada7a502f/sampleappromanticshiftsstripas",'
    b'"idempotencyKey":"9e9e7420-562d-4659-8e22-44b9b22aaa49","customerId":"96f0941768964ab380ed0fbada7a502f",'
    b'"appId":"vpaas-magic-cookie-96f0941768964ab380ed0fbada7a502f","data":{"avatar":"","name":"Test User",'
    b'"id":"auth0|5f903d7a77f3b4006eb8e67d","participantJid":"fc1ea14a-9bca-4218-a563-8c627e803d56@8x8.vc",'
    b'"moderator":true,"email":"test.user@company.com"}}'
)
_KEY = "whsec_9635df66714a4cf088ee9d0979dd3bf6"
_SIGNED = "v1=xlzqEojlh4qb21sQpXYsWgyK8x9HVpz+RQldsv18rV0="


@pytest.mark.parametrize(
    ("header", "is_valid"),
    [
        (f"t=1632490060,{_SIGNED}", True),
        (f"{_SIGNED}, t=1632490060", True),
        (f"t=1632490060,v1=AAAA,{_SIGNED}", True),
        (f"t=1632490061,{_SIGNED}", False),
        (f"t=1632490060,{_SIGNED.replace('v1', 'v0')}", False),
        (_SIGNED, False),
        ("", False),
        ("=,=,=", False),
        ("t=1632490060,v1=é", False),
    ],
)
def test_signature_headers_are_parsed_as_8x8_formats_them(header: str, is_valid: bool) -> None:
    assert is_signed(_BODY, header, ("whsec_another", _KEY)) is is_valid


@pytest.mark.parametrize(("body", "secrets"), [(_BODY + b" ", (_KEY,)), (_BODY, ("whsec_another",)), (_BODY, ())])
def test_a_signature_of_another_body_or_secret_is_invalid(body: bytes, secrets: tuple[str, ...]) -> None:
    assert not is_signed(body, f"t=1632490060,{_SIGNED}", secrets)


async def test_joins_leaves_and_recordings_are_recorded(client: httpx.AsyncClient, world: World) -> None:
    booking_id, room = await scheduled(world)
    now = datetime.now(UTC).replace(microsecond=5_000)
    events = [
        report("PARTICIPANT_JOINED", room, world.instructor, now),
        report("PARTICIPANT_JOINED", room.upper(), world.student, now + MINUTE, participantJid="two@8x8.vc"),
        report("PARTICIPANT_LEFT", room, world.student, now + 2 * MINUTE, participantJid="two@8x8.vc"),
        report("RECORDING_UPLOADED", room, None, now + 3 * MINUTE, preAuthenticatedLink="https://8x8.vc/secret"),
    ]
    for event in events:
        assert (await send(client, event)).status_code == 200
    rows = await recorded(world)
    assert [(row.kind, row.role, row.connection, row.at) for row in rows] == [
        ("joined", "instructor", "one@8x8.vc", now),
        ("joined", "student", "two@8x8.vc", now + MINUTE),
        ("left", "student", "two@8x8.vc", now + 2 * MINUTE),
        ("recording_uploaded", None, None, now + 3 * MINUTE),
    ]
    assert {row.booking_id for row in rows} == {booking_id}
    assert {row.source for row in rows} == {"jitsi"}
    assert "secret" not in str(rows)
    assert "Ada" not in str(rows)


async def test_a_duplicate_event_is_recorded_once(client: httpx.AsyncClient, world: World) -> None:
    _, room = await scheduled(world)
    event = report("PARTICIPANT_JOINED", room, world.student)
    for duplicate in (event, event, event | {"timestamp": 0}):
        assert (await send(client, duplicate)).status_code == 200
    assert [row.id for row in await recorded(world)] == [event["idempotencyKey"]]


async def test_attendance_does_not_depend_on_the_order_of_events(client: httpx.AsyncClient, world: World) -> None:
    booking_id, room = await scheduled(world, -timedelta(minutes=50), timedelta(minutes=40))
    at = datetime.now(UTC) - 50 * MINUTE
    for event in (
        report("PARTICIPANT_LEFT", room, world.student, at + 30 * MINUTE),
        report("PARTICIPANT_JOINED", room, world.instructor, at + 20 * MINUTE),
        report("PARTICIPANT_JOINED", room, world.student, at - 5 * MINUTE),
    ):
        assert (await send(client, event)).status_code == 200
    shown = (await client.get(f"/v1/bookings/{booking_id}", headers=world.operator.headers)).json()["attendance"]
    assert [len(shown[role]["visits"]) for role in ("student", "instructor")] == [1, 1]
    assert shown["instructor"]["visits"][0]["left_at"] is None
    # `at` and the slot's start come from two readings of the clock.
    assert shown["student"]["seconds"] == pytest.approx(30 * 60, abs=5)
    assert shown["instructor"]["seconds"] == pytest.approx(20 * 60, abs=5)
    assert shown["seconds_together"] == pytest.approx(10 * 60, abs=5)


async def test_only_operators_see_attendance(client: httpx.AsyncClient, world: World) -> None:
    booking_id, room = await scheduled(world)
    await send(client, report("PARTICIPANT_JOINED", room, world.student))
    seen = {
        person.role.value: (await client.get(f"/v1/bookings/{booking_id}", headers=person.headers)).json()
        for person in (world.student, world.instructor, world.operator)
    }
    assert "attendance" not in seen["student"]
    assert "attendance" not in seen["instructor"]
    assert len(seen["operator"]["attendance"]["student"]["visits"]) == 1
    listed = (await client.get("/v1/operator/bookings", headers=world.operator.headers)).json()["data"]
    assert listed[0]["attendance"]["student"]["visits"] == seen["operator"]["attendance"]["student"]["visits"]


async def test_a_booking_without_a_session_has_no_attendance(client: httpx.AsyncClient, world: World) -> None:
    booking_id = await world.booking()
    shown = (await client.get(f"/v1/bookings/{booking_id}", headers=world.operator.headers)).json()
    assert shown["attendance"] is None


@pytest.mark.parametrize("status", sorted(BookingStatus))
async def test_a_late_event_is_recorded_in_any_status(
    client: httpx.AsyncClient, world: World, status: BookingStatus
) -> None:
    _, room = await scheduled(world, status=status)
    await send(client, report("PARTICIPANT_LEFT", room, world.student))
    assert len(await recorded(world)) == 1


async def test_an_unknown_room_is_acknowledged_and_logged_by_event_id(
    client: httpx.AsyncClient, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    event = report("PARTICIPANT_JOINED", uuid4().hex, world.student)
    with caplog.at_level(logging.INFO, "holdfast.api"):
        assert (await send(client, event)).status_code == 200
    assert event["idempotencyKey"] in caplog.text
    assert "ada@students.test" not in caplog.text
    assert await recorded(world) == []


async def test_a_person_outside_the_booking_is_not_recorded(client: httpx.AsyncClient, world: World) -> None:
    _, room = await scheduled(world)
    for stranger in (await add_student(world.engine), None):
        assert (await send(client, report("PARTICIPANT_JOINED", room, stranger))).status_code == 200
    assert (await send(client, report("PARTICIPANT_JOINED", room, None, id="auth0|5f90"))).status_code == 200
    assert await recorded(world) == []


@pytest.mark.parametrize(
    "change",
    [
        {"eventType": "ROOM_CREATED"},
        {"eventType": "SETTINGS_PROVISIONING", "fqn": None, "data": None},
        {"eventType": "CHAT_UPLOADED", "data": []},
    ],
)
async def test_an_event_of_another_type_is_acknowledged_and_ignored(
    client: httpx.AsyncClient, world: World, change: JSON
) -> None:
    _, room = await scheduled(world)
    answer = await send(client, report("PARTICIPANT_JOINED", room, world.student) | change)
    assert answer.status_code == 200
    assert await recorded(world) == []


@pytest.mark.parametrize("data", [None, [], "x", {"id": 7}, {"id": None}, {"id": ["x"]}])
async def test_an_unexpected_participant_is_acknowledged_and_ignored(
    client: httpx.AsyncClient, world: World, data: object
) -> None:
    _, room = await scheduled(world)
    answer = await send(client, report("PARTICIPANT_JOINED", room) | {"data": data})
    assert answer.status_code == 200
    assert await recorded(world) == []


@pytest.mark.parametrize("jid", [None, 7, "x" * 1_000, "nul\x00"])
async def test_an_unexpected_connection_id_is_accepted(client: httpx.AsyncClient, world: World, jid: object) -> None:
    _, room = await scheduled(world)
    answer = await send(client, report("PARTICIPANT_JOINED", room, world.student, participantJid=jid))
    assert answer.status_code == 200
    assert len(await recorded(world)) == 1


async def test_a_forged_event_is_refused(client: httpx.AsyncClient, world: World) -> None:
    _, room = await scheduled(world)
    event = report("PARTICIPANT_JOINED", room, world.student)
    assert problem(await send(client, event, key="whsec_somebody_else")) == (400, "signature-invalid")
    assert problem(await client.post(PATH, json=event)) == (400, "signature-invalid")
    assert await recorded(world) == []


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"eventType": "PARTICIPANT_JOINED"}', "\x00"])
async def test_a_signed_body_that_is_not_an_event_is_refused(client: httpx.AsyncClient, body: str) -> None:
    assert problem(await send(client, body)) == (400, "signature-invalid")


@pytest.mark.parametrize(
    "change",
    [{"idempotencyKey": ""}, {"idempotencyKey": "x" * 256}, {"idempotencyKey": "nul\x00"}, {"timestamp": -1},
     {"timestamp": 10**14}, {"timestamp": "yesterday"}],
)  # fmt: skip
async def test_an_event_with_invalid_fields_is_refused(client: httpx.AsyncClient, world: World, change: JSON) -> None:
    _, room = await scheduled(world)
    event = report("PARTICIPANT_JOINED", room, world.student) | change
    assert problem(await send(client, event)) == (400, "signature-invalid")


async def test_without_a_secret_every_event_is_refused(app: FastAPI, client: httpx.AsyncClient, world: World) -> None:
    app.state.settings.meeting.meeting_webhook_secret = None
    _, room = await scheduled(world)
    for key in ("", "None"):
        answer = await send(client, report("PARTICIPANT_JOINED", room, world.student), key=key)
        assert problem(answer) == (400, "signature-invalid")


async def test_both_secrets_are_valid_during_a_rotation(app: FastAPI, client: httpx.AsyncClient) -> None:
    app.state.settings.meeting.meeting_webhook_secret = SecretStr("whsec_new,whsec_old")
    statuses = [
        (await send(client, report("ROOM_CREATED", uuid4().hex), key=key)).status_code
        for key in ("whsec_new", "whsec_old", "whsec_older")
    ]
    assert statuses == [200, 200, 400]

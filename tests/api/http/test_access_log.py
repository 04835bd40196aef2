"""The access log: route, status and ids of every request, and nothing personal."""

from uuid import uuid4

import httpx

from api.http.auth import issue_token
from models.domain.actors import Role
from tests.api.world import HOUR, SIGNING_KEY, World
from tests.loglines import logged

PERSONAL = "ada@students.test"


async def test_a_request_is_logged_with_its_route_status_duration_and_ids(
    client: httpx.AsyncClient, world: World
) -> None:
    booking_id = await world.booking()
    with logged() as lines:
        answer = await client.get(f"/v1/bookings/{booking_id}", headers=world.student.headers | {"X-Request-Id": "abc"})
    (line,) = lines("request")
    assert answer.headers["x-request-id"] == line["request_id"] == "abc"
    assert (line["method"], line["route"], line["status"]) == ("GET", "/v1/bookings/{booking_id}", 200)
    assert line["booking_id"] == str(booking_id)
    assert line["duration_ms"] > 0


async def test_no_personal_data_and_no_secret_is_logged(client: httpx.AsyncClient, world: World) -> None:
    token = issue_token(SIGNING_KEY, Role.STUDENT, uuid4(), HOUR)
    password = "a long enough password"  # noqa: S105 - nobody's
    body = {"email": PERSONAL, "password": password, "name": "Ada Byron", "role": "student"}
    with logged("") as lines:
        for call in (
            client.post("/v1/auth/signup", json=body),
            client.post("/v1/auth/signup", json=body | {"role": "king"}),
            client.post("/v1/auth/token", json={"email": PERSONAL, "password": password}),
            client.get(f"/v1/bookings/{PERSONAL}?note={PERSONAL}", headers={"Authorization": f"Bearer {token}"}),
            client.get(f"/{PERSONAL}?email={PERSONAL}", headers={"X-Request-Id": PERSONAL}),
        ):
            await call
    assert len(lines("request")) == 5
    for secret in (PERSONAL, "ada@", password, "Byron", token, SIGNING_KEY):
        # The test's own client is httpx, which logs the URLs that it calls.
        assert not [line for line in lines.text.splitlines() if secret in line and '"httpx"' not in line]

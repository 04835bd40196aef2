"""Which scope each route requires of a service token. A route that no line covers is for people only."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest

from models.domain.actors import Role
from models.domain.scopes import GRANTABLE, Scope, required_scope
from tests.api.route_table import API, BODIES
from tests.api.service_tokens import token_of
from tests.api.world import World

SCOPES = """
GET    /v1/bookings/{booking_id}/join        meetings:read
GET    /v1/bookings/{booking_id}/recordings  meetings:read
GET    /v1/bookings                          bookings:read
POST   /v1/bookings                          bookings:write
POST   /v1/offerings                         offerings:write
PATCH  /v1/offerings                         offerings:write
DELETE /v1/offerings                         offerings:write
GET    /v1/instructors/me                    instructors:read
POST   /v1/instructors/me                    instructors:write
PUT    /v1/instructors/me                    instructors:write
DELETE /v1/instructors/me                    instructors:write
GET    /v1/metrics                           metrics:read
GET    /v1/me                                me:read
GET    /v1/operator                          operator:read
POST   /v1/operator                          operator:write
GET    /v1/webhooks                          webhooks:read
POST   /v1/webhooks                          webhooks:write
PATCH  /v1/webhooks                          webhooks:write
DELETE /v1/webhooks                          webhooks:write
"""
"""By the beginning of the path. The first line that fits counts."""
LINES = [line.split() for line in SCOPES.strip().splitlines()]

PROTECTED = {
    row: roles for row, roles in API.items() if roles["nobody"] == "401" and row[1] not in ("/v1/auth/token", "/mcp")
}
"""The routes that need a token."""


def expected_scope(method: str, path: str) -> str | None:
    return next((scope for verb, start, scope in LINES if method == verb and path.startswith(start)), None)


def test_every_scope_opens_a_route() -> None:
    assert {expected_scope(*row) for row in PROTECTED} - {None} == set(Scope)


@pytest.mark.parametrize(("method", "path"), PROTECTED)
def test_scope_is_the_expected_one_and_grantable_to_a_role_that_may_call(method: str, path: str) -> None:
    scope = required_scope(method, path)
    assert scope == expected_scope(method, path)
    if scope:
        roles = [Role(role) for role in ("student", "instructor", "operator") if PROTECTED[method, path][role] != "403"]
        assert any(scope in GRANTABLE[role] for role in roles)


@pytest.mark.parametrize(("method", "path"), PROTECTED)
async def test_a_service_token_needs_the_scope(method: str, path: str, client: httpx.AsyncClient, world: World) -> None:
    """Of the first role that may call the route. Beyond the scope, the same rules apply as to the person."""
    people = {"student": world.student, "instructor": world.instructor, "operator": world.operator}
    role = next((role for role in people if PROTECTED[method, path][role] != "403"), "student")
    scope = required_scope(method, path)
    every = GRANTABLE[Role(role)]
    slot_id = await world.slot(timedelta(days=1))
    body = {"slot_id": str(slot_id)} if path == "/v1/bookings" else BODIES.get(path.rpartition("/")[2])
    ids = {
        name: uuid4() for name in ("drift_id", "reconciliation_id", "person_id", "token_id", "webhook_id", "message_id")
    }
    url = path.format(
        booking_id=await world.booking(), instructor_id=world.instructor.id, offering_id=world.offering_id,
        slot_id=slot_id, dispute_id="du_unknown", year=2026, month="2026-03", **ids,
    )  # fmt: skip

    async def status(*scopes: str) -> tuple[int, str | None]:
        answer = await client.request(
            method,
            url,
            json=body if method in ("POST", "PATCH") else None,
            params={"starts_after": datetime.now(UTC).isoformat()}
            if method == "DELETE" and path.endswith("s")
            else None,
            headers=await token_of(client, people[role], *scopes) | {"Idempotency-Key": "a key"},
        )
        kind = answer.json().get("type", "").rpartition(":")[2] if answer.content and answer.is_error else None
        return answer.status_code, kind

    without = await status(*(every - {scope} if len(every) > 1 else every))
    assert without == (403, "scope-missing")
    if scope:
        code, kind = await status(scope)
        assert code != 401
        assert kind not in ("scope-missing", "wrong-role")

"""Service tokens for the tests."""

from typing import Any

import httpx

from tests.api.world import Person


async def token_of(client: httpx.AsyncClient, person: Person, *scopes: str, **more: Any) -> dict[str, str]:
    """Headers with a new service token of a person."""
    body = {"name": "A program", "scopes": scopes} | more
    answer = await client.post("/v1/service-tokens", json=body, headers=person.headers)
    assert answer.status_code == 201, answer.text
    return {"Authorization": f"Bearer {answer.json()['token']}"}

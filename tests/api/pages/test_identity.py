"""Signing in with an identity provider: over HTTP, with a provider that checks PKCE."""

from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from api.main import build_app
from api.pages.browser import SESSION
from api.settings import IdentitySettings
from sandbox.stack.ports import free_port
from tests.api.pages.browser import Browser, text_of
from tests.api.people.identity_provider import AUDIENCE, Provider, identity_provider, rsa_key
from tests.api.world import PUBLIC_URL, settings


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with identity_provider(free_port()) as provider:
        provider.keys["one"] = rsa_key()
        yield provider


@pytest.fixture
async def visitor(
    provider: Provider, database_url: str, task_queue: str, engine: AsyncEngine, temporal: Client
) -> AsyncIterator[Browser]:
    identity = IdentitySettings(holdfast_oidc_issuer=provider.issuer, holdfast_oidc_audience=AUDIENCE)
    app = build_app(replace(settings(database_url, task_queue), identity=identity), engine, temporal)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=PUBLIC_URL) as client:
        yield Browser(client)
    await app.state.streams.feed.close()


async def _authorize(visitor: Browser, next: str = "/offerings") -> str:
    """The way to the provider and back; returns the callback's URL."""
    answer = await visitor.follow(await visitor.get("/sign-in", next=next))
    async with httpx.AsyncClient(trust_env=False) as elsewhere:
        return str((await elsewhere.get(answer.headers["location"])).headers["location"])


async def test_somebody_signs_in_with_their_provider(visitor: Browser, provider: Provider) -> None:
    callback = await _authorize(visitor)
    assert callback.startswith(f"{PUBLIC_URL}/sign-in/callback?")
    assert provider.authorized["code_challenge_method"] == "S256"
    provider.given = {"access_token": "opaque", "id_token": provider.token(nonce=provider.authorized["nonce"])}
    answer = await visitor.client.get(callback)
    assert answer.headers["location"] == "/offerings"
    assert answer.cookies[SESSION] == provider.given["id_token"]
    page = await visitor.follow(answer)
    assert "Sign out" in text_of(page)
    answer = await visitor.submit(page, "/sign-out")
    assert "Sign out" not in text_of(await visitor.follow(answer))


async def test_an_access_token_for_the_api_is_the_session(visitor: Browser, provider: Provider) -> None:
    callback = await _authorize(visitor)
    access = provider.token(roles=["instructor"])
    provider.given = {"access_token": access, "id_token": provider.token(nonce=provider.authorized["nonce"])}
    assert (await visitor.client.get(callback)).cookies[SESSION] == access


@pytest.mark.parametrize("wrong", ["nonce", "state", "browser", "verifier", "twice", "audience"])
async def test_a_sign_in_that_this_browser_did_not_start_is_refused(
    wrong: str, visitor: Browser, provider: Provider
) -> None:
    callback = await _authorize(visitor)
    nonce = "another" if wrong == "nonce" else provider.authorized["nonce"]
    audience = "another" if wrong == "audience" else AUDIENCE
    provider.given = {"access_token": "opaque", "id_token": provider.token(nonce=nonce, aud=audience)}
    if wrong == "state":
        callback = callback.replace(parse_qs(urlsplit(callback).query)["state"][0], "another")
    elif wrong == "browser":
        visitor.client.cookies.clear()
    elif wrong == "verifier":
        provider.authorized["code_challenge"] = "another"
    elif wrong == "twice":
        await visitor.client.get(callback)
        await visitor.client.get("/")
        visitor.client.cookies.delete(SESSION)
    answer = await visitor.client.get(callback)
    assert answer.status_code == 403
    assert SESSION not in answer.cookies


async def test_a_provider_that_is_down_is_said(visitor: Browser, provider: Provider) -> None:
    provider.metadata_issuer = "https://another.test"
    page = await visitor.get("/sign-in/provider")
    assert page.status_code == 503
    assert "A service that this request needs is unavailable." in text_of(page)


async def test_there_are_no_passwords(visitor: Browser) -> None:
    for path in ("/sign-up", "/forgotten-password"):
        assert (await visitor.get(path)).status_code == 404

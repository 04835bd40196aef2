"""What a browser gets where a program gets a problem document; and the pages that can be taken away."""

import re

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from api.main import build_app
from api.pages.templates import STATIC
from tests.api.pages.browser import Browser, text_of
from tests.api.world import PUBLIC_URL, World, problem, settings

HTML = {"Accept": "text/html,*/*;q=0.8"}


@pytest.mark.parametrize(
    "path", ["/nothing", "/offerings/nothing", "/instructors/00000000-0000-4000-8000-000000000000"]
)
async def test_a_browser_gets_a_page_and_a_program_a_problem(path: str, client: httpx.AsyncClient) -> None:
    page = await client.get(path, headers=HTML | {"Accept-Language": "de"})
    assert page.status_code == 404
    assert page.headers["content-type"].startswith("text/html")
    assert '<html lang="de">' in page.text
    assert page.headers["x-request-id"] in page.text
    assert problem(await client.get(path)) == (404, "not-found")


async def test_the_apis_paths_answer_a_browser_as_they_answer_a_program(client: httpx.AsyncClient) -> None:
    assert problem(await client.get("/v1/me", headers=HTML)) == (401, "not-signed-in")


async def test_an_unhandled_error_is_a_page_without_a_trace(app: FastAPI, client: httpx.AsyncClient) -> None:
    app.state.database = None
    page = await client.get("/offerings", headers=HTML)
    assert page.status_code == 500
    assert "Nothing is lost." in text_of(page)
    assert "Traceback" not in page.text


async def test_the_first_page_is_a_page_for_a_browser_and_the_description_for_a_program(
    client: httpx.AsyncClient, world: World
) -> None:
    assert "Counterpoint" in text_of(await client.get("/", headers=HTML))
    for accept in ("*/*", "application/json"):
        answer = await client.get("/", headers={"Accept": accept})
        assert answer.json() == (await client.get("/v1/openapi.json")).json()


async def test_pages_load_nothing_from_elsewhere_and_cannot_be_framed(browser: Browser, world: World) -> None:
    for path in ("/", f"/offerings/{world.offering_id}", "/sign-up"):
        page = await browser.get(path)
        assert page.status_code == 200
        policy = page.headers["content-security-policy"].split("; ")
        assert {"default-src 'self'", "base-uri 'none'", "frame-ancestors 'none'"} == set(policy)
        assert page.headers["cache-control"] == "no-store"
        for word in ('src="http', 'href="http', 'style="', "<style", "onclick"):
            assert word not in page.text, (path, word)


async def test_a_static_file_is_kept_and_no_other_file_is_served(client: httpx.AsyncClient) -> None:
    answer = await client.get("/static/holdfast.css")
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-type"].startswith("text/css")
    for name in ("..%2fpage.py", "page.py", "%2e%2e"):
        assert (await client.get(f"/static/{name}")).status_code == 404


def test_the_look_is_in_the_custom_properties() -> None:
    """As `docs/pages.md` says to whoever changes it."""
    rest = re.sub(r":root \{.*?\}", "", (STATIC / "holdfast.css").read_text(), flags=re.DOTALL)
    assert re.findall(r"#[0-9a-f]{3,8}\b|(?:rgb|hsl)a?\(|font-family: (?!inherit)", rest) == []


async def test_without_pages_only_they_are_gone(
    database_url: str, task_queue: str, engine: AsyncEngine, temporal: Client, world: World
) -> None:
    chosen = settings(database_url, task_queue)
    chosen.http.holdfast_pages = False
    app = build_app(chosen, engine, temporal)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=PUBLIC_URL) as client:
        for path in ("/offerings", "/sign-in", "/policies"):
            assert (await client.get(path, headers=HTML)).status_code == 404
        for path in ("/checkout/return", "/onboarding/return", "/password-reset", "/verify"):
            page = await client.get(path, headers=HTML)
            assert page.status_code == 200
            assert "/sign-in" not in page.text
        assert (await client.get("/", headers=HTML)).json()["openapi"]
        assert (await client.get("/v1/offerings")).json()["data"]
    await app.state.streams.feed.close()


async def test_links_and_cookies_are_below_the_public_urls_path(app: FastAPI, client: httpx.AsyncClient) -> None:
    url = app.state.settings.http.holdfast_public_url
    app.state.settings.http.holdfast_public_url = type(url)(f"{PUBLIC_URL}/book")
    page = await client.get("/sign-in", headers=HTML)
    assert 'action="/book/sign-in"' in page.text
    assert 'href="/book/static/holdfast.css?' in page.text
    assert all("Path=/book/" in cookie for cookie in page.headers.get_list("set-cookie"))

"""Signing up, in and out in a browser: the session's cookie, and forms that are ours."""

import json

import httpx
import pytest
from fastapi import FastAPI

from api.http.auth import read_token
from api.pages.browser import FLASH, SESSION, VISITOR
from api.people.passwords import AsyncPasswordHasher
from models.domain.actors import Role
from tests.api.pages.browser import DOMAIN, Browser, hidden, session_of, text_of
from tests.api.people.mailbox import mailbox_of
from tests.api.people.sign_in import ADA, PASSWORD, CountingHasher, sign_up
from tests.api.world import SIGNING_KEY, World, add_operator

NEW, WRONG = "another one that is long", "not the right one"


@pytest.fixture(autouse=True)
def _quick_hashes(app: FastAPI) -> None:
    app.state.password_hasher = AsyncPasswordHasher(CountingHasher())


def _cookie(answer: httpx.Response, name: str) -> str:
    (cookie,) = [each for each in answer.headers.get_list("set-cookie") if each.startswith(f"{name}=")]
    return cookie


async def test_signing_up_signs_in_and_a_second_click_does_nothing_twice(
    browser: Browser, world: World, client: httpx.AsyncClient
) -> None:
    page = await browser.get("/sign-up", next="/offerings")
    answers = []
    for _ in range(2):
        client.cookies.delete(SESSION)
        answers.append(await browser.submit(page, "/sign-up", **ADA | {"language": "en"}))
        client.cookies.set(VISITOR, _visitor(page), domain=DOMAIN)
    assert [(each.status_code, each.headers["location"]) for each in answers] == [(303, "/offerings")] * 2
    assert "Sign out" in text_of(await browser.get("/offerings"))


def _visitor(page: httpx.Response) -> str:
    return page.cookies[VISITOR]


async def test_the_session_is_a_cookie_that_scripts_and_other_sites_cannot_use(browser: Browser, world: World) -> None:
    await sign_up(browser.client)
    answer = await browser.fill("/sign-in", email=ADA["email"], password=PASSWORD)
    cookie = _cookie(answer, SESSION)
    assert {"HttpOnly", "SameSite=lax", "Path=/", "Max-Age=43200"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    caller = read_token(SIGNING_KEY, answer.cookies[SESSION])
    assert caller is not None
    assert caller.role is Role.STUDENT


async def test_cookies_are_secure_where_the_site_is(app: FastAPI, client: httpx.AsyncClient) -> None:
    app.state.settings.http.holdfast_public_url = type(app.state.settings.http.holdfast_public_url)("https://x.test")
    answer = await client.get("/sign-in", headers={"Accept": "text/html"})
    assert "Secure" in _cookie(answer, VISITOR).split("; ")


async def test_the_api_reads_no_cookie(browser: Browser, world: World) -> None:
    browser.sign_in(world.student)
    assert (await browser.client.get("/v1/me")).status_code == 401


async def test_a_page_reads_no_bearer_token(browser: Browser, world: World) -> None:
    page = await browser.client.get("/offerings", headers=world.student.headers)
    assert "Sign out" not in text_of(page)


async def test_a_wrong_password_is_said_beside_the_form_and_the_address_is_kept(browser: Browser) -> None:
    await sign_up(browser.client)
    page = await browser.fill("/sign-in", email=ADA["email"], password=WRONG)
    assert page.status_code == 401
    assert "The email address or password is incorrect." in text_of(page)
    assert f'value="{ADA["email"]}"' in page.text
    assert WRONG not in page.text
    assert SESSION not in page.cookies


async def test_a_refused_sign_up_says_what_to_correct_at_each_field(browser: Browser) -> None:
    page = await browser.fill("/sign-up", name="Ada", email="nobody", password=PASSWORD, role="student")
    assert page.status_code == 422
    assert 'id="email-error">Enter an email address' in page.text
    page = await browser.fill("/sign-up", name="Ada", email="a@b.test", password="1" * 15, role="student")
    assert 'id="password-error">Choose another password' in page.text
    assert 'value="a@b.test"' in page.text
    assert "1" * 15 not in page.text
    await sign_up(browser.client)
    page = await browser.fill("/sign-up", **ADA | {"password": NEW})
    assert page.status_code == 409
    assert "An account with this email address exists." in text_of(page)


async def test_a_form_of_another_session_or_site_is_refused(browser: Browser, world: World) -> None:
    page = await browser.get("/sign-in")
    token = hidden(page, "/sign-in")["form_token"]
    for cookies, sent in [
        ({}, {}),
        ({VISITOR: _visitor(page)}, {}),
        ({VISITOR: _visitor(page)}, {"form_token": "0" * 64}),
        ({VISITOR: "another"}, {"form_token": token}),
        ({}, {"form_token": token}),
        ({VISITOR: _visitor(page), SESSION: "another"}, {"form_token": token}),
    ]:
        browser.client.cookies = httpx.Cookies(cookies)
        answer = await browser.client.post("/sign-in", data=sent | {"email": ADA["email"], "password": PASSWORD})
        assert answer.status_code == 403
        assert "The form has expired." in text_of(answer)


async def test_signing_out_ends_every_session_of_the_account(browser: Browser, app: FastAPI) -> None:
    await sign_up(browser.client)
    await browser.fill("/sign-in", email=ADA["email"], password=PASSWORD)
    session = browser.client.cookies[SESSION]
    answer = await browser.submit(await browser.get("/offerings"), "/sign-out")
    assert "Max-Age=0" in _cookie(answer, SESSION)
    assert "You are signed out." in text_of(await browser.follow(answer))
    browser.client.cookies.set(SESSION, session, domain=DOMAIN)
    assert "Sign out" not in text_of(await browser.get("/offerings"))


async def test_a_new_password_ends_the_session(browser: Browser, app: FastAPI, world: World) -> None:
    await sign_up(browser.client)
    await browser.fill("/sign-in", email=ADA["email"], password=PASSWORD)
    async with mailbox_of(world.engine, "/password-reset") as mailbox:
        answer = await browser.fill("/forgotten-password", email=ADA["email"])
        assert "a link to choose a new password is on its way" in text_of(await browser.follow(answer))
        (token,) = await mailbox.tokens()
    session = browser.client.cookies[SESSION]
    refused = await browser.fill("/password-reset", token=token, password=WRONG[:5])
    assert 'id="password-error"' in refused.text
    assert f'value="{token}"' in refused.text
    answer = await browser.submit(refused, "/password-reset", token=token, password=NEW)
    assert answer.headers["location"] == "/sign-in"
    browser.client.cookies.set(SESSION, session, domain=DOMAIN)
    assert "Sign out" not in text_of(await browser.get("/offerings"))
    again = await browser.fill("/password-reset", token=token, password=NEW)
    assert again.status_code == 400


async def test_an_address_is_confirmed_with_a_button(browser: Browser, app: FastAPI, world: World) -> None:
    app.state.settings.http.holdfast_verify_addresses = True
    async with mailbox_of(world.engine, "/verify") as mailbox:
        await sign_up(browser.client)
        (token,) = await mailbox.tokens()
    answer = await browser.fill("/verify", token=token)
    assert "Your email address is confirmed." in text_of(await browser.follow(answer))


async def test_an_account_with_both_roles_switches_between_them(browser: Browser) -> None:
    await sign_up(browser.client)
    await browser.fill("/sign-in", email=ADA["email"], password=PASSWORD)
    headers = {"Authorization": f"Bearer {browser.client.cookies[SESSION]}"}
    assert "Switch to" not in text_of(await browser.get("/offerings"))
    page = await browser.get("/offerings")
    await browser.client.post("/v1/me/roles", json={"role": "instructor"}, headers=headers)
    refused = await browser.client.post("/role", data=hidden(page, "/sign-out") | {"role": "operator"})
    assert refused.status_code == 403
    await browser.submit(await browser.get("/offerings"), "/role")
    caller = read_token(SIGNING_KEY, browser.client.cookies[SESSION])
    assert caller is not None
    assert caller.role is Role.INSTRUCTOR


async def test_an_operator_signs_in_with_a_token(browser: Browser, world: World) -> None:
    operator = await add_operator(world.engine)
    token = session_of(operator)
    answer = await browser.fill("/sign-in/token", token=token)
    assert "Sign out" in text_of(await browser.follow(answer))
    answer = await browser.fill("/sign-in/token", token=WRONG)
    assert answer.status_code == 401
    assert WRONG not in answer.text


@pytest.mark.parametrize("next", ["//evil.test", "https://evil.test", "/\\evil.test", "/\tevil.test"])
async def test_signing_in_leads_to_no_other_site(next: str, browser: Browser) -> None:
    await sign_up(browser.client)
    answer = await browser.fill("/sign-in", email=ADA["email"], password=PASSWORD, next=next)
    assert answer.headers["location"] == "/"


async def test_a_page_that_needs_a_session_leads_to_the_sign_in_and_back(browser: Browser, world: World) -> None:
    path = f"/bookings/{await world.booking()}/join"
    answer = await browser.get(path)
    assert answer.headers["location"] == f"/sign-in?next={path}"
    browser.sign_in(world.student)
    page = await browser.get(path)
    assert page.status_code == 409
    assert "You can join once the instructor has confirmed the booking." in text_of(page)


async def test_a_message_is_shown_once_and_nobody_else_can_write_one(browser: Browser) -> None:
    browser.client.cookies.set(FLASH, json.dumps(["Send us your password"]), domain=DOMAIN)
    assert "Send us" not in text_of(await browser.get("/"))
    await sign_up(browser.client)
    answer = await browser.fill("/forgotten-password", email=ADA["email"])
    assert "is on its way" in text_of(await browser.follow(answer))
    assert "is on its way" not in text_of(await browser.get("/sign-in"))

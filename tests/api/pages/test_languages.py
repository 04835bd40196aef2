"""Every page is in one language, and the reader decides in which."""

import re

import httpx
import pytest

from tests.api.pages.browser import Browser, text_of
from tests.api.route_table import PAGES
from tests.api.world import World

TEXTS = [
    path
    for (method, path), outcomes in PAGES.items()
    if method == "GET" and "{" not in path and path != "/docs" and outcomes["nobody"] == "ok"
]
_TEXT = re.compile(r"<(h1|h2|p|button|label|legend|dt|li|title)[^>]*>([^<]+)<")
_SAME = {"Holdfast", "Name", "USD", "·"}


@pytest.mark.parametrize("path", TEXTS)
async def test_a_page_is_in_one_language(path: str, browser: Browser, world: World) -> None:
    english, german = [await browser.get(path, language=code) for code in ("en", "de-AT")]
    assert (english.headers["content-language"], german.headers["content-language"]) == ("en", "de")
    assert '<html lang="de">' in german.text
    texts = [[text.strip() for _, text in _TEXT.findall(page.text) if text.strip()] for page in (english, german)]
    assert len(texts[0]) == len(texts[1]) > 1
    assert set(texts[0]) & set(texts[1]) <= _SAME


async def test_the_pages_after_checkout_say_what_happened(browser: Browser) -> None:
    returned = await browser.get("/checkout/return", session_id="cs_test_1")
    cancelled = await browser.get("/checkout/cancelled")
    assert returned.status_code == cancelled.status_code == 200
    assert "the instructor is paid only once the session has taken place" in text_of(returned)
    assert "cs_test_1" not in text_of(returned)
    assert "you were not charged" in text_of(cancelled)


@pytest.mark.parametrize(
    ("language", "accept_language", "expected"),
    [
        ("", "", "en"),
        ("", "de", "de"),
        ("", "de-CH, fr;q=0.9", "de"),
        ("", "fr, de;q=0.5, en;q=0.4", "de"),
        ("", "fr, de;q=0, *;q=0.1", "en"),
        ("", "en-GB, de;q=0.9", "en"),
        ("", ";;,q=much", "en"),
        # The person's own choice comes before the browser's.
        ("de", "en", "de"),
        ("en", "de", "en"),
        ("xx", "de", "de"),
        ("<script>", "", "en"),
    ],
)
async def test_the_language_is_the_links_else_the_browsers(
    language: str, accept_language: str, expected: str, client: httpx.AsyncClient
) -> None:
    answer = await client.get(
        "/checkout/return", params={"language": language}, headers={"Accept-Language": accept_language}
    )
    assert answer.headers["content-language"] == expected
    assert "Accept-Language" in answer.headers["vary"]
    assert "<script>" not in answer.text


async def test_a_person_reads_their_own_language_and_zone_and_can_change_them(browser: Browser, world: World) -> None:
    browser.sign_in(world.student)
    page = await browser.get("/offerings")
    assert page.headers["content-language"] == "en"
    answer = await browser.submit(page, "/preferences", language="de", time_zone="America/Lima")
    page = await browser.follow(answer)
    assert page.headers["content-language"] == "de"
    assert "America/Lima" in text_of(page)
    account = (await browser.client.get("/v1/me", headers=world.student.headers)).json()
    assert (account["language"], account["time_zone"]) == ("de", "America/Lima")

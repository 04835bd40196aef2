"""The pages for browsers: what they say, and in which language."""

import httpx
import pytest

PAGES = [
    *("/checkout/return", "/checkout/cancelled", "/onboarding/return", "/onboarding/refresh"),
    *("/password-reset", "/verify"),
]


async def test_the_pages_after_checkout_say_what_happened(client: httpx.AsyncClient) -> None:
    returned = await client.get("/checkout/return", params={"session_id": "cs_test_1"})
    cancelled = await client.get("/checkout/cancelled")
    assert returned.status_code == cancelled.status_code == 200
    assert "the price is on hold" in returned.text
    assert "cs_test_1" not in returned.text
    assert "There is no hold on your card" in cancelled.text


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_is_in_one_language(path: str, client: httpx.AsyncClient) -> None:
    english, german = [await client.get(path, params={"language": code}) for code in ("en", "de-AT")]
    assert (english.headers["content-language"], german.headers["content-language"]) == ("en", "de")
    assert '<html lang="de">' in german.text
    # Each text of the page is another one in German: headings, paragraphs, and what a script shows.
    for tag in ("<h1>", "<p>", "data-done=", "data-link=", "<button>"):
        texts = [[part.split("<")[0] for part in page.text.split(tag)[1:]] for page in (english, german)]
        assert len(texts[0]) == len(texts[1])
        assert not {text for text in texts[0] if text.strip()} & set(texts[1])


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
async def test_the_language_is_the_persons_else_the_browsers(
    language: str, accept_language: str, expected: str, client: httpx.AsyncClient
) -> None:
    answer = await client.get(
        "/checkout/return", params={"language": language}, headers={"Accept-Language": accept_language}
    )
    assert answer.headers["content-language"] == expected
    assert answer.headers["vary"] == "Accept-Language"
    assert "<script" not in answer.text

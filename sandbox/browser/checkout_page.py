"""Pays on the sandbox's Checkout page as a browser would: it reads the form, fills it in and submits it."""

from urllib.parse import urljoin

import httpx

from sandbox.browser.forms import Form
from sandbox.stack.ports import NO_TLS

GOOD_CARD = "4242424242424242"
POOR_CARD = "4000000000009995"
"""Declined for insufficient funds."""

# Keyed by `autocomplete`, as a browser's autofill does it.
_FIELDS = {"cc-exp": "12 / 34", "cc-csc": "123", "cc-name": "A. Student", "email": "student@students.example"}


class CheckoutClosed(Exception):
    """The Checkout Session has expired or is paid already."""


async def pay(checkout_url: str, card: str = GOOD_CARD) -> bool:
    """Return whether the card was accepted. Raises `CheckoutClosed` if the page no longer has a card form."""
    async with httpx.AsyncClient(follow_redirects=False, verify=NO_TLS) as browser:
        form = Form.of(await _page(browser, checkout_url))
        if not form.has_field("cc-number"):
            raise CheckoutClosed("the page asks for no card")
        filled = form.filled(_FIELDS | {"cc-number": card})
        response = await browser.post(urljoin(checkout_url, form.action), data=filled)
    if response.is_server_error:
        response.raise_for_status()
    return response.is_redirect


async def pay_with(checkout_url: str, method: str, number: str | None = None, *, approve: bool = True) -> bool:
    """Pay by another method than a card, such as `klarna`, or `us_bank_account` with the number of a test account.

    Return whether the session is complete. It is not if the student does not `approve` on the wallet's page. Raises
    `CheckoutClosed` if the page does not offer the method.
    """
    async with httpx.AsyncClient(follow_redirects=False, verify=NO_TLS) as browser:
        form = Form.of(await _page(browser, checkout_url), f"{method}-form")
        if not form.action:
            raise CheckoutClosed(f"the page does not offer {method}")
        filled = form.filled({}) | ({"number": number} if number else {})
        response = await browser.post(urljoin(checkout_url, form.action), data=filled)
        if response.headers.get("location", "").endswith("/challenge"):
            challenge = urljoin(checkout_url, response.headers["location"])
            form = Form.of(await _page(browser, challenge))
            outcome = "complete" if approve else "fail"
            response = await browser.post(urljoin(challenge, form.action), data={"outcome": outcome})
    if response.is_server_error:
        response.raise_for_status()
    return response.is_redirect


async def _page(browser: httpx.AsyncClient, url: str) -> str:
    page = await browser.get(url)
    if page.status_code == httpx.codes.GONE:
        raise CheckoutClosed(url)
    page.raise_for_status()
    return page.text

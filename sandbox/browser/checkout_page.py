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
        page = await browser.get(checkout_url)
        if page.status_code == httpx.codes.GONE:
            raise CheckoutClosed(checkout_url)
        page.raise_for_status()
        form = Form.of(page.text)
        if not form.has_field("cc-number"):
            raise CheckoutClosed("the page asks for no card")
        filled = form.filled(_FIELDS | {"cc-number": card})
        response = await browser.post(urljoin(checkout_url, form.action), data=filled)
    if response.is_server_error:
        response.raise_for_status()
    return response.is_redirect

"""Pays on the sandbox's Checkout page the way a browser does: reads the form, fills it in, sends it."""

from urllib.parse import urljoin

import httpx

from sandbox.browser.forms import Form

GOOD_CARD = "4242424242424242"
POOR_CARD = "4000000000009995"
"""Declined for insufficient funds."""

# As a browser fills a form in: by what the fields say they are.
_TYPED = {"cc-exp": "12 / 34", "cc-csc": "123", "cc-name": "A. Student", "email": "student@students.example"}


class CheckoutClosed(Exception):
    """The Checkout Session has expired, or is paid."""


async def pay(checkout_url: str, card: str = GOOD_CARD) -> bool:
    """Whether the page took the card. Raises `CheckoutClosed` when it no longer asks for one."""
    async with httpx.AsyncClient(follow_redirects=False) as browser:
        page = await browser.get(checkout_url)
        if page.status_code == httpx.codes.GONE:
            raise CheckoutClosed(checkout_url)
        page.raise_for_status()
        form = Form.of(page.text)
        if not form.asks_for("cc-number"):
            raise CheckoutClosed("the page asks for no card")
        filled = form.filled(_TYPED | {"cc-number": card})
        answer = await browser.post(urljoin(checkout_url, form.action), data=filled)
    if answer.is_server_error:
        answer.raise_for_status()
    return answer.is_redirect

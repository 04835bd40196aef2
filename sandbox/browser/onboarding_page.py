"""Fills in the sandbox's onboarding page as an instructor's browser would."""

from urllib.parse import urljoin

import httpx

from sandbox.browser.forms import Form
from sandbox.stack.ports import NO_TLS


async def onboard(link: str) -> str:
    """Submit the page and return the URL that it redirects to.

    Raises `httpx.HTTPStatusError` if the link has expired or was used.
    """
    async with httpx.AsyncClient(trust_env=False, verify=NO_TLS) as browser:
        page = (await browser.get(link)).raise_for_status()
        form = Form.of(page.text)
        # The page's fields have default values.
        response = await browser.post(urljoin(link, form.action), data=form.filled({}))
    if not response.is_redirect:
        response.raise_for_status()
    return response.headers["location"]

"""HTML pages: the return URLs of Stripe Checkout and onboarding, the password reset form, and address verification.

A return page proves nothing: payments are confirmed by webhook. The pages only tell people what happens next. They are
in the person's language, which our links name, else in the browser's.
"""

import base64
import hashlib
from html import escape
from typing import Annotated

from fastapi import APIRouter, Depends, Header
from fastapi.responses import HTMLResponse

from api.http.content_negotiation import preferred_language
from models.languages import Language, find

router = APIRouter(prefix="/checkout", include_in_schema=False)
onboarding = APIRouter(prefix="/onboarding", include_in_schema=False)
recovery = APIRouter(include_in_schema=False)
ROUTERS = (router, onboarding, recovery)

_PAGE = """<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>body {{ font: 1.1rem/1.6 system-ui, sans-serif; max-width: 34rem; margin: 15vh auto; padding: 0 1rem }}</style>
</head>
<body>
<main>
<h1>{title}</h1>
{text}
</main>
</body>
</html>
"""

# The token is in the fragment, so that it is sent only in the request body. The URL is relative: the API may be served
# below a path. The page, not the API's answer, has the texts in the reader's language.
_SCRIPT = """
const form = document.querySelector("form"), message = document.querySelector("output"), text = form.dataset
form.addEventListener("submit", async event => {
  event.preventDefault()
  const body = JSON.stringify({token: location.hash.slice(1), password: form.elements.password?.value})
  const headers = {"Content-Type": "application/json"}
  const response = await fetch(text.url, {method: "POST", headers, body}).catch(() => ({}))
  if (response.ok) return form.replaceWith(text.done)
  message.value = {400: text.link, 422: text.password}[response.status] || text.later
})
"""

_FORM = """<form data-url="{url}" data-done="{done}" data-link="{link}" data-password="{password}" data-later="{later}">
{fields}
<p><button>{button}</button></p>
<p><output></output></p>
</form>
<script>{script}</script>"""


async def _language(language: str = "", accept_language: Annotated[str, Header()] = "") -> Language:
    return find(language) or preferred_language(accept_language)


InReadersLanguage = Annotated[Language, Depends(_language)]


@router.get("/return", response_class=HTMLResponse)
async def returned(reads: InReadersLanguage) -> HTMLResponse:
    say = reads.gettext
    return _page(
        reads,
        say("Booking request sent"),
        say("If your card was accepted, the price is on hold. Your card is charged once the session has taken place."),
        say(
            "We asked the instructor to confirm, and will email you their response. If they decline or do not respond "
            "in time, the hold is released in full."
        ),
        say("You can close this page."),
    )


@router.get("/cancelled", response_class=HTMLResponse)
async def cancelled(reads: InReadersLanguage) -> HTMLResponse:
    say = reads.gettext
    return _page(
        reads,
        say("Payment not completed"),
        say("You left before paying. There is no hold on your card, and you were not charged."),
        say(
            "Your time is reserved for a few more minutes. To pay, go back and open the payment page again. Otherwise, "
            "the booking expires and the time becomes available to others."
        ),
    )


@onboarding.get("/return", response_class=HTMLResponse)
async def onboarded(reads: InReadersLanguage) -> HTMLResponse:
    say = reads.gettext
    return _page(
        reads,
        say("Details submitted"),
        say(
            "Stripe is reviewing your details. Students can book you as soon as Stripe enables your payouts. This "
            "often takes minutes, and sometimes a day or two."
        ),
        say("If anything is missing, your profile shows it. You can close this page."),
    )


@onboarding.get("/refresh", response_class=HTMLResponse)
async def link_expired(reads: InReadersLanguage) -> HTMLResponse:
    """Does not create a new link: the visitor has no token, and only the instructor may have a link."""
    say = reads.gettext
    return _page(
        reads,
        say("This link has expired"),
        say("A link to Stripe's onboarding works once and only for a few minutes. Your answers so far are saved."),
        say("To continue, go back to your profile and request a new link."),
    )


@recovery.get("/password-reset", response_class=HTMLResponse)
async def new_password(reads: InReadersLanguage) -> HTMLResponse:
    """For a platform without a front end. A front end serves its own page at this path."""
    say = reads.gettext
    label = say("New password, at least 15 characters")
    fields = (
        f"<p><label>{escape(label)}<br>\n"
        '<input type="password" name="password" autocomplete="new-password" minlength="15" required></label></p>'
    )
    return _form(
        reads,
        say("Choose a new password"),
        url="v1/auth/password",
        done=say("Your password has been changed. You can now sign in."),
        password=say("Choose another password: at least 15 characters, and not one that is easy to guess."),
        button=say("Change password"),
        fields=fields,
    )


# A button, because a mail server that checks links may open the page.
@recovery.get("/verify", response_class=HTMLResponse)
async def verify_address(reads: InReadersLanguage) -> HTMLResponse:
    """Like the form for a new password."""
    say = reads.gettext
    return _form(
        reads,
        say("Confirm your email address"),
        url="v1/auth/verify",
        done=say("Your email address is confirmed. You can now book."),
        password="",
        button=say("Confirm email address"),
        fields="",
    )


def _page(reads: Language, title: str, *paragraphs: str) -> HTMLResponse:
    text = "\n".join(f"<p>{escape(paragraph)}</p>" for paragraph in paragraphs)
    # The style is inline; the pages load nothing.
    return _response(reads, title, text, "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")


def _form(reads: Language, title: str, *, url: str, done: str, password: str, button: str, fields: str) -> HTMLResponse:
    say = reads.gettext
    text = _FORM.format(
        url=url,
        done=escape(done),
        link=escape(say("This link has expired or was already used. Request a new one.")),
        password=escape(password),
        later=escape(say("That did not work. Please try again in a few minutes.")),
        fields=fields,
        button=escape(button),
        script=_SCRIPT,
    )
    # Allow this script alone, and let it call the API.
    script_hash = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    policy = (
        "default-src 'none'; style-src 'unsafe-inline'; connect-src 'self'; "
        f"form-action 'none'; script-src 'sha256-{script_hash}'; frame-ancestors 'none'"
    )
    return _response(reads, title, text, policy)


def _response(reads: Language, title: str, text: str, policy: str) -> HTMLResponse:
    page = _PAGE.format(language=reads.code, title=escape(title), text=text)
    headers = {
        "Content-Security-Policy": policy,
        "Content-Language": reads.code,
        "Vary": "Accept-Language",
    }
    return HTMLResponse(page, headers=headers)

"""HTML pages: the return URLs of Stripe Checkout and onboarding, the password reset form, and address verification.

A return page proves nothing: payments are confirmed by webhook. The pages only tell people what happens next.
"""

import base64
import hashlib

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

router = APIRouter(prefix="/checkout", include_in_schema=False)
onboarding = APIRouter(prefix="/onboarding", include_in_schema=False)
recovery = APIRouter(include_in_schema=False)
ROUTERS = (router, onboarding, recovery)

_PAGE = """<!doctype html>
<html lang="en">
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

_RETURNED = _PAGE.format(
    title="Booking request sent",
    text="""<p>If your card was accepted, the price is now on hold. Your card is charged only once the session has
taken place.</p>
<p>We have asked the instructor to confirm, and will email you their response. If they decline or do not respond in
time, the hold is released in full.</p>
<p>You can close this page.</p>""",
)

_CANCELLED = _PAGE.format(
    title="Payment not completed",
    text="""<p>You left before paying. There is no hold on your card, and you were not charged.</p>
<p>Your time is reserved for a few more minutes. To pay, go back and open the payment page again. Otherwise, the booking
expires and the time becomes available to others.</p>""",
)

_ONBOARDED = _PAGE.format(
    title="Details submitted",
    text="""<p>Stripe is reviewing your details. Students can book you as soon as Stripe enables your payouts. This
often takes minutes, and sometimes a day or two.</p>
<p>If anything is missing, your profile shows it. You can close this page.</p>""",
)

_LINK_EXPIRED = _PAGE.format(
    title="This link has expired",
    text="""<p>A link to Stripe's onboarding works once and only for a few minutes. Your answers so far are saved.</p>
<p>To continue, go back to your profile and request a new link.</p>""",
)

# The token is in the fragment, so that it is sent only in the request body. The URL is relative: the API may be served
# below a path.
_SCRIPT = """
const form = document.querySelector("form"), message = document.querySelector("output")
form.addEventListener("submit", async event => {
  event.preventDefault()
  const body = JSON.stringify({token: location.hash.slice(1), password: form.elements.password.value})
  const headers = {"Content-Type": "application/json"}
  const response = await fetch("v1/auth/password", {method: "POST", headers, body})
  if (response.ok) return form.replaceWith("Your password has been changed. You can now sign in.")
  const problem = await response.json()
  message.value = problem.errors ? problem.errors[0].why : problem.detail
})
"""

_NEW_PASSWORD = _PAGE.format(
    title="Choose a new password",
    text=f"""<form>
<p><label>New password, at least 15 characters<br>
<input type="password" name="password" autocomplete="new-password" minlength="15" required></label></p>
<p><button>Change password</button></p>
<p><output></output></p>
</form>
<script>{_SCRIPT}</script>""",
)

_VERIFY_SCRIPT = """
const button = document.querySelector("button"), message = document.querySelector("output")
button.addEventListener("click", async () => {
  const body = JSON.stringify({token: location.hash.slice(1)})
  const headers = {"Content-Type": "application/json"}
  const response = await fetch("v1/auth/verify", {method: "POST", headers, body})
  if (response.ok) return button.replaceWith("Your address is confirmed. You can book now.")
  message.value = (await response.json()).detail
})
"""

# A button, because a mail server that checks links may open the page.
_VERIFY = _PAGE.format(
    title="Confirm your address",
    text=f"""<p><button>Confirm</button></p>
<p><output></output></p>
<script>{_VERIFY_SCRIPT}</script>""",
)

# The style is inline; the pages load nothing.
_HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"}


def _script_headers(script: str) -> dict[str, str]:
    """Allow this script alone, and let it call the API."""
    script_hash = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return {
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; connect-src 'self'; "
        f"form-action 'none'; script-src 'sha256-{script_hash}'; frame-ancestors 'none'"
    }


@router.get("/return", response_class=HTMLResponse)
async def returned() -> HTMLResponse:
    return HTMLResponse(_RETURNED, headers=_HEADERS)


@router.get("/cancelled", response_class=HTMLResponse)
async def cancelled() -> HTMLResponse:
    return HTMLResponse(_CANCELLED, headers=_HEADERS)


@onboarding.get("/return", response_class=HTMLResponse)
async def onboarded() -> HTMLResponse:
    return HTMLResponse(_ONBOARDED, headers=_HEADERS)


@onboarding.get("/refresh", response_class=HTMLResponse)
async def link_expired() -> HTMLResponse:
    """Does not create a new link: the visitor has no token, and only the instructor may have a link."""
    return HTMLResponse(_LINK_EXPIRED, headers=_HEADERS)


@recovery.get("/password-reset", response_class=HTMLResponse)
async def new_password() -> HTMLResponse:
    """For a platform without a front end. A front end serves its own page at this path."""
    return HTMLResponse(_NEW_PASSWORD, headers=_script_headers(_SCRIPT))


@recovery.get("/verify", response_class=HTMLResponse)
async def verify_address() -> HTMLResponse:
    """Like the form for a new password."""
    return HTMLResponse(_VERIFY, headers=_script_headers(_VERIFY_SCRIPT))

"""Links in mails that carry a token: a new password, and the confirmation of an address; and asking for them.

The token is in the link's fragment, which browsers do not send, so that no server logs it. A script copies it into the
form. Without scripts, people copy it themselves.
"""

from fastapi import Depends, Response

from api.http.auth import AsStudent
from api.http.database import WithDatabase
from api.http.problems import Problem
from api.http.rate_limits import RESETS, SIGN_INS, VERIFICATIONS, WithRateLimiter, limited_by
from api.pages.forms import TypedForm
from api.pages.page import WithPage, page_router
from api.people import password_reset, verification
from api.people.routes import WithPasswordHasher, require_password_sign_in
from api.people.schemas import EmailVerification, NewPassword, PasswordResetRequest

# Also for a platform that has no pages: its mails lead here.
mailed = page_router()
router = page_router()

_WITH_PASSWORDS = Depends(require_password_sign_in)


@mailed.get("/password-reset")
async def new_password_form(page: WithPage) -> Response:
    return page.show("new_password.html")


@mailed.post("/password-reset", dependencies=[_WITH_PASSWORDS, limited_by(SIGN_INS)])
async def new_password(
    page: WithPage, typed: TypedForm, database: WithDatabase, hasher: WithPasswordHasher, limiter: WithRateLimiter
) -> Response:
    try:
        await password_reset.reset(typed.read(NewPassword), database, hasher, limiter)
    except Problem as problem:
        return page.show("new_password.html", problem.status_code, typed=typed.refused(problem, page))
    page.end_session()
    changed = page.say("Your password has been changed. You can now sign in.")
    return page.redirect("/sign-in" if page.settings.http.holdfast_pages else "/password-reset", changed)


@mailed.get("/verify")
async def verify_form(page: WithPage) -> Response:
    """A button, because a mail server that checks links may open the page."""
    return page.show("verify.html")


@mailed.post("/verify", dependencies=[limited_by(VERIFICATIONS)])
async def verify(page: WithPage, typed: TypedForm, database: WithDatabase) -> Response:
    try:
        await verification.verify(typed.read(EmailVerification), database)
    except Problem as problem:
        return page.show("verify.html", problem.status_code, typed=typed.refused(problem, page))
    confirmed = page.say("Your email address is confirmed. You can now book.")
    return page.redirect("/" if page.settings.http.holdfast_pages else "/verify", confirmed)


@router.get("/forgotten-password", dependencies=[_WITH_PASSWORDS])
async def forgotten_form(page: WithPage) -> Response:
    return page.show("forgotten_password.html")


@router.post("/forgotten-password", dependencies=[_WITH_PASSWORDS, limited_by(RESETS)])
async def forgotten(page: WithPage, typed: TypedForm, database: WithDatabase, limiter: WithRateLimiter) -> Response:
    try:
        await password_reset.request_reset(typed.read(PasswordResetRequest), database, limiter)
    except Problem as problem:
        return page.show("forgotten_password.html", problem.status_code, typed=typed.refused(problem, page))
    said = page.say("If this address has an account, a link to choose a new password is on its way to it.")
    return page.redirect("/sign-in", said)


@router.post("/verification", dependencies=[limited_by(VERIFICATIONS)])
async def ask_for_verification(
    page: WithPage, typed: TypedForm, student: AsStudent, database: WithDatabase, limiter: WithRateLimiter
) -> Response:
    """Leads back to where the form was."""
    await verification.request_verification(student, database, limiter)
    said = page.say("An email with a link to confirm your address is on its way.")
    return page.redirect(typed.get("next", "/"), said)

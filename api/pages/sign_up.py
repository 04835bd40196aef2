"""Signing up as a student or an instructor."""

from fastapi import Depends, Response

from api.http.database import WithDatabase
from api.http.problems import Kind, Problem
from api.http.rate_limits import SIGN_UPS, WithRateLimiter, limited_by
from api.pages.browser import local_path
from api.pages.forms import TypedForm
from api.pages.page import WithPage, page_router
from api.pages.sign_in import Next, caller_of
from api.people import routes
from api.people.routes import WithPasswordHasher, require_password_sign_in
from api.people.schemas import SignIn, SignUp
from api.settings import WithSettings

router = page_router()

_WITH_PASSWORDS = Depends(require_password_sign_in)


@router.get("/sign-up", dependencies=[_WITH_PASSWORDS])
async def sign_up_form(page: WithPage, next: Next = "/") -> Response:
    return page.show("sign_up.html", next=local_path(next))


@router.post("/sign-up", dependencies=[_WITH_PASSWORDS, limited_by(SIGN_UPS)])
async def sign_up(
    page: WithPage,
    typed: TypedForm,
    database: WithDatabase,
    hasher: WithPasswordHasher,
    limiter: WithRateLimiter,
    settings: WithSettings,
) -> Response:
    """Signs in as well. Sent twice, the second form signs in to the account that the first one created."""
    next = local_path(typed.get("next"))
    try:
        body = typed.read(SignUp)
        taken = None
        try:
            await routes.sign_up(body, database, hasher, limiter, settings)
        except Problem as problem:
            if problem.kind is not Kind.EMAIL_TAKEN:
                raise
            taken = problem
        try:
            credentials = SignIn(email=body.email, password=body.password)
            token = await routes.sign_in(credentials, database, hasher, settings, limiter)
        except Problem as problem:
            raise taken or problem from problem
    except Problem as problem:
        typed.refused(problem, page)
        return page.show("sign_up.html", problem.status_code, typed=typed, next=next)
    page.sign_in(caller_of(token, settings))
    return page.redirect(next, page.say("Your account is ready."))

"""Signing in and out, and taking the other role of one's account."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import Query, Request, Response
from pydantic import BaseModel, SecretStr

from api.http.auth import AsAnyRole, AsEitherSide, Caller, TokenVerifier, read_token
from api.http.database import WithDatabase
from api.http.problems import Kind, Problem
from api.http.rate_limits import SIGN_INS, WithRateLimiter, limited_by
from api.pages.browser import local_path
from api.pages.forms import TypedForm
from api.pages.page import SESSION_LASTS, WithPage, page_router
from api.people import routes
from api.people.routes import WithPasswordHasher
from api.people.schemas import SignIn
from api.people.schemas import Token as BearerToken
from api.settings import Settings, WithSettings
from models.domain.actors import Role, SignUpRole

router = page_router()

Next = Annotated[str, Query()]
"""Where to go on after signing in."""


class _Token(BaseModel):
    token: SecretStr


@router.get("/sign-in")
async def sign_in_form(page: WithPage, next: Next = "/") -> Response:
    if page.settings.identity.is_used:
        return page.redirect(f"/sign-in/provider?{urlencode({'next': local_path(next)})}")
    return page.show("sign_in.html", next=local_path(next))


@router.post("/sign-in", dependencies=[limited_by(SIGN_INS)])
async def sign_in(
    page: WithPage,
    typed: TypedForm,
    database: WithDatabase,
    hasher: WithPasswordHasher,
    settings: WithSettings,
    limiter: WithRateLimiter,
) -> Response:
    next = local_path(typed.get("next"))
    try:
        await routes.require_password_sign_in(settings)
        token = await routes.sign_in(typed.read(SignIn), database, hasher, settings, limiter)
    except Problem as problem:
        typed.refused(problem, page)
        return page.show("sign_in.html", problem.status_code, typed=typed, next=next)
    page.sign_in(caller_of(token, settings))
    return page.redirect(next)


@router.get("/sign-in/token")
async def token_form(page: WithPage) -> Response:
    return page.show("sign_in_token.html")


@router.post("/sign-in/token", dependencies=[limited_by(SIGN_INS)])
async def sign_in_with_token(request: Request, page: WithPage, typed: TypedForm) -> Response:
    """For operators, who have no password: the token that `operator token` prints. The session ends when it does."""
    verifier: TokenVerifier = request.app.state.people_identity
    try:
        token = typed.read(_Token).token.get_secret_value()
        caller = await verifier.caller(token)
        if caller is None:
            raise Problem(Kind.NOT_SIGNED_IN, "The token is invalid or has expired.")
    except Problem as problem:
        typed.refused(problem, page)
        return page.show("sign_in_token.html", problem.status_code, typed=typed)
    page.start_session(token, SESSION_LASTS)
    return page.redirect({Role.OPERATOR: "/operator", Role.INSTRUCTOR: "/today"}.get(caller.role, "/"))


@router.post("/sign-out")
async def sign_out(page: WithPage, caller: AsAnyRole, database: WithDatabase) -> Response:
    """In every browser, as in the API. An operator's token has no sign-out: only this browser forgets it."""
    if caller.role is not Role.OPERATOR:
        try:
            await routes.sign_out(caller, database)
        except Problem as problem:
            # With an identity provider, there is no credential here whose tokens could end.
            if problem.kind is not Kind.NO_ACCOUNT:
                raise
    page.end_session()
    return page.redirect("/", page.say("You are signed out."))


@router.post("/role")
async def take_other_role(page: WithPage, typed: TypedForm, caller: AsEitherSide, settings: WithSettings) -> Response:
    """For an account that has both. Refused with an identity provider, whose tokens name the role."""
    await routes.require_password_sign_in(settings)
    role = Role(typed.get("role")) if typed.get("role") in list(SignUpRole) else None
    if page.account is None or role not in [Role(each) for each in page.account.roles]:
        raise Problem(Kind.WRONG_ROLE, "The account does not have the other role.")
    page.sign_in(Caller(role, caller.id, caller.generation))
    return page.redirect("/")


def caller_of(token: BearerToken, settings: Settings) -> Caller:
    caller = read_token(settings.http.holdfast_token_secret.get_secret_value(), token.access_token)
    assert caller is not None
    return caller

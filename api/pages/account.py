"""One's own account: name, time zone and language, password, the confirmation of the address, and its end."""

from typing import Literal

from fastapi import Depends, Response
from pydantic import BaseModel

from api.http.auth import AsEitherSide, Caller
from api.http.database import Database, WithDatabase
from api.http.problems import Problem
from api.http.rate_limits import SIGN_INS, WithRateLimiter, limited_by
from api.pages.forms import Typed, TypedForm
from api.pages.page import Page, WithPage, page_router
from api.people import account, password_reset
from api.people.routes import WithPasswordHasher, require_password_sign_in
from api.people.schemas import AccountChange, PasswordChange
from models.tables.people import Student

router = page_router()


class _Closing(BaseModel):
    sure: Literal["yes"]


@router.get("/account")
async def show(page: WithPage, caller: AsEitherSide, database: WithDatabase) -> Response:
    return await _account(page, caller, database)


@router.post("/account")
async def change(page: WithPage, typed: TypedForm, caller: AsEitherSide, database: WithDatabase) -> Response:
    try:
        await account.update_account(typed.read(AccountChange), caller, database)
    except Problem as problem:
        return await _account(page, caller, database, typed.refused(problem, page), problem.status_code)
    return page.redirect("/account", page.say("Your changes are saved."))


@router.post("/account/password", dependencies=[Depends(require_password_sign_in), limited_by(SIGN_INS)])
async def change_password(
    page: WithPage,
    typed: TypedForm,
    caller: AsEitherSide,
    database: WithDatabase,
    hasher: WithPasswordHasher,
    limiter: WithRateLimiter,
) -> Response:
    """Ends every session of the account, this one included."""
    try:
        await password_reset.change(typed.read(PasswordChange), caller, database, hasher, limiter)
    except Problem as problem:
        return await _account(page, caller, database, typed.refused(problem, page), problem.status_code)
    page.end_session()
    return page.redirect("/sign-in", page.say("Your password has been changed. You can now sign in."))


@router.post("/account/close")
async def close(page: WithPage, typed: TypedForm, caller: AsEitherSide, database: WithDatabase) -> Response:
    try:
        typed.read(_Closing)
        await account.close_account(caller, database)
    except Problem as problem:
        return await _account(page, caller, database, typed.refused(problem, page), problem.status_code)
    page.end_session()
    return page.redirect("/", page.say("Your account is closed."))


async def _account(
    page: Page, caller: Caller, database: Database, typed: Typed | None = None, status: int = 200
) -> Response:
    own = await account.get_account(caller, database)
    person = page.account.person if page.account else None
    is_unconfirmed = (
        isinstance(person, Student) and page.settings.http.verifies_addresses and person.email_verified_at is None
    )
    return page.show("account.html", status, own=own, is_unconfirmed=is_unconfirmed, typed=typed or Typed())

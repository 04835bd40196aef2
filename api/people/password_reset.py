"""New passwords: for who has forgotten theirs, by a mail, and for who knows it.

After OWASP's Forgot Password Cheat Sheet, and ASVS 5.0, chapter 6: nobody learns who has an account, a token is good
once and not for long, and a new password ends whatever was given under the old one, and is told to its owner.
"""

import asyncio
from datetime import UTC, datetime

from fastapi import APIRouter, Depends, Response

from api.http.auth import AsEitherSide
from api.http.database import Database, WithDatabase
from api.http.problems import Kind, Problem, declared
from api.http.rate_limits import RESETS, RESETS_OF_MAIL, SIGN_INS, SIGN_INS_OF_MAIL, WithMeter, counted, of_mail
from api.people import queries
from api.people.passwords import Passwords, complaint, normalised
from api.people.routes import WithPasswords, signs_in_here
from api.people.schemas import NewPassword, PasswordChange, PasswordForgotten
from models.tables.credentials import Credential
from models.tables.people import Instructor, Student

ANSWERED_AFTER_SECONDS = 0.1
"""More than it takes to write a mail down, which only a known address has."""

router = APIRouter(
    prefix="/v1/auth",
    tags=["people"],
    dependencies=[Depends(signs_in_here)],
    responses=declared(
        Kind.IDENTITY_PROVIDER_USED, Kind.CONTENT_TOO_LARGE, Kind.REQUEST_INVALID, Kind.INTERNAL, Kind.UNAVAILABLE
    ),
)


@router.post(
    "/password-reset",
    operation_id="askForPasswordReset",
    status_code=202,
    response_class=Response,
    dependencies=[counted(RESETS)],
)
async def ask_for_reset(forgotten: PasswordForgotten, database: WithDatabase, meter: WithMeter) -> Response:
    """A mail with a link to a new password, if there is an account with the address. The answer does not tell."""
    await meter.count(RESETS_OF_MAIL, of_mail(forgotten.email))
    await asyncio.gather(_write_down(database, forgotten.email), asyncio.sleep(ANSWERED_AFTER_SECONDS))
    return Response(status_code=202)


@router.post(
    "/password",
    operation_id="resetPassword",
    status_code=204,
    dependencies=[counted(SIGN_INS)],
    responses=declared(Kind.MAILED_TOKEN_REFUSED),
)
async def reset(given: NewPassword, database: WithDatabase, passwords: WithPasswords, meter: WithMeter) -> None:
    """With the token that was mailed. Whoever was signed in has to sign in again."""
    now = datetime.now(UTC)
    async with database.reading() as session:
        credential = await queries.credential_to_reset(session, given.token.get_secret_value(), now)
    if credential is None:
        raise Problem(Kind.MAILED_TOKEN_REFUSED)
    password = given.password.get_secret_value()
    if not await _set(database, passwords, credential, password, "person.password_reset"):
        raise Problem(Kind.MAILED_TOKEN_REFUSED)
    # Those who guess are to do it anew; and the owner, who may have done so before, can sign in.
    await meter.forgive(SIGN_INS_OF_MAIL, of_mail(credential.email))


@router.post(
    "/password/change",
    operation_id="changePassword",
    status_code=204,
    dependencies=[counted(SIGN_INS)],
    responses=declared(Kind.NOT_SIGNED_IN, Kind.WRONG_ROLE, Kind.NO_ACCOUNT, Kind.PASSWORD_WRONG),
)
async def change(
    given: PasswordChange, caller: AsEitherSide, database: WithDatabase, passwords: WithPasswords, meter: WithMeter
) -> None:
    """Whoever was signed in has to sign in again, the caller too."""
    async with database.reading() as session:
        credential = await queries.credential_of_person(session, caller.id)
    if credential is not None:
        # Another way to guess at the same password.
        await meter.count(SIGN_INS_OF_MAIL, of_mail(credential.email))
    current = normalised(given.current_password.get_secret_value())
    fits = await passwords.fits(credential.password_hash if credential else None, current)
    if credential is None or not fits:
        raise Problem(Kind.PASSWORD_WRONG)
    await meter.forgive(SIGN_INS_OF_MAIL, of_mail(credential.email))
    password = given.new_password.get_secret_value()
    if not await _set(database, passwords, credential, password, "person.password_changed"):
        raise Problem(Kind.PASSWORD_WRONG)


async def _write_down(database: Database, email: str) -> None:
    async with database.writing() as session:
        credential = await queries.credential_of(session, email)
        if credential is not None:
            queries.ask_for_reset(session, credential, datetime.now(UTC))


async def _set(database: Database, passwords: Passwords, credential: Credential, given: str, action: str) -> bool:
    """False when another was set meanwhile. Raises the 422 `Problem` for one that is not taken."""
    password = normalised(given)
    async with database.reading() as session:
        person: Student | Instructor = await session.get_one(queries.TABLES[credential.role], credential.person_id)
    why_not = complaint(password, person.email, person.name)
    if why_not:
        raise Problem(Kind.REQUEST_INVALID, errors=[{"where": "body", "why": f"password {why_not}"}])
    password_hash = await passwords.hash(password)
    async with database.writing() as session:
        return await queries.set_password(session, credential, password_hash, action, datetime.now(UTC))

"""Password reset by mail, and password change for anyone who knows the current one.

Follows OWASP's Forgot Password Cheat Sheet and ASVS 5.0, chapter 6: responses do not reveal who has an account, a reset
token is single-use and short-lived, and a new password ends all older tokens and is confirmed to its owner by mail.
"""

import asyncio
from datetime import UTC, datetime

from fastapi import APIRouter, Depends, Response

from api.http.auth import AsEitherSide
from api.http.database import Database, WithDatabase
from api.http.problems import Kind, Problem, problem_responses
from api.http.rate_limits import (
    RESETS,
    RESETS_PER_EMAIL,
    SIGN_INS,
    SIGN_INS_PER_EMAIL,
    WithRateLimiter,
    email_key,
    limited_by,
)
from api.people import queries
from api.people.passwords import AsyncPasswordHasher, normalize, rejection_reason
from api.people.routes import WithPasswordHasher, require_password_sign_in
from api.people.schemas import NewPassword, PasswordChange, PasswordResetRequest
from models.tables.credentials import Credential
from models.tables.people import Instructor, Student

MIN_RESPONSE_SECONDS = 0.1
"""Longer than queueing the mail takes, which happens only for a known address."""

router = APIRouter(
    prefix="/v1/auth",
    tags=["people"],
    dependencies=[Depends(require_password_sign_in)],
    responses=problem_responses(
        Kind.IDENTITY_PROVIDER_USED, Kind.CONTENT_TOO_LARGE, Kind.REQUEST_INVALID, Kind.INTERNAL, Kind.UNAVAILABLE
    ),
)


@router.post(
    "/password-reset",
    operation_id="requestPasswordReset",
    status_code=202,
    response_class=Response,
    dependencies=[limited_by(RESETS)],
)
async def request_reset(forgotten: PasswordResetRequest, database: WithDatabase, limiter: WithRateLimiter) -> Response:
    """Mail a reset link to the address if it has an account. The response is the same if it has none."""
    await limiter.count(RESETS_PER_EMAIL, email_key(forgotten.email))
    await asyncio.gather(_queue_mail(database, forgotten.email), asyncio.sleep(MIN_RESPONSE_SECONDS))
    return Response(status_code=202)


@router.post(
    "/password",
    operation_id="resetPassword",
    status_code=204,
    dependencies=[limited_by(SIGN_INS)],
    responses=problem_responses(Kind.MAILED_TOKEN_REFUSED, Kind.BUSY, Kind.UNAVAILABLE),
)
async def reset(new: NewPassword, database: WithDatabase, hasher: WithPasswordHasher, limiter: WithRateLimiter) -> None:
    """Set a new password with the mailed token. All access tokens of the account become invalid."""
    now = datetime.now(UTC)
    async with database.reading() as session:
        credential = await queries.credential_to_reset(session, new.token.get_secret_value(), now)
    if credential is None:
        raise Problem(Kind.MAILED_TOKEN_REFUSED)
    password = new.password.get_secret_value()
    if not await _set_password(database, hasher, credential, password, "person.password_reset"):
        raise Problem(Kind.MAILED_TOKEN_REFUSED)
    # Earlier guesses were at the old password, and the owner may have used up the quota with theirs.
    await limiter.reset(SIGN_INS_PER_EMAIL, email_key(credential.email))


@router.post(
    "/password/change",
    operation_id="changePassword",
    status_code=204,
    dependencies=[limited_by(SIGN_INS)],
    responses=problem_responses(
        Kind.NOT_SIGNED_IN, Kind.WRONG_ROLE, Kind.NO_ACCOUNT, Kind.PASSWORD_WRONG, Kind.BUSY, Kind.UNAVAILABLE
    ),
)
async def change(
    body: PasswordChange,
    caller: AsEitherSide,
    database: WithDatabase,
    hasher: WithPasswordHasher,
    limiter: WithRateLimiter,
) -> None:
    """Change the password. All access tokens of the account become invalid, including the caller's."""
    async with database.reading() as session:
        credential = await queries.credential_by_person(session, caller.id)
    if credential is not None:
        # Counted as a sign-in: this is another way to guess the password.
        await limiter.count(SIGN_INS_PER_EMAIL, email_key(credential.email))
    current = normalize(body.current_password.get_secret_value())
    is_correct = await hasher.verify(credential.password_hash if credential else None, current)
    if credential is None or not is_correct:
        raise Problem(Kind.PASSWORD_WRONG)
    await limiter.reset(SIGN_INS_PER_EMAIL, email_key(credential.email))
    password = body.new_password.get_secret_value()
    if not await _set_password(database, hasher, credential, password, "person.password_changed"):
        raise Problem(Kind.PASSWORD_WRONG)


async def _queue_mail(database: Database, email: str) -> None:
    async with database.writing() as session:
        credential = await queries.credential_by_email(session, email)
        if credential is not None:
            queries.request_password_reset(session, credential, datetime.now(UTC))


async def _set_password(
    database: Database, hasher: AsyncPasswordHasher, credential: Credential, password: str, action: str
) -> bool:
    """False if another password was set meanwhile. Raises the 422 `Problem` for a password that is not allowed."""
    password = normalize(password)
    async with database.reading() as session:
        person: Student | Instructor = await session.get_one(queries.TABLES[credential.role], credential.person_id)
    reason = rejection_reason(password, person.email, person.name)
    if reason:
        raise Problem(Kind.REQUEST_INVALID, errors=[{"where": "body", "why": f"password {reason}"}])
    password_hash = await hasher.hash(password)
    async with database.writing() as session:
        return await queries.set_password(session, credential, password_hash, action, datetime.now(UTC))

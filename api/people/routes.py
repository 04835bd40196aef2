"""Sign-up and sign-in of students and instructors. Operator accounts cannot be created through the API."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Depends, Request
from sqlmodel import select

from api.http.auth import AsEitherSide, is_suspended, issue_token
from api.http.database import WithDatabase
from api.http.problems import Kind, Problem, problem_responses
from api.http.rate_limits import (
    SIGN_INS,
    SIGN_INS_PER_EMAIL,
    SIGN_UPS,
    SIGN_UPS_PER_EMAIL,
    WithRateLimiter,
    email_key,
    limited_by,
)
from api.people import presenters, queries
from api.people.passwords import AsyncPasswordHasher, normalize
from api.people.schemas import PersonalAccount, SignIn, SignUp, Token
from api.settings import WithSettings
from models.domain.actors import Role, SignUpRole, Subject
from models.domain.messages import Channel
from models.tables.audit import event_about


async def require_password_sign_in(settings: WithSettings) -> None:
    """Raises the 404 `Problem` where an identity provider is used."""
    if settings.identity.is_used:
        raise Problem(
            Kind.IDENTITY_PROVIDER_USED, "Get a token from `issuer`.", issuer=settings.identity.holdfast_oidc_issuer
        )


router = APIRouter(prefix="/v1/auth", tags=["people"], dependencies=[Depends(require_password_sign_in)])


async def _password_hasher(request: Request) -> AsyncPasswordHasher:
    hasher: AsyncPasswordHasher = request.app.state.password_hasher
    return hasher


WithPasswordHasher = Annotated[AsyncPasswordHasher, Depends(_password_hasher)]


@router.post(
    "/signup",
    operation_id="signUp",
    status_code=201,
    dependencies=[limited_by(SIGN_UPS)],
    responses=problem_responses(
        Kind.IDENTITY_PROVIDER_USED,
        Kind.EMAIL_TAKEN,
        Kind.CONTENT_TOO_LARGE,
        Kind.REQUEST_INVALID,
        Kind.INTERNAL,
        Kind.BUSY,
        Kind.UNAVAILABLE,
    ),
)
async def sign_up(
    body: SignUp,
    database: WithDatabase,
    hasher: WithPasswordHasher,
    limiter: WithRateLimiter,
    settings: WithSettings,
) -> PersonalAccount:
    """Create a student's or an instructor's account. Instructors can be booked after their Stripe onboarding."""
    await limiter.count(SIGN_UPS_PER_EMAIL, email_key(body.email))
    # Hashed before any lookup, so that the response time does not reveal more than the response.
    password_hash = await hasher.hash(normalize(body.password.get_secret_value()), limiter.is_heavy)
    now = datetime.now(UTC)
    person = queries.TABLES[body.role](
        id=uuid4(),
        email=body.email,
        name=body.name,
        time_zone=body.time_zone,
        language=body.language,
        created_at=now,
    )
    async with database.writing() as session:
        if not await queries.sign_up(session, body.role, person, password_hash, now):
            raise Problem(Kind.EMAIL_TAKEN, "Sign in, or use another address.")
        if body.role is SignUpRole.STUDENT and settings.http.verifies_addresses:
            await queries.request_verification(session, person.id, now)
    return presenters.account(person, body.role, [body.role])


@router.post(
    "/token",
    operation_id="signIn",
    dependencies=[limited_by(SIGN_INS)],
    responses=problem_responses(
        Kind.IDENTITY_PROVIDER_USED,
        Kind.SIGN_IN_REFUSED,
        Kind.WRONG_ROLE,
        Kind.ACCOUNT_SUSPENDED,
        Kind.CONTENT_TOO_LARGE,
        Kind.REQUEST_INVALID,
        Kind.INTERNAL,
        Kind.BUSY,
        Kind.UNAVAILABLE,
    ),
)
async def sign_in(
    body: SignIn, database: WithDatabase, hasher: WithPasswordHasher, settings: WithSettings, limiter: WithRateLimiter
) -> Token:
    """Exchange an address and a password for a bearer token, in one of the account's roles."""
    mail_key = email_key(body.email)
    await limiter.count(SIGN_INS_PER_EMAIL, mail_key)
    password = normalize(body.password.get_secret_value())
    async with database.reading() as session:
        credential = await queries.credential_by_email(session, body.email)
        suspended = credential and (await session.exec(select(is_suspended(credential.person_id)))).one()
    is_correct = await hasher.verify(credential.password_hash if credential else None, password, limiter.is_heavy)
    if credential is None or not is_correct:
        raise Problem(Kind.SIGN_IN_REFUSED, headers={"WWW-Authenticate": "Bearer"})
    if suspended:
        raise Problem(Kind.ACCOUNT_SUSPENDED, "Contact support.")
    # Only consecutive failures count (NIST SP 800-63B-4, section 3.2.2).
    await limiter.reset(SIGN_INS_PER_EMAIL, mail_key)
    if hasher.needs_rehash(credential.password_hash):
        new_hash = await hasher.hash(password)
        async with database.writing() as session:
            await queries.replace_hash(session, credential.email, credential.password_hash, new_hash, datetime.now(UTC))
    role = body.role or credential.role
    async with database.reading() as session:
        account = await queries.account(session, credential.person_id)
    if account is None or role not in account.roles:
        raise Problem(Kind.WRONG_ROLE, f"The account is not a {role}'s. Add the role with POST /v1/me/roles.")
    http = settings.http
    token = issue_token(
        http.holdfast_token_secret.get_secret_value(),
        Role(role),
        credential.person_id,
        http.holdfast_token_lifetime,
        credential.generation,
    )
    return Token(access_token=token, expires_in=int(http.holdfast_token_lifetime.total_seconds()))


@router.post(
    "/signout",
    operation_id="signOut",
    status_code=204,
    responses=problem_responses(
        Kind.IDENTITY_PROVIDER_USED,
        Kind.NOT_SIGNED_IN,
        Kind.WRONG_ROLE,
        Kind.NO_ACCOUNT,
        Kind.INTERNAL,
        Kind.UNAVAILABLE,
    ),
)
async def sign_out(caller: AsEitherSide, database: WithDatabase) -> None:
    """Sign out everywhere: all access tokens of the account become invalid, and its open event streams end."""
    now = datetime.now(UTC)
    async with database.writing() as session:
        if not await queries.end_sessions(session, caller.id, now):
            raise Problem(Kind.NO_ACCOUNT, "The account has no password, so its tokens were not issued by a sign-in.")
        action, occasion = "person.signed_out", now.isoformat()
        session.add(event_about(Subject.PERSON, caller.id, action, caller.actor, Channel.API, now, occasion=occasion))

"""Signing up and signing in. Operators never come through here: nobody can make one from outside."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Depends, Request

from api.http.auth import issue_token
from api.http.database import WithDatabase
from api.http.problems import Kind, Problem, declared
from api.http.rate_limits import SIGN_INS, SIGN_INS_OF_MAIL, SIGN_UPS, SIGN_UPS_OF_MAIL, WithMeter, counted, of_mail
from api.people import queries
from api.people.passwords import Passwords, normalised
from api.people.schemas import PersonalAccount, SignIn, SignUp, Token
from api.settings import WithSettings
from models.domain.actors import Role


async def signs_in_here(settings: WithSettings) -> None:
    if settings.identity.is_used:
        raise Problem(
            Kind.IDENTITY_PROVIDER_USED, "Get a token from the issuer.", issuer=settings.identity.holdfast_oidc_issuer
        )


router = APIRouter(prefix="/v1/auth", tags=["people"], dependencies=[Depends(signs_in_here)])


async def _passwords(request: Request) -> Passwords:
    passwords: Passwords = request.app.state.passwords
    return passwords


WithPasswords = Annotated[Passwords, Depends(_passwords)]


@router.post(
    "/signup",
    operation_id="signUp",
    status_code=201,
    dependencies=[counted(SIGN_UPS)],
    responses=declared(
        Kind.IDENTITY_PROVIDER_USED,
        Kind.EMAIL_TAKEN,
        Kind.CONTENT_TOO_LARGE,
        Kind.REQUEST_INVALID,
        Kind.INTERNAL,
        Kind.UNAVAILABLE,
    ),
)
async def sign_up(
    wanted: SignUp, database: WithDatabase, passwords: WithPasswords, meter: WithMeter
) -> PersonalAccount:
    """A student or an instructor. An instructor can be booked once they have been onboarded."""
    await meter.count(SIGN_UPS_OF_MAIL, of_mail(wanted.email))
    # Hashed before anything is looked up, so that the time does not tell more than the answer.
    password_hash = await passwords.hash(normalised(wanted.password.get_secret_value()))
    now = datetime.now(UTC)
    person = queries.TABLES[wanted.role](
        id=uuid4(), email=wanted.email, name=wanted.name, time_zone=wanted.time_zone, created_at=now
    )
    async with database.writing() as session:
        if not await queries.sign_up(session, wanted.role, person, password_hash, now):
            raise Problem(Kind.EMAIL_TAKEN, "Sign in, or use another address.")
    return PersonalAccount(
        id=person.id,
        role=wanted.role,
        email=person.email,
        name=person.name,
        time_zone=person.time_zone,
        created_at=now,
    )


@router.post(
    "/token",
    operation_id="signIn",
    dependencies=[counted(SIGN_INS)],
    responses=declared(
        Kind.IDENTITY_PROVIDER_USED,
        Kind.SIGN_IN_REFUSED,
        Kind.CONTENT_TOO_LARGE,
        Kind.REQUEST_INVALID,
        Kind.INTERNAL,
        Kind.UNAVAILABLE,
    ),
)
async def sign_in(
    given: SignIn, database: WithDatabase, passwords: WithPasswords, settings: WithSettings, meter: WithMeter
) -> Token:
    """A bearer token for a while."""
    guessed_at = of_mail(given.email)
    await meter.count(SIGN_INS_OF_MAIL, guessed_at)
    password = normalised(given.password.get_secret_value())
    async with database.reading() as session:
        credential = await queries.credential_of(session, given.email)
    fits = await passwords.fits(credential.password_hash if credential else None, password)
    if credential is None or not fits:
        raise Problem(Kind.SIGN_IN_REFUSED, headers={"WWW-Authenticate": "Bearer"})
    # Only failures in a row count (NIST SP 800-63B-4, section 3.2.2).
    await meter.forgive(SIGN_INS_OF_MAIL, guessed_at)
    if passwords.is_outdated(credential.password_hash):
        renewed = await passwords.hash(password)
        async with database.writing() as session:
            await queries.keep_new_hash(session, credential.email, credential.password_hash, renewed, datetime.now(UTC))
    channel = settings.http
    token = issue_token(
        channel.holdfast_token_secret.get_secret_value(),
        Role(credential.role),
        credential.person_id,
        channel.holdfast_token_lifetime,
        credential.generation,
    )
    return Token(access_token=token, expires_in=int(channel.holdfast_token_lifetime.total_seconds()))

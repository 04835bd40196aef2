"""Instructors: their public profile, their own profile, and their Stripe onboarding."""

from uuid import UUID

from fastapi import APIRouter
from sqlmodel.ext.asyncio.session import AsyncSession

from api.http.auth import AsInstructor
from api.http.database import WithDatabase
from api.http.idempotency import OptionalKey
from api.http.problems import Kind, Problem, problem_responses, unavailable
from api.http.rate_limits import ONBOARDING_LINKS, limited_by
from api.http.representations import REVALIDATED
from api.payments import balances
from api.people.onboarding_client import OnboardingRefused, OnboardingUnavailable, WithOnboarding
from api.people.schemas import InstructorProfile, OnboardingLink, OwnInstructorProfile, PaymentCapability
from models.tables.people import Instructor

router = APIRouter(prefix="/v1/instructors", tags=["instructors"])

_OWN_ERRORS = (Kind.NOT_SIGNED_IN, Kind.WRONG_ROLE, Kind.NO_ACCOUNT)


@router.get(
    "/me",
    operation_id="getOwnInstructorProfile",
    responses=problem_responses(*_OWN_ERRORS, Kind.INTERNAL, Kind.UNAVAILABLE),
)
async def own_profile(caller: AsInstructor, database: WithDatabase) -> OwnInstructorProfile:
    """The caller's profile, with the reason while they cannot be paid."""
    async with database.reading() as session:
        instructor = await _own_row(session, caller.id)
        own_balances = await balances.of_instructor(session, caller.id)
    return OwnInstructorProfile(
        id=instructor.id,
        name=instructor.name,
        email=instructor.email,
        time_zone=instructor.time_zone,
        created_at=instructor.created_at,
        payments=PaymentCapability(
            can_be_paid=instructor.can_be_paid,
            requirements=instructor.requirements,
            disabled_reason=_disabled_reason(instructor),
            balances=own_balances,
        ),
    )


@router.post(
    "/me/onboarding-link",
    operation_id="createOnboardingLink",
    status_code=201,
    dependencies=[limited_by(ONBOARDING_LINKS)],
    responses=problem_responses(
        *_OWN_ERRORS,
        Kind.IDEMPOTENCY_KEY_REQUIRED,
        Kind.REQUEST_INVALID,
        Kind.ONBOARDING_REFUSED,
        Kind.INTERNAL,
        Kind.UNAVAILABLE,
    ),
)
async def open_onboarding_link(
    caller: AsInstructor, database: WithDatabase, onboarding: WithOnboarding, key: OptionalKey = None
) -> OnboardingLink:
    """A single-use, short-lived link to Stripe's onboarding form. The first link also creates the Stripe account."""
    async with database.reading() as session:
        await _own_row(session, caller.id)
    try:
        await onboarding.open_link(caller.id, key)
    except OnboardingRefused as refused:
        raise Problem(Kind.ONBOARDING_REFUSED, "Contact support.") from refused
    except OnboardingUnavailable as error:
        raise unavailable("The link was not created in time. Send the request again.") from error
    async with database.reading() as session:
        instructor = await _own_row(session, caller.id)
    if instructor.onboarding_url is None or instructor.onboarding_url_expires_at is None:
        raise unavailable("The link was not created in time. Send the request again.")
    return OnboardingLink(url=instructor.onboarding_url, expires_at=instructor.onboarding_url_expires_at)


@router.get(
    "/{instructor_id}",
    operation_id="getInstructor",
    dependencies=REVALIDATED["dependencies"],
    responses=REVALIDATED["responses"]
    | problem_responses(Kind.NOT_FOUND, Kind.REQUEST_INVALID, Kind.INTERNAL, Kind.UNAVAILABLE),
)
async def profile(instructor_id: UUID, database: WithDatabase) -> InstructorProfile:
    """An instructor's public profile."""
    async with database.reading() as session:
        instructor = await session.get(Instructor, instructor_id)
    if instructor is None or instructor.closed_at is not None:
        raise Problem(Kind.NOT_FOUND, "There is no such instructor.")
    return InstructorProfile(id=instructor.id, name=instructor.name, time_zone=instructor.time_zone)


async def _own_row(session: AsyncSession, instructor_id: UUID) -> Instructor:
    instructor = await session.get(Instructor, instructor_id)
    if instructor is None:
        raise Problem(Kind.NO_ACCOUNT)
    return instructor


def _disabled_reason(instructor: Instructor) -> str | None:
    """Stripe's reason, or how far the onboarding has come."""
    if instructor.can_be_paid:
        return None
    if instructor.stripe_account_id is None:
        return "onboarding_not_started"
    return instructor.disabled_reason or f"transfers_{instructor.transfers or 'inactive'}"

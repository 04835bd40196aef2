"""Verification of a student's mail address, which the first booking requires if the platform says so.

Also for students of an identity provider that does not say whether it has verified the address.
"""

from datetime import UTC, datetime

from fastapi import APIRouter, Response

from api.http.auth import AsStudent
from api.http.database import WithDatabase
from api.http.problems import Kind, Problem, problem_responses
from api.http.rate_limits import VERIFICATION_MAILS, VERIFICATIONS, WithRateLimiter, limited_by
from api.people import queries
from api.people.schemas import EmailVerification
from models.tables.people import Student

router = APIRouter(
    prefix="/v1/auth",
    tags=["people"],
    dependencies=[limited_by(VERIFICATIONS)],
    responses=problem_responses(Kind.INTERNAL, Kind.UNAVAILABLE),
)


@router.post(
    "/verification",
    operation_id="requestEmailVerification",
    status_code=202,
    response_class=Response,
    responses=problem_responses(Kind.NOT_SIGNED_IN, Kind.WRONG_ROLE, Kind.NO_ACCOUNT),
)
async def request_verification(student: AsStudent, database: WithDatabase, limiter: WithRateLimiter) -> Response:
    """Mail another verification link to the caller's address, unless it is verified."""
    await limiter.count(VERIFICATION_MAILS, f"student {student.id}")
    async with database.writing() as session:
        row = await session.get(Student, student.id)
        if row is None:
            raise Problem(Kind.NO_ACCOUNT)
        if row.email_verified_at is None:
            await queries.request_verification(session, row.id, datetime.now(UTC))
    return Response(status_code=202)


@router.post(
    "/verify",
    operation_id="verifyEmail",
    status_code=204,
    responses=problem_responses(Kind.MAILED_TOKEN_REFUSED, Kind.CONTENT_TOO_LARGE, Kind.REQUEST_INVALID),
)
async def verify(verification: EmailVerification, database: WithDatabase) -> None:
    """Verify an address with the mailed token. A token works once."""
    async with database.writing() as session:
        if not await queries.verify_address(session, verification.token.get_secret_value(), datetime.now(UTC)):
            raise Problem(Kind.MAILED_TOKEN_REFUSED, "Request another email with POST /v1/auth/verification.")

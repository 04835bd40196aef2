"""One's own account: read it, change it, take the other role as well, close it."""

from datetime import UTC, datetime
from uuid import UUID

from fastapi import APIRouter, Depends
from sqlmodel.ext.asyncio.session import AsyncSession

from api.http.auth import AsEitherSide
from api.http.database import WithDatabase
from api.http.problems import Kind, Problem, problem_responses
from api.people import closing, presenters, queries
from api.people.queries import Account
from api.people.routes import require_password_sign_in
from api.people.schemas import AccountChange, AdditionalRole, PersonalAccount
from models.domain.actors import SignUpRole

router = APIRouter(
    prefix="/v1/me",
    tags=["people"],
    responses=problem_responses(Kind.NOT_SIGNED_IN, Kind.WRONG_ROLE, Kind.NO_ACCOUNT, Kind.INTERNAL, Kind.UNAVAILABLE),
)

_BODY_ERRORS = problem_responses(Kind.CONTENT_TOO_LARGE, Kind.REQUEST_INVALID)


@router.get("", operation_id="getAccount")
async def get_account(caller: AsEitherSide, database: WithDatabase) -> PersonalAccount:
    """The caller's account."""
    async with database.reading() as session:
        account = await _own_account(session, caller.id)
    return presenters.account(account.person, SignUpRole(caller.role), account.roles)


@router.patch("", operation_id="updateAccount", responses=_BODY_ERRORS)
async def update_account(change: AccountChange, caller: AsEitherSide, database: WithDatabase) -> PersonalAccount:
    """Update the fields that are sent, in both roles. Mails and receipts use them from now on."""
    async with database.writing() as session:
        account = await _own_account(session, caller.id)
        await queries.change_account(session, account, change, caller.actor, datetime.now(UTC))
    return presenters.account(account.person, SignUpRole(caller.role), account.roles)


@router.post(
    "/roles",
    operation_id="addRole",
    dependencies=[Depends(require_password_sign_in)],
    responses=_BODY_ERRORS | problem_responses(Kind.IDENTITY_PROVIDER_USED, Kind.EMAIL_TAKEN),
)
async def add_role(body: AdditionalRole, caller: AsEitherSide, database: WithDatabase) -> PersonalAccount:
    """Become a student or an instructor as well, in the same account. Sign in with `role` for a token of that role."""
    async with database.writing() as session:
        account = await _own_account(session, caller.id)
        now, action = datetime.now(UTC), "person.role_added"
        if not await queries.add_role(session, body.role, account.person, action, caller.actor, now):
            raise Problem(Kind.EMAIL_TAKEN, "It belongs to another account. Contact support.")
        account = await _own_account(session, caller.id)
    return presenters.account(account.person, SignUpRole(caller.role), account.roles)


@router.post("/close", operation_id="closeAccount", status_code=204, responses=problem_responses(Kind.BOOKINGS_OPEN))
async def close_account(caller: AsEitherSide, database: WithDatabase) -> None:
    """Close the account for good, in both roles. Refused while a booking is open.

    Name, address and password are erased, offerings withdrawn, and all tokens invalid. Bookings and the ledger stay,
    under the account's id.
    """
    async with database.writing() as session:
        if not await closing.close(session, caller.actor, caller.id, datetime.now(UTC)):
            raise Problem(Kind.BOOKINGS_OPEN, "Cancel them first, or close the account after they have ended.")


async def _own_account(session: AsyncSession, person_id: UUID) -> Account:
    """Raises the 403 `Problem` for a token without an account, or with a closed one."""
    account = await queries.account(session, person_id)
    if account is None or account.is_closed:
        raise Problem(Kind.NO_ACCOUNT)
    return account

"""The effects of an instructor's onboarding: the account at Stripe, links to it, and what Stripe says of it."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, update
from temporalio import activity

from activities.gateway import AccountGateway
from activities.transactions import transaction
from models.errors import Declined
from models.keys import account_key
from models.onboarding import (
    AccountState,
    LinkOrder,
    Onboarding,
    RecordAccount,
    RecordAccountState,
)
from models.tables import Instructor
from models.terms import Capability


class OnboardingActivities:
    """Names and addresses are read from Postgres in here, so that they never enter a history."""

    def __init__(self, engine: AsyncEngine, gateway: AccountGateway) -> None:
        self._engine = engine
        self._gateway = gateway

    @activity.defn
    async def ensure_account(self, order: Onboarding) -> str:
        """The id of the instructor's account, which is made if there is none. Raises `Declined`."""
        instructor = await self._instructor(order.instructor_id)
        if instructor is None:
            raise Declined("no_such_instructor")
        return instructor.stripe_account_id or await self._gateway.create_account(
            instructor.id, instructor.email, key=account_key(instructor.id)
        )

    @activity.defn
    async def record_account(self, record: RecordAccount) -> None:
        """Leaves an account alone that was recorded before."""
        is_new = (col(Instructor.id) == record.instructor_id, col(Instructor.stripe_account_id).is_(None))
        async with transaction(self._engine) as session:
            await session.exec(
                update(Instructor)
                .where(*is_new)
                .values(stripe_account_id=record.account_id, transfers=Capability.INACTIVE)
            )

    @activity.defn
    async def open_onboarding_link(self, order: LinkOrder) -> None:
        """Raises `Declined` when Stripe will not give one.

        The link lets its holder in as the instructor, so it goes to the instructor's row and never into a history: the
        one call that is recorded in its own activity. Tried again, the same key gets the same link.
        """
        link = await self._gateway.open_onboarding_link(order.account_id, key=order.key)
        async with transaction(self._engine) as session:
            await session.exec(
                update(Instructor)
                .where(col(Instructor.stripe_account_id) == order.account_id)
                .values(onboarding_url=link.url, onboarding_url_expires_at=link.expires_at)
            )

    @activity.defn
    async def look_up_account(self, order: Onboarding) -> AccountState | None:
        """The instructor's account as Stripe has it now; `None` when there is none."""
        instructor = await self._instructor(order.instructor_id)
        if instructor is None or instructor.stripe_account_id is None:
            return None
        return await self._gateway.look_up_account(instructor.stripe_account_id)

    @activity.defn
    async def record_account_state(self, record: RecordAccountState) -> None:
        state = record.state
        is_of = (
            col(Instructor.id) == record.instructor_id,
            col(Instructor.stripe_account_id) == state.account_id,
        )
        async with transaction(self._engine) as session:
            await session.exec(
                update(Instructor)
                .where(*is_of)
                .values(
                    transfers=state.transfers,
                    requirements=list(state.requirements),
                    disabled_reason=state.disabled_reason,
                    account_checked_at=record.at,
                )
            )

    async def _instructor(self, instructor_id: UUID) -> Instructor | None:
        async with transaction(self._engine) as session:
            return await session.get(Instructor, instructor_id)

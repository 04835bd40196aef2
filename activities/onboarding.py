"""Activities of the Onboarding workflow: the connected account, links to Stripe's form, and the account's state."""

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import and_, col, or_, update
from temporalio import activity

from activities.database import audit
from activities.database.transactions import transaction
from activities.gateways import AccountGateway
from models.domain.actors import PLATFORM, Actor, Capability, Role, Subject
from models.domain.errors import Declined
from models.domain.ids import account_key
from models.domain.messages import Channel
from models.domain.onboarding import (
    ACCOUNT_GONE,
    AccountState,
    LinkOrder,
    Onboarding,
    RecordAccount,
    RecordAccountState,
)
from models.tables.audit import AuditEvent, event_about
from models.tables.people import Instructor


class OnboardingActivities:
    """Reads names and email addresses from Postgres itself, so that they never enter a workflow history."""

    def __init__(self, engine: AsyncEngine, gateway: AccountGateway) -> None:
        self._engine = engine
        self._gateway = gateway

    @activity.defn
    async def ensure_account(self, order: Onboarding) -> str:
        """The id of the instructor's connected account. Raises `Declined`.

        Created if there is none, or if the one there was is gone. Its key then names the account that it replaces:
        under the first key, Stripe would return that one again.
        """
        instructor = await self._load_instructor(order.instructor_id)
        if instructor is None:
            raise Declined("no_such_instructor")
        account_id = instructor.stripe_account_id
        if account_id is not None:
            state = await check_account(self._engine, self._gateway, instructor.id, account_id)
            if not state.is_gone:
                return account_id
        return await self._gateway.create_account(
            instructor.id, instructor.email, key=account_key(instructor.id, account_id)
        )

    @activity.defn
    async def record_account(self, record: RecordAccount) -> None:
        """Record the account id, unless the instructor has one already that is not gone.

        Bookings keep the account that they were made with.
        """
        is_gone = and_(
            col(Instructor.disabled_reason) == ACCOUNT_GONE, col(Instructor.stripe_account_id) != record.account_id
        )
        statement = (
            update(Instructor)
            .where(
                col(Instructor.id) == record.instructor_id, or_(col(Instructor.stripe_account_id).is_(None), is_gone)
            )
            .values(
                stripe_account_id=record.account_id,
                transfers=Capability.INACTIVE,
                requirements=[],
                disabled_reason=None,
                account_checked_at=None,
                events_until=None,
            )
        )
        async with transaction(self._engine) as session:
            if (await session.exec(statement)).rowcount:
                await audit.append(session, _account_created(record))

    @activity.defn
    async def open_onboarding_link(self, order: LinkOrder) -> None:
        """Create a link to Stripe's form and store it on the instructor's row. Raises `Declined`.

        Anyone with the link can act as the instructor, so it must not enter a workflow history: this is the only call
        to Stripe that is recorded in the same activity. A retry uses the same key and gets the same link.
        """
        link = await self._gateway.open_onboarding_link(order.account_id, key=order.key)
        statement = (
            update(Instructor)
            .where(
                col(Instructor.stripe_account_id) == order.account_id,
                # After a reset, an old link is requested again. A newer one stays.
                func.coalesce(col(Instructor.onboarding_url_expires_at) <= link.expires_at, True),
            )
            .values(onboarding_url=link.url, onboarding_url_expires_at=link.expires_at)
            .returning(col(Instructor.id))
        )
        async with transaction(self._engine) as session:
            for (instructor_id,) in await session.exec(statement):
                await audit.append(session, _link_opened(instructor_id, order))

    @activity.defn
    async def look_up_account(self, order: Onboarding) -> AccountState | None:
        """The account's current state at Stripe; `None` if the instructor has no account."""
        instructor = await self._load_instructor(order.instructor_id)
        if instructor is None or instructor.stripe_account_id is None:
            return None
        return await self._gateway.look_up_account(instructor.stripe_account_id)

    @activity.defn
    async def record_account_state(self, record: RecordAccountState) -> None:
        await _store_state(self._engine, record)

    async def _load_instructor(self, instructor_id: UUID) -> Instructor | None:
        async with transaction(self._engine) as session:
            return await session.get(Instructor, instructor_id)


async def check_account(
    engine: AsyncEngine, gateway: AccountGateway, instructor_id: UUID, account_id: str
) -> AccountState:
    """Look the account up and record its state, where an answer of Stripe's has put it in doubt."""
    state = await gateway.look_up_account(account_id)
    await _store_state(engine, RecordAccountState(instructor_id=instructor_id, state=state, at=datetime.now(UTC)))
    return state


async def _store_state(engine: AsyncEngine, record: RecordAccountState) -> None:
    """Does nothing if the instructor has another account by now."""
    state = record.state
    is_current = (
        col(Instructor.id) == record.instructor_id,
        col(Instructor.stripe_account_id) == state.account_id,
    )
    statement = (
        update(Instructor)
        .where(*is_current)
        .values(
            transfers=state.transfers,
            requirements=list(state.requirements),
            disabled_reason=state.disabled_reason,
            account_checked_at=record.at,
        )
    )
    async with transaction(engine) as session:
        if (await session.exec(statement)).rowcount:
            await audit.append(session, _account_checked(record))


def _account_created(record: RecordAccount) -> AuditEvent:
    return event_about(
        Subject.INSTRUCTOR, record.instructor_id, "instructor.account_made", PLATFORM, Channel.WORKFLOW,
        datetime.now(UTC), {"account_id": record.account_id}, occasion=record.account_id,
    )  # fmt: skip


def _link_opened(instructor_id: UUID, order: LinkOrder) -> AuditEvent:
    """The actor and channel are fixed: only the instructor can request a link, and only through the API."""
    return event_about(
        Subject.INSTRUCTOR, instructor_id, "instructor.link_opened", Actor(role=Role.INSTRUCTOR, id=instructor_id),
        Channel.API, datetime.now(UTC), {"account_id": order.account_id}, occasion=order.key,
    )  # fmt: skip


def _account_checked(record: RecordAccountState) -> AuditEvent:
    state = record.state
    detail = {
        "transfers": state.transfers,
        "requirements": state.requirements,
        "disabled_reason": state.disabled_reason,
    }
    return event_about(
        Subject.INSTRUCTOR, record.instructor_id, "instructor.account_checked", PLATFORM, Channel.WORKFLOW,
        record.at, detail, occasion=record.at.isoformat(),
    )  # fmt: skip

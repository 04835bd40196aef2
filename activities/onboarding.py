"""Activities of the Onboarding workflow: the connected account, links to Stripe's form, and the account's state."""

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, update
from temporalio import activity

from activities.database import audit
from activities.database.transactions import transaction
from activities.gateways import AccountGateway
from models.domain.actors import PLATFORM, Actor, Capability, Role, Subject
from models.domain.errors import Declined
from models.domain.ids import account_key
from models.domain.messages import Channel
from models.domain.onboarding import AccountState, LinkOrder, Onboarding, RecordAccount, RecordAccountState
from models.tables.audit import AuditEvent, event_about
from models.tables.people import Instructor


class OnboardingActivities:
    """Reads names and email addresses from Postgres itself, so that they never enter a workflow history."""

    def __init__(self, engine: AsyncEngine, gateway: AccountGateway) -> None:
        self._engine = engine
        self._gateway = gateway

    @activity.defn
    async def ensure_account(self, order: Onboarding) -> str:
        """The id of the instructor's connected account, created if there is none. Raises `Declined`."""
        instructor = await self._load_instructor(order.instructor_id)
        if instructor is None:
            raise Declined("no_such_instructor")
        return instructor.stripe_account_id or await self._gateway.create_account(
            instructor.id, instructor.email, key=account_key(instructor.id)
        )

    @activity.defn
    async def record_account(self, record: RecordAccount) -> None:
        """Record the account id, unless the instructor has one already."""
        has_none = (col(Instructor.id) == record.instructor_id, col(Instructor.stripe_account_id).is_(None))
        statement = (
            update(Instructor)
            .where(*has_none)
            .values(stripe_account_id=record.account_id, transfers=Capability.INACTIVE)
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
            .where(col(Instructor.stripe_account_id) == order.account_id)
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
        state = record.state
        is_instructor = (
            col(Instructor.id) == record.instructor_id,
            col(Instructor.stripe_account_id) == state.account_id,
        )
        statement = (
            update(Instructor)
            .where(*is_instructor)
            .values(
                transfers=state.transfers,
                requirements=list(state.requirements),
                disabled_reason=state.disabled_reason,
                account_checked_at=record.at,
            )
        )
        async with transaction(self._engine) as session:
            if (await session.exec(statement)).rowcount:
                await audit.append(session, _account_checked(record))

    async def _load_instructor(self, instructor_id: UUID) -> Instructor | None:
        async with transaction(self._engine) as session:
            return await session.get(Instructor, instructor_id)


def _account_created(record: RecordAccount) -> AuditEvent:
    return event_about(
        Subject.INSTRUCTOR, record.instructor_id, "instructor.account_made", PLATFORM, Channel.WORKFLOW,
        datetime.now(UTC), {"account_id": record.account_id},
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

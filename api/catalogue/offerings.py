"""Offerings: anyone can browse them, instructors create and update their own."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Query, Response

from api.catalogue import commands, presenters, queries
from api.catalogue.queries import OfferingFilter, OfferingRecord
from api.catalogue.schemas import NewOffering, Offering, OfferingChange, OfferingPage
from api.http.auth import AsInstructor
from api.http.database import Database, WithDatabase
from api.http.idempotency import OptionalKey, register
from api.http.pagination import Page, PageParams, next_cursor
from api.http.problems import LOCATED, Kind, Problem, problem_responses
from api.http.representations import REVALIDATED
from api.http.schema_types import RequestTime
from api.pricing import ensure_chargeable
from api.settings import Settings, WithSettings
from models.domain import ids
from models.domain.money import Currency

router = APIRouter(prefix="/v1/offerings", tags=["catalogue"])
own_router = APIRouter(prefix="/v1/instructors/me/offerings", tags=["catalogue"])

AmountMinor = Annotated[int | None, Query(ge=0, lt=2**63, description="In minor units; `currency` is then required.")]


async def _filter(
    instructor_id: UUID | None = None,
    starts_after: Annotated[RequestTime | None, Query(description="Has a free slot at or after this time.")] = None,
    starts_before: Annotated[RequestTime | None, Query(description="Has a free slot before this time.")] = None,
    currency: Annotated[Currency | None, Query()] = None,
    price_min: AmountMinor = None,
    price_max: AmountMinor = None,
    q: Annotated[
        str,
        Query(
            max_length=200,
            pattern=r"^[^\x00]*$",
            description="Beginnings of words in the title and description, whatever their case and accents.",
        ),
    ] = "",
) -> OfferingFilter:
    if currency is None and (price_min, price_max) != (None, None):
        missing = {"where": "query/currency", "why": "Required with a price filter."}
        raise Problem(Kind.REQUEST_INVALID, errors=[missing])
    return OfferingFilter(
        instructor_id=instructor_id,
        starts_after=starts_after,
        starts_before=starts_before,
        currency=currency,
        price_min_minor=price_min,
        price_max_minor=price_max,
        words=q.strip() or None,
    )


@router.post(
    "",
    operation_id="createOffering",
    status_code=201,
    responses=LOCATED
    | problem_responses(
        Kind.NOT_SIGNED_IN,
        Kind.WRONG_ROLE,
        Kind.NO_ACCOUNT,
        Kind.IDEMPOTENCY_KEY_REQUIRED,
        Kind.IDEMPOTENCY_KEY_REUSED,
        Kind.CONTENT_TOO_LARGE,
        Kind.REQUEST_INVALID,
        Kind.PRICE_NOT_CHARGEABLE,
        Kind.INTERNAL,
        Kind.UNAVAILABLE,
    ),
)
async def create_offering(
    new: NewOffering,
    caller: AsInstructor,
    response: Response,
    database: WithDatabase,
    settings: WithSettings,
    key: OptionalKey = None,
) -> Offering:
    """Create an offering. It can be booked once it has slots."""
    ensure_chargeable(new.price)
    id, now = ids.creation_id(caller.id, "offering", key) if key else uuid4(), datetime.now(UTC)
    async with database.writing() as session:
        if not key or await register(session, id, new, now):
            record = await commands.add_offering(session, id, caller, new, now)
        else:
            record = await queries.own_offering(session, id, caller.id)
    response.headers["Location"] = f"{router.prefix}/{record.offering.id}"
    return presenters.offering(record, settings.policy)


@router.get(
    "",
    operation_id="listOfferings",
    dependencies=REVALIDATED["dependencies"],
    responses=REVALIDATED["responses"]
    | problem_responses(Kind.CURSOR_UNKNOWN, Kind.REQUEST_INVALID, Kind.INTERNAL, Kind.UNAVAILABLE),
)
async def list_offerings(
    filters: Annotated[OfferingFilter, Depends(_filter)],
    page: PageParams,
    database: WithDatabase,
    settings: WithSettings,
) -> OfferingPage:
    """Active offerings, newest first."""
    return await _page(filters, page, database, settings)


@own_router.get(
    "",
    operation_id="listOwnOfferings",
    responses=problem_responses(
        Kind.CURSOR_UNKNOWN, Kind.NOT_SIGNED_IN, Kind.WRONG_ROLE, Kind.REQUEST_INVALID, Kind.INTERNAL, Kind.UNAVAILABLE
    ),
)
async def list_own_offerings(
    caller: AsInstructor, page: PageParams, database: WithDatabase, settings: WithSettings
) -> OfferingPage:
    """The caller's offerings, withdrawn ones included, newest first."""
    filters = OfferingFilter(instructor_id=caller.id, with_withdrawn=True)
    return await _page(filters, page, database, settings)


async def _page(filters: OfferingFilter, page: Page, database: Database, settings: Settings) -> OfferingPage:
    async with database.reading() as session:
        found = await queries.offerings(session, filters, datetime.now(UTC), page.after, page.limit + 1)
    return OfferingPage(
        data=[presenters.offering(record, settings.policy) for record in found[: page.limit]],
        next_cursor=next_cursor(found, page.limit, lambda last: (last.offering.created_at, last.offering.id)),
    )


@router.get(
    "/{offering_id}",
    operation_id="getOffering",
    dependencies=REVALIDATED["dependencies"],
    responses=REVALIDATED["responses"]
    | problem_responses(Kind.NOT_FOUND, Kind.REQUEST_INVALID, Kind.INTERNAL, Kind.UNAVAILABLE),
)
async def get_offering(offering_id: UUID, database: WithDatabase, settings: WithSettings) -> Offering:
    """One offering, with the price, fee and policy that a booking made now would get."""
    async with database.reading() as session:
        record: OfferingRecord | None = await queries.offering(session, offering_id)
    if record is None:
        raise Problem(Kind.NOT_FOUND, "There is no such offering.")
    return presenters.offering(record, settings.policy)


@router.patch(
    "/{offering_id}",
    operation_id="updateOffering",
    responses=problem_responses(
        Kind.NOT_SIGNED_IN,
        Kind.WRONG_ROLE,
        Kind.NOT_YOURS,
        Kind.NOT_FOUND,
        Kind.CONTENT_TOO_LARGE,
        Kind.REQUEST_INVALID,
        Kind.PRICE_NOT_CHARGEABLE,
        Kind.INTERNAL,
        Kind.UNAVAILABLE,
    ),
)
async def update_offering(
    offering_id: UUID, change: OfferingChange, caller: AsInstructor, database: WithDatabase, settings: WithSettings
) -> Offering:
    """Update the fields that are sent, or withdraw the offering. Existing bookings keep their terms."""
    if "price" in change:
        ensure_chargeable(change["price"])
    async with database.writing() as session:
        record = await queries.own_offering(session, offering_id, caller.id)
        await commands.change_offering(session, record.offering, change, caller, datetime.now(UTC))
    return presenters.offering(record, settings.policy)

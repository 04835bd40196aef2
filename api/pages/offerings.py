"""Browsing: offerings with their next free times, and one offering with its calendar and its terms."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Annotated, Self
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import Query, Request, Response
from pydantic import BaseModel, Field, model_validator

from api.catalogue import offerings, queries, slots
from api.catalogue.queries import OfferingFilter
from api.catalogue.schemas import Offering, Slot
from api.http.database import Database, WithDatabase
from api.http.pagination import MAX_LIMIT, PageParams
from api.http.pagination import Page as PageOfList
from api.http.problems import Problem
from api.pages.forms import Typed
from api.pages.page import WithPage, page_router
from api.pages.terms import cancellation_policy, refund_steps
from api.settings import WithSettings
from models.documents.terms import absence_terms, cancellation_terms
from models.domain.money import Currency, exponent
from models.tables.catalogue import Slot as SlotRow

router = page_router()

_NEXT_TIMES = 3
_DAYS_SHOWN = 14
_LAST_DAY = date(9000, 1, 1)

Listed = Sequence[tuple[Offering, list[SlotRow]]]
Amount = Annotated[Decimal, Field(ge=0, lt=10**12)]
Day = Annotated[date, Field(lt=_LAST_DAY)]


class _Search(BaseModel):
    """What people type: amounts in major units, and days in their own time zone."""

    q: Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")] = ""
    currency: Currency | None = None
    price_min: Amount | None = None
    price_max: Amount | None = None
    first_day: Day | None = None
    last_day: Day | None = None

    @model_validator(mode="after")
    def _prices_have_a_currency(self) -> Self:
        if self.currency is None and (self.price_min, self.price_max) != (None, None):
            raise ValueError("currency is required with a price")
        return self

    def filter(self, zone: ZoneInfo) -> OfferingFilter:
        return OfferingFilter(
            words=self.q.strip() or None,
            currency=self.currency,
            price_min_minor=self._minor(self.price_min),
            price_max_minor=self._minor(self.price_max),
            starts_after=_midnight(self.first_day, zone) if self.first_day else None,
            starts_before=_midnight(self.last_day + timedelta(days=1), zone) if self.last_day else None,
        )

    def _minor(self, amount: Decimal | None) -> int | None:
        return int(amount.scaleb(exponent(self.currency))) if amount is not None and self.currency else None


@router.get("/offerings")
async def browse(
    request: Request, page: WithPage, position: PageParams, database: WithDatabase, settings: WithSettings
) -> Response:
    typed = Typed(request.query_params)
    try:
        filters = typed.read(_Search).filter(page.zone)
    except Problem as problem:
        typed.refused(problem, page)
        return page.show("offerings.html", problem.status_code, typed=typed, offerings=[], next_page=None)
    found = await offerings.list_offerings(filters, position, database, settings)
    more = page.url("/offerings", **typed.values | {"cursor": found.next_cursor}) if found.next_cursor else None
    return page.show(
        "offerings.html", typed=typed, offerings=await with_next_free(found.data, database), next_page=more
    )


@router.get("/offerings/{offering_id}")
async def show(
    offering_id: UUID,
    page: WithPage,
    database: WithDatabase,
    settings: WithSettings,
    day: Annotated[str, Query(max_length=10)] = "",
) -> Response:
    offering = await offerings.get_offering(offering_id, database, settings)
    now = datetime.now(UTC)
    today = now.astimezone(page.zone).date()
    first = max(_day(day) or today, today)
    last = first + timedelta(days=_DAYS_SHOWN)
    found = await slots.list_slots(
        offering_id,
        PageOfList(MAX_LIMIT, None),
        database,
        settings,
        _midnight(first, page.zone),
        _midnight(last, page.zone),
    )
    policy = settings.policy.freeze(cancellation_policy(offering.policy.cancellation))
    return page.show(
        "offering.html",
        offering=offering,
        calendar=_by_day(found.data, first, page.zone),
        earlier=max(first - timedelta(days=_DAYS_SHOWN), today) if first > today else None,
        later=last,
        is_cut=found.next_cursor is not None,
        steps=refund_steps(policy, page.language, offering.price.total),
        terms=(
            cancellation_terms(page.language, policy.cancellation),
            absence_terms(page.language, offering.price.total, policy),
        ),
    )


async def with_next_free(found: Sequence[Offering], database: Database) -> Listed:
    """With the next free times of each, in one statement."""
    if not found:
        return []
    async with database.reading() as session:
        free = await queries.next_free(session, [each.id for each in found], datetime.now(UTC), _NEXT_TIMES)
    return [(each, free[each.id]) for each in found]


def _by_day(found: Sequence[Slot], first: date, zone: ZoneInfo) -> list[tuple[date, list[Slot]]]:
    """Every day of the calendar with its free slots, also a day without any."""
    days = {day: list(same) for day, same in groupby(found, key=lambda slot: slot.starts_at.astimezone(zone).date())}
    return [(day, days.get(day, [])) for day in (first + timedelta(days=count) for count in range(_DAYS_SHOWN))]


def _day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if day < _LAST_DAY else None


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)

"""An instructor's offerings and their times: create, change, withdraw."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from fastapi import Response
from pydantic import BaseModel, BeforeValidator, Field, model_validator

from api.catalogue import offerings, presenters, queries, slots
from api.catalogue.schemas import MAX_SLOTS, CancellationPreset, NewOffering, NewSlots, OfferingChange, WeeklySlots
from api.http.auth import AsInstructor, Caller
from api.http.database import Database, WithDatabase
from api.http.pagination import MAX_LIMIT, PageParams
from api.http.pagination import Page as PageOfList
from api.http.problems import Problem
from api.pages.forms import Typed, TypedForm
from api.pages.page import Page, WithPage, page_router
from api.people import blocked_times
from api.people.schemas import CalendarAddress
from api.settings import WithSettings
from models.domain.money import Currency, exponent
from models.domain.recurrence import Weekday

router = page_router()

_OFFERING = "/teaching/{offering_id}"
_LAST_DAY = date(9000, 1, 1)

Day = Annotated[date, Field(lt=_LAST_DAY, gt=date(2000, 1, 1))]


class _Price(BaseModel):
    """In major units, as people type it."""

    amount: Annotated[Decimal, Field(ge=0, lt=10**10)]
    currency: Currency

    @model_validator(mode="after")
    def _is_whole(self) -> "_Price":
        if self._minor() % 1:
            raise ValueError("amount has more decimals than the currency")
        return self

    def _minor(self) -> Decimal:
        return self.amount.scaleb(exponent(self.currency))

    def given(self) -> dict[str, Any]:
        return {"amount_minor": int(self._minor()), "currency": self.currency}


class _Minutes(BaseModel):
    min_notice_minutes: int
    buffer_before_minutes: int
    buffer_after_minutes: int


class _Duration(BaseModel):
    duration_minutes: int


def _separated(days: object) -> object:
    """Days as they are typed into one field."""
    return days.replace(",", " ").split() if isinstance(days, str) else days


class _Times(BaseModel):
    day: Day
    time: time
    weeks: Annotated[int, Field(ge=1, le=MAX_SLOTS)]
    without: Annotated[list[Day], BeforeValidator(_separated), Field(max_length=MAX_SLOTS)] = []

    def new(self, zone: str) -> NewSlots:
        weekly = WeeklySlots.model_validate(
            {
                "weekday": list(Weekday)[self.day.weekday()],
                "time": f"{self.time:%H:%M}",
                "time_zone": zone,
                "from": self.day.isoformat(),
                "count": self.weeks,
                "without": [day.isoformat() for day in self.without],
            }
        )
        return NewSlots(weekly=weekly)


class _Period(BaseModel):
    first_day: Day
    last_day: Day

    @model_validator(mode="after")
    def _ends_after_its_start(self) -> "_Period":
        if self.last_day < self.first_day:
            raise ValueError("last_day is before first_day")
        return self


@router.get("/teaching")
async def list_own(
    page: WithPage, caller: AsInstructor, position: PageParams, database: WithDatabase, settings: WithSettings
) -> Response:
    found = await offerings.list_own_offerings(caller, position, database, settings)
    more = page.url("/teaching", cursor=found.next_cursor) if found.next_cursor else None
    calendar = await blocked_times.find_calendar(caller.id, database)
    return page.show("teaching.html", offerings=found.data, next_page=more, calendar=calendar)


@router.get("/teaching/calendar")
async def calendar_form(page: WithPage, caller: AsInstructor, database: WithDatabase) -> Response:
    return page.show("teaching_calendar.html", calendar=await blocked_times.find_calendar(caller.id, database))


@router.post("/teaching/calendar")
async def set_calendar(page: WithPage, typed: TypedForm, caller: AsInstructor, database: WithDatabase) -> Response:
    try:
        await blocked_times.set_calendar(typed.read(CalendarAddress), caller, database)
    except Problem as problem:
        found = await blocked_times.find_calendar(caller.id, database)
        refused = typed.refused(problem, page)
        return page.show("teaching_calendar.html", problem.status_code, calendar=found, typed=refused)
    return page.redirect("/teaching/calendar", page.say("Your calendar is read within a minute, and then every hour."))


@router.post("/teaching/calendar/remove")
async def remove_calendar(page: WithPage, caller: AsInstructor, database: WithDatabase) -> Response:
    await blocked_times.remove_calendar(caller, database)
    return page.redirect("/teaching/calendar", page.say("Your calendar is removed. It blocks no times any more."))


@router.get("/teaching/new")
async def new_form(page: WithPage, caller: AsInstructor) -> Response:
    return page.show("teaching_new.html", presets=list(CancellationPreset))


@router.post("/teaching/new")
async def create(
    page: WithPage,
    typed: TypedForm,
    caller: AsInstructor,
    response: Response,
    database: WithDatabase,
    settings: WithSettings,
) -> Response:
    try:
        given = _fields(typed) | {"duration_minutes": typed.read(_Duration).duration_minutes}
        made = await offerings.create_offering(typed.read(NewOffering, **given), caller, response, database, settings)
    except Problem as problem:
        typed.refused(problem, page)
        return page.show("teaching_new.html", problem.status_code, typed=typed, presets=list(CancellationPreset))
    return page.redirect(
        f"/teaching/{made.id}", page.say("The offering is there. Add times, so that it can be booked.")
    )


@router.get(_OFFERING)
async def show(
    offering_id: UUID, page: WithPage, caller: AsInstructor, database: WithDatabase, settings: WithSettings
) -> Response:
    return await _offering(page, offering_id, caller, database)


@router.post(_OFFERING)
async def change(
    offering_id: UUID,
    page: WithPage,
    typed: TypedForm,
    caller: AsInstructor,
    database: WithDatabase,
    settings: WithSettings,
) -> Response:
    try:
        # A description that was emptied is meant to be empty.
        given = {"description": typed.get("description")} | _fields(typed)
        await offerings.update_offering(offering_id, typed.read(OfferingChange, **given), caller, database, settings)
    except Problem as problem:
        return await _offering(page, offering_id, caller, database, problem, typed)
    return page.redirect(f"/teaching/{offering_id}", page.say("Your changes are saved."))


@router.post(f"{_OFFERING}/active")
async def reopen_or_withdraw(
    offering_id: UUID,
    page: WithPage,
    typed: TypedForm,
    caller: AsInstructor,
    database: WithDatabase,
    settings: WithSettings,
) -> Response:
    wanted = typed.get("is_active") == "yes"
    await offerings.update_offering(offering_id, {"is_active": wanted}, caller, database, settings)
    said = page.say("It can be booked again.") if wanted else page.say("Withdrawn. Existing bookings continue.")
    return page.redirect(f"/teaching/{offering_id}", said)


@router.post(f"{_OFFERING}/slots")
async def add_times(
    offering_id: UUID,
    page: WithPage,
    typed: TypedForm,
    caller: AsInstructor,
    database: WithDatabase,
    settings: WithSettings,
) -> Response:
    """Once, or every week at the same time of day in the instructor's zone."""
    try:
        new = typed.read(_Times).new(page.zone.key)
        await slots.create_slots(offering_id, new, caller, database, settings)
    except Problem as problem:
        return await _offering(page, offering_id, caller, database, problem, typed)
    return page.redirect(f"/teaching/{offering_id}", page.say("The times are offered."))


@router.post(f"{_OFFERING}/slots/withdraw")
async def withdraw_times(
    offering_id: UUID, page: WithPage, typed: TypedForm, caller: AsInstructor, database: WithDatabase
) -> Response:
    """All of some days, which is also how a series gets its exceptions."""
    try:
        period = typed.read(_Period)
        first, last = (_midnight(day, page) for day in (period.first_day, period.last_day + timedelta(days=1)))
        done = await slots.withdraw_slots(offering_id, first, caller, database, last)
    except Problem as problem:
        return await _offering(page, offering_id, caller, database, problem, typed)
    said = page.say("Withdrawn: %(withdrawn)s. Kept because they are booked: %(booked)s.", **done.model_dump())
    return page.redirect(f"/teaching/{offering_id}", said)


async def _offering(
    page: Page,
    offering_id: UUID,
    caller: Caller,
    database: Database,
    problem: Problem | None = None,
    typed: Typed | None = None,
) -> Response:
    async with database.reading() as session:
        record = await queries.own_offering(session, offering_id, caller.id)
    offering = presenters.offering(record, page.settings.policy)
    price, first = offering.price.total, PageOfList(MAX_LIMIT, None)
    found = await slots.list_slots(offering_id, first, database, page.settings, datetime.now(UTC), None, False)
    return page.show(
        "teaching_offering.html",
        problem.status_code if problem else 200,
        offering=offering,
        slots=found.data,
        is_cut=found.next_cursor is not None,
        presets=list(CancellationPreset),
        amount=Decimal(price.amount_minor).scaleb(-exponent(price.currency)),
        typed=typed.refused(problem, page) if typed and problem else Typed(),
    )


def _fields(typed: Typed) -> dict[str, Any]:
    minutes = typed.read(_Minutes).model_dump()
    return minutes | {"price": typed.read(_Price).given(), "is_recorded": typed.get("is_recorded") == "yes"}


def _midnight(day: date, page: Page) -> datetime:
    return datetime.combine(day, time(), page.zone).astimezone(UTC)

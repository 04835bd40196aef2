from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from models.domain.actors import Role
from models.domain.policy import FLEXIBLE
from models.domain.states import BookingStatus
from tests.api.sql_statements import noted, plan
from tests.api.world import HOUR, JSON, Person, World, add_instructor, problem

NEW: JSON = {"title": "Counterpoint", "price": {"amount_minor": 10_000, "currency": "usd"}, "duration_minutes": 45}
DAY = timedelta(days=1)


async def create(client: httpx.AsyncClient, instructor: Person, **more: Any) -> JSON:
    answer = await client.post("/v1/offerings", json=NEW | more, headers=instructor.headers)
    assert answer.status_code == 201, answer.text
    created: JSON = answer.json()
    return created


async def titles(client: httpx.AsyncClient, **params: Any) -> list[str]:
    answer = await client.get("/v1/offerings", params=params)
    assert answer.status_code == 200, answer.text
    return [offering["title"] for offering in answer.json()["data"]]


def usd(amount_minor: int) -> JSON:
    return {"amount_minor": amount_minor, "currency": "usd"}


async def test_an_offering_has_the_fee_and_policy_of_a_booking_made_now(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    instructor = await add_instructor(engine, time_zone="Europe/Paris")
    answer = await client.post(
        "/v1/offerings",
        json=NEW
        | {
            "title": "  Counterpoint ",
            "description": "Two voices.",
            "cancellation": "strict",
            "buffer_before_minutes": 5,
            "buffer_after_minutes": 10,
            "is_recorded": True,
        },
        headers=instructor.headers,
    )
    assert answer.status_code == 201
    made = answer.json()
    assert made["instructor"] == {"id": str(instructor.id), "name": "Nadia", "time_zone": "Europe/Paris"}
    assert made["title"] == "Counterpoint"
    assert made["duration_minutes"] == 45
    assert (made["buffer_before_minutes"], made["buffer_after_minutes"]) == (5, 10)
    assert made["is_recorded"] is True
    assert made["price"] == {
        "total": usd(10_000),
        "platform_fee": usd(2_000),
        "instructor_payout": usd(8_000),
        "currency": "usd",
    }
    assert made["policy"]["cancellation"]["name"] == "strict"
    shown = await client.get(answer.headers["location"])
    assert shown.json() == made


async def test_an_offering_can_have_custom_tiers(client: httpx.AsyncClient, world: World) -> None:
    tiers = [{"before_seconds": 7_200, "refund_bps": 10_000}, {"before_seconds": 0, "refund_bps": 2_500}]
    made = await create(client, world.instructor, cancellation={"tiers": tiers})
    assert made["policy"]["cancellation"] == {"name": "custom", "tiers": tiers}


async def test_sessions_are_not_recorded_by_default(client: httpx.AsyncClient, world: World) -> None:
    assert (await create(client, world.instructor))["is_recorded"] is False


@pytest.mark.parametrize(
    ("price", "why"),
    [
        ({"amount_minor": 49, "currency": "usd"}, "0.49 USD is below the least that can be charged: 0.50 USD."),
        ({"amount_minor": 0, "currency": "jpy"}, "0 JPY is below the least that can be charged: 50 JPY."),
        ({"amount_minor": 10_000, "currency": "zzz"}, "zzz is no currency that can be charged."),
        ({"amount_minor": 5_001, "currency": "kwd"}, "an amount in kwd must be a multiple of 10 minor units."),
        (
            {"amount_minor": 100_000_000_000, "currency": "usd"},
            "1000000000.00 USD is above the most that can be charged: 999999.99 USD.",
        ),
    ],
)
async def test_a_price_that_cannot_be_charged_is_refused_with_the_reason(
    client: httpx.AsyncClient, world: World, price: JSON, why: str
) -> None:
    answer = await client.post("/v1/offerings", json=NEW | {"price": price}, headers=world.instructor.headers)
    assert problem(answer) == (422, "price-not-chargeable")
    assert answer.json()["detail"] == why


@pytest.mark.parametrize(
    "wrong",
    [
        {"title": " "},
        {"title": "a\0b"},
        {"title": "a\nb"},
        {"title": "a\x08b"},
        {"title": "\u3164"},
        {"title": "a\u202eb"},
        {"description": "x" * 5_001},
        {"price": {"amount_minor": 100.5, "currency": "usd"}},
        {"price": {"amount_minor": 10**12, "currency": "usd"}},
        {"price": {"amount_minor": 10_000, "currency": "USD"}},
        {"duration_minutes": 0},
        {"duration_minutes": "60"},
        {"buffer_after_minutes": -1},
        {"is_recorded": "yes"},
        {"cancellation": "lenient"},
        {"cancellation": {"tiers": [{"before_seconds": -1, "refund_bps": 0}]}},
        {"cancellation": {"tiers": [{"before_seconds": 1, "refund_bps": 10_001}]}},
        {"cancellation": {"tiers": [{"before_seconds": hour, "refund_bps": 0} for hour in (1, 2)]}},
        {"instructor_id": str(uuid4())},
    ],
)
async def test_an_invalid_offering_is_refused(client: httpx.AsyncClient, world: World, wrong: JSON) -> None:
    answer = await client.post("/v1/offerings", json=NEW | wrong, headers=world.instructor.headers)
    assert problem(answer) == (422, "request-invalid")


async def test_a_token_without_an_account_cannot_create_offerings(client: httpx.AsyncClient, world: World) -> None:
    answer = await client.post("/v1/offerings", json=NEW, headers=Person(Role.INSTRUCTOR).headers)
    assert problem(answer) == (403, "no-account")


async def test_an_unknown_offering_is_not_found(client: httpx.AsyncClient) -> None:
    for path in (f"/v1/offerings/{uuid4()}", f"/v1/offerings/{uuid4()}/slots"):
        assert problem(await client.get(path)) == (404, "not-found")


async def test_offerings_are_filtered_by_instructor_price_and_words(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    clara, toru = await add_instructor(engine), await add_instructor(engine)
    await create(client, clara, title="Piano: sight-reading", description="For l'amour of Bach & C++")
    await create(client, clara, title="Counterpoint", price=usd(5_000))
    await create(client, toru, title="作曲入門", price={"amount_minor": 7_000, "currency": "jpy"})
    all_titles = ["作曲入門", "Counterpoint", "Piano: sight-reading"]
    assert await titles(client) == all_titles
    assert await titles(client, instructor_id=str(toru.id)) == all_titles[:1]
    assert await titles(client, currency="usd") == all_titles[1:]
    assert await titles(client, currency="usd", price_min=5_001) == all_titles[2:]
    assert await titles(client, currency="usd", price_max=5_000) == all_titles[1:2]
    assert await titles(client, currency="usd", price_min=5_000, price_max=10_000) == all_titles[1:]
    assert await titles(client, q="COUNTER") == all_titles[1:2]
    assert await titles(client, q="pia bach") == all_titles[2:]
    assert await titles(client, q="sight-reading l'amour C++") == all_titles[2:]
    assert await titles(client, q="作曲") == all_titles[:1]
    assert await titles(client, q="bach counterpoint") == []
    assert await titles(client, q="  ") == all_titles


FUGUE = "Für Élise, Ørsted & the œuvre (C++, C#/F♯): l'amour"
SCRIPTS = ["作曲入門：東京の京都", "ピアノlessonｶﾞｲﾄﾞ", "작곡 입문", "เรียนเปียโน", "हिन्दी संगीत"]


FOUND: dict[str, list[str]] = {
    "fur elise": [FUGUE],
    "FÜR ÉLISE": [FUGUE],
    "fu\u0308r e\u0301lise": [FUGUE],
    "Ｅｌｉｓｅ": [FUGUE],
    "orsted oeuvre": [FUGUE],
    "c++": [FUGUE],
    "C#": [FUGUE],
    "f#": [FUGUE],
    "amour": [FUGUE],
    "l’amour": [FUGUE],
    "c+++": [],
    "c--": [FUGUE],
    "lise": [],
    "作曲": [SCRIPTS[0]],
    "入門": [SCRIPTS[0]],
    "門": [SCRIPTS[0]],
    "曲入門": [SCRIPTS[0]],
    "京都": [SCRIPTS[0]],
    "東京都": [],
    "入作": [],
    "ピアノ": [SCRIPTS[1]],
    "ピアノ lesson": [SCRIPTS[1]],
    "less": [SCRIPTS[1]],
    "ガイド": [SCRIPTS[1]],
    "ｶﾞｲ": [SCRIPTS[1]],
    "カイド": [],
    "작곡": [SCRIPTS[2]],
    "곡": [SCRIPTS[2]],
    "เปียโน": [SCRIPTS[3]],
    "संगीत": [SCRIPTS[4]],
    "++": [],
    "🎹": [],
}


async def test_search_finds_what_people_type(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    instructor = await add_instructor(engine)
    for title in (FUGUE, *SCRIPTS):
        await create(client, instructor, title=title)
    assert {q: await titles(client, q=q) for q in FOUND} == FOUND


async def test_search_follows_a_change_of_the_title(client: httpx.AsyncClient, world: World) -> None:
    url, headers = f"/v1/offerings/{world.offering_id}", world.instructor.headers
    assert (await client.patch(url, json={"title": "Fugue"}, headers=headers)).status_code == 200
    assert [await titles(client, q=q) for q in ("counterpoint", "fug")] == [[], ["Fugue"]]


async def test_any_description_can_be_searched(client: httpx.AsyncClient, world: World) -> None:
    for description in ("a" * 5_000, "作" * 5_000, "ﷺ" * 5_000, "b c " * 1_250, "é+" * 2_500):
        made = await create(client, world.instructor, description=description, title=description[:3])
        assert await titles(client, q=description[:200]) == [made["title"]]


@pytest.mark.parametrize("q", ["'", "\\", "' | 'a", "a:*", "&", "!!", "(", "a\\'b", ":* & '", "<->", "%", "é" * 200])
async def test_search_operators_are_escaped(client: httpx.AsyncClient, world: World, q: str) -> None:
    assert await titles(client, q=q) == []


@pytest.mark.parametrize(
    "params",
    [
        {"price_min": 1},
        {"currency": "usd", "price_max": -1},
        {"currency": "usd", "price_max": 2**63},
        {"currency": "USD"},
        {"q": "a\0"},
        {"q": "x" * 201},
        {"starts_after": "2026-01-01T00:00:00"},
        {"starts_before": "tomorrow"},
        {"instructor_id": "clara"},
    ],
)
async def test_an_invalid_filter_is_refused(client: httpx.AsyncClient, params: JSON) -> None:
    assert problem(await client.get("/v1/offerings", params=params)) == (422, "request-invalid")


async def test_a_time_window_keeps_offerings_with_a_free_slot_in_it(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    free, taken, _without = [await World.create(engine, f"acct_{number}") for number in range(3)]
    await free.slot(2 * DAY)
    slot_id = await taken.slot(2 * DAY)
    booking_id = await taken.booking(slot_id)
    now = datetime.now(UTC)

    async def ids(after: timedelta, before: timedelta) -> set[UUID]:
        params = {"starts_after": (now + after).isoformat(), "starts_before": (now + before).isoformat()}
        answer = await client.get("/v1/offerings", params=params)
        return {UUID(offering["id"]) for offering in answer.json()["data"]}

    assert await ids(DAY, 3 * DAY) == {free.offering_id}
    assert await ids(3 * DAY, 4 * DAY) == set()
    await taken.set(booking_id, status=BookingStatus.CANCELLED)
    assert await ids(DAY, 3 * DAY) == {free.offering_id, taken.offering_id}


async def test_pages_contain_every_offering_once_newest_first(client: httpx.AsyncClient, world: World) -> None:
    made = [world.offering_id, *[UUID((await create(client, world.instructor))["id"]) for _ in range(4)]]
    listed: list[UUID] = []
    params: dict[str, Any] = {"limit": 2}
    while True:
        page = (await client.get("/v1/offerings", params=params)).json()
        listed += [UUID(offering["id"]) for offering in page["data"]]
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]
    assert listed == made[::-1]


LISTS = [
    ("/v1/offerings", {}, "ix_offering_created"),
    ("/v1/instructors/me/offerings", {}, "ix_offering_instructor_created"),
    ("/v1/offerings", {"instructor_id": str(uuid4())}, "ix_offering_instructor_created"),
    ("/v1/offerings", {"starts_after": "2026-01-01T00:00:00Z"}, "uq_slot_offering_starts"),
    ("/v1/offerings", {"starts_after": "2026-01-01T00:00:00Z"}, "no_double_booking"),
    ("/v1/offerings/{offering_id}/slots", {}, "uq_slot_offering_starts"),
    ("/v1/offerings/{offering_id}/slots", {}, "no_double_booking"),
]


@pytest.mark.parametrize(("path", "params", "index"), LISTS)
async def test_each_list_is_one_statement_answered_by_an_index(
    client: httpx.AsyncClient, world: World, engine: AsyncEngine, path: str, params: JSON, index: str
) -> None:
    for hours in range(1, 6):
        await world.slot(hours * HOUR)
        await create(client, world.instructor)
    with noted(engine) as statements:
        url = path.format(offering_id=world.offering_id)
        answer = await client.get(url, params=params, headers=world.instructor.headers)
    assert answer.status_code == 200
    assert len(statements) == 1
    assert index in await plan(engine, *statements[0])


@pytest.mark.parametrize(
    ("params", "index"),
    [
        ({"q": "counter"}, "ix_offering_search"),
        ({"q": "作曲入門 c++"}, "ix_offering_search"),
        ({"currency": "usd", "price_min": 9_000, "price_max": 9_100}, "ix_offering_currency_price"),
    ],
)
async def test_a_word_or_price_can_be_found_by_its_index(
    client: httpx.AsyncClient, world: World, engine: AsyncEngine, params: JSON, index: str
) -> None:
    """Without ORDER BY: with it, the planner chooses between this index and the one for the order, by statistics."""
    with noted(engine) as statements:
        await client.get("/v1/offerings", params=params)
    statement, parameters = statements[0]
    unordered = statement.partition("ORDER BY")[0]
    used = {name: value for name, value in parameters.items() if f"%({name})" in unordered}
    # A nested loop over the few instructors would make the offering's index a matter of statistics, too.
    assert index in await plan(engine, unordered, used, without=("nestloop",))


async def slots(client: httpx.AsyncClient, world: World, **params: Any) -> list[JSON]:
    answer = await client.get(f"/v1/offerings/{world.offering_id}/slots", params=params)
    assert answer.status_code == 200, answer.text
    data: list[JSON] = answer.json()["data"]
    return data


async def test_a_slot_being_paid_for_is_not_free_until_the_booking_is_deleted(
    client: httpx.AsyncClient, world: World
) -> None:
    slot_id = await world.slot()
    other = await world.slot(DAY)
    booking_id = await world.booking(slot_id)
    assert [slot["id"] for slot in await slots(client, world)] == [str(other)]
    all_slots = await slots(client, world, only_free=False)
    assert [(slot["id"], slot["is_free"]) for slot in all_slots] == [(str(other), True), (str(slot_id), False)]
    await world.delete(booking_id)
    assert [slot["id"] for slot in await slots(client, world)] == [str(other), str(slot_id)]


async def test_buffers_block_slots_next_to_a_booking(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    world = await World.create(engine, buffer_minutes=15)
    booked, near, far = [await world.slot(DAY + timedelta(minutes=minutes)) for minutes in (0, 60 + 29, 60 + 31)]
    await world.booking(booked, buffer_before_minutes=15, buffer_after_minutes=15)
    assert [slot["id"] for slot in await slots(client, world)] == [str(far)]
    assert near


async def test_a_started_slot_is_not_free(client: httpx.AsyncClient, world: World) -> None:
    started = await world.slot(-HOUR / 2)
    assert await slots(client, world) == []
    assert [(slot["id"], slot["is_free"]) for slot in await slots(client, world, only_free=False)] == [
        (str(started), False)
    ]


async def test_a_slot_says_how_it_would_be_paid_and_from_when(client: httpx.AsyncClient, world: World) -> None:
    for days in (1, 10, 100):
        await world.slot(days * DAY)
    near, later, far = await slots(client, world)
    assert [each["payment_plan"] for each in (near, later, far)] == ["HOLD", "CHARGE_THEN_TRANSFER", None]
    assert near["bookable_from"] is later["bookable_from"] is None
    # 90 days, less a margin of six hours, a day to report the session and a day to object.
    reach = datetime.fromisoformat(far["ends_at"]) - datetime.fromisoformat(far["bookable_from"])
    assert reach == timedelta(days=87, hours=18)


async def test_all_of_a_weekly_series_of_twelve_can_be_booked(client: httpx.AsyncClient, world: World) -> None:
    for week in range(12):
        await world.slot(DAY + week * 7 * DAY)
    weekly = await slots(client, world)
    assert [each["payment_plan"] for each in weekly] == ["HOLD"] + ["CHARGE_THEN_TRANSFER"] * 11
    assert not [each for each in weekly if each["bookable_from"]]


async def test_slots_in_a_window_are_paginated_earliest_first(client: httpx.AsyncClient, world: World) -> None:
    made = [await world.slot(days * DAY) for days in (3, 1, 2, 5)]
    now = datetime.now(UTC)
    window: JSON = {
        "starts_after": (now + DAY / 2).isoformat(),
        "starts_before": (now + 4 * DAY).isoformat(),
        "limit": 2,
    }
    path = f"/v1/offerings/{world.offering_id}/slots"
    first = (await client.get(path, params=window)).json()
    second = (await client.get(path, params=window | {"cursor": first["next_cursor"]})).json()
    listed = [slot["id"] for slot in first["data"] + second["data"]]
    assert listed == [str(made[number]) for number in (1, 2, 0)]
    assert second["next_cursor"] is None


async def test_an_offering_and_its_booking_show_the_same_price_and_policy(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    world = await World.create(engine, cancellation=FLEXIBLE)
    booking_id = await world.booking()
    shown = (await client.get(f"/v1/bookings/{booking_id}", headers=world.student.headers)).json()
    offering = (await client.get(f"/v1/offerings/{world.offering_id}")).json()
    assert offering["price"] == shown["price"]
    assert set(offering["policy"]) == set(shown["policy"])

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.http.pagination import Cursor
from models.domain.actors import Role
from models.domain.endings import EndReason
from models.domain.policy import PaymentPlan
from models.domain.states import BookingStatus, PaymentStatus, PayoutStatus, SessionStatus
from models.tables.bookings import LiveSession
from models.tables.payments import InstructorPayout, Payment
from tests.api.sql_statements import noted, plan
from tests.api.world import JSON, Person, World, add_student, problem

NOW = datetime.now(UTC)


async def no_show(world: World, **fields: Any) -> UUID:
    """A booking whose student did not come. Half of the price was captured."""
    booking_id = await world.booking(
        status=BookingStatus.NO_SHOW,
        end_reason=EndReason.STUDENT_ABSENT,
        next_deadline_at=None,
        rejection_reason="The reason of a rejection that failed.",
        **fields,
    )
    await world.add(
        LiveSession(
            booking_id=booking_id,
            status=SessionStatus.NO_SHOW,
            room=str(uuid4()),
            total_price_minor=10_000,
            platform_fee_minor=1_000,
            instructor_payout_minor=4_000,
            currency="usd",
            created_at=NOW,
            updated_at=NOW,
        )
    )
    await world.add(
        Payment(
            booking_id=booking_id,
            plan=PaymentPlan.HOLD,
            status=PaymentStatus.PARTIALLY_REFUNDED,
            amount_minor=10_000,
            captured_minor=5_000,
            returned_minor=5_000,
            platform_fee_minor=1_000,
            currency="usd",
            payment_intent_id=f"pi_{booking_id}",
            hold_ends_at=NOW,
            created_at=NOW,
            updated_at=NOW,
        )
    )
    return booking_id


def _payout(booking_id: UUID, world: World) -> InstructorPayout:
    return InstructorPayout(
        booking_id=booking_id,
        instructor_id=world.instructor.id,
        status=PayoutStatus.PROCESSING,
        amount_minor=4_000,
        platform_fee_minor=1_000,
        currency="usd",
        stripe_payout_id="po_1",
        created_at=NOW,
        updated_at=NOW,
    )


def usd(amount_minor: int) -> JSON:
    return {"amount_minor": amount_minor, "currency": "usd"}


async def test_a_booking_has_its_session_and_payment(client: httpx.AsyncClient, world: World) -> None:
    booking_id = await no_show(world)
    shown = (await client.get(f"/v1/bookings/{booking_id}", headers=world.student.headers)).json()
    assert shown["status"] == "NO_SHOW"
    assert shown["end_reason"] == "student_absent"
    assert shown["price"] == {
        "total": usd(10_000),
        "platform_fee": usd(2_000),
        "instructor_payout": usd(8_000),
        "currency": "usd",
    }
    assert shown["session"].pop("id")
    assert shown["session"] == {
        "status": "NO_SHOW",
        "total_price": usd(10_000),
        "platform_fee": usd(1_000),
        "instructor_payout": usd(4_000),
        "payment_status": "PARTIALLY_REFUNDED",
    }
    assert shown["payment"] == {
        "plan": "HOLD",
        "payment_intent_id": f"pi_{booking_id}",
        "status": "PARTIALLY_REFUNDED",
        "amount": usd(10_000),
        "captured": usd(5_000),
        "returned": usd(5_000),
        "platform_fee": usd(1_000),
        "hold_ends_at": None,
        "hold_lapsed_at": None,
        "renewal": None,
    }


async def test_a_booking_names_the_offering_and_both_people(client: httpx.AsyncClient, world: World) -> None:
    await world.booking(title="Counterpoint, as it was booked")
    for person, path in ((world.student, "/v1/bookings"), (world.operator, "/v1/operator/bookings")):
        (shown,) = (await client.get(path, headers=person.headers)).json()["data"]
        names = (shown["title"], shown["student_name"], shown["instructor_name"])
        assert names == ("Counterpoint, as it was booked", "Ada", "Nadia")


async def test_everyone_whom_it_concerns_sees_where_the_money_is(client: httpx.AsyncClient, world: World) -> None:
    booking_id = await no_show(world)
    await world.add(_payout(booking_id, world))
    seen = {}
    for person in (world.student, world.instructor, world.operator):
        shown = (await client.get(f"/v1/bookings/{booking_id}", headers=person.headers)).json()
        payout = shown["payout"]
        seen[person.role] = (shown["payment"]["payment_intent_id"], payout and payout["stripe_payout_id"])
    intent = f"pi_{booking_id}"
    assert seen == {"student": (intent, None), "instructor": (None, "po_1"), "operator": (intent, "po_1")}


@pytest.mark.parametrize(("mode", "path"), [("test", "test/payments"), ("live", "payments")])
async def test_an_operator_gets_a_link_to_the_payment_at_stripe(
    client: httpx.AsyncClient, world: World, mode: str, path: str
) -> None:
    booking_id = await no_show(world, checkout_session_id=f"cs_{mode}_{uuid4()}")
    shown = (await client.get(f"/v1/bookings/{booking_id}", headers=world.operator.headers)).json()
    assert shown["stripe_dashboard_url"] == f"https://dashboard.stripe.com/{path}/pi_{booking_id}"


async def test_only_an_operator_gets_a_link_to_stripe_and_only_for_a_payment(
    client: httpx.AsyncClient, world: World
) -> None:
    unpaid, paid = await world.booking(), await no_show(world)
    shown = (await client.get(f"/v1/bookings/{unpaid}", headers=world.operator.headers)).json()
    assert shown["stripe_dashboard_url"] is None
    for person in (world.student, world.instructor):
        shown = (await client.get(f"/v1/bookings/{paid}", headers=person.headers)).json()
        assert "stripe_dashboard_url" not in shown


async def test_the_policy_is_shown_in_refunds_and_seconds(client: httpx.AsyncClient, world: World) -> None:
    booking_id = await world.booking()
    shown = (await client.get(f"/v1/bookings/{booking_id}", headers=world.instructor.headers)).json()
    assert len(shown["policy"].pop("version")) == 16
    assert shown["policy"] == {
        "platform_fee_bps": 2_000,
        "platform_fee_tax_bps": 0,
        "cancellation": {
            "name": "moderate",
            "tiers": [
                {"before_seconds": 86_400, "refund_bps": 10_000},
                {"before_seconds": 7_200, "refund_bps": 5_000},
            ],
        },
        "no_show": {"student_absent_refund_bps": 0, "instructor_absent_refund_bps": 10_000},
        "on_completion_timeout": "RELEASE",
        "deadlines": {
            "pay_within_seconds": 1_800,
            "pay_again_within_seconds": 300,
            "decide_within_seconds": 86_400,
            "report_within_seconds": 86_400,
            "contest_within_seconds": 0,
            "object_within_seconds": 0,
            "pay_again_before_start_seconds": 86_400,
            "pay_late_within_seconds": 259_200,
            "funds_kept_at_most_seconds": 7_776_000,
            "report_no_show_after_seconds": 600,
        },
    }


async def test_times_are_utc(client: httpx.AsyncClient, world: World) -> None:
    booking_id = await world.booking()
    shown = (await client.get(f"/v1/bookings/{booking_id}", headers=world.student.headers)).json()
    for field in ("starts_at", "ends_at", "created_at", "updated_at", "next_deadline_at"):
        assert shown[field].endswith("Z")


async def test_the_rejection_reason_is_shown_only_after_the_rejection(client: httpx.AsyncClient, world: World) -> None:
    open_id = await world.booking(rejection_reason="I am away.")
    rejected_id = await world.booking(status=BookingStatus.REJECTED, rejection_reason="I am away.")
    shown = [
        (await client.get(f"/v1/bookings/{booking_id}", headers=world.student.headers)).json()["rejection_reason"]
        for booking_id in (open_id, rejected_id)
    ]
    assert shown == [None, "I am away."]


async def test_only_the_student_sees_the_checkout_url(client: httpx.AsyncClient, world: World) -> None:
    booking_id = await world.booking(checkout_url="https://checkout.test/pay", checkout_session_id=str(uuid4()))
    seen = {
        person.role: (await client.get(f"/v1/bookings/{booking_id}", headers=person.headers)).json()["checkout_url"]
        for person in (world.student, world.instructor, world.operator)
    }
    assert seen == {"student": "https://checkout.test/pay", "instructor": None, "operator": None}


async def test_only_an_operator_sees_that_a_booking_needs_attention(client: httpx.AsyncClient, world: World) -> None:
    booking_id = await world.booking(needs_attention=True, attention_reason="settle: charge_expired_for_capture")
    by_operator = (await client.get(f"/v1/bookings/{booking_id}", headers=world.operator.headers)).json()
    by_student = (await client.get(f"/v1/bookings/{booking_id}", headers=world.student.headers)).json()
    assert by_operator["needs_attention"] is True
    assert by_operator["attention_reason"] == "settle: charge_expired_for_capture"
    assert not {"needs_attention", "attention_reason"} & set(by_student)


async def test_a_deleted_booking_is_gone_for_its_student_with_the_reason(
    client: httpx.AsyncClient, world: World
) -> None:
    booking_id = await world.deleted_booking()
    answer = await client.get(f"/v1/bookings/{booking_id}", headers=world.student.headers)
    assert problem(answer) == (410, "booking-deleted")
    assert answer.json()["reason"] == "card_declined"
    assert answer.json()["decline_code"] == "insufficient_funds"
    assert answer.json()["advice_code"] == "try_again_later"
    assert answer.json()["detail"].endswith("You can try the same card again later.")


async def test_a_deleted_booking_is_not_found_for_anyone_else(client: httpx.AsyncClient, world: World) -> None:
    booking_id = await world.deleted_booking()
    for person in (await add_student(world.engine), world.instructor, world.operator):
        answer = await client.get(f"/v1/bookings/{booking_id}", headers=person.headers)
        assert problem(answer) == (404, "not-found")


async def pages(client: httpx.AsyncClient, path: str, headers: dict[str, str], limit: int) -> list[list[str]]:
    found: list[list[str]] = []
    params: dict[str, str | int] = {"limit": limit}
    while True:
        answer = (await client.get(path, params=params, headers=headers)).json()
        found.append([booking["id"] for booking in answer["data"]])
        if answer["next_cursor"] is None:
            return found
        params["cursor"] = answer["next_cursor"]


async def test_pages_list_every_booking_once_newest_first(client: httpx.AsyncClient, world: World) -> None:
    # Two were created at the same time: the id orders them.
    ages = (5, 4, 3, 3, 1)
    created = [
        await world.booking(status=BookingStatus.CANCELLED, created_at=NOW - timedelta(minutes=age)) for age in ages
    ]
    found = await pages(client, "/v1/bookings", world.student.headers, limit=2)
    assert [len(page) for page in found] == [2, 2, 1]
    flat = [booking_id for page in found for booking_id in page]
    assert sorted(flat) == sorted(map(str, created))
    assert flat[0] == str(created[-1])
    assert flat[-1] == str(created[0])


async def test_a_new_booking_does_not_shift_the_next_page(client: httpx.AsyncClient, world: World) -> None:
    old = [await world.booking(status=BookingStatus.CANCELLED, created_at=NOW - timedelta(hours=n)) for n in (2, 1)]
    first = (await client.get("/v1/bookings", params={"limit": 1}, headers=world.student.headers)).json()
    await world.booking(status=BookingStatus.CANCELLED, created_at=NOW)
    cursor = {"limit": 1, "cursor": first["next_cursor"]}
    second = (await client.get("/v1/bookings", params=cursor, headers=world.student.headers)).json()
    assert [booking["id"] for booking in second["data"]] == [str(old[0])]


async def test_a_full_last_page_has_no_cursor(client: httpx.AsyncClient, world: World) -> None:
    await world.booking()
    answer = (await client.get("/v1/bookings", params={"limit": 1}, headers=world.instructor.headers)).json()
    assert len(answer["data"]) == 1
    assert answer["next_cursor"] is None


async def test_a_list_has_only_the_callers_bookings(client: httpx.AsyncClient, world: World) -> None:
    other_world = await World.create(world.engine, stripe_account_id="acct_elsewhere")
    own, _ = await world.booking(), await other_world.booking()
    for person in (world.student, world.instructor):
        listed = (await client.get("/v1/bookings", headers=person.headers)).json()["data"]
        assert [booking["id"] for booking in listed] == [str(own)]


@pytest.mark.parametrize("cursor", ["nonsense", "", "é", "MjAyNi0wMS0wMXw", "x" * 201])
async def test_an_invalid_cursor_is_refused(client: httpx.AsyncClient, world: World, cursor: str) -> None:
    answer = await client.get("/v1/bookings", params={"cursor": cursor}, headers=world.student.headers)
    assert problem(answer) in [(400, "cursor-unknown"), (422, "request-invalid")]


@pytest.mark.parametrize("limit", ["0", "101", "-1", "many"])
async def test_a_limit_out_of_range_is_refused(client: httpx.AsyncClient, world: World, limit: str) -> None:
    answer = await client.get("/v1/bookings", params={"limit": limit}, headers=world.student.headers)
    assert problem(answer) == (422, "request-invalid")


async def test_an_operator_filters_by_needs_attention(client: httpx.AsyncClient, world: World) -> None:
    calm = await world.booking(created_at=NOW - timedelta(hours=1))
    parked = await world.booking(
        await world.slot(timedelta(days=1)), needs_attention=True, attention_reason="settle: declined"
    )
    found = {}
    for wanted in ("true", "false", None):
        params = {"needs_attention": wanted} if wanted else {}
        answer = await client.get("/v1/operator/bookings", params=params, headers=world.operator.headers)
        found[wanted] = [booking["id"] for booking in answer.json()["data"]]
    assert found == {"true": [str(parked)], "false": [str(calm)], None: [str(parked), str(calm)]}


async def listed(client: httpx.AsyncClient, person: Person, **params: str) -> list[str]:
    path = "/v1/operator/bookings" if person.role is Role.OPERATOR else "/v1/bookings"
    answer = await client.get(path, params=params, headers=person.headers)
    assert answer.status_code == 200, answer.text
    return [booking["id"] for booking in answer.json()["data"]]


async def test_bookings_are_filtered_by_status_and_the_sessions_start(client: httpx.AsyncClient, world: World) -> None:
    day = timedelta(days=1)
    soon = str(await world.booking(await world.slot(day), created_at=NOW - day))
    later = str(await world.booking(await world.slot(3 * day), status=BookingStatus.ACCEPTED))
    middle = (NOW + 2 * day).isoformat()
    start_of_later = (await client.get(f"/v1/bookings/{later}", headers=world.student.headers)).json()["starts_at"]
    for person in (world.student, world.instructor, world.operator):
        assert await listed(client, person, status="PENDING") == [soon]
        assert await listed(client, person, status="CANCELLED") == []
        assert await listed(client, person, to=middle) == [soon]
        assert await listed(client, person, **{"from": middle}) == [later]
        assert await listed(client, person, **{"from": start_of_later}) == [later]
        assert await listed(client, person, to=start_of_later) == [soon]
        assert await listed(client, person, **{"from": NOW.isoformat(), "to": (NOW + 4 * day).isoformat()}) == [
            later,
            soon,
        ]
        assert await listed(client, person, status="PENDING", **{"from": middle}) == []


async def test_an_operator_filters_by_person_payment_session_and_payout(
    client: httpx.AsyncClient, world: World
) -> None:
    elsewhere = await World.create(world.engine, stripe_account_id="acct_elsewhere")
    own, other = str(await no_show(world)), str(await elsewhere.booking())
    await world.add(_payout(UUID(own), world))
    session_id = (await client.get(f"/v1/bookings/{own}", headers=world.student.headers)).json()["session"]["id"]
    for filters, found in (
        ({"student_id": str(world.student.id)}, [own]),
        ({"instructor_id": str(elsewhere.instructor.id)}, [other]),
        ({"student_id": str(world.student.id), "instructor_id": str(elsewhere.instructor.id)}, []),
        ({"payment_intent_id": f"pi_{own}"}, [own]),
        ({"payment_intent_id": f"pi_{other}"}, []),
        ({"session_id": session_id}, [own]),
        ({"session_id": str(uuid4())}, []),
        ({"stripe_payout_id": "po_1"}, [own]),
        ({"stripe_payout_id": "po_2"}, []),
    ):
        assert await listed(client, world.operator, **filters) == found


@pytest.mark.parametrize(
    "params",
    [
        {"status": "accepted"},
        {"status": ""},
        {"from": "2026-03-02"},
        {"to": "tomorrow"},
        {"student_id": "ada"},
        {"payment_intent_id": ""},
        {"payment_intent_id": "pi \0"},
        {"session_id": "ada"},
        {"stripe_payout_id": ""},
    ],
)
async def test_an_invalid_filter_is_refused(client: httpx.AsyncClient, world: World, params: dict[str, str]) -> None:
    answer = await client.get("/v1/operator/bookings", params=params, headers=world.operator.headers)
    assert problem(answer) == (422, "request-invalid")


@pytest.mark.parametrize("params", [{"student_id": str(uuid4())}, {"needs_attention": "true"}])
async def test_only_an_operator_has_an_operators_filters(
    client: httpx.AsyncClient, world: World, params: dict[str, str]
) -> None:
    answer = await client.get("/v1/bookings", params=params, headers=world.student.headers)
    assert problem(answer) == (422, "request-invalid")


@pytest.mark.parametrize(
    ("params", "index"),
    [
        ({}, "ix_booking_request_created"),
        ({"status": "ACCEPTED"}, "ix_booking_request_status_created"),
        ({"needs_attention": "true"}, "ix_booking_request_needs_attention"),
        ({"student_id": str(uuid4())}, "ix_booking_request_student_created"),
        ({"instructor_id": str(uuid4())}, "ix_booking_request_instructor_created"),
        ({"from": "2026-03-01T00:00:00Z", "to": "2026-03-02T00:00:00Z"}, "ix_booking_request_starts"),
        ({"payment_intent_id": "pi_1"}, "payment_payment_intent_id_key"),
        ({"session_id": str(uuid4())}, "live_session_id_key"),
        ({"stripe_payout_id": "po_1"}, "ix_instructor_payout_stripe_payout_id"),
    ],
)
async def test_each_filter_is_one_statement_answered_by_an_index(
    client: httpx.AsyncClient, world: World, engine: AsyncEngine, params: dict[str, str], index: str
) -> None:
    """A range of starts and the ids without ORDER BY, the ids without nested loops: with them, the planner chooses by
    statistics.
    """
    for hours in range(1, 6):
        await world.booking(await world.slot(timedelta(hours=hours * 2)))
    with noted(engine) as statements:
        await listed(client, world.operator, **params)
    ((statement, parameters),) = statements
    without = ("nestloop",) if {"payment_intent_id", "session_id", "stripe_payout_id"} & params.keys() else ()
    if without or "from" in params:
        statement = statement.partition(" ORDER BY booking_request.created_at")[0]
        parameters = {name: value for name, value in parameters.items() if f"%({name})" in statement}
    assert index in await plan(engine, statement, parameters, without)


@pytest.mark.parametrize("path", ["/v1/bookings", "/v1/bookings/{booking_id}"])
async def test_a_read_is_one_statement_for_any_number_of_bookings(
    client: httpx.AsyncClient, world: World, engine: AsyncEngine, path: str
) -> None:
    for hours in range(1, 6):
        booking_id = await world.booking(await world.slot(timedelta(hours=hours * 2)))
    with noted(engine) as statements:
        answer = await client.get(path.format(booking_id=booking_id), headers=world.student.headers)
    assert answer.status_code == 200
    assert len(statements) == 1


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
async def test_a_forged_cursor_at_the_limits_of_the_calendar_is_handled(
    client: httpx.AsyncClient, world: World, at: str
) -> None:
    cursor = str(Cursor(datetime.fromisoformat(at), uuid4()))
    answer = await client.get("/v1/bookings", params={"cursor": cursor}, headers=world.student.headers)
    assert answer.status_code in (200, 400)

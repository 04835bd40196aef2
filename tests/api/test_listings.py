"""What lists read when there are a million bookings: the rows that they show, from an index."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import md5
from typing import Any, NamedTuple
from uuid import UUID

import httpx
import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.http.database import Database
from api.http.pagination import Cursor
from api.reconciliation.gauges import ReconciliationGauges
from api.reports.attention import AttentionGauges
from models.db import build_engine
from models.domain.actors import Role
from sandbox.stack.postgres import Postgres
from tests.api.pages.browser import Browser
from tests.api.sql_statements import noted
from tests.api.world import Person
from tests.databases import drop_database
from tests.many_bookings import create_with_bookings

_BOOKINGS = 1_000_000
_DATABASE = "holdfast_listings"
_SMALL_PAGES = 200
"""Postgres may read a table of this size as a whole."""
_PAGE = 20
"""Rows, which is the default limit of a list."""
_BUFFERS = 10
"""For each row: the way through an index, and the row."""


class Listing(NamedTuple):
    role: str
    path: str
    queries: tuple[str, ...] = ("",)
    rows: int = 1_500
    """What a statement may read: a page has 20 rows, and each of them rows of other tables."""


_BOOKING_FILTERS = (
    "", "status=PENDING", "status=ACCEPTED", "status=NO_SHOW", "from={day[0]}",
    "from={day[-60]}&to={day[-59]}&status=NO_SHOW", "cursor={cursor}", "cursor={cursor}&status=EXPIRED",
)  # fmt: skip
_OPERATORS_FILTERS = (
    "needs_attention=true", "needs_attention=false", "needs_attention=true&status=COMPLETED", "student_id={student}",
    "student_id={student}&status=ACCEPTED", "instructor_id={instructor}", "instructor_id={instructor}&status=REJECTED",
    "instructor_id={instructor}&student_id={student}", "payment_intent_id={intent}",
    "session_id={session}", "cursor={cursor}&needs_attention=true",
)  # fmt: skip
_PAYOUT_FILTERS = ("", "status=PROCESSING", "status=FAILED", "status=REVERSED", "cursor={cursor}")
_OPEN = ("", "open=true", "open=false", "cursor={cursor}")
LISTS = (
    Listing("student", "/v1/bookings", _BOOKING_FILTERS),
    Listing("instructor", "/v1/bookings", (*_BOOKING_FILTERS, "status=COMPLETED", "to={day[-300]}")),
    Listing("operator", "/v1/operator/bookings", (*_BOOKING_FILTERS, *_OPERATORS_FILTERS)),
    Listing("operator", "/v1/bookings/{booking}"),
    *(Listing("operator", f"/v1/operator/bookings/{{booking}}/{part}") for part in ("trace", "ledger", "options")),
    Listing(
        "nobody",
        "/v1/offerings",
        (
            *("", "instructor_id={instructor}", "currency=usd", "cursor={cursor}"),
            *("starts_after={day[2]}&starts_before={day[3]}", "starts_after={day[200]}&starts_before={day[201]}"),
        ),
    ),
    Listing(
        "nobody", "/v1/offerings/{offering}/slots", ("", "only_free=false", "starts_after={day[5]}", "cursor={ahead}")
    ),
    Listing("instructor", "/v1/instructors/me/offerings"),
    Listing("instructor", "/v1/instructors/me/payouts", _PAYOUT_FILTERS),
    Listing("operator", "/v1/operator/payouts", (*_PAYOUT_FILTERS, "instructor_id={instructor}&status=FAILED")),
    Listing("operator", "/v1/operator/negative-balances"),
    Listing(
        "operator", "/v1/operator/people", ("", "q=student199998", "q=student199998@", "q={student}", "cursor={cursor}")
    ),
    Listing("operator", "/v1/operator/reconciliations", ("", "cursor={cursor}")),
    Listing("operator", "/v1/operator/drifts", _OPEN),
    Listing("operator", "/v1/operator/disputes", _OPEN),
    Listing(
        "operator", "/v1/webhooks/{endpoint}/messages", ("", "status=PENDING", "status=DELIVERED", "status=GIVEN_UP")
    ),
    Listing("student", "/v1/service-tokens"),
    Listing("student", "/bookings", ("", "past=true")),
    Listing("instructor", "/bookings", ("", "past=true", "past=true&cursor={cursor}")),
    *(Listing("instructor", path) for path in ("/teaching", "/teaching/{offering}")),
    *(Listing("nobody", path) for path in ("/offerings", "/offerings/{offering}", "/instructors/{instructor}")),
    *(Listing("operator", f"/operator{path}") for path in ("", "/bookings", "/bookings/{booking}", "/disputes")),
    *(Listing("operator", f"/operator{path}") for path in ("/drifts", "/reconciliations", "/people")),
    # Lists of 100.
    Listing("instructor", "/today", rows=8_000),
    # What is booked a week ahead, or not paid out yet, comes before it in the order of the page.
    Listing(
        "operator",
        "/v1/operator/bookings",
        (
            *("status=COMPLETED", "to={day[-60]}", "from={day[-60]}&to={day[-30]}", "from={day[-60]}&to={day[-59]}"),
            "instructor_id={instructor}&from={day[-60]}&to={day[-59]}",
        ),
        rows=8_000,
    ),
    Listing("operator", "/v1/operator/payouts", ("status=PAID",), rows=8_000),
    # The bookings of a payout, which are 280 here, and those of the payouts of a page.
    Listing("operator", "/v1/operator/bookings", ("stripe_payout_id={payout}",), rows=3_000),
    Listing("instructor", "/earnings/payouts/{payout}", rows=3_000),
    Listing("instructor", "/earnings", rows=8_000),
    Listing("instructor", "/earnings/payouts", ("", "cursor={cursor}"), rows=30_000),
    # All that match a word: a fifth of the offerings, and an eighth of the people.
    Listing("nobody", "/v1/offerings", ("q=greek", "q=19999"), rows=15_000),
    Listing("operator", "/v1/operator/people", ("q=ada",), rows=30_000),
)
_NAMES = """
SELECT booking_id AS booking, payment_intent_id AS intent, session.id AS session, stripe_payout_id AS payout
FROM live_session AS session JOIN instructor_payout AS payout USING (booking_id) JOIN payment USING (booking_id)
WHERE instructor_id = :instructor AND payout.status = 'PAID' ORDER BY payout.created_at DESC LIMIT 1
"""


@pytest.fixture(scope="module")
def _million(postgres: Postgres, migrated_template: str) -> Iterator[str]:
    create_with_bookings(postgres, _DATABASE, template=migrated_template, bookings=_BOOKINGS)
    yield postgres.url(_DATABASE)
    drop_database(postgres, _DATABASE)


@pytest.fixture
def database_url(_million: str) -> str:
    return _million


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = build_engine(database_url)
    yield engine
    await engine.dispose()


@pytest.mark.on_demand
@pytest.mark.timeout(1_800)
async def test_lists_read_what_they_show(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    people = {
        "nobody": None,
        "student": Person(Role.STUDENT, _id("student0")),
        "instructor": Person(Role.INSTRUCTOR, _id("instructor0")),
        "operator": Person(Role.OPERATOR, _id("operator")),
    }
    names, browser, too_much = await _names(engine), Browser(client), []
    for listing in LISTS:
        for query in listing.queries:
            path = f"{listing.path}?{query}".format_map(names)
            browser.become(person := people[listing.role])
            is_page = not path.startswith("/v1/")
            headers = {} if is_page else {"Accept": "application/json"} | (person.headers if person else {})
            with noted(engine) as statements:
                answer = await client.get(path, headers=headers)
            assert answer.status_code == 200, (path, answer.text)
            too_much += [f"{path}: {each}" for each in await _too_much(engine, statements, listing.rows)]
    registry, database = CollectorRegistry(), Database(engine)
    with noted(engine) as statements:
        await AttentionGauges(registry).refresh(database)
        await ReconciliationGauges(registry).refresh(database)
    too_much += [f"/metrics: {each}" for each in await _too_much(engine, statements, 1_500)]
    assert not too_much, "\n".join(too_much)


async def _names(engine: AsyncEngine) -> dict[str, Any]:
    now = datetime.now(UTC)
    ids = {name: _id(f"{name}0") for name in ("student", "instructor", "offering", "endpoint")}
    days = {str(day): f"{now + timedelta(days=day):%Y-%m-%dT%H:%M:%SZ}" for day in range(-300, 202)}
    cursors = {
        "cursor": Cursor(now - timedelta(days=500), UUID(int=0)),
        "ahead": Cursor(now + timedelta(days=10), UUID(int=0)),
    }
    async with engine.connect() as connection:
        found = (await connection.execute(text(_NAMES), {"instructor": ids["instructor"]})).one()
    return ids | cursors | found._asdict() | {"day": _Days(days)}


class _Days(dict[Any, str]):
    """A format's key is a text, unless it is a number of digits alone."""

    def __getitem__(self, day: Any) -> str:
        return super().__getitem__(str(day))


def _id(name: str) -> UUID:
    return UUID(md5(name.encode(), usedforsecurity=False).hexdigest())


async def _too_much(engine: AsyncEngine, statements: list[tuple[str, Any]], most: int) -> list[str]:
    """What reads a large table as a whole, or more than `most` rows."""
    found = []
    async with engine.connect() as connection:
        sizes = await connection.execute(text("SELECT relname, relpages FROM pg_class WHERE relkind = 'r'"))
        large = {name for name, pages in sizes if pages > _SMALL_PAGES}
        for statement, parameters in statements:
            explained = await connection.exec_driver_sql(
                f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", parameters
            )
            (root,) = explained.scalar_one()
            plan = root["Plan"]
            scans = [node for node in _nodes(plan) if "Relation Name" in node]
            rows = sum(map(_rows, scans))
            buffers = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
            # One that ends with its first rows reads them only.
            read = [node for node in scans if node["Node Type"] == "Seq Scan" and _rows(node) > _PAGE]
            whole = {node["Relation Name"] for node in read} & large
            if whole or rows > most or buffers > _BUFFERS * most:
                found.append(f"{rows} rows, {buffers} buffers, all of {whole or 'no table'}: {statement[:80]!r}")
    return found


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from _nodes(child)


def _rows(scan: dict[str, Any]) -> int:
    dropped = scan.get("Rows Removed by Filter", 0) + scan.get("Rows Removed by Index Recheck", 0)
    rows: int = round((scan["Actual Rows"] + dropped) * scan["Actual Loops"])
    return rows

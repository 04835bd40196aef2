import asyncio
import re
from collections.abc import Awaitable, Callable

import httpx
import pytest
from fastapi import FastAPI

from api.http.backpressure import Backpressure
from api.http.rate_limits import (
    BOOKINGS,
    GENERAL,
    HEAVY_SHARE,
    ONBOARDING_LINKS,
    PROBES,
    RESETS,
    SIGN_INS,
    SIGN_INS_PER_EMAIL,
    SIGN_UPS,
    SIGN_UPS_PER_EMAIL,
    Quota,
    RateLimits,
)
from api.people.passwords import AsyncPasswordHasher
from tests.api.people.sign_in import CountingHasher, sign_in, sign_up
from tests.api.route_table import ROWS
from tests.api.world import PUBLIC_URL, World, add_instructor, add_student, book, problem

UNLIMITED = {
    "/healthz",
    "/docs",
    "/v1/openapi.json",
    "/v1/stripe/webhook",
    "/v1/stripe/connect-webhook",
    "/v1/meetings/webhook",
}
# A path that needs no database query.
CHEAP = "/v1/instructors/nobody"
LIMITED = (429, "rate-limited")
WRONG = "not the right password"


@pytest.fixture(autouse=True)
def quick_hashes(app: FastAPI) -> None:
    app.state.password_hasher = AsyncPasswordHasher(CountingHasher())


def from_address(app: FastAPI, host: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, client=(host, 1)), base_url=PUBLIC_URL)


def is_limited(path: str) -> bool:
    return path not in UNLIMITED and not path.startswith(("/checkout", "/onboarding/", "/static"))


async def until_limited(quota: Quota, send: Callable[[int], Awaitable[httpx.Response]]) -> list[httpx.Response]:
    """Send requests until the quota is used up. Returns the responses before the 429.

    There are a few more of them if a window ends meanwhile.
    """
    answers = []
    for number in range(2 * quota.requests):
        answers.append(await send(number))
        if answers[-1].status_code == 429:
            break
    *within, last = answers
    assert problem(last) == LIMITED
    assert last.json()["quota"] == quota.name
    assert len(within) >= quota.requests
    return within


def state(answer: httpx.Response, name: str) -> tuple[int, int]:
    """What remains of a quota, and the seconds until it resets."""
    found = re.search(rf'"{name}";r=(\d+);t=(\d+)', answer.headers["ratelimit"])
    assert found
    return int(found[1]), int(found[2])


@pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.9"])
async def test_password_guesses_are_limited_per_account_from_any_address(
    app: FastAPI, client: httpx.AsyncClient, host: str
) -> None:
    await sign_up(client)
    guesses = await until_limited(SIGN_INS_PER_EMAIL, lambda _: sign_in(client, password=WRONG))
    assert {problem(answer) for answer in guesses} == {(401, "sign-in-refused")}
    async with from_address(app, host) as elsewhere:
        answer = await sign_in(elsewhere)
    assert problem(answer) == LIMITED
    assert 1 <= int(answer.headers["retry-after"]) <= SIGN_INS_PER_EMAIL.seconds
    assert state(answer, "sign-ins-of-mail") == (0, int(answer.headers["retry-after"]))
    assert (
        f'"sign-ins-of-mail";q={SIGN_INS_PER_EMAIL.requests};w={SIGN_INS_PER_EMAIL.seconds}'
        in answer.headers["ratelimit-policy"]
    )
    assert problem(await sign_in(client, "bob@students.test")) == (401, "sign-in-refused")


async def test_guesses_at_an_unknown_account_are_limited_too(client: httpx.AsyncClient) -> None:
    answers = await until_limited(SIGN_INS_PER_EMAIL, lambda _: sign_in(client, "BOB@students.test"))
    assert {answer.status_code for answer in answers} == {401}
    assert problem(await sign_in(client, "bob@students.test")) == LIMITED


async def test_a_correct_password_resets_the_counter(client: httpx.AsyncClient) -> None:
    await sign_up(client)
    for _ in range(2):
        for _ in range(SIGN_INS_PER_EMAIL.requests - 1):
            assert (await sign_in(client, password=WRONG)).status_code == 401
        assert (await sign_in(client)).status_code == 200


async def test_sign_ins_are_limited_per_address_across_accounts(app: FastAPI, client: httpx.AsyncClient) -> None:
    answers = await until_limited(SIGN_INS, lambda number: sign_in(client, f"student{number}@students.test"))
    assert {answer.status_code for answer in answers} == {401}
    async with from_address(app, "10.0.0.9") as elsewhere:
        assert (await sign_in(elsewhere)).status_code == 401


@pytest.mark.parametrize(
    ("quota", "path", "body"),
    [
        (SIGN_INS, "/v1/auth/token", {"password": WRONG}),
        (SIGN_INS, "/v1/auth/password", {"token": "unknown", "password": "a long enough password"}),
        (SIGN_UPS, "/v1/auth/signup", {"password": WRONG, "name": "Ada", "role": "student"}),
        (RESETS, "/v1/auth/password-reset", {}),
    ],
)
async def test_a_token_does_not_give_a_fresh_counter_to_an_address(
    app: FastAPI, client: httpx.AsyncClient, world: World, quota: Quota, path: str, body: dict[str, str]
) -> None:
    async def send(number: int) -> httpx.Response:
        email = {} if "token" in body else {"email": f"student{number}@students.test"}
        headers = (await add_student(world.engine)).headers if number % 2 else {}
        return await client.post(path, json=body | email, headers=headers)

    await until_limited(quota, send)
    assert problem(await send(-1)) == LIMITED
    async with from_address(app, "10.0.0.9") as elsewhere:
        assert (await elsewhere.post(path, json=body | {"email": "eve@students.test"})).status_code != 429


async def test_readiness_is_limited_per_address_and_liveness_is_not(app: FastAPI, client: httpx.AsyncClient) -> None:
    answers = await until_limited(PROBES, lambda _: client.get("/readyz"))
    assert {answer.status_code for answer in answers} == {503}
    assert (await client.get("/healthz")).status_code == 200
    async with from_address(app, "10.0.0.9") as elsewhere:
        assert problem(await elsewhere.get("/readyz")) == (503, "unavailable")


async def test_sign_ups_are_limited_per_mail_address(client: httpx.AsyncClient) -> None:
    first, *others = await until_limited(SIGN_UPS_PER_EMAIL, lambda _: sign_up(client))
    assert first.status_code == 201
    assert {answer.status_code for answer in others} == {409}


async def test_bookings_are_limited_per_student(client: httpx.AsyncClient, world: World) -> None:
    slot_id, other = await world.slot(), await add_student(world.engine)
    await world.booking(slot_id)
    answers = await until_limited(BOOKINGS, lambda number: book(client, other, slot_id, str(number)))
    assert {problem(answer) for answer in answers} == {(409, "slot-taken")}
    assert problem(await book(client, world.student, slot_id)) == (409, "slot-taken")
    assert (await client.get("/v1/bookings", headers=other.headers)).status_code == 200


async def test_onboarding_links_are_limited_per_instructor(client: httpx.AsyncClient, world: World) -> None:
    path, other = "/v1/instructors/me/onboarding-link", await add_instructor(world.engine)
    answers = await until_limited(ONBOARDING_LINKS, lambda _: client.post(path, headers=other.headers))
    assert {answer.status_code for answer in answers} == {503}
    assert (await client.post(path, headers=world.instructor.headers)).status_code == 503


async def test_anonymous_requests_are_limited_per_address(
    app: FastAPI, client: httpx.AsyncClient, world: World
) -> None:
    forged = {"Authorization": "Bearer not.a.token", "X-Forwarded-For": "10.0.0.9"}
    answers = await until_limited(GENERAL, lambda number: client.get(CHEAP, headers=forged if number % 2 else {}))
    assert {answer.status_code for answer in answers} == {404}
    assert state(answers[0], "general")[0] == GENERAL.requests - 1
    assert (await client.get(CHEAP, headers=world.student.headers)).status_code == 404
    assert (await client.get("/healthz")).status_code == 200
    async with from_address(app, "10.0.0.9") as elsewhere:
        assert (await elsewhere.get(CHEAP)).status_code == 404


async def test_an_ipv6_network_is_one_caller(app: FastAPI) -> None:
    used = []
    for host in ("2001:db8::1", "2001:db8::2:0:0:1", "2001:db8:0:1::1"):
        async with from_address(app, host) as client:
            used.append(GENERAL.requests - state(await client.get(CHEAP), "general")[0])
    assert used == [1, 2, 1]


async def test_a_quota_resets_when_it_says() -> None:
    limits, quota = RateLimits(), Quota("few", 2, 2)
    for _ in range(3):
        within = True
        while within:
            within, left = await limits.spend(quota, "ada")
        assert left.remaining == 0
        await asyncio.sleep(left.resets_in)
        within, _ = await limits.spend(quota, "ada")
        assert within


class CountingBackpressure(Backpressure):
    def __init__(self) -> None:
        super().__init__()
        self.waited = 0

    async def wait_turn(self) -> None:
        self.waited += 1
        await super().wait_turn()


async def test_only_a_caller_who_asked_for_much_waits_for_others(app: FastAPI) -> None:
    backpressure = app.state.backpressure = CountingBackpressure()
    light = int(GENERAL.requests * HEAVY_SHARE)
    async with from_address(app, "192.0.2.1") as greedy, from_address(app, "192.0.2.2") as other:
        for _ in range(light):
            await greedy.get(CHEAP)
        assert backpressure.waited == 0
        await greedy.get(CHEAP)
        assert backpressure.waited == 1
        await other.get(CHEAP)
        assert backpressure.waited == 1


async def test_guesses_at_an_address_do_not_make_its_owner_wait(app: FastAPI) -> None:
    backpressure = app.state.backpressure = CountingBackpressure()
    for number in range(SIGN_INS_PER_EMAIL.requests):
        async with from_address(app, f"192.0.2.{number}") as client:
            await sign_in(client, password=WRONG)
    assert backpressure.waited == 0


@pytest.mark.parametrize(("method", "path"), ROWS)
async def test_limited_routes_send_the_rate_limit_headers(method: str, path: str, client: httpx.AsyncClient) -> None:
    answer = await client.request(method, re.sub(r"\{.*?\}", "x", path))
    assert ("ratelimit" in answer.headers) == ("ratelimit-policy" in answer.headers) == is_limited(path)


def test_openapi_declares_429_on_limited_routes(app: FastAPI) -> None:
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            limited = operation["responses"].get("429")
            assert bool(limited) == is_limited(path), f"{method} {path}"
            assert not limited or set(limited["headers"]) >= {"Retry-After", "RateLimit", "RateLimit-Policy"}

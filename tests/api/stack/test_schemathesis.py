"""Whatever anybody sends to any route, the answer is one that the OpenAPI document declares, and no failure of ours."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import unquote
from uuid import UUID
from zlib import crc32

import pytest
import requests
import schemathesis
from schemathesis import Case, Config
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from api.main import build_app
from models.db import build_engine
from sandbox.stack.stack import Stack
from tests.api.route_table import ROWS
from tests.api.stack.populated_api import PopulatedApi, settle
from tests.api.world import JSON, settings

ROLES = ("nobody", "student", "instructor", "operator")

EXCLUDED_CHECKS = {
    "positive_data_acceptance": (
        "a schema cannot say all that is asked: that a cursor is one of ours, that a zone exists, that a signature "
        "fits, that a booking was paid. What is refused for that is declared, with 400, 410 or 422"
    ),
}
"""The checks of Schemathesis that are left out, each with its reason. No route is left out of any."""

_TIMEOUT_SECONDS = 20


def _config(**phases: bool) -> Config:
    return Config.from_dict(
        {
            "seed": 1,
            "generation": {"deterministic": True, "max-examples": 5, "database": "none", "no-shrink": True},
            "phases": {name: {"enabled": phases.get(name, False)} for name in ("examples", "coverage", "fuzzing")},
            "checks": {name: {"enabled": False} for name in EXCLUDED_CHECKS},
        }
    )


async def _document() -> JSON:
    """As the app describes itself. Nothing that it would need to do anything else is there."""
    engine = build_engine("postgresql+psycopg://nobody@127.0.0.1/none")
    temporal = await Client.connect("127.0.0.1:1", data_converter=pydantic_data_converter, lazy=True)
    try:
        return build_app(settings(str(engine.url), "none"), engine, temporal).openapi()
    finally:
        await engine.dispose()


# Asked for while tests are collected, when there is no stack to ask.
DOCUMENT = asyncio.run(_document())
random = schemathesis.openapi.from_dict(DOCUMENT, config=_config(examples=True, fuzzing=True))
on_the_edge = schemathesis.openapi.from_dict(DOCUMENT, config=_config(coverage=True))


@pytest.fixture(scope="module")
def populated_api(stack: Stack, unlimited_url: str, services_loop: asyncio.Runner) -> PopulatedApi:
    return services_loop.run(settle(stack, unlimited_url))


@pytest.fixture(scope="module")
def browser() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


def test_the_document_is_the_one_that_is_served(unlimited_url: str, browser: requests.Session) -> None:
    served = browser.get(f"{unlimited_url}/v1/openapi.json", timeout=_TIMEOUT_SECONDS).json()
    assert served | {"servers": []} == DOCUMENT | {"servers": []}


@pytest.mark.parametrize("role", ROLES)
@random.parametrize()
def test_what_any_role_sends_is_answered_as_declared(
    case: Case[Any], role: str, populated_api: PopulatedApi, unlimited_url: str, browser: requests.Session
) -> None:
    _check(case, role, populated_api, unlimited_url, browser)


@on_the_edge.parametrize()
def test_what_lies_on_the_edge_of_the_schema_is_answered_as_declared(
    case: Case[Any], populated_api: PopulatedApi, unlimited_url: str, browser: requests.Session
) -> None:
    _check(case, _let_in(case), populated_api, unlimited_url, browser)


def _check(case: Case[Any], role: str, populated_api: PopulatedApi, url: str, browser: requests.Session) -> None:
    _send_home(case, populated_api)
    headers = {"Authorization": f"Bearer {populated_api.tokens[role]}"} if role in populated_api.tokens else {}
    response = case.call(base_url=url, session=browser, headers=headers, timeout=_TIMEOUT_SECONDS)
    case.validate_response(response)


def _let_in(case: Case[Any]) -> str:
    """The first role that is not turned away from the route, as the authorization matrix has it."""
    row = ROWS[case.operation.method.upper(), case.operation.path]
    return next((role for role in ROLES[1:] if row[role] not in ("401", "403")), ROLES[0])


def _send_home(case: Case[Any], populated_api: PopulatedApi) -> None:
    """Of the ids that are well formed, three in four become those of something that there is: always of the same."""
    which = crc32(repr((case.path_parameters, case.query, case.headers, case.body)).encode())
    for place in (case.path_parameters, case.query, case.body):
        if not isinstance(place, dict):
            continue
        for name in place.keys() & populated_api.known.keys():
            if which % 4 and _is_well_formed(name, place[name]):
                known = populated_api.known[name]
                place[name] = known[which // 4 % len(known)]


def _is_well_formed(name: str, value: Any) -> bool:
    if name == "dispute_id":
        return isinstance(value, str) and bool(re.fullmatch(r"[\x21-\x7e]{1,255}", unquote(value)))
    with suppress(ValueError, AttributeError, TypeError):
        return bool(UUID(value))
    return False

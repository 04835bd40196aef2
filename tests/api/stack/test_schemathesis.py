"""Any request to any route has a response that the OpenAPI document declares, and never a server error."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
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
from tests.api.stack.populated_api import PopulatedApi, populate
from tests.api.world import JSON, settings

ROLES = ("nobody", "student", "instructor", "operator")

EXCLUDED_CHECKS = {
    "positive_data_acceptance": (
        "a schema cannot express every rule: that a cursor is valid, that a time zone exists, that a signature "
        "matches, that a booking is paid. Such refusals are declared, with 400, 410 or 422"
    ),
}
"""Disabled checks of Schemathesis, each with its reason. No route is excluded from the others."""

OF_HTTP = {
    *("cache-control", "connection", "content-encoding", "content-length", "content-type", "date", "server"),
    *("strict-transport-security", "transfer-encoding", "vary"),
    *("content-security-policy", "referrer-policy", "x-content-type-options", "x-frame-options", "x-accel-buffering"),
    # What a status brings with it (RFC 9110).
    *("allow", "retry-after", "www-authenticate"),
}
"""Headers that the document need not declare: HTTP's own, and those for browsers."""

_TIMEOUT_SECONDS = 20


def _config(**phases: bool) -> Config:
    return Config.from_dict(
        {
            "seed": 1,
            "generation": {"deterministic": True, "max-examples": 3, "database": "none", "no-shrink": True},
            "phases": {name: {"enabled": phases.get(name, False)} for name in ("examples", "coverage", "fuzzing")},
            "checks": {name: {"enabled": False} for name in EXCLUDED_CHECKS},
        }
    )


async def _document() -> JSON:
    """The document of an app without a database and without Temporal."""
    engine = build_engine("postgresql+psycopg://nobody@127.0.0.1/none")
    temporal = await Client.connect("127.0.0.1:1", data_converter=pydantic_data_converter, lazy=True)
    try:
        return build_app(settings(str(engine.url), "none"), engine, temporal).openapi()
    finally:
        await engine.dispose()


# Needed while tests are collected, when no stack is running.
DOCUMENT = asyncio.run(_document())


def _with_whole_events(document: JSON) -> JSON:
    """Schemathesis takes the schema of a stream for an event with its `id`, `event` and `data`; ours is of `data`."""
    copy: JSON = deepcopy(document)
    content = copy["paths"]["/v1/bookings/{booking_id}/events"]["get"]["responses"]["200"]["content"]
    data = {"type": "string", "contentMediaType": "application/json"}
    data |= {"contentSchema": content["text/event-stream"]["schema"]}
    content["text/event-stream"]["schema"] = {"type": "object", "required": ["data"], "properties": {"data": data}}
    return copy


TESTED = _with_whole_events(DOCUMENT)
random = schemathesis.openapi.from_dict(TESTED, config=_config(examples=True, fuzzing=True))
on_the_edge = schemathesis.openapi.from_dict(TESTED, config=_config(coverage=True))


@pytest.fixture(scope="module")
def populated_api(stack: Stack, unlimited_url: str, services_loop: asyncio.Runner) -> PopulatedApi:
    return services_loop.run(populate(stack, unlimited_url))


@pytest.fixture(scope="module")
def browser() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


def test_served_document_is_the_tested_one(unlimited_url: str, browser: requests.Session) -> None:
    served = browser.get(f"{unlimited_url}/v1/openapi.json", timeout=_TIMEOUT_SECONDS).json()
    assert served | {"servers": []} == DOCUMENT | {"servers": []}


@pytest.mark.parametrize("role", ["allowed", *(pytest.param(role, marks=pytest.mark.on_demand) for role in ROLES)])
@random.parametrize()
def test_response_to_any_role_is_declared(
    case: Case[Any], role: str, populated_api: PopulatedApi, unlimited_url: str, browser: requests.Session
) -> None:
    role = _allowed_role(case) if role == "allowed" else role
    _check(case, role, populated_api, unlimited_url, browser)


# pytest 9.2 leaves the operation out of the id of a test without another parameter.
@pytest.mark.parametrize("role", ["allowed"])
@on_the_edge.parametrize()
def test_response_at_the_edges_of_the_schema_is_declared(
    case: Case[Any], role: str, populated_api: PopulatedApi, unlimited_url: str, browser: requests.Session
) -> None:
    _check(case, _allowed_role(case), populated_api, unlimited_url, browser)


def _check(case: Case[Any], role: str, populated_api: PopulatedApi, url: str, browser: requests.Session) -> None:
    _use_existing_ids(case, populated_api)
    headers = {"Authorization": f"Bearer {populated_api.tokens[role]}"} if role in populated_api.tokens else {}
    response = case.call(base_url=url, session=browser, headers=headers, timeout=_TIMEOUT_SECONDS)
    case.validate_response(response)
    # A 405 is of no operation, so it is not declared.
    if declared := case.operation.definition.raw["responses"].get(str(response.status_code)):
        named = {name.lower() for name in declared["headers"]}
        assert {name.lower() for name in response.headers} - named <= OF_HTTP


def _allowed_role(case: Case[Any]) -> str:
    """The first role that the authorization matrix allows on the route."""
    row = ROWS[case.operation.method.upper(), case.operation.path]
    return next((role for role in ROLES[1:] if row[role] not in ("401", "403")), ROLES[0])


def _use_existing_ids(case: Case[Any], populated_api: PopulatedApi) -> None:
    """Replace three in four well-formed ids by existing ones, always in the same way."""
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

"""The OpenAPI document is complete, matches the routes, and has valid examples."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts

from api.examples.bookings import EXAMPLES
from api.http.auth import bearer
from api.http.database import Database
from api.http.problems import MEDIA_TYPE, SCHEMA_NAME, Kind
from models.domain.scopes import required_scope
from sandbox.contract import document
from tests.api.route_table import API
from tests.api.world import JSON, PUBLIC_URL

AUTHENTICATION_ERRORS = {Kind.NOT_SIGNED_IN, Kind.WRONG_ROLE, Kind.NO_ACCOUNT, Kind.SCOPE_MISSING, Kind.UNAVAILABLE}
"""Of routes that require a token. An identity provider's may be of an unknown person, or its keys unreachable."""

PARTIAL = {SCHEMA_NAME, "NewOffering", "NewSlots", "OfferingChange", "WebhookChange", "WeeklySlots"}
"""Schemas that are never sent with all of their members."""


@pytest.fixture(scope="module")
def schema() -> JSON:
    return asyncio.run(document())


def operations(schema: JSON) -> Iterator[tuple[str, JSON]]:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def declared_kinds(operation: JSON) -> set[Kind]:
    slugs = {
        slug
        for status, response in operation["responses"].items()
        if int(status) >= 400
        for slug in response["content"][MEDIA_TYPE]["examples"]
    }
    return {kind for kind in Kind if kind.slug in slugs}


def dependencies(dependant: Dependant) -> Iterator[object]:
    """A route's dependencies, including indirect ones."""
    for each in dependant.dependencies:
        yield each.call
        yield from dependencies(each)


def uses_database(dependant: Dependant) -> bool:
    return any(getattr(call, "__annotations__", {}).get("return") is Database for call in dependencies(dependant))


def expected_errors(dependant: Dependant, operation: JSON) -> Iterator[Kind]:
    yield Kind.INTERNAL
    if bearer in dependencies(dependant):
        yield from AUTHENTICATION_ERRORS
    if uses_database(dependant):
        yield Kind.UNAVAILABLE
    if dependant.path_params:
        yield Kind.NOT_FOUND
    if any(parameter["in"] == "query" for parameter in operation.get("parameters", ())):
        yield Kind.REQUEST_INVALID
    if dependant.body_params:
        yield from (Kind.BAD_REQUEST, Kind.CONTENT_TOO_LARGE, Kind.REQUEST_INVALID)


def errors_in(schema: JSON, reference: JSON, example: object) -> list[str]:
    document = reference | {"components": schema["components"]}
    validator = jsonschema_rs.Draft202012Validator(document, validate_formats=True)
    return [error.message for error in validator.iter_errors(example)]


def test_every_property_and_every_parameter_is_described(schema: JSON) -> None:
    properties = {
        f"{name}.{member}": value
        for name, definition in schema["components"]["schemas"].items()
        for member, value in definition.get("properties", {}).items()
    }
    parameters = {
        f"{name} {each['name']}": each
        for name, operation in operations(schema)
        for each in operation.get("parameters", ())
    }
    assert [name for name, value in (properties | parameters).items() if not value.get("description")] == []


def test_each_enum_has_one_case(schema: JSON) -> None:
    """States and policies of records are in upper case, everything else in lower case. None mixes the two."""
    for name, definition in schema["components"]["schemas"].items():
        values = definition.get("enum", ())
        assert all(map(str.isupper, values)) or all(map(str.islower, values)), name


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("NewSlots", {}),
        ("NewSlots", {"starts_at": "2026-03-02T17:30:00Z", "weekly": EXAMPLES["WeeklySlots"]}),
        ("NewSlots", {"starts_at": None}),
        ("WeeklySlots", EXAMPLES["WeeklySlots"] | {"count": 3}),
        ("WeeklySlots", {k: v for k, v in EXAMPLES["WeeklySlots"].items() if k != "until"}),
        ("SignUp", EXAMPLES["SignUp"] | {"password": "too short"}),
        ("SignUp", EXAMPLES["SignUp"] | {"email": "nobody"}),
        ("PasswordChange", EXAMPLES["PasswordChange"] | {"new_password": "x" * 129}),
        ("NewOffering", EXAMPLES["NewOffering"] | {"price": {"amount_minor": -1, "currency": "usd"}}),
        ("NewOffering", EXAMPLES["NewOffering"] | {"price": {"amount_minor": 10**12, "currency": "usd"}}),
    ],
)
def test_schemas_refuse_what_the_server_refuses(schema: JSON, name: str, body: JSON) -> None:
    reference = {"$ref": f"#/components/schemas/{name}"}
    assert errors_in(schema, reference, EXAMPLES[name]) == []
    assert errors_in(schema, reference, body)


def test_every_operation_has_a_unique_id_a_description_and_a_described_tag(schema: JSON) -> None:
    ids = [operation["operationId"] for _, operation in operations(schema)]
    assert len(set(ids)) == len(ids)
    assert {tag for _, operation in operations(schema) for tag in operation["tags"]} == {
        tag["name"] for tag in schema["tags"] if tag["description"]
    }
    assert all(operation["tags"] and operation["description"] for _, operation in operations(schema))


def test_the_server_is_the_public_url(app: FastAPI) -> None:
    assert [server["url"] for server in app.openapi()["servers"]] == [PUBLIC_URL]


def test_every_route_is_described_except_html_pages_and_the_document_itself(schema: JSON) -> None:
    described = {tuple(name.split()) for name, _ in operations(schema)}
    assert described == set(API) - {("GET", "/v1/openapi.json"), ("GET", "/docs"), ("POST", "/mcp")}


def test_every_declared_error_is_a_problem_with_a_valid_example(schema: JSON) -> None:
    for name, operation in operations(schema):
        for status, response in operation["responses"].items():
            if int(status) < 400:
                continue
            assert set(response["content"]) == {MEDIA_TYPE}, (name, status)
            for slug, example in response["content"][MEDIA_TYPE]["examples"].items():
                assert errors_in(schema, response["content"][MEDIA_TYPE]["schema"], example["value"]) == []
                assert example["value"]["type"] == f"urn:holdfast:problem:{slug}"
                assert str(example["value"]["status"]) == status


def test_every_route_declares_the_errors_of_its_dependencies(app: FastAPI, schema: JSON) -> None:
    missing = {}
    for route in iter_route_contexts(app.routes):
        for method in route.methods or ():
            operation = schema["paths"].get(route.path, {}).get(method.lower())
            if operation is not None:
                lacks = set(expected_errors(route.dependant, operation)) - declared_kinds(operation)
                missing[f"{method} {route.path}"] = {kind.name for kind in lacks}
    assert {name: lacks for name, lacks in missing.items() if lacks} == {}
    assert len(missing) == len(list(operations(schema)))


def test_exactly_the_routes_that_require_a_token_declare_security(schema: JSON) -> None:
    for name, operation in operations(schema):
        method, path = name.split()
        # A sign-in with a wrong password gets the same status, but needs no token.
        needs_token = API[method, path]["nobody"] == "401" and path != "/v1/auth/token"
        scope = required_scope(method, path) if needs_token else None
        assert operation["security"] == ([{"bearer": []}] if needs_token else []), name
        assert operation.get("x-required-scope") == scope, name
        assert (Kind.NOT_SIGNED_IN in declared_kinds(operation)) == needs_token, name
    assert schema["security"] == [{"bearer": []}]
    assert schema["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"


def test_every_reference_resolves(schema: JSON) -> None:
    components = set(schema["components"]["schemas"])
    references = {part.split('"')[0] for part in json.dumps(schema).split("#/components/schemas/")[1:]}
    assert references <= components
    assert "HTTPValidationError" not in components


def test_schema_names_are_plain_identifiers(schema: JSON) -> None:
    """FastAPI prefixes the names of two schemas with the same name with their modules."""
    assert [name for name in schema["components"]["schemas"] if not name.isalnum()] == []
    # A person has an account as well, and a session can be booked.
    assert {"Account", "Book", "Interval", "Recipient"}.isdisjoint(schema["components"]["schemas"])


def test_every_schema_has_a_valid_example(schema: JSON) -> None:
    names = {name for name, definition in schema["components"]["schemas"].items() if definition["type"] == "object"}
    assert names == set(EXAMPLES)
    for name in names:
        (example,) = schema["components"]["schemas"][name]["examples"]
        assert errors_in(schema, {"$ref": f"#/components/schemas/{name}"}, example) == [], name
        # An example shows every member, optional ones included.
        if name not in PARTIAL:
            assert set(example) >= set(schema["components"]["schemas"][name]["properties"]), name


@pytest.mark.parametrize("invalid", [{"amount_minor": "100", "currency": "usd"}, {"amount_minor": 100}])
def test_an_invalid_example_is_detected(schema: JSON, invalid: Any) -> None:
    assert errors_in(schema, {"$ref": "#/components/schemas/Money"}, invalid)

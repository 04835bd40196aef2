"""What a client's generator reads: complete, true to the routes, and with examples that fit."""

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
from tests.api.route_table import ROWS
from tests.api.world import JSON, PUBLIC_URL

SIGNED_IN = {Kind.NOT_SIGNED_IN, Kind.WRONG_ROLE, Kind.NO_ACCOUNT, Kind.UNAVAILABLE}
"""Where a token is needed. An identity provider's may be anybody's, and its keys may be out of reach."""

CHOICES = {SCHEMA_NAME, "NewOffering", "NewSlots", "OfferingChange", "WeeklySlots"}
"""Shapes that are never sent with all of their members."""


@pytest.fixture
def schema(app: FastAPI) -> JSON:
    return app.openapi()


def operations(schema: JSON) -> Iterator[tuple[str, JSON]]:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def declared_kinds(operation: JSON) -> set[Kind]:
    slugs = {
        slug
        for status, answer in operation["responses"].items()
        if int(status) >= 400
        for slug in answer["content"][MEDIA_TYPE]["examples"]
    }
    return {kind for kind in Kind if kind.slug in slugs}


def parts(dependant: Dependant) -> Iterator[object]:
    """What a route depends on, and what that depends on."""
    for part in dependant.dependencies:
        yield part.call
        yield from parts(part)


def uses_database(dependant: Dependant) -> bool:
    return any(getattr(call, "__annotations__", {}).get("return") is Database for call in parts(dependant))


def ends_of_parts(dependant: Dependant, operation: JSON) -> Iterator[Kind]:
    yield Kind.INTERNAL
    if bearer in parts(dependant):
        yield from SIGNED_IN
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


def test_every_operation_has_an_id_of_its_own_and_a_tag_that_is_described(schema: JSON) -> None:
    ids = [operation["operationId"] for _, operation in operations(schema)]
    assert len(set(ids)) == len(ids)
    assert {tag for _, operation in operations(schema) for tag in operation["tags"]} == {
        tag["name"] for tag in schema["tags"] if tag["description"]
    }
    assert all(operation["tags"] and operation["description"] for _, operation in operations(schema))


def test_it_says_where_it_is_served(schema: JSON) -> None:
    assert [server["url"] for server in schema["servers"]] == [PUBLIC_URL]


def test_every_route_is_described_but_pages_for_people_and_itself(schema: JSON) -> None:
    pages = {
        row for row in ROWS if row[1].startswith(("/checkout/", "/onboarding/", "/password-reset", "/v1/openapi.json"))
    }
    described = {tuple(name.split()) for name, _ in operations(schema)}
    assert described == set(ROWS) - pages


def test_every_error_is_declared_as_a_problem_with_an_example_of_each_kind(schema: JSON) -> None:
    for name, operation in operations(schema):
        for status, answer in operation["responses"].items():
            if int(status) < 400:
                continue
            assert set(answer["content"]) == {MEDIA_TYPE}, (name, status)
            for slug, example in answer["content"][MEDIA_TYPE]["examples"].items():
                assert errors_in(schema, answer["content"][MEDIA_TYPE]["schema"], example["value"]) == []
                assert example["value"]["type"] == f"urn:holdfast:problem:{slug}"
                assert str(example["value"]["status"]) == status


def test_every_route_declares_what_its_parts_can_end_in(app: FastAPI, schema: JSON) -> None:
    missing = {}
    for route in iter_route_contexts(app.routes):
        for method in route.methods or ():
            operation = schema["paths"].get(route.path, {}).get(method.lower())
            if operation is not None:
                lacks = set(ends_of_parts(route.dependant, operation)) - declared_kinds(operation)
                missing[f"{method} {route.path}"] = {kind.name for kind in lacks}
    assert {name: lacks for name, lacks in missing.items() if lacks} == {}
    assert len(missing) == len(list(operations(schema)))


def test_what_needs_a_token_says_so_and_nothing_else_does(schema: JSON) -> None:
    for name, operation in operations(schema):
        method, path = name.split()
        # A sign-in is turned away with the same status, for want of the right password.
        needs_token = ROWS[method, path]["nobody"] == "401" and path != "/v1/auth/token"
        assert operation.get("security", []) == ([{"bearer": []}] if needs_token else []), name
        assert (Kind.NOT_SIGNED_IN in declared_kinds(operation)) == needs_token, name
    assert schema["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"


def test_every_reference_leads_somewhere(schema: JSON) -> None:
    components = set(schema["components"]["schemas"])
    references = {part.split('"')[0] for part in json.dumps(schema).split("#/components/schemas/")[1:]}
    assert references <= components
    assert "HTTPValidationError" not in components


def test_every_shape_has_a_name_that_a_client_can_use(schema: JSON) -> None:
    """Two shapes of one name are both named by their modules: it would be ours to say which is which."""
    assert [name for name in schema["components"]["schemas"] if not name.isalnum()] == []


def test_every_shape_has_an_example_that_fits_it(schema: JSON) -> None:
    shapes = {name for name, shape in schema["components"]["schemas"].items() if shape["type"] == "object"}
    assert shapes == set(EXAMPLES)
    for name in shapes:
        (example,) = schema["components"]["schemas"][name]["examples"]
        assert errors_in(schema, {"$ref": f"#/components/schemas/{name}"}, example) == [], name
        # An example that leaves out what may be missing would show less than there is.
        if name not in CHOICES:
            assert set(example) >= set(schema["components"]["schemas"][name]["properties"]), name


@pytest.mark.parametrize("spoilt", [{"amount_minor": "100", "currency": "usd"}, {"amount_minor": 100}])
def test_an_example_that_does_not_fit_is_found(schema: JSON, spoilt: Any) -> None:
    assert errors_in(schema, {"$ref": "#/components/schemas/Money"}, spoilt)

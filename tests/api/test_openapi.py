import json
from collections.abc import Iterator

import pytest
from fastapi import FastAPI

from api.problems import Kind
from tests.api.world import JSON


@pytest.fixture
def schema(app: FastAPI) -> JSON:
    return app.openapi()


def operations(schema: JSON) -> Iterator[tuple[str, JSON]]:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def test_every_operation_has_an_id_of_its_own_and_a_tag(schema: JSON) -> None:
    ids = [operation["operationId"] for _, operation in operations(schema)]
    assert len(set(ids)) == len(ids)
    assert all(operation["tags"] for _, operation in operations(schema))


def test_every_error_is_declared_as_a_problem(schema: JSON) -> None:
    for name, operation in operations(schema):
        errors = {status: answer for status, answer in operation["responses"].items() if int(status) >= 400}
        assert "500" in errors, name
        for status, answer in errors.items():
            assert set(answer["content"]) == {"application/problem+json"}, (name, status)


def test_what_needs_a_token_says_so(schema: JSON) -> None:
    for name, operation in operations(schema):
        turned_away = operation["responses"].get("401", {}).get("description", "")
        assert bool(operation.get("security")) == (Kind.NOT_SIGNED_IN.uri in turned_away), name


def test_every_reference_leads_somewhere(schema: JSON) -> None:
    components = set(schema["components"]["schemas"])
    references = {part.split('"')[0] for part in json.dumps(schema).split("#/components/schemas/")[1:]}
    assert references <= components
    assert "HTTPValidationError" not in components

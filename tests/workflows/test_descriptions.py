"""Temporal's UI and the docs describe every update and signal, with an example that its handler takes."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import TypeAdapter
from temporalio.client import Client
from temporalio.workflow import _Definition

from models.domain.actors import Role
from models.domain.decisions import claim_refusal
from models.domain.messages import Decision
from sandbox.stack.environment import PROJECT_ROOT
from tests.workflows.booking.states import TERMS
from worker import WORKFLOWS
from workflows.descriptions import DESCRIBED

DOCS = (PROJECT_ROOT / "docs" / "operations" / "temporal-ui.md").read_text()


@dataclass(frozen=True)
class Handler:
    workflow: str
    kind: str
    name: str
    description: str
    input_type: Any
    """`None` if it takes nothing."""

    @property
    def text(self) -> str:
        return self.description.partition(" Example: ")[0]

    @property
    def example(self) -> str:
        return self.description.partition(" Example: ")[2]


def handlers() -> Iterator[Handler]:
    for each in WORKFLOWS:
        definition = _Definition.must_from_class(each)
        updates: dict[str, Any] = {name: update for name, update in definition.updates.items() if name}
        types = {name: update.arg_types for name, update in updates.items()}
        for kind, found in (("update", updates), ("signal", dict[Any, Any](definition.signals))):
            for name, handler in found.items():
                if name is None:
                    continue  # Of a misspelt name.
                # A signal of a decision takes anything, to say what is wrong with it. Its update has the type.
                input_type = next(iter(types.get(name) or handler.arg_types or ()), None)
                yield Handler(definition.name or "", kind, name, handler.description or "", input_type)


HANDLERS = list(handlers())


def test_all_handlers_are_looked_at() -> None:
    assert len(HANDLERS) == 31
    assert {handler.workflow for handler in HANDLERS} == {
        "Attention", "Booking", "Dispute", "Onboarding", "Payout", "Refund"
    }  # fmt: skip


@pytest.mark.parametrize("handler", HANDLERS, ids=lambda each: f"{each.workflow}-{each.kind}-{each.name}")
def test_handler_is_described_with_an_example_that_it_takes(handler: Handler) -> None:
    assert handler.text
    if handler.example:
        message = TypeAdapter(handler.input_type).validate_json(handler.example)
        assert json.loads(message.model_dump_json(exclude_unset=True)) == json.loads(handler.example)
    else:
        assert handler.input_type is None or handler.workflow == "Attention"
    kinds = ", ".join(each.kind for each in HANDLERS if (each.workflow, each.name) == (handler.workflow, handler.name))
    example = f"`{handler.example}`" if handler.example else ""
    assert f"| {handler.workflow} | `{handler.name}` | {kinds} | {handler.text} | {example} |\n" in DOCS


@pytest.mark.parametrize("message", [each for each in DESCRIBED if issubclass(each, Decision)])
def test_example_of_a_decision_is_by_somebody_who_can_decide(message: type[Decision]) -> None:
    example = DESCRIBED[message][1]
    assert isinstance(example, message)
    ids = {Role.STUDENT: "student_id", Role.INSTRUCTOR: "instructor_id"}
    own = {field: example.actor.id for role, field in ids.items() if role is example.actor.role}
    assert claim_refusal(example, TERMS.model_copy(update=own)) is None


async def test_every_saved_view_of_the_docs_is_a_query(temporal_address: str) -> None:
    table = DOCS[DOCS.index("### Saved views") :].split("\n\n")[2]
    queries = [row.split("| `")[1].removesuffix("` |") for row in table.splitlines()[2:]]
    assert len(queries) == 11
    client = await Client.connect(temporal_address)
    for query in queries:
        assert (await client.count_workflows(query)).count >= 0

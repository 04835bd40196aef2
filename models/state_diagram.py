"""Generates `docs/states.md` from the transition table: `python -m models.state_diagram`.

`./run check` runs it with `--check`, which fails if the page is out of date.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from models.domain.states import TRANSITIONS, State

PAGE = Path(__file__).parent.parent / "docs" / "states.md"

_HEAD = """\
# The states, and every move between them

Generated from the transition table in [`models/domain/states.py`](../models/domain/states.py) by
`python -m models.state_diagram`: change the table and generate this page again. A transition without an arrow raises
`IllegalTransition`.

A booking request whose payment is never secured is deleted instead of moved: that is no state, and so no arrow.
"""


def page() -> str:
    """The whole page; deterministic."""
    return "\n".join([_HEAD, *(_section(record, transitions) for record, transitions in TRANSITIONS.items())])


def _section(record: str, transitions: Mapping[State | None, frozenset[State]]) -> str:
    arrows = [
        f"    {current or '[*]'} --> {to}"
        for current, following in transitions.items()
        for to in _states(transitions)
        if to in following
    ]
    ends = [f"    {state} --> [*]" for state in _states(transitions) if state not in transitions]
    return "\n".join([f"## {record}", "", "```mermaid", "stateDiagram-v2", *arrows, *ends, "```", ""])


def _states(transitions: Mapping[State | None, frozenset[State]]) -> list[State]:
    return list(type(next(iter(transitions[None]))))


def main(arguments: list[str] | None = None, path: Path = PAGE) -> int:
    parser = argparse.ArgumentParser(prog="python -m models.state_diagram", description="Draw the states.")
    parser.add_argument("--check", action="store_true", help="only say whether the page is in step with the table")
    if not parser.parse_args(arguments).check:
        path.write_text(page(), encoding="utf-8")
        return 0
    if path.exists() and path.read_text(encoding="utf-8") == page():
        return 0
    print(
        f"docs/{path.name} is out of date: run `python -m models.state_diagram`",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())

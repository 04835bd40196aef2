"""Draws the table of states for `docs/states.md`: `python -m models.diagram`, and `--check` in `./run check`."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from models.states import TRANSITIONS, State

PAGE = Path(__file__).parent.parent / "docs" / "states.md"

_HEAD = """\
# The states, and every move between them

Drawn from the table in [`models/states.py`](../models/states.py) by `python -m models.diagram`. Change the table and
draw again; what is changed here is lost. A move that has no arrow raises `IllegalTransition`.

A booking request whose payment is never secured is deleted instead of moved: that is no state, and so no arrow.
"""


def page() -> str:
    """The whole page, the same for the same table."""
    return "\n".join([_HEAD, *(_section(record, moves) for record, moves in TRANSITIONS.items())])


def _section(record: str, moves: Mapping[State | None, frozenset[State]]) -> str:
    arrows = [
        f"    {current or '[*]'} --> {to}"
        for current, following in moves.items()
        for to in _states(moves)
        if to in following
    ]
    ends = [f"    {state} --> [*]" for state in _states(moves) if state not in moves]
    return "\n".join([f"## {record}", "", "```mermaid", "stateDiagram-v2", *arrows, *ends, "```", ""])


def _states(moves: Mapping[State | None, frozenset[State]]) -> list[State]:
    return list(type(next(iter(moves[None]))))


def main(arguments: list[str] | None = None, path: Path = PAGE) -> int:
    parser = argparse.ArgumentParser(prog="python -m models.diagram", description="Draw the states.")
    parser.add_argument("--check", action="store_true", help="only say whether the page is in step with the table")
    if not parser.parse_args(arguments).check:
        path.write_text(page(), encoding="utf-8")
        return 0
    if path.exists() and path.read_text(encoding="utf-8") == page():
        return 0
    print(f"docs/{path.name} is out of step with models/states.py: run `python -m models.diagram`", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())

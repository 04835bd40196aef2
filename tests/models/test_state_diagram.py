"""`docs/states.md` is generated from the transition table, and `--check` detects when it is out of date."""

from pathlib import Path

import pytest

from models.domain.states import TRANSITIONS
from models.state_diagram import PAGE, main, page


def test_page_in_the_docs_is_up_to_date() -> None:
    assert main(["--check"]) == 0
    assert PAGE.read_text(encoding="utf-8") == page()


def test_page_has_exactly_one_arrow_per_transition() -> None:
    expected = [
        f"{current or '[*]'} --> {to}"
        for transitions in TRANSITIONS.values()
        for current in transitions
        for to in transitions[current]
    ]
    drawn = [line.strip() for line in page().splitlines() if "-->" in line and not line.endswith("[*]")]
    assert sorted(drawn) == sorted(expected)


def test_check_fails_for_a_missing_or_outdated_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "states.md"
    assert main(["--check"], path) == 1
    assert main([], path) == 0
    assert main(["--check"], path) == 0
    path.write_text(path.read_text(encoding="utf-8").replace("PENDING --> ACCEPTED", ""), encoding="utf-8")
    assert main(["--check"], path) == 1
    assert "run `python -m models.state_diagram`" in capsys.readouterr().err

"""The page with the states is drawn from their table, and says so when it was not."""

from pathlib import Path

import pytest

from models.domain.states import TRANSITIONS
from models.state_diagram import PAGE, main, page


def test_the_page_in_the_docs_is_in_step_with_the_table() -> None:
    assert main(["--check"]) == 0
    assert PAGE.read_text(encoding="utf-8") == page()


def test_the_page_has_an_arrow_for_every_move_and_no_other() -> None:
    expected = [
        f"{current or '[*]'} --> {to}" for moves in TRANSITIONS.values() for current in moves for to in moves[current]
    ]
    drawn = [line.strip() for line in page().splitlines() if "-->" in line and not line.endswith("[*]")]
    assert sorted(drawn) == sorted(expected)


def test_a_page_out_of_step_or_missing_fails_the_check_and_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "states.md"
    assert main(["--check"], path) == 1
    assert main([], path) == 0
    assert main(["--check"], path) == 0
    path.write_text(path.read_text(encoding="utf-8").replace("PENDING --> ACCEPTED", ""), encoding="utf-8")
    assert main(["--check"], path) == 1
    assert "run `python -m models.state_diagram`" in capsys.readouterr().err

"""`docs/stripe-errors.md` names tests that exist, and every row names one."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "stripe-errors.md"
NAMED = re.findall(r"\[`(test_\w+)`\]\(([^)]+)\)", PAGE.read_text())


@pytest.mark.parametrize(("name", "file"), NAMED)
def test_a_named_test_exists(name: str, file: str) -> None:
    assert re.search(rf"^(async )?def {name}\(", (PAGE.parent / file).read_text(), re.MULTILINE)


def test_every_row_names_a_test() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| ") and not line.endswith("test |")]
    rows = [row for row in rows if "| ---" not in row]
    assert [row for row in rows if "[`test_" not in row] == []
    assert len(rows) > 20

"""`docs/security.md` names tests that exist."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
NAMED = re.findall(r"\[`(test_\w+)`\]\(([^)]+)\)", (DOCS / "security.md").read_text())


@pytest.mark.parametrize(("name", "file"), NAMED)
def test_a_named_test_exists(name: str, file: str) -> None:
    assert re.search(rf"^(async )?def {name}\(", (DOCS / file).read_text(), re.MULTILINE)


def test_every_threat_names_a_test() -> None:
    stopped = (DOCS / "security.md").read_text().partition("## What is not stopped")[0]
    rows = [line for line in stopped.splitlines() if line.startswith("| ") and " | test |" not in line]
    assert [row for row in rows if "| ---" not in row and "[`test_" not in row] == []
    assert len(rows) > 30

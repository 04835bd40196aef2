"""What the docs say is stored: `docs/records.md` has every table, and `docs/privacy.md` how long what is kept."""

import re

from pydantic import TypeAdapter
from sqlmodel import SQLModel

from activities.database import stripe_events
from activities.webhooks import sender
from models import tables  # noqa: F401 - registers the tables
from sandbox.stack.environment import PROJECT_ROOT
from tests.program_settings import DEFAULTS

_PAGE = (PROJECT_ROOT / "docs" / "privacy.md").read_text()


def _iso(duration: object) -> str:
    return str(TypeAdapter(object).dump_python(duration, mode="json"))


def test_stored_data_is_in_tables_that_exist() -> None:
    stored = _PAGE.partition("\n## What is stored\n")[2].partition("\n## ")[0]
    named = {
        name for row in re.findall(r"^\| .+? \| (.+?) \|", stored, re.MULTILINE) for name in re.findall("`(.+?)`", row)
    }
    assert named
    assert named <= SQLModel.metadata.tables.keys()


def test_records_have_every_table() -> None:
    listed = (PROJECT_ROOT / "docs" / "records.md").read_text().partition("\n| table |")[2].partition("\n\n")[0]
    cells = re.findall(r"^\| (.+?) \|", listed, re.MULTILINE)
    assert {name for cell in cells for name in re.findall("`(.+?)`", cell)} == SQLModel.metadata.tables.keys()


def test_records_have_every_action_of_the_audit_trail() -> None:
    page = (PROJECT_ROOT / "docs" / "records.md").read_text()
    sources = "".join(
        path.read_text() for folder in ("api", "activities") for path in (PROJECT_ROOT / folder).rglob("*.py")
    )
    actions = {*re.findall(r'"(?:booking|instructor|offering|operator|person|webhook)(\.[a-z_]*[a-z])"', sources)} - {
        ".html"
    }
    assert len(actions) > 50
    assert [action for action in actions if f"{action}`" not in page] == []


def test_retention_is_what_the_code_keeps() -> None:
    kept = dict(re.findall(r"^\| `?([\w ]+)`?[^|]* \| (P\w+) \|", _PAGE.partition("\n## Retention\n")[2], re.MULTILINE))
    assert kept == {
        "recording": DEFAULTS["HOLDFAST_MEETING_RECORDING_KEPT_FOR"],
        "stripe_event": _iso(stripe_events._RETENTION),
        "webhook_delivery": _iso(sender._KEPT),
        "workflow histories in Temporal": "P30D",
    }
    assert "--retention 30d" in (PROJECT_ROOT / "docker-compose.yml").read_text()

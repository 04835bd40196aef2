"""The deployed versions and search attributes are those that are tested."""

import re

from sandbox.stack.environment import PROJECT_ROOT
from sandbox.stack.temporal import search_attribute_types

_PIN = re.compile(r"^([a-z0-9._-]+)==(\S+)", re.MULTILINE)
_HOST = re.compile(r"https?://")


def _text(name: str) -> str:
    return (PROJECT_ROOT / name).read_text()


def test_production_lock_has_the_tested_versions() -> None:
    production, everything = (
        dict(_PIN.findall(_text(name))) for name in ("requirements.production.lock", "requirements.lock")
    )
    assert production
    assert production.items() <= everything.items()


def test_locks_name_no_host() -> None:
    assert not _HOST.search(_text("requirements.lock") + _text("requirements.production.lock"))


def test_compose_registers_every_search_attribute() -> None:
    jobs = re.findall(r"^ +add (\w+)((?: --name \w+)+)$", _text("docker-compose.yml"), re.MULTILINE)
    registered = {name: kind for kind, names in jobs for name in names.split() if name != "--name"}
    assert registered == search_attribute_types()

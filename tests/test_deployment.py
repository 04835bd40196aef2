"""What is deployed agrees with what is tested here."""

import re

from sandbox.stack.environment import PROJECT_ROOT
from sandbox.stack.temporal import search_attribute_types

_PIN = re.compile(r"^([a-z0-9._-]+)==(\S+)", re.MULTILINE)
_HOST = re.compile(r"https?://")


def _text(name: str) -> str:
    return (PROJECT_ROOT / name).read_text()


def test_the_image_gets_the_versions_that_are_tested() -> None:
    production, everything = (
        dict(_PIN.findall(_text(name))) for name in ("requirements.production.lock", "requirements.lock")
    )
    assert production
    assert production.items() <= everything.items()


def test_the_locks_name_no_host() -> None:
    assert not _HOST.search(_text("requirements.lock") + _text("requirements.production.lock"))


def _environment(service: str) -> str:
    """A service of docker-compose.yml as text, with the settings that it shares."""
    text = _text("docker-compose.yml")
    own: str
    [own] = re.findall(rf"^  {service}:\n((?:    .*\n|\n)+)", text, re.MULTILINE)
    [shared] = re.findall(r"^x-settings: &settings\n((?:  .*\n)+)", text, re.MULTILINE)
    return own + (shared if "<<: *settings" in own else "")


def test_compose_gives_the_stripe_key_to_the_worker_only() -> None:
    assert "STRIPE_API_KEY" in _environment("worker")
    assert "STRIPE_API_KEY" not in _environment("api")
    assert "HOLDFAST_TOKEN_SECRET" not in _environment("worker")


def test_compose_lets_the_migrations_alone_connect_as_the_owner() -> None:
    user = re.compile(r"DATABASE_URL: \S+//(\w+):")
    users = {service: user.findall(_environment(service)) for service in ("api", "worker", "migrate")}
    assert users == {"api": ["holdfast_program"], "worker": ["holdfast_program"], "migrate": ["holdfast"]}
    assert "CREATE ROLE holdfast_program LOGIN" in _text("docker-compose.yml")


def test_compose_registers_every_search_attribute_that_the_workflow_writes() -> None:
    jobs = re.findall(r"^ +add (\w+)((?: --name \w+)+)$", _text("docker-compose.yml"), re.MULTILINE)
    registered = {name: kind for kind, names in jobs for name in names.split() if name != "--name"}
    assert registered == search_attribute_types()

"""The deployed versions and search attributes are those that are tested."""

import re

import pytest
from pydantic_settings import BaseSettings

from api.meeting_provider import JaasSettings, JitsiSettings, MeetingSettings
from api.settings import HttpSettings, IdentitySettings, TaxReportingSettings
from models.settings import DocumentSettings, PolicySettings, RuntimeSettings, WebhookSettings
from sandbox.stack.environment import PROJECT_ROOT
from sandbox.stack.temporal import search_attribute_types
from worker import Settings as WorkerSettings

_PIN = re.compile(r"^([a-z0-9._-]+)==(\S+)", re.MULTILINE)
_HOST = re.compile(r"https?://")
# The sandbox's address, which production refuses.
_ONLY_LOCAL = {"HOLDFAST_WEBHOOK_ALLOW_PRIVATE", "STRIPE_API_BASE"}


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


_STRIPE_CALL = re.compile(r"self\._client\.(?:v1\.)?([a-z0-9_.]+)\.([a-z_]+)_async")
_READING = ("retrieve", "retrieve_current", "list")


def _stripe_access() -> dict[str, str]:
    """The access to each resource that the adapters' calls need."""
    adapters = (PROJECT_ROOT / "activities" / "stripe").glob("*.py")
    calls = [
        # A reversal belongs to its transfer, and a fee's refund to its fee.
        (re.sub(r"\.(reversals|refunds)$", "", resource), verb)
        for file in adapters
        for resource, verb in _STRIPE_CALL.findall(file.read_text())
    ]
    writing = {resource for resource, verb in calls if verb not in _READING}
    return {resource: "Write" if resource in writing else "Read" for resource, _ in calls}


def test_docs_name_the_permissions_of_the_stripe_key() -> None:
    rows = re.findall(
        r"^\| `([a-z0-9_.]+)` \| (Read|Write|None) \| (Read|None) \| `[a-z0-9_]+` \|$",
        _text("docs/operations/self-hosting.md"),
        re.MULTILINE,
    )
    documented = {resource: own if own != "None" else connected for resource, own, connected in rows}
    assert documented == _stripe_access()


def _names(settings: type[BaseSettings]) -> set[str]:
    return {f"{settings.model_config.get('env_prefix', '')}{name}".upper() for name in settings.model_fields}


@pytest.mark.parametrize(
    "settings",
    [
        *(HttpSettings, IdentitySettings, TaxReportingSettings, PolicySettings, DocumentSettings, RuntimeSettings),
        WebhookSettings,
        *(MeetingSettings, JitsiSettings, JaasSettings, WorkerSettings),
    ],
)
def test_compose_passes_every_setting_on(settings: type[BaseSettings]) -> None:
    passed = set(re.findall(r"^ +([A-Z0-9_]+):", _text("docker-compose.yml"), re.MULTILINE))
    assert _names(settings) - passed <= _ONLY_LOCAL


def test_compose_registers_every_search_attribute() -> None:
    jobs = re.findall(r"^ +add (\w+)((?: --name \w+)+)$", _text("docker-compose.yml"), re.MULTILINE)
    registered = {name: kind for kind, names in jobs for name in names.split() if name != "--name"}
    assert registered == search_attribute_types()

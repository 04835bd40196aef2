"""What `docker-compose.yml`, the locks and the docs say is what the programs need."""

import re
import subprocess
import sys
from urllib.parse import urlsplit

import pytest

from models.domain.stripe_events import CONNECT_EVENTS, DEAUTHORIZED, PLATFORM_EVENTS, THIN_EVENTS
from sandbox.stack.environment import PROJECT_ROOT
from sandbox.stack.temporal import search_attribute_types
from tests.compose import (
    DOTENV,
    OPTIONAL,
    SANDBOX_DOTENV,
    MissingVariable,
    defaults,
    environment,
    services,
    variables,
)
from tests.program_settings import DEFAULTS, SETTINGS

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


def _given(service: str) -> set[str]:
    return set(services()[service]["environment"])


def test_compose_file_follows_the_specification() -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml"],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("name", services())
def test_every_service_is_limited_and_pinned(name: str) -> None:
    service = services()[name]
    assert service["mem_limit"]
    assert service["pids_limit"]
    assert {"max-size", "max-file"} <= service["logging"]["options"].keys()
    assert "no-new-privileges:true" in service["security_opt"]
    is_built_here = service["image"].startswith(("holdfast:", "holdfast-sandbox:"))
    assert is_built_here or re.search(r":v?\d+\.\d+(\.\d+)?(@|$)", service["image"])


@pytest.mark.parametrize("name", services())
def test_every_service_waits_for_what_it_needs(name: str) -> None:
    for needed, how in services()[name].get("depends_on", {}).items():
        if how["condition"] == "service_healthy":
            assert "healthcheck" in services()[needed]
        else:
            assert services()[needed]["restart"].startswith("on-failure")  # a one-shot job


def test_compose_publishes_ports_on_loopback_only() -> None:
    ports = [port for service in services().values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_compose_gives_the_stripe_key_to_the_worker_only() -> None:
    assert "STRIPE_API_KEY" in _given("worker")
    assert "STRIPE_API_KEY" not in _given("api")
    assert "HOLDFAST_TOKEN_SECRET" not in _given("worker")


def test_compose_lets_the_migrations_alone_connect_as_the_owner() -> None:
    urls = {service: environment(service)["DATABASE_URL"] for service in ("api", "worker", "migrate")}
    users = {service: urlsplit(url).username for service, url in urls.items()}
    assert users == {"api": "holdfast_program", "worker": "holdfast_program", "migrate": "holdfast"}
    assert "CREATE ROLE holdfast_program LOGIN" in _text("docker-compose.yml")


@pytest.mark.parametrize("name", sorted(DOTENV.keys() - {"STRIPE_LIVEMODE"}))
def test_compose_starts_nothing_without_a_required_variable(name: str) -> None:
    without = {key: value for key, value in DOTENV.items() if key != name}
    with pytest.raises(MissingVariable, match=name):
        _ = [environment(service, without) for service in services()]


def test_compose_has_no_secrets() -> None:
    """Those of `.env` are required and have no default."""
    secret = re.compile(r"PASSWORD|PWD|SECRET|_KEY$")
    values = {
        value
        for service in services().values()
        for name, value in service.get("environment", {}).items()
        if secret.search(name) and value is not None
    }
    assert values
    assert all(re.fullmatch(r"\$\{[A-Z_]+(:\?[^}]+|:-)\}", value) for value in values)


_STRIPE_CALL = re.compile(r"self\._client\.(?:v1\.)?([a-z0-9_.]+)\.([a-z_]+)_async")
_READING = ("retrieve", "retrieve_current", "list")


def _stripe_access() -> dict[str, str]:
    """The access to each resource that the adapters' calls need."""
    adapters = (PROJECT_ROOT / "activities" / "stripe").glob("*.py")
    calls = [
        # A reversal belongs to its transfer, a fee's refund to its fee, and a line to its Checkout Session.
        (re.sub(r"\.(reversals|refunds|line_items)$", "", resource), verb)
        for file in adapters
        for resource, verb in _STRIPE_CALL.findall(file.read_text())
    ]
    writing = {resource for resource, verb in calls if verb not in _READING}
    return {resource: "Write" if resource in writing else "Read" for resource, _ in calls}


def test_docs_name_the_permissions_of_the_stripe_key() -> None:
    rows = re.findall(
        r"^\| `([a-z0-9_.]+)` \| (Read|Write|None) \| (Read|None) \| `[a-z0-9_]+` \|$",
        _text("docs/operations/stripe.md"),
        re.MULTILINE,
    )
    documented = {resource: own if own != "None" else connected for resource, own, connected in rows}
    assert documented == _stripe_access()


@pytest.mark.parametrize(
    ("title", "events"),
    [
        ("Your account", PLATFORM_EVENTS),
        ("Connected accounts", CONNECT_EVENTS | {DEAUTHORIZED}),
        ("Accounts v2", THIN_EVENTS),
    ],
)
def test_docs_name_the_events_of_each_webhook_endpoint(title: str, events: frozenset[str]) -> None:
    section = _text("docs/operations/stripe.md").partition(f"\n### {title}\n")[2].partition("\n#")[0]
    assert re.findall(r"^- `(.+)`$", section, re.MULTILINE) == sorted(events)


_SET_BY_COMPOSE = {"DATABASE_URL"}
_READ_BY_OPENTELEMETRY = {
    *("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"),
    *("OTEL_RESOURCE_ATTRIBUTES", "OTEL_PROPAGATORS"),
}
_READ_BY_LIBRARIES = {"TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "FORWARDED_ALLOW_IPS"} | _READ_BY_OPENTELEMETRY


@pytest.mark.parametrize("service", SETTINGS)
def test_compose_passes_on_what_the_program_reads_and_nothing_else(service: str) -> None:
    assert _given(service) - _READ_BY_LIBRARIES == SETTINGS[service]


def test_docs_name_every_variable_that_compose_takes_and_no_other() -> None:
    operations = "".join(path.read_text() for path in (PROJECT_ROOT / "docs" / "operations").glob("*.md"))
    named = set(
        re.findall(
            r"`((?:HOLDFAST|STRIPE|OTEL)_[A-Z0-9_]+|[A-Z]+(?:_[A-Z]+)*_PASSWORD|FORWARDED_ALLOW_IPS)\b", operations
        )
    )
    settings = SETTINGS["api"] | SETTINGS["worker"]
    assert variables() <= named
    assert named - variables() <= settings
    assert settings - named <= _SET_BY_COMPOSE


def test_env_example_has_every_variable_with_its_default() -> None:
    known = DEFAULTS | defaults()
    assert {name: known.get(name, "") for name in variables() - DOTENV.keys()} == OPTIONAL
    assert [name for name, value in DOTENV.items() if not value] == []


def test_docs_have_the_defaults_of_the_settings() -> None:
    rows = re.findall(
        r"^\| `(HOLDFAST_\w+)` \| `(.+?)`(?: \||;)", _text("docs/operations/self-hosting.md"), re.MULTILINE
    )
    shown = {name: {"on": "true"}.get(default, default) for name, default in rows if DEFAULTS.get(name)}
    assert len(shown) > 30
    assert shown == {name: DEFAULTS[name] for name in shown}


def test_docs_have_the_variables_of_the_sandbox() -> None:
    page = _text("docs/operations/self-hosting.md")
    block = page.partition("```ini\nCOMPOSE_PROFILES=sandbox\n")[2].partition("```")[0]
    shown = dict(line.split("=", 1) for line in block.splitlines())
    secrets = {name for name in SANDBOX_DOTENV if name.endswith(("_SECRET", "_PASSWORD"))}
    assert shown == {name: value for name, value in SANDBOX_DOTENV.items() if name not in secrets}


def test_compose_registers_every_search_attribute() -> None:
    jobs = re.findall(r"^ +add (\w+)((?: --name \w+)+)$", _text("docker-compose.yml"), re.MULTILINE)
    registered = {name: kind for kind, names in jobs for name in names.split() if name != "--name"}
    assert registered == search_attribute_types()

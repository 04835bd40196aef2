"""The images' files are enough for every command that Compose runs in them, as their user and with its settings.

No engine is needed: the files that the Dockerfile copies are laid out in a directory that the user cannot write.
"""

import asyncio
import os
import re
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from temporalio.client import Client

from sandbox.stack.commands import StartupError, run_to_end
from sandbox.stack.environment import PROJECT_ROOT
from sandbox.stack.postgres import Postgres
from tests.compose import DOTENV, SANDBOX_DOTENV, environment
from tests.databases import create_database, drop_database
from tests.image import PRODUCT, SANDBOX, USER, Service, command, laid_out, words_of
from workflows.client.schedules import RECONCILIATION_SCHEDULE, SWEEP_SCHEDULE

_DATABASE = "holdfast_image"


@pytest.fixture(scope="module")
def image() -> Iterator[Path]:
    with laid_out(PRODUCT) as tree:
        yield tree


@pytest.fixture(scope="module")
def sandbox_image() -> Iterator[Path]:
    with laid_out(SANDBOX) as tree:
        yield tree


def _settings(
    service: str, postgres: Postgres, temporal_address: str = "", env: Mapping[str, str] = DOTENV
) -> dict[str, str]:
    """What Compose gives the service, with the addresses of this machine's servers in place of the containers'."""
    settings = environment(service, env)
    user = urlsplit(settings["DATABASE_URL"]).username
    url = postgres.url(_DATABASE)
    return settings | {
        "DATABASE_URL": url.replace(f"//{urlsplit(url).username}@", f"//{user}@"),
        "TEMPORAL_ADDRESS": temporal_address,
        "TEMPORAL_NAMESPACE": "default",
        "HOLDFAST_TASK_QUEUE": "image",
    }


@pytest.fixture(scope="module")
def migrated(services_loop: asyncio.Runner, postgres: Postgres, image: Path) -> Iterator[Postgres]:
    create_database(postgres, _DATABASE, template="template0")
    try:
        migrate = command(image, words_of("migrate"), _settings("migrate", postgres))
        services_loop.run(run_to_end("migrate", migrate))
        yield postgres
    finally:
        drop_database(postgres, _DATABASE)


def _files(tree: Path) -> set[Path]:
    return set(tree.rglob("*"))


@asynccontextmanager
async def _running(*services: Service) -> AsyncIterator[None]:
    try:
        await asyncio.gather(*(service.process.start() for service in services))
        await asyncio.gather(*(service.check_health() for service in services))
        yield
    finally:
        await asyncio.gather(*(service.process.stop() for service in services))


async def test_api_and_worker_run_as_the_restricted_role(
    image: Path, migrated: Postgres, temporal_address: str, tmp_path: Path
) -> None:
    before = _files(image)
    api, worker = (
        Service(name, image, _settings(name, migrated, temporal_address), tmp_path) for name in ("api", "worker")
    )
    async with _running(api, worker):
        with psycopg.connect(migrated.conninfo(_DATABASE)) as connection:
            connected = connection.execute(
                "SELECT DISTINCT usename FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
                [_DATABASE],
            )
            assert connected.fetchall() == [("holdfast_program",)]
        # The worker's. The other tests have no use for it.
        client = await Client.connect(temporal_address)
        for schedule in (RECONCILIATION_SCHEDULE, SWEEP_SCHEDULE):
            await client.get_schedule_handle(schedule).delete()
    # uvicorn stops, and raises the signal again.
    assert [await service.process.exited() for service in (api, worker)] == ["SIGTERM", "exit code 0"]
    assert _files(image) == before


async def test_operators_are_added_by_the_owner_and_get_tokens_from_the_api(image: Path, migrated: Postgres) -> None:
    operators = ["python", "-m", "api.people.operators"]
    add = command(image, [*operators, "add", "--name", "Ada"], _settings("migrate", migrated))
    [operator_id] = re.findall(r"[0-9a-f-]{36}", await run_to_end("add", add))
    token = command(image, [*operators, "token", "--id", operator_id, "--hours", "8"], _settings("api", migrated))
    assert re.search(r"^ey\S+$", await run_to_end("token", token), re.MULTILINE)


@pytest.fixture
def state() -> Iterator[Path]:
    """A directory of the images' user, who cannot enter pytest's own."""
    with tempfile.TemporaryDirectory(prefix="holdfast-state-") as directory:
        if USER:
            os.chown(directory, USER.uid, USER.gid)
        yield Path(directory)


async def test_sandbox_delivers_its_events_to_the_api_and_shows_mails(
    image: Path, sandbox_image: Path, migrated: Postgres, temporal_address: str, tmp_path: Path, state: Path
) -> None:
    settings = _settings("api", migrated, temporal_address, SANDBOX_DOTENV)
    api = Service("api", image, settings, tmp_path)
    environments = {name: environment(name, SANDBOX_DOTENV) for name in ("stripe-sandbox", "mail-sandbox")}
    stripe, mail = (
        Service(name, sandbox_image, environments[name], tmp_path, {"api": api}, volumes={"/state": state})
        for name in environments
    )
    async with _running(api, stripe, mail), httpx.AsyncClient(trust_env=False) as client:
        stripe_url = stripe.local("http://127.0.0.1:8020")
        headers = {"Authorization": f"Bearer {SANDBOX_DOTENV['STRIPE_API_KEY']}"}
        form = {"amount": "5000", "currency": "usd", "payment_method": "pm_card_visa", "confirm": "true"}
        answer = await client.post(f"{stripe_url}/v1/payment_intents", data=form, headers=headers)
        assert answer.status_code == 200
        for _ in range(100):
            if 'route="/v1/stripe/webhook",status="200"' in (metrics := await _metrics(client, api)):
                break
            await asyncio.sleep(0.1)
        else:
            pytest.fail(f"no event was accepted: {metrics}")
        assert 'status="400"' not in await _metrics(client, api)
        assert (await client.get(mail.local("http://127.0.0.1:8025/mails.json"))).json() == []


async def _metrics(client: httpx.AsyncClient, api: Service) -> str:
    return (await client.get(api.local("http://127.0.0.1:9090/metrics"))).text


_IMPORT_ALL = """
import re, sys, importlib.metadata as metadata

locked = set(sys.argv[1].split())
installed = metadata.packages_distributions()
missing = {
    package for package, names in installed.items()
    if not any(re.sub("[-_.]+", "-", name).lower() in locked for name in names)
}

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in missing:
            raise ModuleNotFoundError(f"{name} is not in the lock", name=name)

sys.meta_path.insert(0, Missing())
import alembic.config, api.main, api.people.operators, replay, restore, uvicorn, worker
"""


async def test_production_lock_is_enough_for_every_import(image: Path) -> None:
    locked = re.findall(r"^([a-z0-9.-]+)==", (PROJECT_ROOT / "requirements.production.lock").read_text(), re.MULTILINE)
    await run_to_end("imports", command(image, ["python", "-c", _IMPORT_ALL, " ".join(locked)], {}))
    without = " ".join(set(locked) - {"stripe"})
    with pytest.raises(StartupError, match="stripe is not in the lock"):
        await run_to_end("imports", command(image, ["python", "-c", _IMPORT_ALL, without], {}))

"""What the API and the worker refuse to start with in production."""

import os
import subprocess
import sys
from collections.abc import Callable
from unittest.mock import patch

import pytest

from api.settings import Settings as ApiSettings
from models.startup_check import InvalidSettings, check_settings
from sandbox.stack.environment import PROJECT_ROOT
from worker import Settings as WorkerSettings

ONE, TWO, THREE, FOUR = ("4f1c9e07ab5d2386", "c7b03e916d48fa25", "95de1fb27a360c84", "e8a27d40c1936b5f")
API = {
    "DATABASE_URL": f"postgresql+psycopg://holdfast:{FOUR}@127.0.0.1:1/holdfast",
    "HOLDFAST_PUBLIC_URL": "https://holdfast.example",
    "HOLDFAST_TOKEN_SECRET": ONE + TWO + THREE,
    "STRIPE_WEBHOOK_SECRET": f"whsec_{TWO}",
    "STRIPE_CONNECT_WEBHOOK_SECRET": f"whsec_{THREE}",
}
WORKER = {
    "DATABASE_URL": API["DATABASE_URL"],
    "HOLDFAST_PUBLIC_URL": "https://holdfast.example",
    "STRIPE_API_KEY": f"sk_live_{ONE}",
    "HOLDFAST_SMTP_HOST": "smtp.example",
    "HOLDFAST_MAIL_FROM": "Holdfast <post@holdfast.example>",
}
NEEDED = {"api": API, "worker": WORKER}
START = {"api": ["-m", "uvicorn", "--factory", "api.main:create_app", "--port", "0"], "worker": ["worker.py"]}
CHECK: dict[str, Callable[[], object]] = {
    "api": ApiSettings.from_environment,
    "worker": lambda: check_settings(*WorkerSettings.__bases__, WorkerSettings),
}


@pytest.mark.parametrize("program", START)
def test_a_program_ends_with_a_line_on_stderr_for_each_problem(program: str) -> None:
    needed = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    ended = subprocess.run(
        [sys.executable, *START[program]],
        env=needed | {"PYTHONPATH": str(PROJECT_ROOT)} | {"HOLDFAST_PUBLIC_URL": "http://holdfast.example"},
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1, ended.stderr
    lines = ended.stderr.splitlines()
    assert {"DATABASE_URL: Field required", "HOLDFAST_PUBLIC_URL: must be https in production"} <= set(lines)
    assert all(line.startswith(("DATABASE_URL", "HOLDFAST_", "STRIPE_")) for line in lines), lines


@pytest.mark.parametrize(
    ("program", "changes", "lines"),
    [
        (
            "api",
            {
                "HOLDFAST_PUBLIC_URL": "http://holdfast.example",
                "HOLDFAST_CORS_ORIGINS": "https://app.example,http://app.example",
                "HOLDFAST_TOKEN_SECRET": "a" * 64,
                "STRIPE_WEBHOOK_SECRET": f"whsec_{THREE}",
                "HOLDFAST_MEETING_WEBHOOK_SECRET": "change-me-please",
            },
            {
                "HOLDFAST_PUBLIC_URL: must be https",
                "HOLDFAST_CORS_ORIGINS: must be https",
                "HOLDFAST_TOKEN_SECRET: repeats its characters",
                "HOLDFAST_MEETING_WEBHOOK_SECRET: is a placeholder",
                "STRIPE_CONNECT_WEBHOOK_SECRET, STRIPE_WEBHOOK_SECRET: have the same secret",
            },
        ),
        (
            "api",
            {"HOLDFAST_PUBLIC_URL": "http://holdfast.example", "STRIPE_WEBHOOK_SECRET": None},
            {"STRIPE_WEBHOOK_SECRET: Field required", "HOLDFAST_PUBLIC_URL: must be https"},
        ),
        (
            "api",
            {"HOLDFAST_ENV": "staging", "DATABASE_URL": None},
            {"HOLDFAST_ENV: Input should", "DATABASE_URL: Field"},
        ),
        (
            "worker",
            {"HOLDFAST_SMTP_HOST": " ", "STRIPE_API_KEY": None, "HOLDFAST_LINKS_URL": "http://app.example"},
            {
                "STRIPE_API_KEY: Field required",
                "HOLDFAST_SMTP_HOST is missing",
                "HOLDFAST_LINKS_URL: must be https",
            },
        ),
        ("worker", {"HOLDFAST_ENV": "Production?"}, {"HOLDFAST_ENV: Input should"}),
        (
            "worker",
            {
                "HOLDFAST_LINKS_URL": "http://app.example",
                "HOLDFAST_SMTP_USER": "holdfast",
                "HOLDFAST_SMTP_PASSWORD": FOUR,
                "STRIPE_API_KEY": "sk_live_abababababab",
            },
            {
                "HOLDFAST_LINKS_URL: must be https",
                "DATABASE_URL, HOLDFAST_SMTP_PASSWORD: have the same secret",
                "STRIPE_API_KEY: repeats its characters",
            },
        ),
    ],
)
def test_each_problem_is_named_without_its_value(program: str, changes: dict[str, str | None], lines: set[str]) -> None:
    environment = {name: value for name, value in {**NEEDED[program], **changes}.items() if value is not None}
    with patch.dict(os.environ, environment, clear=True), pytest.raises(InvalidSettings) as ended:
        CHECK[program]()
    written = str(ended.value).splitlines()
    assert len(written) == len(lines), written
    for line in lines:
        assert any(each.startswith(line) for each in written), written
    for secret in (ONE, TWO, THREE, FOUR):
        assert secret not in str(ended.value)

"""The sandbox as a program: state across restarts, log, exit code, and when it refuses to start."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import stripe

from sandbox.stack.ports import free_port
from tests.sandbox.stripe.platform import API_KEY

ROOT = Path(__file__).parents[3]


class Program:
    def __init__(self, *arguments: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, "-m", "sandbox.stripe", "--port", str(self.port), *arguments]
        self.process = subprocess.Popen(command, cwd=ROOT, env={"PATH": os.environ["PATH"]})
        deadline = time.monotonic() + 60
        while not self._healthy():
            assert self.process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def _healthy(self) -> bool:
        try:
            return httpx.get(f"{self.url}/_sandbox/health", trust_env=False).is_success
        except httpx.TransportError:
            return False

    def stop(self, with_signal: signal.Signals) -> int:
        self.process.send_signal(with_signal)
        return self.process.wait(20)


def test_state_survives_sigkill_and_sigterm_exits_with_zero(tmp_path: Path) -> None:
    state, log = tmp_path / "state", tmp_path / "requests.jsonl"
    headers = {"Authorization": f"Bearer {API_KEY}", "Idempotency-Key": "k"}
    form = {"amount": "5000", "currency": "usd", "payment_method": "pm_card_visa", "confirm": "true"}
    first = Program("--state", str(state), "--log", str(log))
    try:
        created = httpx.post(f"{first.url}/v1/payment_intents", data=form, headers=headers, trust_env=False)
    finally:
        first.stop(signal.SIGKILL)
    second = Program("--state", str(state), "--log", str(log))
    try:
        again = httpx.post(f"{second.url}/v1/payment_intents", data=form, headers=headers, trust_env=False)
        ledger = httpx.get(f"{second.url}/_sandbox/books", trust_env=False).json()
    finally:
        exit_code = second.stop(signal.SIGTERM)
    assert (created.status_code, again.json(), again.headers["idempotent-replayed"]) == (200, created.json(), "true")
    assert [line["net"] for account in ledger.values() for line in account["transactions"]] == [4825]
    assert exit_code == 0
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [set(line) for line in lines] == 2 * [
        {
            "method",
            "path",
            "idempotency_key",
            "stripe_account",
            "stripe_version",
            "content_type",
            "body",
            "status",
            "response",
        }
    ]
    assert API_KEY not in log.read_text()


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        pytest.param(["--host", "0.0.0.0"], {}, id="on a public address"),  # noqa: S104
        pytest.param([], {"SOME_KEY": "sk_live_abc"}, id="with a live key"),
        pytest.param([], {"OTHER": "rk_live_abc"}, id="with a restricted live key"),
        pytest.param([], {"HOLDFAST_ENV": "production"}, id="in production"),
    ],
)
def test_sandbox_refuses_to_start(arguments: list[str], environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "sandbox.stripe", "--port", str(free_port()), *arguments]
    refused = subprocess.run(
        command, cwd=ROOT, env={"PATH": os.environ["PATH"]} | environment, capture_output=True, text=True, timeout=60
    )
    assert refused.returncode == 2
    assert "does not start" in refused.stderr
    assert "live_abc" not in refused.stderr + refused.stdout


def test_links_to_its_pages_begin_with_the_public_url() -> None:
    program = Program("--public-url", "http://127.0.0.1:8020/")
    form = {
        "mode": "payment",
        "success_url": "http://127.0.0.1:8000/paid",
        "line_items[0][quantity]": "1",
        "line_items[0][price_data][currency]": "usd",
        "line_items[0][price_data][unit_amount]": "5000",
        "line_items[0][price_data][product_data][name]": "Counterpoint",
    }
    headers = {"Authorization": f"Bearer {API_KEY}"}
    try:
        session = httpx.post(f"{program.url}/v1/checkout/sessions", data=form, headers=headers, trust_env=False).json()
    finally:
        program.stop(signal.SIGTERM)
    assert session["url"].startswith("http://127.0.0.1:8020/c/")


def test_api_version_is_that_of_stripe_python() -> None:
    program = Program()
    try:
        health = httpx.get(f"{program.url}/_sandbox/health", trust_env=False).json()
    finally:
        program.stop(signal.SIGTERM)
    assert health["api_version"] == stripe.api_version

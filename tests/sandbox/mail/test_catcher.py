"""The mail catcher: it shows mails as untrusted HTML, and its memory is bounded."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib
import httpx
import pytest

from sandbox.mail.app import create_app
from sandbox.mail.catcher import MAX_MAIL_BYTES, Catcher
from sandbox.stack.environment import PROJECT_ROOT
from sandbox.stack.mailbox import Mailbox
from sandbox.stack.ports import LOOPBACK, free_port

HOSTILE = "<script>alert(1)</script>"


def mail(subject: str = "Hello", to: str = "ada@students.example", body: str = "Some words") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "post@holdfast.example", to, subject
    message.set_content(body)
    message.add_alternative(f"<p>{body}</p>", subtype="html")
    message.add_alternative("BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n", subtype="calendar", params={"method": "REQUEST"})
    return message


@pytest.fixture
def catcher() -> Catcher:
    return Catcher(max_mails=3, max_bytes=2 * MAX_MAIL_BYTES)


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
async def client(catcher: Catcher, port: int) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(catcher, LOOPBACK, port)
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://m") as client:
        yield client


async def send(port: int, message: EmailMessage) -> None:
    await aiosmtplib.send(message, hostname=LOOPBACK, port=port, start_tls=False)


async def test_mail_is_listed_and_shown_in_all_formats(client: httpx.AsyncClient, port: int) -> None:
    await send(port, mail("Paid: 佐藤"))
    listing = await client.get("/")
    assert "Paid: 佐藤" in listing.text
    assert "ada@students.example" in listing.text
    page = await client.get("/mails/1")
    assert "Some words" in page.text
    assert '<iframe sandbox src="/mails/1/html"' in page.text
    assert (await client.get("/mails/1/html")).text.strip() == "<p>Some words</p>"
    assert (await client.get("/mails/1/session.ics")).text.startswith("BEGIN:VCALENDAR")
    assert "Subject" in (await client.get("/mails/1/source")).text


async def test_json_lists_a_recipients_mails_newest_first(client: httpx.AsyncClient, port: int) -> None:
    await send(port, mail("1"))
    await send(port, mail("2", to="kenji@students.example"))
    await send(port, mail("3"))
    mails = (await client.get("/mails.json", params={"to": "ada@students.example"})).json()
    assert [mail["subject"] for mail in mails] == ["3", "1"]
    assert {"message_id", "from", "to", "text", "html", "calendar"} <= set(mails[0])
    assert len((await client.get("/mails.json")).json()) == 3


async def test_hostile_mail_cannot_run_scripts(client: httpx.AsyncClient, port: int) -> None:
    await send(port, mail(HOSTILE, body=HOSTILE))
    for path in ("/", "/mails/1"):
        page = await client.get(path)
        assert HOSTILE not in page.text
        assert page.headers["content-security-policy"].startswith("default-src 'none';")
    html = await client.get("/mails/1/html")
    assert HOSTILE in html.text
    policy = html.headers["content-security-policy"]
    assert policy.startswith("sandbox")
    assert "allow-scripts" not in policy
    assert "allow-same-origin" not in policy


async def test_oldest_mails_are_dropped_above_the_count_limit(client: httpx.AsyncClient, port: int) -> None:
    for number in range(5):
        await send(port, mail(str(number)))
    assert [mail["subject"] for mail in (await client.get("/mails.json")).json()] == ["4", "3", "2"]
    assert (await client.get("/mails/1")).status_code == 404


async def test_oldest_mails_are_dropped_above_the_size_limit_and_oversized_mails_are_refused(
    client: httpx.AsyncClient, port: int
) -> None:
    # The body counts twice, as text and as HTML.
    for _ in range(3):
        await send(port, mail(body="long words " * 40_000))
    assert len((await client.get("/mails.json")).json()) == 2
    with pytest.raises(aiosmtplib.SMTPResponseException) as refused:
        await send(port, mail(body="long words " * 60_000))
    assert refused.value.code == 552


@pytest.mark.parametrize("path", ["/mails/9", "/mails/9/html", "/mails/9/session.ics", "/mails/9/source"])
async def test_unknown_mail_is_not_found(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 404


async def test_catcher_runs_as_a_process_and_keeps_its_mails_when_it_is_killed(tmp_path: Path) -> None:
    mailbox = Mailbox(tmp_path / "mails", log=tmp_path / "mailbox.log")
    await mailbox.start()
    try:
        await send(int(mailbox.environment["HOLDFAST_SMTP_PORT"]), mail("Hello"))
        await mailbox.process.kill()
        await mailbox.start()
        async with httpx.AsyncClient(base_url=mailbox.url, trust_env=False) as client:
            assert "Hello" in (await client.get("/")).text
    finally:
        await mailbox.stop()


@pytest.mark.parametrize(
    ("host", "environment"),
    [
        pytest.param(LOOPBACK, {"HOLDFAST_ENV": "production"}, id="in production"),
        pytest.param(LOOPBACK, {"STRIPE_API_KEY": "sk_live_1"}, id="with a live key"),
        pytest.param("0.0.0.0", {}, id="on a public address"),  # noqa: S104
    ],
)
def test_catcher_refuses_to_start(host: str, environment: dict[str, str]) -> None:
    refused = subprocess.run(
        [sys.executable, "-m", "sandbox.mail", "--host", host, "--port", "1", "--smtp-port", "2"],
        cwd=PROJECT_ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert refused.returncode == 2
    assert "does not start" in refused.stderr
    assert "sk_live_1" not in refused.stderr

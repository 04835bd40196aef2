"""The examples of `docs/webhooks.md` and `docs/agents.md`: each request is accepted, and each Python block runs."""

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest
from standardwebhooks import Webhook

from api.http.auth import issue_token
from models.db import build_engine
from sandbox.stack.environment import PROJECT_ROOT
from sandbox.stack.stack import Stack
from tests.api.stack.walkthrough import Exchange, sent
from tests.api.world import add_operator, add_student

_WEBHOOKS, _AGENTS = ((PROJECT_ROOT / "docs" / name).read_text() for name in ("webhooks.md", "agents.md"))


def _blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def tokens(stack: Stack, services_loop: asyncio.Runner) -> dict[str, str]:
    """The tokens that the pages call `$OPERATOR` and `$ADA`."""

    async def people() -> dict[str, str]:
        engine = build_engine(stack.database_url)
        try:
            known = {"OPERATOR": await add_operator(engine), "ADA": await add_student(engine)}
        finally:
            await engine.dispose()
        lifetime = timedelta(hours=1)
        return {
            name: issue_token(stack.token_secret, person.role, person.id, lifetime) for name, person in known.items()
        }

    return services_loop.run(people())


def _answer(curl: str, variables: dict[str, str]) -> httpx.Response:
    answer = sent(Exchange(curl, 200, {}, {}).request(variables))
    assert answer.is_success, answer.text
    return answer


def test_webhook_is_created_and_replayed(stack: Stack, tokens: dict[str, str]) -> None:
    create, replay = _blocks(_WEBHOOKS, "sh")
    variables = tokens | {"API": stack.api_url}
    created = _answer(create, variables).json()
    again = _answer(replay, variables | {"WEBHOOK": created["id"]})
    assert again.status_code == 200


def test_message_is_verified() -> None:
    [code] = _blocks(_WEBHOOKS, "python")
    [shown] = _blocks(_WEBHOOKS, "http")
    body = shown.partition("\n\n")[2]
    signer, at = Webhook("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), datetime.now(UTC)
    id = str(uuid4())
    headers = {
        "webhook-id": id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signer.sign(id, at, body),
    }
    names = {"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "body": body, "headers": headers}
    exec(code, names)  # noqa: S102 - the page's
    assert names["message"] == json.loads(body)


def test_agent_gets_a_token_and_searches(
    stack: Stack, tokens: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    [curl], [code] = _blocks(_AGENTS, "sh"), _blocks(_AGENTS, "python")
    token = _answer(curl, tokens | {"API": stack.api_url}).json()["token"]
    assert {"http://127.0.0.1:8000", "hft_…"} <= {*re.findall(r'"(hft_…|http://[^/"]+)', code)}
    exec(code.replace("http://127.0.0.1:8000", stack.api_url).replace("hft_…", token), {})  # noqa: S102 - the page's
    assert capsys.readouterr().out.startswith("{'data': [")

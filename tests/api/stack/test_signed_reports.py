"""Signed events of Stripe and the meeting provider are accepted, or refused as declared, without a server error."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import httpx
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sandbox.stack.stack import Stack
from tests.api import stripe_events
from tests.api.meetings import provider_events
from tests.api.world import JSON

_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def _object(**members: st.SearchStrategy[object]) -> st.SearchStrategy[JSON]:
    """Most of the members as they should be, so that one that is not gets as far as it can."""
    return st.fixed_dictionaries({name: st.one_of(*[member] * 9, _ANYTHING) for name, member in members.items()})


# But none of a dispute: the first event of one starts its workflow, whatever its id.
_STRIPE = _object(
    id=st.just("evt_1"),
    type=st.sampled_from(["payment_intent.payment_failed", "account.updated", "ping"]),
    account=st.text(),
    data=_object(object=_object(id=st.just("pi_1"), metadata=_object(bookingRequestId=st.uuids().map(str)))),
)
_MEETING = _object(
    idempotencyKey=st.uuids().map(str),
    eventType=st.sampled_from(["PARTICIPANT_JOINED", "PARTICIPANT_LEFT", "RECORDING_UPLOADED"]),
    timestamp=st.integers(min_value=0, max_value=2**63),
    fqn=st.text(),
    data=_object(id=st.uuids().map(str), participantJid=st.text()),
)


_NUL = {
    "event": {"id": "evt_\0", "type": "account.updated", "account": "acct_\0", "data": "\0"},
    "report": {
        "idempotencyKey": "k",
        "eventType": "PARTICIPANT_LEFT",
        "timestamp": 1,
        "fqn": "/\0",
        "data": {"id": "\0"},
    },
}
"""Text that Postgres can neither store nor compare."""


@example(**_NUL)
@settings(derandomize=True, max_examples=100, deadline=None)
@given(event=_STRIPE, report=_MEETING)
def test_signed_event_is_accepted_or_refused_as_declared(
    event: JSON, report: JSON, stack: Stack, services_loop: asyncio.Runner
) -> None:
    meeting_key = stack.environment["HOLDFAST_MEETING_WEBHOOK_SECRET"]
    answers = services_loop.run(
        _answers(
            stack.api_url,
            lambda client: stripe_events.send(client, json.dumps(event), stack.webhook_secret),
            lambda client: stripe_events.send_connect(client, event, stack.connect_webhook_secret),
            lambda client: provider_events.send(client, json.dumps(report), meeting_key),
        )
    )
    assert [answer.status_code for answer in answers if answer.status_code not in (200, 400)] == []


async def _answers(
    url: str, *sendings: Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]
) -> list[httpx.Response]:
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        return [await send(client) for send in sendings]

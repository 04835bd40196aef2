"""Contract tests against the sandbox, and against Stripe's test mode if `STRIPE_TEST_KEY` is set.

Each scenario's transcript must equal the one in `transcripts/`. `STRIPE_TRANSCRIPTS=DIRECTORY` also writes the actual
transcripts, to compare the two targets. After an intended change, overwrite the expected ones with them.
"""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
import stripe
from stripe import StripeClient

from tests.sandbox.stripe.conftest import serving
from tests.sandbox.stripe.contract.scenarios import SCENARIOS, Scenario
from tests.sandbox.stripe.contract.transcript import Transcript, expected
from tests.sandbox.stripe.platform import API_KEY

TEST_KEY = os.environ.get("STRIPE_TEST_KEY", "")


@pytest.fixture(params=["sandbox", "stripe"] if TEST_KEY else ["sandbox"])
async def target(request: pytest.FixtureRequest) -> AsyncIterator[StripeClient]:
    stripe.enable_telemetry = False
    transport = stripe.HTTPXClient(timeout=60)
    try:
        if request.param == "stripe":
            assert TEST_KEY.startswith(("sk_test_", "rk_test_", "rkcs_test_")), "STRIPE_TEST_KEY is not a test key"
            yield StripeClient(TEST_KEY, http_client=transport, max_network_retries=2)
        else:
            async with serving() as url:
                yield StripeClient(API_KEY, base_addresses={"api": url}, http_client=transport)
    finally:
        await transport.close_async()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
async def test_scenario_has_the_expected_transcript(target: StripeClient, scenario: Scenario) -> None:
    transcript = Transcript(target)
    await scenario(transcript, uuid4().hex)
    await transcript.collect_events()
    if directory := os.environ.get("STRIPE_TRANSCRIPTS"):
        transcript.write(Path(directory), scenario.__name__)
    assert transcript.as_json() == expected(scenario.__name__)

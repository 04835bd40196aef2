from collections.abc import AsyncIterator

import httpx
import pytest
import stripe
from sqlmodel.ext.asyncio.session import AsyncSession

from models.tables.people import Instructor
from tests.api.live.reconciliation.stripe_side import StripeSide
from tests.api.world import World
from tests.conftest import StripeSandbox
from tests.own_stripe import own_sandbox


@pytest.fixture
async def stripe_sandbox() -> AsyncIterator[StripeSandbox]:
    async with own_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
async def stripe_side(
    client: httpx.AsyncClient, world: World, stripe_client: stripe.StripeClient, stripe_sandbox: StripeSandbox
) -> StripeSide:
    async with AsyncSession(world.engine) as session:
        instructor = await session.get_one(Instructor, world.instructor.id)
    assert instructor.stripe_account_id
    return StripeSide(client, world, stripe_client, stripe_sandbox.url, instructor.stripe_account_id)

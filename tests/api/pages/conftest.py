import httpx
import pytest

from tests.api.pages.browser import Browser


@pytest.fixture
def browser(client: httpx.AsyncClient) -> Browser:
    return Browser(client)

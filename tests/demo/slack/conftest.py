"""A stand-in for all tests, emptied before every test."""

from collections.abc import Iterator

import httpx
import pytest
from slack_sdk import WebClient

from demo.slack.app import Settings
from demo.slack.server import running


@pytest.fixture(scope="session")
def _client() -> Iterator[httpx.Client]:
    # There is no TLS here, and loading certificates takes longer than a test.
    with (
        running(Settings()) as url,
        httpx.Client(base_url=url, timeout=5, trust_env=False, verify=False) as client,  # noqa: S501
    ):
        yield client


@pytest.fixture
def http(_client: httpx.Client) -> httpx.Client:
    """An HTTP client of an empty stand-in."""
    for path in ("fault", "messages", "calls"):
        assert _client.delete(f"/_standin/{path}").status_code == 204
    return _client


@pytest.fixture
def slack(http: httpx.Client) -> WebClient:
    """Slack's client of the same stand-in, without retries."""
    return WebClient(token="xoxb-test-1", base_url=f"{http.base_url}/api/", timeout=5, retry_handlers=[])

"""The fingerprint: what makes two runs comparable, and what does not."""

from typing import Any

import pytest

from include.perf.fingerprint import describe_load, fingerprint
from include.perf.scenario import LoadProfile
from tests.fakes import small_service

LOAD = LoadProfile(rate_rps=100, duration_s=60)
DATA = "sha256:0123456789abcdef0123"


def test_the_parts_can_be_read() -> None:
    """Each part is short and says what it stands for."""
    parts = fingerprint(small_service(), LOAD, data=DATA)
    assert parts == {
        "load": "100/s constant for 60 s after 60 s of warm-up",
        "limits": "1000 in flight, time-out 10 s",
        "data": "sha256:0123456789ab",
        "endpoints": parts["endpoints"],
        "generator": "version 1, seed 20260101",
        "environment": "staging",
    }
    assert parts["endpoints"].startswith("sha256:")
    assert len(parts["endpoints"]) == len("sha256:") + 12


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"rate_rps": 101}, "load"),
        ({"duration_s": 61}, "load"),
        ({"warmup_s": 0}, "load"),
        ({"arrivals": "poisson"}, "load"),
        ({"seed": 1}, "generator"),
        ({"max_concurrency": 50}, "limits"),
    ],
)
def test_another_load_differs_in_one_part(changes: dict[str, Any], part: str) -> None:
    """What changes the load changes its part, and only that."""
    before = fingerprint(small_service(), LOAD, data=DATA)
    after = fingerprint(small_service(), LOAD.model_copy(update=changes), data=DATA)
    assert [name for name in before if before[name] != after[name]] == [part]


ENDPOINT = {"name": "place", "method": "POST", "path": "/orders", "body": {"price": "$price"}}


@pytest.mark.parametrize(
    "changes",
    [{"weight": 2}, {"path": "/order"}, {"method": "PUT"}, {"body": {"price": "$close"}}, {"query": {"a": 1}}],
)
def test_other_requests_differ(changes: dict[str, Any]) -> None:
    """Path, method, weight and payload of every endpoint are part of it."""
    before = fingerprint(small_service(endpoints=[ENDPOINT]), LOAD, data=DATA)
    after = fingerprint(small_service(endpoints=[ENDPOINT | changes]), LOAD, data=DATA)
    assert [name for name in before if before[name] != after[name]] == ["endpoints"]


def test_another_environment_and_other_data_differ() -> None:
    """Staging is never compared with another environment, nor one CSV with another."""
    before = fingerprint(small_service(), LOAD, data=DATA)
    after = fingerprint(small_service(environment="demo"), LOAD, data="sha256:ff")
    assert [name for name in before if before[name] != after[name]] == ["data", "environment"]


def test_words_about_a_service_do_not_matter() -> None:
    """A new description, owner or channel keeps the baseline."""
    changes = {"description": "Orders.", "owner": "trading", "slack_channel": "C0123"}
    assert fingerprint(small_service(**changes), LOAD, data=DATA) == fingerprint(small_service(), LOAD, data=DATA)


def test_the_order_of_keys_does_not_matter() -> None:
    """Two ways to write the same payload are the same payload."""
    one = ENDPOINT | {"body": {"price": "$price", "side": "$side"}}
    other = ENDPOINT | {"body": {"side": "$side", "price": "$price"}}
    first, second = (fingerprint(small_service(endpoints=[each]), LOAD, data=DATA) for each in (one, other))
    assert first == second


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (0.5, "0.5/s constant for 60 s after 60 s of warm-up"),
        (500.0, "500/s constant for 60 s after 60 s of warm-up"),
    ],
)
def test_describe_load(rate: float, text: str) -> None:
    """A load is described in words."""
    assert describe_load(LoadProfile(rate_rps=rate, duration_s=60)) == text


def test_rates_that_differ_are_described_differently() -> None:
    """Six digits would take 1000.001 for 1000."""
    assert describe_load(LoadProfile(rate_rps=1000.001, duration_s=60)).startswith("1000.001/s ")

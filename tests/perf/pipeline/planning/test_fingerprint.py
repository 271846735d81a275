"""The fingerprint: which settings make two runs incomparable, and which do not."""

from typing import Any

import pytest

from include.perf.catalogue.scenario.load_profile import LoadProfile
from include.perf.pipeline.planning.fingerprint import describe_load, fingerprint
from tests.fakes.small_catalogue import small_service

LOAD = LoadProfile(rate_rps=100, duration_s=60)
DATA = "sha256:0123456789abcdef0123"


def test_the_parts_are_readable() -> None:
    """Each part is short and describes a setting."""
    parts = fingerprint(small_service(), LOAD, data=DATA)
    assert parts == {
        "load": "100/s constant for 60 s after 60 s of warm-up",
        "limits": "1000 in flight, time-out 10 s",
        "data": "sha256:0123456789ab",
        "endpoints": parts["endpoints"],
        "generator": "version 3, seed 20260101",
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
    """A change of the load changes only its own part."""
    before = fingerprint(small_service(), LOAD, data=DATA)
    after = fingerprint(small_service(), LOAD.model_copy(update=changes), data=DATA)
    assert [name for name in before if before[name] != after[name]] == [part]


def test_figures_of_something_else_differ() -> None:
    """The memory of a container is not that of a process; the default is not part of the fingerprint."""
    before = fingerprint(small_service(), LOAD, data=DATA)
    container = small_service(prometheus={"selector": "a", "kind": "container"})
    assert fingerprint(container, LOAD, data=DATA) == before | {"figures of": "container"}


ENDPOINT = {"name": "place", "method": "POST", "path": "/orders", "body": {"price": "$price"}}


@pytest.mark.parametrize(
    "changes",
    [{"weight": 2}, {"path": "/order"}, {"method": "PUT"}, {"body": {"price": "$close"}}, {"query": {"a": 1}}],
)
def test_other_requests_differ(changes: dict[str, Any]) -> None:
    """Path, method, weight and payload of every endpoint are part of the fingerprint."""
    before = fingerprint(small_service(endpoints=[ENDPOINT]), LOAD, data=DATA)
    after = fingerprint(small_service(endpoints=[ENDPOINT | changes]), LOAD, data=DATA)
    assert [name for name in before if before[name] != after[name]] == ["endpoints"]


def test_another_environment_and_other_data_differ() -> None:
    """Staging is never compared with another environment, nor one CSV with another."""
    before = fingerprint(small_service(), LOAD, data=DATA)
    after = fingerprint(small_service(environment="demo"), LOAD, data="sha256:ff")
    assert [name for name in before if before[name] != after[name]] == ["data", "environment"]


def test_descriptions_do_not_matter() -> None:
    """A new description, owner or channel keeps the baseline."""
    changes = {"description": "Orders.", "owner": "trading", "slack_channel": "C0123"}
    assert fingerprint(small_service(**changes), LOAD, data=DATA) == fingerprint(small_service(), LOAD, data=DATA)


def test_the_order_of_keys_does_not_matter() -> None:
    """Two ways to write the same payload are the same payload."""
    one = ENDPOINT | {"body": {"price": "$price", "side": "$side"}}
    other = ENDPOINT | {"body": {"side": "$side", "price": "$price"}}
    first, second = (fingerprint(small_service(endpoints=[endpoint]), LOAD, data=DATA) for endpoint in (one, other))
    assert first == second


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (0.5, "0.5/s constant for 60 s after 60 s of warm-up"),
        (500.0, "500/s constant for 60 s after 60 s of warm-up"),
    ],
)
def test_describe_load(rate: float, text: str) -> None:
    """The fingerprint keeps its stored form; constant arrivals are not mentioned to people."""
    load = LoadProfile(rate_rps=rate, duration_s=60)
    assert fingerprint(small_service(), load, data=DATA)["load"] == text
    assert describe_load(load) == text.replace("/s constant for", "/s for")


BURST = [{"at_s": 0, "factor": 3}, {"at_s": 300, "factor": 1, "by": "decay"}]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"profile": BURST}, "500/s constant, profile 3 → 1 by decay in 300 s, for 900 s after 60 s of warm-up"),
        ({"ramp_s": 30}, "500/s constant for 900 s after 60 s of warm-up with a ramp of 30 s"),
        ({"profile": [{"at_s": 0, "factor": 1.5}]}, "500/s constant, profile 1.5, for 900 s after 60 s of warm-up"),
        (
            {
                "arrivals": "poisson",
                "ramp_s": 5,
                "profile": [*BURST, {"at_s": 360, "factor": 1.25, "by": "step"}, {"at_s": 600, "factor": 1}],
            },
            "500/s poisson, profile 3 → 1 by decay in 300 s → 1.25 by step after 60 s → 1 by line in 240 s, "
            "for 900 s after 60 s of warm-up with a ramp of 5 s",
        ),
    ],
)
def test_a_varying_load_is_described(changes: dict[str, Any], text: str) -> None:
    """Ramp and profile are part of the fingerprint only if they are set."""
    load = LoadProfile.model_validate({"rate_rps": 500, "duration_s": 900} | changes)
    assert fingerprint(small_service(), load, data=DATA)["load"] == text
    assert describe_load(load) == text.replace(" constant", "").replace(" poisson", " with Poisson arrivals")


@pytest.mark.parametrize(("rate", "text"), [(5600, ""), (5601, ", 2 workers"), (24_000, ", 5 workers")])
def test_several_workers_are_part_of_the_generator(rate: float, text: str) -> None:
    """A single worker is the default, and not mentioned."""
    parts = fingerprint(small_service(), LoadProfile(rate_rps=rate, duration_s=60), data=DATA)
    assert parts["generator"].endswith(f"seed 20260101{text}")


def test_a_load_from_other_machines_is_another_part() -> None:
    """It comes over another network. The number of machines does not matter, and earlier loads all count as local."""
    local, distributed = (
        fingerprint(small_service(), LOAD, data=DATA, is_distributed=distributed) for distributed in (False, True)
    )
    assert set(distributed.items()) - set(local.items()) == {("generators", "distributed")}
    assert set(local) < set(distributed)


def test_rates_that_differ_are_described_differently() -> None:
    """With six digits, 1000.001 would become 1000."""
    assert describe_load(LoadProfile(rate_rps=1000.001, duration_s=60)).startswith("1000.001/s ")


def test_endpoints_without_expectations_keep_their_digest() -> None:
    """Baselines from before expectations stay comparable; this is the digest of version 0.1."""
    assert fingerprint(small_service(), LOAD, data=DATA)["endpoints"] == "sha256:83bab9ed410b"
    expecting = [ENDPOINT | {"expect": {}}, ENDPOINT | {"expect": None}, ENDPOINT]
    prints = [fingerprint(small_service(endpoints=[endpoint]), LOAD, data=DATA) for endpoint in expecting]
    assert prints[0] == prints[1] == prints[2]


@pytest.mark.parametrize("expect", [{"status": 201}, {"json": {"status": "filled"}}, {"has": ["order_id"]}])
def test_other_expectations_differ(expect: dict[str, Any]) -> None:
    """A different expectation counts other answers as errors."""
    before = fingerprint(small_service(endpoints=[ENDPOINT]), LOAD, data=DATA)
    after = fingerprint(small_service(endpoints=[ENDPOINT | {"expect": expect}]), LOAD, data=DATA)
    assert [name for name in before if before[name] != after[name]] == ["endpoints"]


def test_data_files_are_a_part_of_their_own() -> None:
    """By their content, not by their place."""
    with_file = small_service(data_files={"accounts": "accounts.csv"})
    parts = fingerprint(with_file, LOAD, data=DATA, data_files="sha256:0123456789abcdef")
    assert parts["data files"] == "sha256:0123456789ab"
    assert parts["endpoints"] == fingerprint(small_service(), LOAD, data=DATA)["endpoints"]


@pytest.mark.parametrize(
    ("changes", "limits"),
    [
        ({"timeout_s": 5}, "1000 in flight, time-out 5 s"),
        ({"connect_timeout_s": 0.5}, "1000 in flight, time-out 10 s, 0.5 s to connect"),
        ({"keep_alive": False}, "1000 in flight, time-out 10 s, a connection for each request"),
        ({"cookies": True}, "1000 in flight, time-out 10 s, cookies kept"),
        ({"keep_alive": True, "connect_timeout_s": None}, "1000 in flight, time-out 10 s"),
        (
            {"max_requests_per_connection": 100, "max_connection_age_s": 60, "idle_timeout_s": 0.5},
            "1000 in flight, time-out 10 s, 100 requests per connection, connections of 60 s, "
            "idle connections of 0.5 s",
        ),
    ],
)
def test_connection_settings_are_part_of_the_limits(changes: dict[str, Any], limits: str) -> None:
    """Defaults are not mentioned."""
    assert fingerprint(small_service(**changes), LOAD, data=DATA)["limits"] == limits


def test_headers_differ_by_name_and_value() -> None:
    """They may select a version or a cache; their order and the case of their names do not matter."""
    sets = [{"X-Api": "1", "Accept": "a"}, {"accept": "a", "x-api": "1"}, {"X-Api": "2", "Accept": "a"}]
    first, same, other = (fingerprint(small_service(headers=headers), LOAD, data=DATA)["headers"] for headers in sets)
    assert first == same != other
    assert first.startswith("accept, x-api sha256:")


def test_a_signature_is_a_part_of_its_own() -> None:
    """It changes every request; settings with their default values do not count."""
    signing = {"parts": ["body"], "header": "X-Sign"}
    settings = [signing, signing | {"algorithm": "sha256", "separator": ""}, signing | {"algorithm": "sha512"}]
    first, same, other = (
        fingerprint(small_service(signing=signing, connection="orders_api"), LOAD, data=DATA)["signing"]
        for signing in settings
    )
    assert first == same != other
    assert "signing" not in fingerprint(small_service(), LOAD, data=DATA)


def test_credentials_and_certificates_do_not_matter() -> None:
    """Both are renewed while the service stays the same."""
    changes = {"base_url": "https://orders-service:8000", "ca_file": "ca.pem", "connection": "orders_api"}
    assert fingerprint(small_service(**changes), LOAD, data=DATA) == fingerprint(small_service(), LOAD, data=DATA)


def test_what_the_catalogue_adds_comes_last() -> None:
    """The parts of the scenario and of the service are readable; by default there are none."""
    service = small_service(fingerprint={"database": "postgres 16"})
    parts = fingerprint(service, LOAD, data=DATA, extra={"dataset": "2026-Q4"})
    assert list(parts)[-2:] == ["dataset", "database"]
    assert (parts["dataset"], parts["database"]) == ("2026-Q4", "postgres 16")
    assert parts["endpoints"] == fingerprint(small_service(), LOAD, data=DATA)["endpoints"]


def test_another_database_is_another_part() -> None:
    """Only its own part differs."""
    before, after = (fingerprint(small_service(fingerprint={"db": db}), LOAD, data=DATA) for db in ("a", "b"))
    assert [name for name in before if before[name] != after[name]] == ["db"]


def test_the_source_of_the_version_does_not_matter() -> None:
    """Deployments are measured; they do not make runs incomparable."""
    telling = small_service(deploy_version={"path": "/version"})
    assert fingerprint(telling, LOAD, data=DATA) == fingerprint(small_service(), LOAD, data=DATA)

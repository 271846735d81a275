"""The entry of a service: its deploy version, environment, host and fingerprint."""

from typing import Any

import pytest
from pydantic import ValidationError

from include.perf.catalogue.network import PRIVATE_NETWORKS
from include.perf.catalogue.service import DeployVersion
from include.perf.model.yaml_entries import OWN_PARTS
from tests.fakes.small_catalogue import SELECTOR, small_service


def problem_of(**changes: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        small_service(**changes)
    return str(caught.value)


def test_a_version_at_a_path() -> None:
    """By default it is in the field ``version``."""
    found = small_service(deploy_version={"path": "/info", "field": "build.version"}).deploy_version
    assert found == DeployVersion(path="/info", field="build.version")
    assert DeployVersion(path="/info").field == "version"


def test_a_version_in_a_label() -> None:
    """By default it is in the label ``version``."""
    found = DeployVersion(query="build_info{$selector}")
    assert (found.path, found.label) == (None, "version")
    assert SELECTOR not in str(found.query)


def test_no_version_by_default() -> None:
    """The setting is optional."""
    assert small_service().deploy_version is None


@pytest.mark.parametrize(
    ("where", "problem"),
    [
        ({}, "needs either path or query, to define where the version is reported"),
        ({"path": "/v", "query": "build_info"}, "needs either path or query, to define where the version is reported"),
        ({"path": "version"}, "must be a path that starts with /"),
        ({"path": "/a b"}, "must be a path that starts with /"),
        ({"path": "/v", "field": ""}, "should have at least 1 character"),
        ({"query": "", "label": "tag"}, "should have at least 1 character"),
        ({"query": "build_info", "label": "git-sha"}, "must be a label name"),
        ({"path": "/v", "header": "x"}, "Extra inputs are not permitted"),
    ],
)
def test_an_invalid_place_of_the_version(where: dict[str, str], problem: str) -> None:
    """Exactly one of the two is needed, in the correct form."""
    assert problem in problem_of(deploy_version=where)


@pytest.mark.parametrize("name", OWN_PARTS)
def test_reserved_parts_of_the_fingerprint_cannot_be_set(name: str) -> None:
    """They would hide Bellwether's own."""
    assert f"{name} is a part of every fingerprint already; give it another name" in problem_of(fingerprint={name: "x"})


@pytest.mark.parametrize(
    "parts",
    [{"": "x"}, {"Db": "x"}, {"1st": "x"}, {"a" * 41: "x"}, {"db": "x" * 101}, {"db": ""}, {"db": 16}, {"db": None}],
)
def test_parts_are_short_texts(parts: dict[str, Any]) -> None:
    """They are shown in messages."""
    assert "fingerprint" in problem_of(fingerprint=parts)


def test_the_parts_of_a_service() -> None:
    """There are none by default."""
    assert small_service().fingerprint == {}
    assert small_service(fingerprint={"test bed_2": "c6i.4xlarge"}).fingerprint == {"test bed_2": "c6i.4xlarge"}


# Where load may go


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("http://gateway:8000", "gateway", 8000),
        ("http://gateway", "gateway", 80),
        ("https://gateway", "gateway", 443),
        ("https://[::1]:8443", "::1", 8443),
    ],
)
def test_host_and_port(url: str, host: str, port: int) -> None:
    """Without a port, it is that of the scheme."""
    service = small_service(base_url=url, allowed_hosts=[host])
    assert (service.host, service.port) == (host, port)


@pytest.mark.parametrize(
    ("url", "listed"),
    [
        ("http://Gateway:8000", "gateway"),
        ("http://gateway:8000", "GATEWAY"),
        ("http://gateway.example.:8000", "gateway.example"),
        ("http://gateway.example:8000", "gateway.example."),
        ("http://[0:0::1]:8000", "::1"),
        ("http://[::1]:8000", "[::1]"),
    ],
)
def test_allowed_hosts_are_case_insensitive_and_may_end_with_a_dot(url: str, listed: str) -> None:
    """All spellings of a name are the same."""
    assert small_service(base_url=url, allowed_hosts=[listed]).base_url == url


def test_private_networks_are_allowed_by_default() -> None:
    """They contain this machine and the platform; an entry can replace them."""
    assert small_service().allowed_networks == PRIVATE_NETWORKS
    listed = small_service(allowed_networks=["10.20.0.0/16", "fd00:20::7"]).allowed_networks
    assert [str(network) for network in listed] == ["10.20.0.0/16", "fd00:20::7/128"]


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (
            {"base_url": "http://8.8.8.8:8000", "allowed_hosts": ["8.8.8.8"]},
            "the host '8.8.8.8' of base_url is in none of allowed_networks (127.0.0.0/8, 10.0.0.0/8, ",
        ),
        (
            {"base_url": "http://10.1.0.7", "allowed_hosts": ["10.1.0.7"], "allowed_networks": ["10.2.0.0/16"]},
            "the host '10.1.0.7' of base_url is in none of allowed_networks (10.2.0.0/16); add it there if load may",
        ),
        (
            {"base_url": "http://0.0.0.0:8000", "allowed_hosts": ["0.0.0.0"]},  # noqa: S104
            "the host '0.0.0.0' of base_url is an unspecified address, which reaches this machine itself; name one",
        ),
        (
            {"base_url": "http://[::]:8000", "allowed_hosts": ["::"]},
            "the host '::' of base_url is an unspecified address, which reaches this machine itself; name one machine",
        ),
        (
            {"base_url": "http://10.0.0.7:8000", "allowed_hosts": ["10.0.0.8"]},
            "the host '10.0.0.7' of base_url is not in allowed_hosts ['10.0.0.8']; add it there if load may go to it",
        ),
        ({"allowed_networks": []}, "should have at least 1 item"),
    ],
)
def test_a_host_that_may_not_receive_load(settings: dict[str, Any], problem: str) -> None:
    """Problems that do not need a resolver are reported when the entry is read."""
    assert problem in problem_of(**settings)


# Production


@pytest.mark.parametrize(
    ("environment", "is_production"),
    [
        ("production", True),
        ("prod", True),
        ("prd", True),
        ("live", True),
        ("production-eu", True),
        ("eu_prod", True),
        ("eu-live-2", True),
        ("prod2", True),
        ("staging", False),
        ("delivery", False),
        ("productive", False),
        ("reproduction", False),
        ("nonprod", False),
        ("alive", False),
    ],
)
def test_which_environments_are_production(environment: str, is_production: bool) -> None:
    """One of the words must match, with or without a number."""
    service = small_service(environment=environment, allow_production=True, max_rate_rps=10)
    assert service.is_production is is_production


def test_production_needs_a_permission_and_a_maximum_rate() -> None:
    """Both are needed for every name of production; other services may have a maximum, too."""
    assert (
        "load on environment 'eu-live' is refused; set allow_production: true and max_rate_rps if this is intended"
    ) in problem_of(environment="eu-live", max_rate_rps=10)
    assert (
        "load on environment 'prod' needs a maximum; set max_rate_rps to the highest rate that it can handle"
    ) in problem_of(environment="prod", allow_production=True)
    assert small_service(environment="prod", allow_production=True, max_rate_rps=0.5).max_rate_rps == 0.5
    assert small_service(max_rate_rps=100).max_rate_rps == 100


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_a_maximum_rate_must_be_finite_and_positive(rate: float) -> None:
    """An infinite maximum would have no effect."""
    assert "max_rate_rps" in problem_of(max_rate_rps=rate)


def test_headers_that_an_entry_allows_by_name() -> None:
    """Without its name in the list, a header that might redirect a request is refused."""
    assert small_service(headers={"X-Canary": "no"}, allowed_headers=["x-canary"]).headers == {"X-Canary": "no"}
    assert "X-Canary is not known to leave the target" in problem_of(headers={"X-Canary": "no"})
    assert "X-Forwarded-Host redirects requests" in problem_of(allowed_headers=["X-Forwarded-Host"])


OTHER_HOST = "must start with a single /, but {!r} names another host"
DOTS = "must have no . or .. between slashes, but is {!r}; write the path that is meant"
AGAIN = "must be percent-encoded once, but {!r} is encoded again and again"


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("//evil.example/x", OTHER_HOST),
        ("///x", OTHER_HOST),
        ("/%2Fevil.example/x", OTHER_HOST),
        ("/%2fevil.example", OTHER_HOST),
        ("/%252Fevil.example", OTHER_HOST),
        ("/\\evil.example/x", OTHER_HOST),
        ("/%5Cevil.example/x", OTHER_HOST),
        ("/.//evil.example/x", DOTS),
        ("/a/../../x", DOTS),
        ("/a/..", DOTS),
        ("/a/%2e%2E/x", DOTS),
        ("/a/..;p=1/x", DOTS),
        ("/a\\..\\x", DOTS),
        ("/a%0d%0aHost:evil", "must have no control characters, but is {!r}"),
        ("/a%7F", "must have no control characters, but is {!r}"),
        ("/a%00", "must have no control characters, but is {!r}"),
        ("/%252525252F", AGAIN),
        (f"/%{'25' * 100_000}2F", AGAIN),
    ],
)
def test_paths_are_normalised_before_they_are_judged(path: str, problem: str) -> None:
    """A proxy must not make another host or path of it; this holds for every path of an entry."""
    for read in (
        lambda: small_service(endpoints=[{"name": "a", "method": "GET", "path": path}]),
        lambda: small_service(health_path=path),
        lambda: small_service(deploy_version={"path": path}),
    ):
        with pytest.raises(ValidationError) as caught:
            read()
        assert problem.format(path) in caught.value.errors()[0]["msg"]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1/EUR%2FUSD/price",
        "/orders:batch",
        "/Orders(1)",
        "/.well-known/x",
        "/a//b",
        "/...",
        "/100%25",
        "/é%C3%A9%FF",
    ],
)
def test_ordinary_paths_stay_as_they_are(path: str) -> None:
    """They are judged in their normal form, and sent as they are written."""
    service = small_service(
        health_path=f"{path}?next=//x/../y",
        deploy_version={"path": path},
        endpoints=[{"name": "a", "method": "GET", "path": path}],
    )
    assert (service.endpoints[0].path, service.health_path) == (path, f"{path}?next=//x/../y")


def test_limits_of_connections_need_keep_alive() -> None:
    """Otherwise they have no effect."""
    assert "idle_timeout_s has no effect with keep_alive: false; remove one of them" in problem_of(
        keep_alive=False, idle_timeout_s=1
    )


@pytest.mark.parametrize(
    ("endpoint", "problem"),
    [
        ({"path": "/a/${accounts.id}"}, "orders, path: ${accounts.id} names the data file 'accounts', which is not in"),
        (
            {"query": {"id": "{accountID}"}},
            "orders, query: {accountID} is text that nothing fills in; write a placeholder",
        ),
        ({"form": {"id": [1, "{{ id }}"]}}, "orders, form: {{ id }} is text that nothing fills in"),
        ({"headers": {"X-Tenant": "{tenant}"}}, "orders, headers: {tenant} is text that nothing fills in"),
        ({"body": {"a": [{"b": "{{price}}"}]}}, "orders, body: {{price}} is text that nothing fills in"),
        ({"body": {"{id}": 1}}, "orders, body: {id} is text that nothing fills in"),
        ({"text": " {{ order }}\n"}, "orders, text: {{ order }} is text that nothing fills in"),
        ({"headers": {"Authorization": "x"}}, "orders, headers: Authorization looks like a secret"),
        ({"headers": {"X-Forwarded-Host": "$side"}}, "orders, headers: X-Forwarded-Host redirects requests away"),
    ],
)
def test_requests_that_only_the_service_can_check(endpoint: dict[str, Any], problem: str) -> None:
    """The endpoint and the place are named."""
    made = {"name": "orders", "method": "POST", "path": "/orders"} | endpoint
    assert problem in problem_of(endpoints=[made])


def test_headers_are_templates() -> None:
    assert "headers: $requst is not a field of the market data" in problem_of(headers={"X-Request-Id": "$requst"})
    assert small_service(headers={"X-Request-Id": "$uuid"}).headers == {"X-Request-Id": "$uuid"}

"""A smoke run: which requests it sends, how it judges the answers, and when it sends nothing."""

from dataclasses import replace
from typing import Any

import pytest

from include.perf.catalogue.service import Service
from include.perf.load.feed import Feed, FeedEndpoint, Request
from include.perf.load.staging import build_feed
from include.perf.load.wire import Answered
from include.perf.model.errors import CatalogueError, HostRefused, RunSkipped, TargetError
from include.perf.pipeline.smoke import MAX_EXAMPLE, SmokeResult, smoke, try_endpoints
from tests.fakes.small_catalogue import small_scenario, small_service
from tests.fakes.small_platform import Platform
from tests.fakes.target import FakeTarget

ADDRESSES = ("10.0.0.7",)
GOOD = Answered(status=200, body=b'{"order_id": 1}', took_s=0.02)
DOWN = TargetError("orders-service is not reachable: POST http://orders-service:8000/orders failed (ReadTimeout)")


def feed_of(service: Service, *, rows: int = 3) -> Feed:
    """Return numbered requests: ``/orders?row=0``, …."""
    return Feed(
        endpoints=tuple(
            FeedEndpoint(name=endpoint.name, method=endpoint.method, weight=endpoint.weight, rows=rows)
            for endpoint in service.endpoints
        ),
        requests=tuple(
            tuple(Request(f"{endpoint.path}?row={row}", b"{}" if endpoint.body else None) for row in range(rows))
            for endpoint in service.endpoints
        ),
    )


def tried(target: FakeTarget, *, rows: int = 3, **changes: Any) -> list[SmokeResult]:
    """Return how each endpoint of the small service answered."""
    service = small_service(**changes)
    return list(try_endpoints(service, feed_of(service, rows=rows), target, ADDRESSES))


@pytest.mark.parametrize(
    ("rows", "sent"),
    [(1, [0]), (2, [0, 1]), (3, [0, 1, 2]), (4, [0, 1, 3]), (51, [0, 25, 50]), (2000, [0, 999, 1999])],
)
def test_each_endpoint_gets_its_first_middle_and_last_request(rows: int, sent: list[int]) -> None:
    """One after another, each once, and only at the checked addresses."""
    target = FakeTarget()
    results = tried(target, rows=rows)
    assert [(method, request.target) for _, method, request in target.sent] == [
        *(("POST", f"/orders?row={row}") for row in sent),
        *(("GET", f"/positions?row={row}") for row in sent),
    ]
    assert set(target.asked) == {ADDRESSES}
    assert [result.sent for result in results] == [len(sent), len(sent)]


def test_endpoints_that_answer_as_expected_are_good() -> None:
    """With the time of the slowest answer and the path of the first request."""
    target = FakeTarget()
    target.answers["/orders"] = [replace(GOOD, took_s=took_s) for took_s in (0.02, 0.05, 0.03)]
    assert tried(target)[0] == SmokeResult(
        service="orders-service",
        endpoint="place",
        path="POST /orders?row=0",
        sent=3,
        failed=0,
        slowest_s=0.05,
        problem=None,
    )
    assert all(result.is_good for result in tried(FakeTarget()))


def test_an_answer_with_another_status_is_a_problem() -> None:
    """The first failed request is shown with its answer; the other endpoint is not affected."""
    target = FakeTarget()
    target.answers["/orders"] = [GOOD, Answered(status=422, body=b'{"detail": "price"}', took_s=0.4), GOOD]
    place, positions = tried(target)
    assert (place.path, place.sent, place.failed, place.slowest_s) == ("POST /orders?row=1", 3, 1, 0.4)
    assert place.problem == 'HTTP 422: {"detail": "price"}'
    assert (place.is_good, positions.is_good) == (False, True)


def test_every_answer_is_checked_against_the_expectation() -> None:
    """As under load, status 200 alone is not enough if more is expected."""
    endpoint = {"name": "place", "method": "POST", "path": "/orders", "expect": {"has": ["order_id"]}}
    target = FakeTarget()
    target.answers["/orders"] = [GOOD, Answered(status=200, body=b"{}"), Answered(status=200, body=b"<html>")]
    (place,) = tried(target, endpoints=[endpoint])
    assert (place.failed, place.problem) == (2, "wrong answer: order_id: {}")


def test_the_answer_that_came_is_judged_and_a_masked_one_is_shown() -> None:
    """A secret that happens to be the expected value does not fail the check; it is not shown either."""
    expect = {"json": {"env": "pl4nted"}}
    endpoint = {"name": "place", "method": "POST", "path": "/orders", "expect": expect}
    target = FakeTarget()
    target.secret = "pl4nted"
    target.answers["/orders"] = [
        Answered(status=200, body=b'{"env": "pl4nted"}'),
        Answered(status=200, body=b'{"env": "other", "was": "pl4nted"}'),
        GOOD,
    ]
    (place,) = tried(target, endpoints=[endpoint])
    assert (place.failed, place.problem) == (2, 'wrong answer: env: {"env": "other", "was": "***"}')


def test_no_answer_at_all_is_a_problem_without_a_time() -> None:
    """A missing time is not zero seconds; all requests are tried."""
    target = FakeTarget()
    target.answers["/orders"] = [DOWN, DOWN, DOWN]
    place = tried(target)[0]
    assert (place.sent, place.failed, place.slowest_s, place.problem) == (3, 3, None, str(DOWN))
    target.answers["/orders"] = [DOWN, GOOD, DOWN]
    assert tried(target)[0].slowest_s == 0.02


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"", "HTTP 500: an empty answer"),
        (b" \r\n\t", "HTTP 500: an empty answer"),
        (b"two\nlines", "HTTP 500: two lines"),
        ("\x1b[31mred\x1b[0m \u202etxt\u2066".encode(), "HTTP 500: [31mred [0m txt"),
        (b"\xff\xfe\x00binary", "HTTP 500: \ufffd\ufffd binary"),
        (b"x" * MAX_EXAMPLE, "HTTP 500: " + "x" * MAX_EXAMPLE),
        (b"x" * (MAX_EXAMPLE + 1), "HTTP 500: " + "x" * (MAX_EXAMPLE - 1) + "…"),
    ],
)
def test_the_answer_is_shown_on_one_short_line(body: bytes, shown: str) -> None:
    """Line breaks and colours of a service do not get into logs and terminals."""
    target = FakeTarget()
    target.answers["/orders"] = Answered(status=500, body=body)
    assert tried(target)[0].problem == shown


# As a use case


def test_the_requests_are_those_of_the_first_scenario_that_loads_the_service(platform: Platform) -> None:
    """With its data and its seed; nothing else is sent, and no run is created."""
    results = smoke("orders", platform.outside)
    service, scenario = small_service(), small_scenario()
    feed = build_feed(platform.catalogue.data_path(scenario), service, scenario.load)
    rows = feed.endpoints[0].rows
    expected = [requests[row] for requests in feed.requests for row in (0, (rows - 1) // 2, rows - 1)]
    assert [request for _, _, request in platform.target.sent] == expected
    assert [result.endpoint for result in results] == ["place", "positions"]
    assert set(platform.target.asked) == {("10.0.0.7",)}
    assert (platform.target.checks, platform.metrics.asked, platform.store.runs_by_uri) == ([], [], {})


def untried(platform: Platform, error: type[Exception]) -> str:
    """Return why a service is not tried, and check that nothing was sent."""
    with pytest.raises(error) as caught:
        smoke("orders-service", platform.outside)
    assert platform.target.sent == []
    return str(caught.value)


def changed(platform: Platform, **changes: Any) -> None:
    """Change the service."""
    service = small_service(**changes)
    platform.catalogue = replace(platform.catalogue, services={service.name: service})


def test_nothing_is_sent_while_load_is_halted(platform: Platform) -> None:
    """A few requests are load, too."""
    platform.halt_reason = "load is halted by ana: release"
    assert untried(platform, RunSkipped) == "load is halted by ana: release"


def test_nothing_is_sent_to_production_while_the_market_is_open(platform: Platform) -> None:
    """It is open on a Monday morning; on Saturday a smoke run is allowed."""
    changed(platform, environment="live", allow_production=True, max_rate_rps=50)
    assert "market" in untried(platform, RunSkipped)
    platform.clock.move(5 * 86_400)
    assert all(result.is_good for result in smoke("orders", platform.outside))


def test_nothing_is_sent_to_a_refused_address(platform: Platform) -> None:
    """The name resolves to an address outside the allowed networks."""
    platform.resolve.answers["orders-service"] = [["203.0.113.7"]]
    assert untried(platform, HostRefused).startswith("load on orders-service is refused: ")


def test_a_service_that_no_scenario_loads_has_no_data(platform: Platform) -> None:
    """So there is nothing to send."""
    others = {"brief": small_scenario(services=["engine"])}
    services = platform.catalogue.services | {"engine": small_service(name="engine")}
    platform.catalogue = replace(platform.catalogue, scenarios=others, services=services)
    message = "no scenario loads 'orders-service'; name it in the services of one, in scenarios.yaml"
    assert untried(platform, CatalogueError) == message

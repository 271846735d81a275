"""A smoke run of journeys: each is taken once, in order, with its clean-up."""

from pathlib import Path
from typing import Any

import pytest

from include.perf.load.feed import Request
from include.perf.load.staging import build_feed
from include.perf.load.wire import Answered
from include.perf.model.errors import TargetError
from include.perf.pipeline.smoke import SmokeResult, try_endpoints
from tests.fakes.small_catalogue import small_scenario, small_service, write_csv
from tests.fakes.target import FakeTarget

ADDRESSES = ("10.0.0.7",)
LOGIN: dict[str, Any] = {"name": "login", "method": "POST", "path": "/login", "capture": {"token": {"json": "token"}}}
PLACE: dict[str, Any] = {
    "name": "place",
    "method": "POST",
    "path": "/orders",
    "think_s": 5,
    "headers": {"Authorization": "Bearer $token"},
    "body": {"price": "$price"},
    "capture": {"order_id": {"json": "id"}},
}
POLL: dict[str, Any] = {
    "name": "poll",
    "method": "GET",
    "path": "/orders/$order_id",
    "repeat": {"until": {"json": {"state": "filled"}}, "at_most": 3, "every_s": 0.5},
}
CANCEL: dict[str, Any] = {"name": "cancel", "method": "DELETE", "path": "/orders/$order_id/rest"}
LIFE: dict[str, Any] = {"name": "life", "steps": [LOGIN, PLACE, POLL], "finally": [CANCEL]}
OPEN = Answered(status=200, body=b'{"state":"open"}', took_s=0.01)


class Smoke:
    """A smoke run of the journey.

    Attributes:
        naps_s: how long it waited before further tries.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.naps_s: list[float] = []
        self.target = FakeTarget()
        self.target.answers |= {
            "/login": Answered(status=200, body=b'{"token":"t0"}', cookies=(b"sid=1; Path=/",)),
            "/orders": Answered(status=201, body=b'{"id":17}'),
            "/orders/17": [OPEN, Answered(status=200, body=b'{"state":"filled"}', took_s=0.02)],
        }

    def run(self, journey: dict[str, Any] | None = None, **changes: Any) -> list[SmokeResult]:
        service = small_service(endpoints=[journey or LIFE], **changes)
        feed = build_feed(write_csv(self.folder / "brief.csv"), service, small_scenario().load)
        return list(try_endpoints(service, feed, self.target, ADDRESSES, sleep=self.naps_s.append))

    @property
    def requests(self) -> list[Request]:
        return [request for _, _, request in self.target.sent]

    @property
    def sent(self) -> list[str]:
        return [f"{method} {request.target}" for _, method, request in self.target.sent]


@pytest.fixture
def smoke(tmp_path: Path) -> Smoke:
    return Smoke(tmp_path)


def test_each_step_is_sent_with_what_was_captured(smoke: Smoke) -> None:
    """The user does not think; between the tries it waits."""
    results = smoke.run()
    assert smoke.sent == ["POST /login", "POST /orders", *["GET /orders/17"] * 2, "DELETE /orders/17/rest"]
    assert smoke.requests[1].headers["Authorization"] == "Bearer t0"
    assert smoke.naps_s == [0.5]
    assert [(result.endpoint, result.sent, result.failed) for result in results] == [
        ("life/login", 1, 0),
        ("life/place", 1, 0),
        ("life/poll", 2, 0),
        ("life/cancel", 1, 0),
    ]
    assert set(smoke.target.asked) == {ADDRESSES}


def test_a_failed_step_ends_the_journey_and_cleans_up(smoke: Smoke) -> None:
    """The order that was placed is cancelled."""
    smoke.target.answers["/orders/17"] = [OPEN] * 3
    results = smoke.run()
    assert [result.is_good for result in results] == [True, True, False, True]
    assert results[2].problem == 'not reached in 3 tries: {"state":"open"}'
    assert smoke.sent[-1] == "DELETE /orders/17/rest"


def test_nothing_is_cleaned_up_that_was_never_placed(smoke: Smoke) -> None:
    """The login fails, so no other step can be sent."""
    smoke.target.answers["/login"] = TargetError("no answer")
    (login,) = smoke.run()
    assert (login.problem, smoke.sent) == ("no answer", ["POST /login"])


def test_a_value_that_is_missing_is_a_problem(smoke: Smoke) -> None:
    """It is named, with the answer."""
    smoke.target.answers["/orders"] = Answered(status=201, body=b'{"order":{"id":17}}')
    results = smoke.run()
    assert results[-1].problem == (
        'wrong answer: no order_id (the answer has no value for order_id): {"order":{"id":17}}'
    )


def test_cookies_are_kept_within_a_journey_if_the_service_wants_that(smoke: Smoke) -> None:
    """As a user of a load keeps them."""
    smoke.run(cookies=True)
    assert [request.headers.get("Cookie") for request in smoke.requests] == [None, *["sid=1"] * 4]
    other = Smoke(smoke.folder)
    other.run()
    assert not any("Cookie" in request.headers for request in other.requests)

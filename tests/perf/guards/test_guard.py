"""The guard: the message of each refusal, the last moment in time, and what stops a running load."""

import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from include.perf.catalogue.forbidden_hosts import read_forbidden_hosts
from include.perf.catalogue.scenario.load_profile import LoadProfile
from include.perf.catalogue.scenario.scenario import Scenario
from include.perf.catalogue.scenario.schedule import Deadline
from include.perf.guards.guard import Guard
from include.perf.guards.watch import PATIENCE_S, Condition, Inquiry, Watch
from include.perf.load.generator import Progress
from include.perf.model.errors import (
    BellwetherError,
    HostRefused,
    NoData,
    PrometheusUnavailable,
    QueryRejected,
    RunError,
    RunSkipped,
    StoreError,
    TargetError,
)
from include.perf.runs.planned_run import PlannedRun, planned_run
from tests.fakes.clock import START
from tests.fakes.failing import raising
from tests.fakes.generator import progress, recent
from tests.fakes.metrics import IS_SCRAPED
from tests.fakes.small_catalogue import SELECTOR, small_scenario, small_service
from tests.fakes.small_platform import Platform
from tests.stages import SPEC

HALTED = "load is halted by ana: release (to resume, remove the Variable bellwether_halt)"
LOAD = LoadProfile(rate_rps=40, duration_s=10, warmup_s=5)
LONGEST_S = 25  # 5 s of warm-up, 10 s measured, and the 10 s in which the last answer may come
SEVEN = START.replace(hour=7, minute=0)
UNTIL_SEVEN = Deadline(at=SEVEN, occasion="its schedule ends at 07:00 UTC")
NOW_OR_NEVER = SEVEN - timedelta(seconds=LONGEST_S)
LIVE: dict[str, Any] = {"environment": "live", "allow_production": True, "max_rate_rps": 50}
SUNDAY_OPENING = datetime(2026, 3, 8, 21, 0, tzinfo=UTC)
"""17:00 in New York, on the day when the clocks were put forward."""

WAIT_S = 20.0
"""Never reached unless the test fails."""


def run_of(service: Mapping[str, Any] | None = None, *, scenario: Scenario | None = None, **spec: Any) -> PlannedRun:
    """Return a run at 10.0.0.7, its service and its specification changed."""
    return PlannedRun(
        spec=replace(SPEC, **({"load": LOAD} | spec)),
        service=small_service(**(service or {})),
        scenario=scenario or small_scenario(),
        data=Path("brief.csv"),
        addresses=("10.0.0.7",),
    )


def guard_of(platform: Platform, *, halted: Condition = lambda: None) -> Guard:
    """Return the guard of a platform."""
    return replace(platform.outside, halted=halted).guard


def refused(guard: Guard, run: PlannedRun, *, at: datetime | None = None) -> str:
    """Return why a run may not start."""
    with pytest.raises(RunSkipped) as caught:
        guard.check_time(run, at=at)
    return str(caught.value)


# Whether load is wanted now


def test_a_run_without_restrictions_may_start(platform: Platform) -> None:
    """Load is not halted, there is no deadline, and the service is not production."""
    guard_of(platform).check_time(run_of())


def test_a_halt_is_reported_in_its_own_words(platform: Platform) -> None:
    """The halt is checked first, and its description is not changed."""
    late = run_of(deadline=replace(UNTIL_SEVEN, at=START - timedelta(hours=1)))
    assert refused(guard_of(platform, halted=lambda: HALTED), late) == HALTED


def test_an_unreadable_halt_state_refuses_the_run(platform: Platform) -> None:
    """An unknown state must not count as not halted."""
    guard = guard_of(platform, halted=raising(StoreError("cannot read halt.json: Input/output error")))
    with pytest.raises(StoreError, match=r"^cannot read halt\.json: Input/output error$"):
        guard.check_time(run_of())


# 15 s of load, and then the service's time-out of 10 s or the load's own drain_s
@pytest.mark.parametrize(
    ("drain_s", "timeout_s", "longest_s", "takes"),
    [(None, 10, 25, "25 s"), (None, 2.5, 17.5, "17.5 s"), (3, 10, 18, "18 s"), (0, 10, 15, "15 s")],
)
def test_a_load_may_end_exactly_at_its_deadline(
    platform: Platform, drain_s: float | None, timeout_s: float, longest_s: float, takes: str
) -> None:
    """One second later is too late."""
    load = LOAD.model_copy(update={"drain_s": drain_s})
    guard, run = guard_of(platform), run_of({"timeout_s": timeout_s}, load=load, deadline=UNTIL_SEVEN)
    platform.clock.now = SEVEN - timedelta(seconds=longest_s)
    guard.check_time(run)
    platform.clock.move(1)
    assert refused(guard, run) == (
        f"it is too late: its schedule ends at 07:00 UTC; the load takes {takes}, must be over by "
        f"2026-03-02 07:00:00 UTC, and would start at {platform.clock():%Y-%m-%d %H:%M:%S} UTC"
    )


def test_a_future_start_can_be_checked(platform: Platform) -> None:
    """It is used for a load that has to wait for others; the clock is not read."""
    guard, run = guard_of(platform), run_of(deadline=UNTIL_SEVEN)
    platform.clock.now = SEVEN + timedelta(days=1)
    guard.check_time(run, at=NOW_OR_NEVER)
    assert refused(guard, run, at=NOW_OR_NEVER + timedelta(seconds=1)).endswith(
        "and would start at 2026-03-02 06:59:36 UTC"
    )


# Production


@pytest.mark.parametrize(
    "now",
    [
        datetime(2026, 3, 6, 22, 0, tzinfo=UTC),  # Friday's close, to the second
        datetime(2026, 3, 7, 12, 0, tzinfo=UTC),
        SUNDAY_OPENING - timedelta(seconds=LONGEST_S),
    ],
)
def test_production_is_loaded_while_the_market_is_closed(platform: Platform, now: datetime) -> None:
    """During the weekend, as long as the load ends before the market opens."""
    platform.clock.now = now
    guard_of(platform).check_time(run_of(LIVE))


def test_production_is_not_loaded_into_the_opening(platform: Platform) -> None:
    """One second too late is too late."""
    platform.clock.now = SUNDAY_OPENING - timedelta(seconds=LONGEST_S - 1)
    assert refused(guard_of(platform), run_of(LIVE)) == (
        "it is too late: the market opens, and orders-service is production; the load takes 25 s, must be over by "
        "2026-03-08 21:00:00 UTC, and would start at 2026-03-08 20:59:36 UTC"
    )


@pytest.mark.parametrize(
    ("now", "closes"),
    [(START, "2026-03-06 22:00:00 UTC"), (SUNDAY_OPENING, "2026-03-13 21:00:00 UTC")],
)
def test_production_is_not_loaded_while_the_market_is_open(platform: Platform, now: datetime, closes: str) -> None:
    """The message contains when the market closes. Staging does not depend on the market."""
    platform.clock.now = now
    assert refused(guard_of(platform), run_of(LIVE)) == (
        "orders-service is live, which is loaded only while the market is closed; the market is open until "
        f"{closes}, so start the run after that"
    )
    guard_of(platform).check_time(run_of())


def test_production_also_follows_its_own_deadline(platform: Platform) -> None:
    """On Saturday, the market alone would allow load until Sunday."""
    platform.clock.now = datetime(2026, 3, 7, 7, 0, tzinfo=UTC)
    deadline = replace(UNTIL_SEVEN, at=platform.clock() + timedelta(seconds=LONGEST_S - 1))
    assert refused(guard_of(platform), run_of(LIVE, deadline=deadline)).startswith(
        "it is too late: its schedule ends at 07:00 UTC; "
    )


# Where load may go


def test_every_address_of_the_host_is_returned(platform: Platform) -> None:
    """They are in the order of the resolver."""
    platform.resolve.answers["orders-service"] = [["10.0.0.7", "10.0.0.8"]]
    assert guard_of(platform).with_addresses(run_of()).addresses == ("10.0.0.7", "10.0.0.8")


@pytest.mark.parametrize(
    ("forbidden", "addresses", "error", "reason"),
    [
        (
            ["10.0.0.0/8"],
            ["10.0.0.7"],
            HostRefused,
            "load on orders-service is refused: its host orders-service resolves to 10.0.0.7, and that is 10.0.0.0/8 "
            "(forbidden_hosts in services.yaml); ",
        ),
        (
            [],
            ["10.0.0.7", "8.8.8.8"],
            HostRefused,
            "load on orders-service is refused: its host orders-service resolves to 8.8.8.8, ",
        ),
        ([], [], TargetError, "orders-service is not reachable: its host orders-service has no address; "),
    ],
)
def test_an_address_that_is_not_allowed_is_refused(
    platform: Platform, forbidden: list[str], addresses: list[str], error: type[BellwetherError], reason: str
) -> None:
    """Forbidden hosts of the catalogue are included; one refused address of two is enough."""
    platform.resolve.answers["orders-service"] = [addresses]
    catalogue = replace(platform.catalogue, forbidden_hosts=read_forbidden_hosts(forbidden))
    with pytest.raises(error) as caught:
        guard_of(platform).with_addresses(planned_run(SPEC, catalogue))
    assert str(caught.value).startswith(reason)


# Whether the target and Prometheus are ready


def test_the_host_of_a_login_is_checked_like_that_of_the_load(platform: Platform) -> None:
    platform.resolve.answers["identity.example"] = [["10.0.0.9"], ["93.184.216.34"]]
    login = {"url": "https://identity.example/oauth/token", "grant": "client_credentials"}
    hosts = ["orders-service", "identity.example"]
    run = run_of({"connection": "orders_api", "login": login, "allowed_hosts": hosts})
    assert guard_of(platform).with_addresses(run).addresses == ("10.0.0.7",)
    with pytest.raises(HostRefused, match=r"^load on the login of orders-service is refused: .* 93\.184\.216\.34"):
        guard_of(platform).with_addresses(run)


def test_a_scraped_target_is_ready(platform: Platform) -> None:
    """The health check uses the addresses of the load, and Prometheus is queried for the current time."""
    guard_of(platform).check_ready(replace(run_of(), addresses=("10.0.0.7", "10.0.0.8")))
    assert platform.target.asked == [("10.0.0.7", "10.0.0.8")]
    assert platform.metrics.asked == [(IS_SCRAPED, START)]


def test_prometheus_is_not_queried_about_a_target_that_is_down(platform: Platform) -> None:
    """The reason is that of the target."""
    platform.target.problem = "orders-service is not healthy: 503"
    guard = guard_of(platform)
    with pytest.raises(TargetError, match=r"^orders-service is not healthy: 503$"):
        guard.check_ready(run_of())
    assert platform.metrics.asked == []


NOT_SCRAPED = (
    f"Prometheus does not scrape orders-service: no target with {{{SELECTOR}}} is up; add it to Prometheus, or correct "
    "prometheus.selector in services.yaml"
)
CANNOT_SAY = "cannot check whether Prometheus scrapes orders-service: "


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (0.0, NOT_SCRAPED),
        (NoData("no data"), NOT_SCRAPED),
        (PrometheusUnavailable("no answer within 5 s"), f"{CANNOT_SAY}no answer within 5 s"),
        (QueryRejected("parse error"), f"{CANNOT_SAY}parse error"),
    ],
)
def test_a_target_that_is_not_scraped_gets_no_load(platform: Platform, answer: float | Exception, reason: str) -> None:
    """Neither does a target for which this is unknown."""
    platform.metrics.answers[IS_SCRAPED] = answer
    guard = guard_of(platform)
    with pytest.raises(RunError) as caught:
        guard.check_ready(run_of())
    assert str(caught.value) == reason


# What ends a load that runs


def say_nothing(_: Progress) -> None:
    return


def reason_of(watch: Watch) -> str:
    """Wait for a reason that a thread has to find."""
    until = time.monotonic() + WAIT_S
    while (reason := watch.reason_to_stop()) is None:
        assert time.monotonic() < until, "there is still no reason to stop"
        time.sleep(0.01)
    return reason


class HaltSource:
    """A halt state that can be read once the test allows it."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self.asked_by: set[str] = set()
        self._may_answer = threading.Event()

    def __call__(self) -> str | None:
        self.asked_by.add(threading.current_thread().name)
        assert self._may_answer.wait(timeout=WAIT_S)
        return self.reason

    def answer(self, reason: str | None) -> None:
        self.reason = reason
        self._may_answer.set()


@pytest.fixture
def halt_state() -> Iterator[HaltSource]:
    """A halt state that releases its thread when the test ends."""
    made = HaltSource()
    yield made
    made.answer(None)


def test_a_deadline_ends_the_load(platform: Platform) -> None:
    """A slow generator must not run into the market; one second earlier the load may continue."""
    platform.clock.now = NOW_OR_NEVER
    with guard_of(platform).watching(run_of(deadline=UNTIL_SEVEN), say_nothing) as watch:
        platform.clock.now = SEVEN - timedelta(seconds=1)
        assert watch.reason_to_stop() is None
        platform.clock.move(1)
        assert watch.reason_to_stop() == (
            "its schedule ends at 07:00 UTC, and all load must be over by 2026-03-02 07:00:00 UTC"
        )


def test_a_load_that_lost_its_reservation_ends(platform: Platform) -> None:
    """Another load may use its target by now."""
    lost: list[str | None] = [None, "the lease was taken over"]
    with guard_of(platform).watching(run_of(), say_nothing, lost=lambda: lost.pop(0)) as watch:
        assert watch.reason_to_stop() is None
        assert watch.reason_to_stop() == "the lease was taken over"


def test_the_opening_of_the_market_ends_a_load_on_production(platform: Platform) -> None:
    """The opening is determined at the start: once the market is open, the next opening is a different one."""
    platform.clock.now = SUNDAY_OPENING - timedelta(minutes=5)
    with guard_of(platform).watching(run_of(LIVE), say_nothing) as watch:
        platform.clock.move(299)
        assert watch.reason_to_stop() is None
        platform.clock.move(1)
        shown = (
            "the market opens, and orders-service is production, and all load must be over by 2026-03-08 21:00:00 UTC"
        )
        assert watch.reason_to_stop() == shown
        platform.clock.move(3600)
        assert watch.reason_to_stop() == shown


def test_no_load_on_production_starts_while_the_market_is_open(platform: Platform) -> None:
    """Earlier checks do not matter."""
    guard = guard_of(platform)
    with (
        pytest.raises(RunSkipped, match="which is loaded only while the market is closed"),
        guard.watching(run_of(LIVE), say_nothing),
    ):
        raise AssertionError("the load began")


def test_a_halt_ends_the_load(platform: Platform, halt_state: HaltSource) -> None:
    """It is read in a thread, so that a slow read does not delay the load."""
    with guard_of(platform, halted=halt_state).watching(run_of(), say_nothing) as watch:
        assert watch.reason_to_stop() is None
        halt_state.answer(HALTED)
        assert reason_of(watch) == HALTED
    assert halt_state.asked_by == {"watch the halt state"}


@pytest.mark.parametrize(
    ("problem", "shown"),
    [(StoreError("cannot read halt.json"), " (cannot read halt.json)"), (OSError("gone"), " (gone)")],
)
def test_a_halt_state_that_is_unreadable_for_a_minute_ends_the_load(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, problem: Exception, shown: str
) -> None:
    """Until then, a restart of its storage may be the cause."""
    now_s = 100.0
    failed = threading.Event()

    def halted() -> str | None:
        try:
            raise problem
        finally:
            failed.set()

    monkeypatch.setattr("include.perf.guards.guard.Inquiry", partial(Inquiry, clock=lambda: now_s, every_s=0.01))
    with guard_of(platform, halted=halted).watching(run_of(), say_nothing) as watch:
        assert failed.wait(timeout=WAIT_S)
        now_s += PATIENCE_S
        assert watch.reason_to_stop() is None
        now_s += 0.5
        assert reason_of(watch) == f"the halt state could not be read for 60 s{shown}"


def test_a_forbidden_name_that_moves_to_the_target_ends_the_load(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name is resolved again and again during the load."""
    monkeypatch.setattr("include.perf.guards.guard.FORBIDDEN_HOSTS_INTERVAL_S", 0.01)
    run = replace(run_of(), forbidden_hosts=read_forbidden_hosts(["10.9.0.0/16", "prod.example"]))
    platform.resolve.answers["prod.example"] = [["10.1.0.7"], ["10.1.0.7"], ["10.0.0.7"]]
    with guard_of(platform).watching(run, say_nothing) as watch:
        assert reason_of(watch) == (
            "its load goes to 10.0.0.7, and that is now prod.example (forbidden_hosts in services.yaml)"
        )


def test_forbidden_networks_are_not_polled(platform: Platform) -> None:
    """They do not change, and the service's own name is not resolved again."""
    run = replace(run_of(), forbidden_hosts=read_forbidden_hosts(["10.9.0.0/16", "[fd00::7]:443"]))
    with guard_of(platform).watching(run, say_nothing) as watch:
        assert watch.reason_to_stop() is None
    assert platform.resolve.asked == []


def test_the_stop_criteria_of_the_scenario_end_the_load(platform: Platform) -> None:
    """They apply to every run of the scenario; progress is forwarded."""
    brief = small_scenario(stop_when=[{"metric": "error_ratio", "above": 0.5, "window_s": 1}])
    heard: list[Progress] = []
    with guard_of(platform).watching(run_of(scenario=brief), heard.append) as watch:
        watch.take_in(progress(elapsed_s=1.0))
        assert watch.reason_to_stop() is None
        watch.take_in(progress(elapsed_s=2.0, interval=recent(finished=0, failed=40)))
        assert watch.reason_to_stop() == "error ratio 1 over the last 1 s is above 0.5 (stop_when)"
    assert [progress.elapsed_s for progress in heard] == [1.0, 2.0]


def test_queries_about_the_target_are_sent_to_prometheus(platform: Platform) -> None:
    """A rejected query ends the load, because its limit does not protect."""
    brief = small_scenario(stop_when=[{"name": "CPU", "query": "cpu{$selector}", "above": 3.5, "window_s": 30}])
    query = f"cpu{{{SELECTOR}}}"
    platform.metrics.answers[query] = QueryRejected("parse error")
    with guard_of(platform).watching(run_of(scenario=brief), say_nothing) as watch:
        assert reason_of(watch) == "CPU cannot be watched: parse error; correct the query (stop_when, not the target)"
    assert platform.metrics.asked == [(query, START)]

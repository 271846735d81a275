"""The stages of a run: every verdict, every failure on the way, and the files that stay."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from include.perf.catalogue.operations import Operations
from include.perf.load.generator import LoadOrder, LoadWatch
from include.perf.load.reservations import Reservation
from include.perf.measure.metrics_source import Sample
from include.perf.model.errors import (
    BaselineError,
    DataError,
    LoadError,
    NoData,
    Occupied,
    PrometheusUnavailable,
    QueryRejected,
    RunError,
    RunSkipped,
    StoreError,
    TargetError,
)
from include.perf.pipeline.pipeline import execute
from include.perf.runs.record import Severity, Verdict
from include.perf.runs.spec import ReservationRequest
from tests.fakes.clock import START, FixedClock
from tests.fakes.generator import NO_RECORD, FakeGenerator, counts_of, progress
from tests.fakes.metrics import IS_SCRAPED, FakeMetrics, coverage_query, healthy_answers
from tests.fakes.reservations import FakeReservations
from tests.fakes.small_catalogue import SELECTOR, small_scenario
from tests.fakes.small_platform import Platform
from tests.stages import BESIDE

DOWN = "orders-service is not reachable: GET http://orders-service:8000/healthz failed"
HALTED = "load is halted by ana: release (to resume, remove the Variable bellwether_halt)"


def verdict_of(platform: Platform, uri: str) -> Verdict:
    """Compare one run and return its verdict."""
    return platform.night_stages.compare([uri])[uri]


# The verdicts


def test_no_baseline(platform: Platform) -> None:
    """The first run of a cell (one service under one scenario) has nothing to be compared with."""
    record = platform.execute()
    assert record.verdict is Verdict.NO_BASELINE
    assert record.reasons == ("there is no baseline yet; to record one, trigger a run with update_baseline",)
    assert (record.baseline, record.validity, record.deviations) == (None, (), ())


def test_pass(platform: Platform) -> None:
    """The same load on the same service passes against its own baseline."""
    record = platform.with_baseline().execute()
    assert record.verdict is Verdict.PASS
    assert record.reasons == ("no significant change against baseline version 1 (1 night)",)
    assert record.baseline is not None
    assert (record.baseline.version, record.baseline.state, record.baseline.runs) == (1, "provisional", 1)


def test_regression(platform: Platform) -> None:
    """Twice the latency: +100 % is beyond the 30 % of a provisional baseline, and all three percentiles say so."""
    platform.with_baseline().generator.latency_s = 0.08
    record = platform.execute()
    assert record.verdict is Verdict.REGRESSION
    assert [(deviation.metric, deviation.is_worse, deviation.severity) for deviation in record.deviations] == [
        (name, True, Severity.WARNING) for name in ("latency_p50", "latency_p95", "latency_p99")
    ]
    for deviation in record.deviations:  # (2 × 40 ms + 1 ms) / (40 ms + 1 ms), 1 ms being the wait before it is sent
        assert deviation.shift.ratio == pytest.approx((deviation.baseline - 0.001) / deviation.baseline, abs=1e-4)


def test_regression_by_errors(platform: Platform) -> None:
    """Every 25th request fails: 16 of 400 are 4 points more than none, and 2/s less throughput are below 30 %."""
    platform.with_baseline().generator.failed_every = 25
    record = platform.execute()
    assert record.verdict is Verdict.REGRESSION
    (worse,) = record.deviations
    assert (worse.metric, worse.baseline, worse.value) == ("error_rate", 0.0, pytest.approx(0.04))
    assert (worse.shift.ratio, worse.shift.absolute) == (None, pytest.approx(0.04))
    assert (record.load.due, record.load.finished, record.load.failed) == (400, 384, 16)
    assert sum(group.count for group in record.errors) == 16
    assert {group.kind for group in record.errors} == {"HTTP 500"}


def test_too_many_errors_are_beyond_the_limit(platform: Platform) -> None:
    """Every tenth request fails: without a baseline, in three runs, and it cannot become one."""
    platform.generator.failed_every = 10
    uri = platform.plan(update_baseline=True, reason="first run")
    (record,) = platform.execute_planned(uri)
    assert (record.verdict, len(record.reruns)) == (Verdict.OVER_LIMIT, 2)
    assert record.reasons[0] == "Error rate is 10.00 %, above its limit of 5.00 % (confirmed by the median of 3 runs)"
    with pytest.raises(BaselineError, match="too many requests failed"):
        platform.promote(uri, force=True)


def test_improvement(platform: Platform) -> None:
    """A quarter of the latency is better, and alerts nobody."""
    platform.with_baseline().generator.latency_s = 0.01
    record = platform.execute()
    assert record.verdict is Verdict.IMPROVEMENT
    assert {(deviation.is_worse, deviation.severity) for deviation in record.deviations} == {(False, Severity.DIGEST)}


def test_not_comparable(platform: Platform) -> None:
    """A different rate is a different load."""
    record = platform.with_baseline().execute(rate_rps=50)
    assert record.verdict is Verdict.NOT_COMPARABLE
    assert record.reasons == (
        "the load differs from the baseline's: run 50/s for 10 s after 5 s of warm-up, "
        "baseline 40/s for 10 s after 5 s of warm-up",
    )


def test_invalid(platform: Platform) -> None:
    """If the generator was late, the figures say nothing about the service."""
    platform.with_baseline().generator.log_changes = {"schedule_lags": counts_of(0.5)}
    platform.generator.latency_s = 3.0
    record = platform.execute()
    assert record.verdict is Verdict.INVALID
    assert record.reasons == record.validity
    assert record.validity == (
        "the generator released arrivals late: p99 498.6 ms (at most 10 ms); give the generator a dedicated core",
    )  # 0.5 s, to half a percent
    assert record.deviations == ()
    assert record.metrics["latency_p50"].value == pytest.approx(3.0, rel=0.1)  # kept, to find the cause


def test_skipped(platform: Platform) -> None:
    """A halt stops all runs before the target is checked."""
    platform.halt_reason = HALTED
    record = platform.execute()
    assert record.verdict is Verdict.SKIPPED
    assert record.reasons == (HALTED,)
    assert (platform.generator.loads, platform.target.checks, platform.metrics.asked) == ([], [], [])
    assert (record.window, record.load.due, record.load.achieved_rate_rps) == (None, None, None)
    assert {metric.value for metric in record.metrics.values()} == {None}


# stage_data


def test_data_with_a_problem_ends_the_run_before_any_load(platform: Platform) -> None:
    """The record names the line, and nothing was sent."""
    path = platform.catalogue.data_path(platform.catalogue.scenario("brief"))
    path.write_text(path.read_text(encoding="utf-8").replace("EUR_USD", "euro", 1), encoding="utf-8")
    uri = platform.plan()
    problem = (
        f"{path} line 2: instrument must look like EUR_USD or SPX500_USD, but is 'euro'; correct or remove the row"
    )
    with pytest.raises(DataError) as caught:
        platform.run_stages.stage_data(uri)
    assert str(caught.value) == problem
    record = platform.execute()
    assert (record.verdict, record.validity) == (Verdict.INVALID, (problem,))
    assert platform.generator.loads == []


# preflight


def test_a_target_that_is_down_gets_no_load(platform: Platform) -> None:
    """The reason is that of the target, and no verdict about performance."""
    platform.target.problem = DOWN
    record = platform.execute()
    assert (record.verdict, record.reasons) == (Verdict.INVALID, (DOWN,))
    assert platform.generator.loads == []
    with pytest.raises(TargetError, match="is not reachable"):
        platform.run_stages.preflight(platform.plan())


NOT_SCRAPED = (
    f"Prometheus does not scrape orders-service: no target with {{{SELECTOR}}} is up; "
    "add it to Prometheus, or correct prometheus.selector in services.yaml"
)
CANNOT_SAY = "cannot check whether Prometheus scrapes orders-service: "


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (0.0, NOT_SCRAPED),
        (NoData("no data"), NOT_SCRAPED),
        (
            PrometheusUnavailable("Prometheus at http://p cannot be asked"),
            f"{CANNOT_SAY}Prometheus at http://p cannot be asked",
        ),
        (QueryRejected("parse error"), f"{CANNOT_SAY}parse error"),
    ],
)
def test_a_target_that_is_not_scraped_gets_no_load(platform: Platform, answer: float | Exception, reason: str) -> None:
    """Its load could not be measured."""
    platform.metrics.answers[IS_SCRAPED] = answer
    with pytest.raises(RunError) as caught:
        platform.run_stages.preflight(platform.plan())
    assert str(caught.value) == reason
    record = platform.execute()
    assert (record.verdict, record.reasons) == (Verdict.INVALID, (reason,))
    assert platform.generator.loads == []


def test_the_guard_checks_again_before_the_load(platform: Platform) -> None:
    """A load may wait for hours after preflight."""
    uri = platform.plan()
    platform.run_stages.stage_data(uri)
    platform.run_stages.preflight(uri)
    platform.halt_reason = HALTED
    with pytest.raises(RunSkipped, match=rf"^{re.escape(HALTED)}$"):
        platform.run_stages.run_load(uri)
    assert platform.generator.loads == []
    assert verdict_of(platform, uri) is Verdict.SKIPPED


def test_a_second_try_of_preflight_forgets_the_first(platform: Platform) -> None:
    """Once the target is up, the run continues without a trace of the failure."""
    uri = platform.plan()
    platform.run_stages.stage_data(uri)
    platform.target.problem = DOWN
    with pytest.raises(TargetError):
        platform.run_stages.preflight(uri)
    platform.target.problem = None
    for stage in (platform.run_stages.preflight, platform.run_stages.run_load, platform.run_stages.scrape):
        stage(uri)
    assert verdict_of(platform, uri) is Verdict.NO_BASELINE


# run_load


def test_the_load_is_what_was_planned(platform: Platform) -> None:
    """The generator gets the planned load, and its progress is forwarded."""
    heard = []
    uri = platform.plan(rate_rps=8)
    execute([uri], platform.outside, on_progress=heard.append)
    (load,) = platform.generator.loads
    assert (load.rate_rps, load.duration_s, load.warmup_s) == (8, 10, 5)
    assert heard == [progress(elapsed_s=15)]


def test_a_generator_that_leaves_no_record(platform: Platform) -> None:
    """The end of its log is the reason."""
    platform.generator.problem = NO_RECORD
    record = platform.execute()
    assert (record.verdict, record.reasons) == (Verdict.INVALID, (str(NO_RECORD),))
    assert record.metrics["latency_p95"].reason == "no load was measured"
    assert record.metrics["cpu_usage"].reason == "Prometheus was not queried"


def test_a_generator_that_is_killed(platform: Platform) -> None:
    """Rows without a summary are not a record; the rows are kept for analysis."""
    platform.generator.is_killed = True
    uri = platform.plan()
    (record,) = platform.execute_planned(uri)
    assert record.verdict is Verdict.INVALID
    assert record.reasons[0].startswith(
        "the load generator ended without a summary: it was killed, or the machine ran out of memory; "
    )
    assert "requests.csv.gz" in platform.store.runs_by_uri[uri]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, MemoryError])
def test_a_killed_stage_leaves_no_reason_and_the_record_says_so(platform: Platform, kind: type[BaseException]) -> None:
    """A killed task writes nothing; a run without figures and without a reason does not pass."""
    platform.generator.problem = kind()
    with pytest.raises(kind):
        platform.loaded()
    (uri,) = platform.store.runs_by_uri
    assert verdict_of(platform, uri) is Verdict.INVALID
    assert platform.night_stages.report(uri).validity == (
        "the load left no figures: the task run_load was killed or stopped, and no later try of it began; see its log "
        "and its events",
    )


def test_a_killed_second_try_does_not_use_the_figures_of_the_first(platform: Platform) -> None:
    """They belong to another load than the rows in the folder."""
    uri = platform.loaded()
    platform.run_stages.scrape(uri)
    platform.generator.problem = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        platform.run_stages.run_load(uri)
    assert verdict_of(platform, uri) is Verdict.INVALID


def test_a_load_stopped_in_its_warm_up_still_has_a_record(platform: Platform) -> None:
    """Without a measured window there are no rate and no figures, and no division by zero."""
    end = START.timestamp() + 2
    platform.generator.log_changes = {"ended": "stopped by SIGTERM", "measured_from": end, "measured_to": end}
    record = platform.execute()
    assert record.verdict is Verdict.INVALID
    assert record.validity[0] == "the load ended early: stopped by SIGTERM; start a new run"
    assert record.validity[-1] == "the measured window is empty"
    assert record.load.achieved_rate_rps is None


# the turn of a load

OTHER = replace(
    BESIDE, run_id="r2", service="engine", scenario="normal_trading", targets=("10.0.0.9:443",), rate_rps=100.0
)
BUSY = Occupied("10.0.0.7:8000 is under load by run r0 (overnight_processing on rates-service)")


class GrantedReservations(FakeReservations):
    """Grants reservations as a test says, and records which ones are held.

    Attributes:
        capacities: what all loads together might send, each time it was asked.
        is_held: whether a claim stands now.
        grant_s: how long it takes to grant one.
    """

    def __init__(self, clock: FixedClock, *, refusals: int = 0, grant_s: float = 0) -> None:
        super().__init__()
        self.problems = [BUSY] * refusals
        self.capacities: list[float] = []
        self.is_held = False
        self._clock = clock
        self._grant_s = grant_s

    @contextmanager
    def reserve(self, claim: ReservationRequest, *, capacity_rps: float) -> Iterator[Reservation]:
        """Grant a reservation, or raise the next problem."""
        self.capacities.append(capacity_rps)
        with super().reserve(claim, capacity_rps=capacity_rps) as granted:
            self._clock.move(self._grant_s)
            self.is_held = True
            try:
                yield replace(granted, lock_fd=7)
            finally:
                self.is_held = False


@dataclass(slots=True, kw_only=True)
class Watched(FakeGenerator):
    """Records whether its reservation is held while it sends, and asks the watch as the real generator does.

    Attributes:
        reservations: those that it records.
        takes_s: how much longer than planned it takes.
        held: whether its turn was held, each time.
        reasons: what the watch answered when it had ended.
    """

    reservations: GrantedReservations
    takes_s: float = 0
    held: list[bool] = field(default_factory=list)
    reasons: list[str | None] = field(default_factory=list)

    def run(self, order: LoadOrder, *, watch: LoadWatch) -> None:
        """Send as the fake does, and record what is held."""
        self.held.append(self.reservations.is_held)
        FakeGenerator.run(self, order, watch=watch)
        self.clock.move(self.takes_s)
        self.reasons.append(watch.reason_to_stop())


def with_reservations(
    platform: Platform, *, takes_s: float = 0, **reservations: Any
) -> tuple[GrantedReservations, Watched]:
    """Let a test decide which reservations are granted."""
    made = GrantedReservations(platform.clock, **reservations)
    generator = Watched(clock=platform.clock, reservations=made, takes_s=takes_s)
    platform.reservations, platform.generator = made, generator
    return made, generator


def until(platform: Platform, finish_by: str) -> None:
    """Give every load of the schedule a deadline."""
    scenario = small_scenario(schedule={"cron": "30 6 * * *", "finish_by": finish_by})
    platform.catalogue = replace(platform.catalogue, scenarios={"brief": scenario})


def staged(platform: Platform, **request: Any) -> str:
    """Plan a run and prepare its load; return its URI."""
    uri = platform.plan(**request)
    platform.run_stages.stage_data(uri)
    return uri


def test_a_load_holds_its_reservation(platform: Platform) -> None:
    """Until its end it has its target and its share of the generators to itself."""
    platform.catalogue = replace(platform.catalogue, operations=Operations(capacity_rps=50))
    reservations, generator = with_reservations(platform)
    uri = staged(platform)
    platform.run_stages.run_load(uri)
    assert (generator.held, reservations.is_held) == ([True], False)
    assert reservations.capacities == [50]
    assert reservations.claims == [
        ReservationRequest(
            run_id=uri.rpartition("/")[2],
            service="orders-service",
            scenario="brief",
            targets=("10.0.0.7:8000",),
            rate_rps=40,
            since=START,
        )
    ]


def test_a_failed_load_releases_its_reservation(platform: Platform) -> None:
    """Otherwise the target could never be loaded again."""
    reservations, generator = with_reservations(platform)
    generator.problem = NO_RECORD
    with pytest.raises(LoadError):
        platform.run_stages.run_load(staged(platform))
    assert (len(reservations.claims), reservations.is_held) == (1, False)


def test_a_load_waits_for_its_reservation(platform: Platform) -> None:
    """Refused three times, then granted: it begins three seconds later, and its figures are as good as any."""
    reservations, _ = with_reservations(platform, refusals=3)
    record = platform.execute()
    assert platform.clock.waits_s[:3] == [1.0, 1.0, 1.0]
    assert [claim.since for claim in reservations.claims] == [START + timedelta(seconds=second) for second in range(4)]
    assert (record.verdict, record.validity) == (Verdict.NO_BASELINE, ())
    assert record.started_at == START + timedelta(seconds=3)


def test_a_load_that_is_halted_while_it_waits_is_not_sent(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """The halt is noticed within a second."""
    reservations, generator = with_reservations(platform, refusals=100)

    def wait(seconds: float) -> None:
        platform.clock.move(seconds)
        if platform.clock() >= START + timedelta(seconds=10):
            platform.halt_reason = HALTED

    monkeypatch.setattr(platform.clock, "wait", wait)
    uri = staged(platform)
    with pytest.raises(RunSkipped, match=rf"^{re.escape(HALTED)}$"):
        platform.run_stages.run_load(uri)
    assert (len(reservations.claims), generator.loads) == (11, [])  # at 0, 1, … 10 s
    assert verdict_of(platform, uri) is Verdict.SKIPPED
    assert platform.night_stages.report(uri).reasons == (HALTED,)


def test_a_load_whose_time_is_over_while_it_waits_is_not_sent(platform: Platform) -> None:
    """It takes 15 s and 10 s for the last answer: at 06:30:35 it could still begin, a second later not."""
    until(platform, "06:31")
    reservations, generator = with_reservations(platform, refusals=100)
    uri = staged(platform, due_at=START)
    too_late = (
        "it is too late: its schedule ends at 06:31 UTC; the load takes 25 s, must be over by 2026-03-02 06:31:00 UTC, "
        "and would start at 2026-03-02 06:30:36 UTC"
    )
    with pytest.raises(RunSkipped) as caught:
        platform.run_stages.run_load(uri)
    assert str(caught.value) == too_late
    assert (sum(platform.clock.waits_s), generator.loads) == (36, [])
    assert platform.night_stages.compare([uri]) == {uri: Verdict.SKIPPED}
    assert platform.night_stages.report(uri).reasons == (too_late,)
    assert len(reservations.claims) == 37


def test_a_load_that_can_start_just_in_time_is_sent(platform: Platform) -> None:
    """It starts at the last possible moment."""
    until(platform, "06:31")
    _, generator = with_reservations(platform, refusals=35)
    platform.run_stages.run_load(staged(platform, due_at=START))
    assert len(generator.loads) == 1


def test_the_checks_are_repeated_after_the_wait(platform: Platform) -> None:
    """The wait may have been long; the reservation is released."""
    until(platform, "06:31")
    reservations, generator = with_reservations(platform, grant_s=36)
    with pytest.raises(RunSkipped, match=r"^it is too late: its schedule ends at 06:31 UTC; "):
        platform.run_stages.run_load(staged(platform, due_at=START))
    assert (len(reservations.claims), reservations.is_held, generator.loads) == (1, False, [])


def test_a_run_that_is_too_late_does_not_even_wait(platform: Platform) -> None:
    """Preflight refuses it before the target is checked."""
    until(platform, "06:31")
    reservations, _ = with_reservations(platform)
    uri = staged(platform, due_at=START)
    platform.clock.move(36)
    for stage in (platform.run_stages.preflight, platform.run_stages.run_load):
        with pytest.raises(RunSkipped, match=r"^it is too late: its schedule ends at 06:31 UTC; "):
            stage(uri)
    assert (reservations.claims, platform.target.checks) == ([], [])


def test_unknown_reservations_send_nothing(platform: Platform) -> None:
    """No load runs next to another one by mistake."""
    platform.reservations.problems = [StoreError("it is unknown which loads run")]
    record = platform.execute()
    assert (record.verdict, record.reasons) == (Verdict.INVALID, ("it is unknown which loads run",))
    assert platform.generator.loads == []


def test_concurrent_loads_are_noted(platform: Platform) -> None:
    """They may explain its figures, but do not change the verdict."""
    platform.reservations.beside = (BESIDE, OTHER)
    record = platform.execute()
    assert (record.verdict, record.validity) == (Verdict.NO_BASELINE, ())
    assert record.notes == (
        "rates-service was also under load at the start (overnight_processing, 50/s, run r0)",
        "engine was also under load at the start (normal_trading, 100/s, run r2)",
    )


def test_a_load_that_ran_alone_has_nothing_to_note(platform: Platform) -> None:
    """Even if an earlier try of it did not run alone."""
    platform.reservations.beside = (BESIDE,)
    uri = platform.loaded()
    platform.reservations.beside = ()
    platform.run_stages.run_load(uri)
    platform.run_stages.scrape(uri)
    platform.night_stages.compare([uri])
    assert platform.night_stages.report(uri).notes == ()


# where a load goes, and what ends it


def test_the_load_goes_only_to_checked_addresses(platform: Platform) -> None:
    """The name is resolved before the reservation and after it; a later change does not redirect the load."""
    reservations, generator = with_reservations(platform)
    found = ["10.0.0.8", "10.0.0.9"]
    platform.resolve.answers["orders-service"] = [["10.0.0.7"], found, found, ["8.8.8.8"]]
    platform.loaded()
    (order,) = generator.orders
    assert (order.addresses, order.lock_fd) == (("10.0.0.8", "10.0.0.9"), 7)
    assert reservations.claims[0].targets == ("10.0.0.8:8000", "10.0.0.9:8000")
    # preflight, then health, and the versions before and after the load where a service reports them
    assert platform.target.asked == [("10.0.0.7",), ("10.0.0.8", "10.0.0.9")]
    assert platform.resolve.asked == [("orders-service", 8000)] * 3


def test_a_reservation_moves_with_the_addresses(platform: Platform) -> None:
    """While the load waits, its host gets another address: that one is reserved, checked and loaded."""
    reservations, generator = with_reservations(platform, refusals=3600)
    old, new = ["10.0.0.7"], ["10.0.0.8", "10.0.0.9"]
    platform.resolve.answers["orders-service"] = [old, old, new, new]
    platform.loaded()
    assert [claim.targets for claim in reservations.claims[-2:]] == [
        ("10.0.0.7:8000",),
        ("10.0.0.8:8000", "10.0.0.9:8000"),
    ]
    assert [order.addresses for order in generator.orders] == [("10.0.0.8", "10.0.0.9")]
    assert (generator.held, reservations.is_held) == ([True], False)
    assert platform.target.asked[1:] == [("10.0.0.8", "10.0.0.9")]


def test_a_reservation_may_cover_more_addresses_than_the_load_uses(platform: Platform) -> None:
    """An address that is gone needs no new reservation, and gets no load."""
    reservations, generator = with_reservations(platform)
    both, one = ["10.0.0.7", "10.0.0.8"], ["10.0.0.8"]
    platform.resolve.answers["orders-service"] = [both, both, one]
    platform.loaded()
    assert [claim.targets for claim in reservations.claims] == [("10.0.0.7:8000", "10.0.0.8:8000")]
    assert [order.addresses for order in generator.orders] == [("10.0.0.8",)]


def test_an_address_that_becomes_forbidden_during_the_wait_gets_no_load(platform: Platform) -> None:
    """What was allowed an hour ago is checked again when the load can start; the reservation is released."""
    reservations, generator = with_reservations(platform, refusals=3600)
    platform.resolve.answers["orders-service"] = [["10.0.0.7"], ["10.0.0.7"], ["8.8.8.8"]]
    record = platform.execute()
    assert record.verdict is Verdict.INVALID
    assert record.reasons[0].startswith(
        "load on orders-service is refused: its host orders-service resolves to 8.8.8.8, "
    )
    assert (generator.loads, reservations.is_held) == ([], False)


def test_addresses_that_change_all_the_time_get_no_load(platform: Platform) -> None:
    """The number of reservations is bounded, and the reason names the last address."""
    reservations, generator = with_reservations(platform)
    platform.resolve.answers["orders-service"] = [[f"10.0.0.{number}"] for number in range(1, 50)]
    record = platform.execute()
    assert record.reasons == (
        "load on orders-service cannot start: the addresses of its host orders-service changed 5 times while they were "
        "reserved, most recently to 10.0.0.7; set base_url to a name with stable addresses",
    )
    assert (len(reservations.claims), generator.loads) == (5, [])


def test_a_name_that_resolves_to_a_refused_address_gets_no_load(platform: Platform) -> None:
    """The addresses are checked again after preflight, and nothing is reserved."""
    reservations, generator = with_reservations(platform)
    platform.resolve.answers["orders-service"] = [["10.0.0.7"], ["8.8.8.8"]]
    record = platform.execute()
    assert record.verdict is Verdict.INVALID
    assert record.reasons[0].startswith(
        "load on orders-service is refused: its host orders-service resolves to 8.8.8.8, "
    )
    assert (reservations.claims, generator.loads) == ([], [])


@pytest.mark.parametrize(
    ("takes_s", "reason"),
    [
        (44, None),
        (45, "its schedule ends at 06:31 UTC, and all load must be over by 2026-03-02 06:31:00 UTC"),
    ],
)
def test_the_generator_is_stopped_at_the_deadline(platform: Platform, takes_s: float, reason: str | None) -> None:
    """A load of 15 s that takes 45 s longer is at its deadline, to the second."""
    until(platform, "06:31")
    _, generator = with_reservations(platform, takes_s=takes_s)
    platform.run_stages.run_load(staged(platform, due_at=START))
    assert generator.reasons == [reason]


# scrape


def test_the_scrape_waits_until_the_window_is_complete(platform: Platform) -> None:
    """Two scrape intervals of 1 s after the end of the window, less the time since then."""
    uri = platform.loaded()
    platform.clock.move(0.5)
    platform.run_stages.scrape(uri)
    assert platform.clock.waits_s == [1.5]
    end = START + timedelta(seconds=15)
    assert [at for query, at in platform.metrics.asked if "[10000ms]" in query] == [end] * 4


def test_a_late_scrape_does_not_wait(platform: Platform) -> None:
    """Prometheus keeps its samples."""
    uri = platform.loaded()
    platform.clock.move(600)
    platform.run_stages.scrape(uri)
    assert platform.clock.waits_s == [0.0]


def test_the_scrape_stores_the_figures_over_time(platform: Platform) -> None:
    """From the start of the schedule to the end of the window, 15 s; a new load removes them."""
    uri = platform.loaded()
    query = platform.catalogue.service("orders").prometheus.query("cpu_usage", window="4000ms")
    begin = START + timedelta(seconds=4)
    platform.metrics.over_time[query] = (Sample(at=begin, value=1.5), Sample(at=begin + timedelta(seconds=9), value=2))
    platform.run_stages.scrape(uri)
    asked, *_ = platform.metrics.asked_over_time
    assert asked == (query, begin, START + timedelta(seconds=15), 1)
    written = platform.store.read(uri, "server.csv")
    assert written == b"second,cpu_usage,memory_usage,disk_usage\n2,1.5,,\n11,2,,\n"
    platform.run_stages.run_load(uri)
    assert platform.store.read(uri, "server.csv") is None


def test_a_run_whose_figures_over_time_are_missing_keeps_its_verdict(platform: Platform) -> None:
    """They only serve a chart; without them there is no file."""
    platform.with_baseline()
    uri = platform.plan()
    (record,) = platform.execute_planned(uri)
    assert record.verdict is Verdict.PASS
    assert platform.store.read(uri, "server.csv") is None


def test_prometheus_down_at_the_scrape_is_worth_a_retry(platform: Platform) -> None:
    """The error asks for a retry; a successful retry clears the reason."""
    uri = platform.loaded()
    platform.metrics.answers[coverage_query()] = PrometheusUnavailable("Prometheus at http://p cannot be asked")
    with pytest.raises(PrometheusUnavailable):
        platform.run_stages.scrape(uri)
    assert verdict_of(platform, uri) is Verdict.INVALID
    platform.metrics.answers = healthy_answers()
    platform.run_stages.scrape(uri)
    assert verdict_of(platform, uri) is Verdict.NO_BASELINE
    assert platform.night_stages.report(uri).metrics["cpu_usage"].value == 1.5


def test_prometheus_that_stays_down(platform: Platform) -> None:
    """The figures of the client are kept, the run is invalid, and the service is not blamed."""
    answers = healthy_answers() | {coverage_query(): PrometheusUnavailable("Prometheus at http://p cannot be asked")}
    platform.with_baseline().metrics = FakeMetrics(answers)
    platform.generator.latency_s = 0.4
    record = platform.execute()
    assert (record.verdict, record.reasons) == (Verdict.INVALID, ("Prometheus at http://p cannot be asked",))
    assert record.metrics["latency_p50"].value == pytest.approx(0.4, rel=0.1)
    assert record.metrics["cpu_usage"].reason == "Prometheus was not queried"


def test_too_few_scrapes(platform: Platform) -> None:
    """8 of 10 − 1 expected scrapes are 89 %: the averages cannot be trusted."""
    platform.metrics.answers[coverage_query()] = 8.0
    record = platform.execute()
    assert record.verdict is Verdict.INVALID
    assert record.validity == (
        "Prometheus has 89% of the service's scrapes in the measured window (at least 95% are needed); "
        "check the target in Prometheus and scrape_interval_s",
    )


def test_one_figure_that_prometheus_lacks(platform: Platform) -> None:
    """A missing disk figure does not make a run invalid: it is null with its reason, and a note."""
    query = platform.catalogue.service("orders").prometheus.query("disk_usage", window="10000ms")
    platform.with_baseline().metrics.answers[query] = NoData("no data for 1 - min(…)")
    record = platform.execute()
    assert record.verdict is Verdict.PASS
    assert record.reasons[1] == "Disk used could not be compared: no data for 1 - min(…)"
    assert (record.metrics["disk_usage"].value, record.metrics["disk_usage"].reason) == (None, "no data for 1 - min(…)")


def test_a_scrape_before_any_load(platform: Platform) -> None:
    """The message says which stage comes first."""
    uri = platform.plan()
    with pytest.raises(StoreError, match=f"^{uri} has no figures of a load yet; run_load comes first$"):
        platform.run_stages.scrape(uri)


def test_a_scrape_that_never_ran(platform: Platform) -> None:
    """A run with only the figures of the load does not pass."""
    assert verdict_of(platform, uri := platform.loaded()) is Verdict.INVALID
    assert platform.night_stages.report(uri).validity == (
        "Prometheus was not queried: the task scrape never began; the last one that did was run_load at 2026-03-02 "
        "06:30:00 UTC: Airflow ended it or could not start the next one; see the events of both tasks",
    )


# compare and report


def test_baselines_that_break_during_the_run_keep_its_figures(platform: Platform) -> None:
    """The run is invalid because it cannot be compared, but half an hour of load is not lost."""
    uri = platform.loaded()
    platform.run_stages.scrape(uri)
    platform.baselines.problem = BaselineError("b.json is not valid JSON; restore it from version control")
    assert verdict_of(platform, uri) is Verdict.INVALID
    record = platform.night_stages.report(uri)
    assert record.validity == (
        "the baselines could not be read: b.json is not valid JSON; restore it from version control",
    )
    assert (record.load.due, record.metrics["cpu_usage"].value) == (400, 1.5)


def test_a_finished_run_leaves_the_documented_files(platform: Platform) -> None:
    """Record, report, charts, rows and seconds; the stage files are removed."""
    uri = platform.plan()
    platform.execute_planned(uri)
    assert sorted(platform.store.runs_by_uri[uri]) == [
        "charts/latency.png",
        "distribution.csv",
        "junit.xml",
        "report.html",
        "report.md",
        "requests.csv.gz",
        "run.json",
        "timeseries.csv",
    ]


def test_the_record_is_written_last(platform: Platform) -> None:
    """A folder with run.json is a finished run."""
    platform.execute()
    assert platform.store.written[-4:] == ["report.md", "report.html", "junit.xml", "run.json"]
    assert platform.store.written.count("run.json") == 1


def test_the_report_shows_earlier_nights(platform: Platform) -> None:
    """Those of the same load, and the chart of this run."""
    platform.execute()
    assert b"Nights before" not in platform.store.runs_by_uri[next(platform.store.runs())]["report.md"]
    platform.clock.move(86_400)
    uri = platform.plan()
    platform.execute_planned(uri)
    files = platform.store.runs_by_uri[uri]
    assert b"| Earlier nights and this run |" in files["report.md"]
    assert b'aria-label="1 earlier night: ' in files["report.html"]
    assert b'src="data:image/png;base64,' in files["report.html"]
    assert b'<testsuite name="orders-service.brief" tests="8"' in files["junit.xml"]
    platform.clock.move(86_400)
    other = platform.plan(rate_rps=20)
    platform.execute_planned(other)
    assert b"Nights before" not in platform.store.runs_by_uri[other]["report.md"]


def test_an_unfinished_run_is_not_listed(platform: Platform) -> None:
    """It has no figures to read before its record."""
    uri = platform.loaded()
    assert list(platform.store.runs()) == []
    with pytest.raises(StoreError, match=f"^run {uri} is not finished: it has no run.json$"):
        platform.record(uri)


def stages(platform: Platform) -> list[Callable[[str], Any]]:
    run_stages, night_stages = platform.run_stages, platform.night_stages
    return [
        run_stages.stage_data,
        run_stages.preflight,
        run_stages.run_load,
        run_stages.scrape,
        lambda uri: night_stages.compare([uri]),
        night_stages.report,
    ]


def test_a_finished_run_refuses_every_stage(platform: Platform) -> None:
    """A record never changes; the user must trigger a new run."""
    uri = platform.plan()
    platform.execute_planned(uri)
    before = dict(platform.store.runs_by_uri[uri])
    for stage in stages(platform):
        with pytest.raises(
            StoreError, match=f"^run {uri} is finished; its record never changes, so trigger a new run$"
        ):
            stage(uri)
    assert platform.store.runs_by_uri[uri] == before
    assert len(platform.generator.loads) == 1


def test_a_run_that_was_never_planned_refuses_every_stage(platform: Platform) -> None:
    """A URI without a plan is a mistake."""
    uri = platform.store.create(service="orders-service", scenario="brief", run_id="x")
    for stage in stages(platform)[:-1]:
        with pytest.raises(StoreError, match=f"^there is no run {uri}; its plan is missing$"):
            stage(uri)
    with pytest.raises(StoreError, match=f"^run {uri} was not compared yet; compare comes before report$"):
        platform.night_stages.report(uri)


def test_a_report_that_fails_still_writes_the_record(platform: Platform) -> None:
    """The verdict stands; the error is raised, more load is refused, and a second try writes the report."""
    platform.charts.problem = OSError("no font")
    uri = platform.plan()
    with pytest.raises(OSError, match="no font"):
        platform.execute_planned(uri)
    record = platform.record(uri)
    assert record.verdict is Verdict.NO_BASELINE
    with pytest.raises(StoreError, match="is finished"):
        platform.run_stages.run_load(uri)
    platform.charts.problem = None
    assert platform.night_stages.report(uri) == record
    assert platform.store.runs_by_uri[uri]["report.md"].startswith(b"# NO_BASELINE")

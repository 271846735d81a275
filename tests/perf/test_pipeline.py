"""The stages of a run: every verdict, everything that can go wrong on the way, and what is left behind."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from include.perf.errors import (
    BaselineError,
    ConfigurationError,
    DataError,
    LoadError,
    NoData,
    PrometheusUnavailable,
    QueryRejected,
    RunError,
    RunSkipped,
    StoreError,
    TargetError,
)
from include.perf.pipeline import RunRequest
from include.perf.run import RunRecord, Severity, Verdict
from include.perf.scenario import LoadProfile
from tests.fakes import (
    IS_SCRAPED,
    NO_RECORD,
    SELECTOR,
    START,
    FakeMetrics,
    Platform,
    counts_of,
    coverage_query,
    healthy_answers,
    progress,
)

DOWN = "orders-service is not reachable: GET http://orders-service:8000/healthz failed"


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    """A pipeline on fakes: one service, one scenario of 20/s for 10 s after 5 s of warm-up."""
    return Platform(tmp_path)


def plan_problems(platform: Platform, **request: Any) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        platform.pipeline.plan(RunRequest(**({"scenario": "brief"} | request)))
    return list(caught.value.problems)


# The seven verdicts


def test_no_baseline(platform: Platform) -> None:
    """The first run of a cell has nothing to be compared with."""
    record = platform.execute()
    assert record.verdict is Verdict.NO_BASELINE
    assert record.reasons == ("there is no baseline yet; trigger a run with update_baseline to record one",)
    assert (record.baseline, record.validity, record.deviations) == (None, (), ())


def test_pass(platform: Platform) -> None:
    """The same load on the same service passes against its own baseline."""
    record = platform.with_baseline().execute()
    assert record.verdict is Verdict.PASS
    assert record.reasons == ("no metric moved beyond its floor against baseline version 1 (1 run)",)
    assert record.baseline is not None
    assert (record.baseline.version, record.baseline.state, record.baseline.runs) == (1, "provisional", 1)


def test_regression(platform: Platform) -> None:
    """Twice the latency: +100 % is beyond the 30 % of a provisional baseline, and all three percentiles say so."""
    platform.with_baseline().generator.latency_s = 0.08
    record = platform.execute()
    assert record.verdict is Verdict.REGRESSION
    assert [(each.metric, each.is_worse, each.severity) for each in record.deviations] == [
        (name, True, Severity.WARNING) for name in ("latency_p50", "latency_p95", "latency_p99")
    ]
    for each in record.deviations:  # (2 × 40 ms + 1 ms) / (40 ms + 1 ms), 1 ms being the wait before it is sent
        assert each.shift.ratio == pytest.approx((each.baseline - 0.001) / each.baseline, abs=1e-4)


def test_regression_by_errors(platform: Platform) -> None:
    """Every tenth request fails: 20 of 200 are 10 points more than none, and 2/s less throughput are no 30 %."""
    platform.with_baseline().generator.failed_every = 10
    record = platform.execute()
    assert record.verdict is Verdict.REGRESSION
    (worse,) = record.deviations
    assert (worse.metric, worse.baseline, worse.value) == ("error_rate", 0.0, pytest.approx(0.1))
    assert (worse.shift.ratio, worse.shift.absolute) == (None, pytest.approx(0.1))
    assert (record.load.due, record.load.finished, record.load.failed) == (400, 360, 40)
    assert sum(group.count for group in record.errors) == 40
    assert {group.kind for group in record.errors} == {"HTTP 500"}


def test_improvement(platform: Platform) -> None:
    """A quarter of the latency is better, and no alarm."""
    platform.with_baseline().generator.latency_s = 0.01
    record = platform.execute()
    assert record.verdict is Verdict.IMPROVEMENT
    assert {(each.is_worse, each.severity) for each in record.deviations} == {(False, Severity.DIGEST)}


def test_not_comparable(platform: Platform) -> None:
    """Another rate is another load."""
    record = platform.with_baseline().execute(rate_rps=50)
    assert record.verdict is Verdict.NOT_COMPARABLE
    assert record.reasons == (
        "the load differs from the baseline's: 50/s constant for 10 s after 5 s of warm-up, "
        "there 40/s constant for 10 s after 5 s of warm-up",
    )


def test_invalid(platform: Platform) -> None:
    """A generator that was late says nothing about the service, however bad its figures look."""
    platform.with_baseline().generator.log_changes = {"schedule_lags": counts_of(0.5)}
    platform.generator.latency_s = 3.0
    record = platform.execute()
    assert record.verdict is Verdict.INVALID
    assert record.reasons == record.validity
    assert record.validity == (
        "the generator released arrivals late: p99 498.6 ms (at most 10 ms); give the generator a core of its own",
    )  # 0.5 s, to half a percent
    assert record.deviations == ()
    assert record.metrics["latency_p50"].value == pytest.approx(3.0, rel=0.1)  # kept, to find the cause


def test_skipped(platform: Platform) -> None:
    """One switch stops all runs, before the target is even looked at."""
    platform.halt_reason = "the Variable bellwether_halt says 'release'"
    record = platform.execute()
    assert record.verdict is Verdict.SKIPPED
    assert record.reasons == ("load is halted: the Variable bellwether_halt says 'release'",)
    assert (platform.generator.loads, platform.target.checks, platform.metrics.asked) == ([], [], [])
    assert (record.window, record.load.due, record.load.achieved_rate_rps) == (None, None, None)
    assert {metric.value for metric in record.metrics.values()} == {None}


# plan


def test_a_plan_says_everything_wrong_at_once(platform: Platform) -> None:
    """Service, duration, rate, reason and baselines: five mistakes are five sentences, and nothing is planned."""
    platform.baselines.problem = BaselineError("b.json is not valid JSON")
    problems = plan_problems(platform, service="ordres", duration_s=-3, rate_rps=50_000.0, update_baseline=True)
    assert problems == [
        "update_baseline needs a reason: it is kept with the baseline, say why the level is right",
        "rate_rps: should be less than or equal to 24000, but is 50000.0",
        "duration_s: should be greater than or equal to 10, but is -3",
        "service 'ordres' is not in the catalogue; there are orders-service",
        "b.json is not valid JSON",
    ]
    assert platform.store.runs_by_uri == {}


def test_an_unknown_scenario_hides_nothing_that_can_be_checked(platform: Platform) -> None:
    """Reason and baselines are checked all the same."""
    platform.baselines.problem = BaselineError("b.json is not valid JSON")
    assert plan_problems(platform, scenario="breif", update_baseline=True, reason="  ") == [
        "update_baseline needs a reason: it is kept with the baseline, say why the level is right",
        "scenario 'breif' is not in the catalogue; there are brief",
        "b.json is not valid JSON",
    ]


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        ({"duration_s": 9}, "duration_s: should be greater than or equal to 10, but is 9"),
        ({"duration_s": 14401}, "duration_s: should be less than or equal to 14400, but is 14401"),
        ({"rate_rps": 0.0}, "rate_rps: should be greater than or equal to 0.1, but is 0.0"),
        ({"rate_rps": float("nan")}, "rate_rps: should be less than or equal to 24000, but is nan"),
        ({"rate_rps": float("inf")}, "rate_rps: should be less than or equal to 24000, but is inf"),
        ({"service": "engine"}, "service 'engine' is not in the catalogue; there are orders-service"),
    ],
)
def test_each_wrong_parameter(platform: Platform, request_: dict[str, Any], problem: str) -> None:
    """One mistake is one sentence: what, the rule, the value."""
    assert plan_problems(platform, **request_) == [problem]


@pytest.mark.parametrize(
    ("request_", "load"),
    [
        ({}, (40, 10, 5)),
        ({"rate_rps": 0.5}, (0.5, 10, 5)),
        ({"duration_s": 10}, (40, 10, 5)),
        ({"duration_s": 3600, "rate_rps": 7.5}, (7.5, 3600, 5)),
    ],
)
def test_overrides(platform: Platform, request_: dict[str, Any], load: tuple[float, int, int]) -> None:
    """What is asked for takes the place of the scenario's own; the rest stays."""
    spec = json.loads(platform.store.runs_by_uri[platform.plan(**request_)]["stage-spec.json"])
    assert (spec["load"]["rate_rps"], spec["load"]["duration_s"], spec["load"]["warmup_s"]) == load


@pytest.mark.parametrize(("duration_s", "warmup_s"), [(10, 10), (59, 59), (60, 60), (900, 60)])
def test_a_short_run_gets_a_short_warm_up(platform: Platform, duration_s: int, warmup_s: int) -> None:
    """A run of 10 s has no minute of warm-up."""
    scenario = platform.catalogue.scenario("brief")
    scenario = scenario.model_copy(update={"load": scenario.load.model_copy(update={"warmup_s": 60})})
    platform.catalogue.scenarios["brief"] = scenario  # type: ignore[index]
    spec = json.loads(platform.store.runs_by_uri[platform.plan(duration_s=duration_s)]["stage-spec.json"])
    assert spec["load"]["warmup_s"] == warmup_s


BURST = [{"at_s": 0, "factor": 3}, {"at_s": 300, "factor": 1, "by": "decay"}]


def with_load(platform: Platform, **changes: Any) -> None:
    """Let the scenario ask for another load."""
    scenario = platform.catalogue.scenario("brief")
    load = LoadProfile.model_validate(scenario.load.model_dump() | changes)
    platform.catalogue.scenarios["brief"] = scenario.model_copy(update={"load": load})  # type: ignore[index]


def test_a_short_run_gets_a_short_ramp_and_the_beginning_of_the_profile(platform: Platform) -> None:
    """The ramp is cut with the warm-up that it is part of; the profile keeps its times and scales with the rate."""
    with_load(platform, warmup_s=60, ramp_s=30, profile=BURST)
    uri = platform.plan(duration_s=20, rate_rps=40.0)
    load = LoadProfile.model_validate(json.loads(platform.store.runs_by_uri[uri]["stage-spec.json"])["load"])
    assert (load.warmup_s, load.ramp_s, load.peak_rate_rps) == (20, 20, 120)
    assert load.curve.rate(20 + 10) == pytest.approx(120 * 3 ** (-10 / 300))


def test_a_load_that_varies_is_valid_and_told_as_its_mean(platform: Platform) -> None:
    """From 3 to 1 times 40/s over the 10 s in a line: 800 arrivals, 80/s."""
    with_load(platform, ramp_s=5, profile=[{"at_s": 0, "factor": 3}, {"at_s": 10, "factor": 1}])
    record = platform.execute()
    assert (record.verdict, record.validity) == (Verdict.NO_BASELINE, ())
    assert (record.load.requested_rate_rps, record.load.due) == (80.0, 800)
    assert record.load.achieved_rate_rps == pytest.approx(80.0, rel=0.01)
    assert record.fingerprint["load"] == (
        "40/s constant, profile 3 → 1 by line in 10 s, for 10 s after 5 s of warm-up with a ramp of 5 s"
    )


def test_a_rate_whose_peak_is_too_high_is_refused(platform: Platform) -> None:
    """9 000/s are allowed, three times that are not."""
    with_load(platform, profile=BURST)
    assert plan_problems(platform, rate_rps=9000.0) == [
        "the peak rate of 27000/s is more than the 24000/s that 8 workers hold; lower rate_rps or profile"
    ]


def test_a_plan_is_one_run_a_service(platform: Platform) -> None:
    """All means each service of the scenario, in a folder of its own with an id of its own."""
    services = platform.catalogue.services
    services["engine"] = services["orders-service"].model_copy(update={"name": "engine"})  # type: ignore[index]
    uris = platform.pipeline.plan(RunRequest(scenario="brief"))
    assert [uri.split("/")[2:4] for uri in uris] == [["orders-service", "brief"], ["engine", "brief"]]
    ids = {uri.rpartition("/")[2] for uri in uris}
    assert len(ids) == 2
    assert all(re.fullmatch(r"20260302T063000Z-[0-9a-f]{6}", run_id) for run_id in ids)


# stage_data


def test_data_with_a_problem_ends_the_run_before_any_load(platform: Platform) -> None:
    """The record says which line, and nothing was sent."""
    path = platform.catalogue.data_path(platform.catalogue.scenario("brief"))
    path.write_text(path.read_text(encoding="utf-8").replace("EUR_USD", "euro", 1), encoding="utf-8")
    uri = platform.plan()
    problem = f"{path} line 2: instrument must look like EUR_USD, but is 'euro'; correct or remove the row"
    with pytest.raises(DataError) as caught:
        platform.pipeline.stage_data(uri)
    assert str(caught.value) == problem
    record = platform.execute()
    assert (record.verdict, record.validity) == (Verdict.INVALID, (problem,))
    assert platform.generator.loads == []


# preflight


def test_a_target_that_is_down_gets_no_load(platform: Platform) -> None:
    """The reason is the target's own, and it is no verdict about performance."""
    platform.target.problem = DOWN
    record = platform.execute()
    assert (record.verdict, record.reasons) == (Verdict.INVALID, (DOWN,))
    assert platform.generator.loads == []
    with pytest.raises(TargetError, match="is not reachable"):
        platform.pipeline.preflight(platform.plan())


NOT_SCRAPED = (
    f"Prometheus does not scrape orders-service: no target with {{{SELECTOR}}} is up; "
    "add it to Prometheus, or correct prometheus.selector in services.yaml"
)
CANNOT_SAY = "Prometheus cannot say whether it watches orders-service: "


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
def test_without_prometheus_no_load(platform: Platform, answer: float | Exception, reason: str) -> None:
    """A load that nobody watches would be for nothing."""
    platform.metrics.answers[IS_SCRAPED] = answer
    with pytest.raises(RunError) as caught:
        platform.pipeline.preflight(platform.plan())
    assert str(caught.value) == reason
    record = platform.execute()
    assert (record.verdict, record.reasons) == (Verdict.INVALID, (reason,))
    assert platform.generator.loads == []


def test_the_guard_stands_before_the_load_too(platform: Platform) -> None:
    """A load may wait hours for its turn: what held at preflight is asked again."""
    uri = platform.plan()
    platform.pipeline.stage_data(uri)
    platform.pipeline.preflight(uri)
    platform.halt_reason = "release"
    with pytest.raises(RunSkipped, match=r"^load is halted: release$"):
        platform.pipeline.run_load(uri)
    assert platform.generator.loads == []
    assert platform.pipeline.compare(uri) is Verdict.SKIPPED


def test_a_second_try_of_preflight_forgets_the_first(platform: Platform) -> None:
    """Once the target is up, the run goes on as if nothing had been."""
    uri = platform.plan()
    platform.pipeline.stage_data(uri)
    platform.target.problem = DOWN
    with pytest.raises(TargetError):
        platform.pipeline.preflight(uri)
    platform.target.problem = None
    for stage in (platform.pipeline.preflight, platform.pipeline.run_load, platform.pipeline.scrape):
        stage(uri)
    assert platform.pipeline.compare(uri) is Verdict.NO_BASELINE


# run_load


def test_the_load_is_what_was_planned(platform: Platform) -> None:
    """The generator gets the load of the plan, and its progress is passed on."""
    heard = []
    uri = platform.plan(rate_rps=8)
    platform.pipeline.execute(uri, on_progress=heard.append)
    (load,) = platform.generator.loads
    assert (load.rate_rps, load.duration_s, load.warmup_s) == (8, 10, 5)
    assert heard == [progress(elapsed_s=15)]


def test_a_generator_that_leaves_no_record(platform: Platform) -> None:
    """Its last words are the reason."""
    platform.generator.problem = NO_RECORD
    record = platform.execute()
    assert (record.verdict, record.reasons) == (Verdict.INVALID, (str(NO_RECORD),))
    assert record.metrics["latency_p95"].reason == "no load was measured"
    assert record.metrics["cpu_usage"].reason == "Prometheus was not asked"


def test_a_generator_that_is_killed(platform: Platform) -> None:
    """Rows without a summary are no record; the rows are kept for whoever looks."""
    platform.generator.is_killed = True
    uri = platform.plan()
    record = platform.pipeline.execute(uri)
    assert record.verdict is Verdict.INVALID
    assert record.reasons[0].startswith(
        "the load generator ended without its summary: it was killed, or the machine ran out of memory; "
    )
    assert "requests.csv.gz" in platform.store.runs_by_uri[uri]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, MemoryError])
def test_a_killed_stage_leaves_no_reason_and_the_record_says_so(platform: Platform, kind: type[BaseException]) -> None:
    """A task ended from outside writes nothing; no figures and no reason are still no pass."""
    platform.generator.problem = kind()
    with pytest.raises(kind):
        platform.loaded()
    (uri,) = platform.store.runs_by_uri
    assert platform.pipeline.compare(uri) is Verdict.INVALID
    assert platform.pipeline.report(uri).validity == (
        "the load left no record: its task was ended from outside; see the task's log",
    )


def test_a_killed_second_try_does_not_stand_on_the_first(platform: Platform) -> None:
    """The figures of an earlier load are not those of this one, whose rows lie there now."""
    uri = platform.loaded()
    platform.pipeline.scrape(uri)
    platform.generator.problem = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        platform.pipeline.run_load(uri)
    assert platform.pipeline.compare(uri) is Verdict.INVALID


def test_a_load_stopped_in_its_warm_up_still_has_a_record(platform: Platform) -> None:
    """There is no measured window: no rate, no figures, no division by zero."""
    end = START.timestamp() + 2
    platform.generator.log_changes = {"ended": "stopped by SIGTERM", "measured_from": end, "measured_to": end}
    record = platform.execute()
    assert record.verdict is Verdict.INVALID
    assert record.validity[0] == "the load ended early: stopped by SIGTERM; start a new run"
    assert record.validity[-1] == "the measured window is empty"
    assert record.load.achieved_rate_rps is None


# scrape


def test_the_scrape_waits_until_the_window_is_complete(platform: Platform) -> None:
    """Two scrape intervals of 1 s after the window's end, less what has gone by."""
    uri = platform.loaded()
    platform.clock.move(0.5)
    platform.pipeline.scrape(uri)
    assert platform.clock.waits_s == [1.5]
    end = START + timedelta(seconds=15)
    assert [at for query, at in platform.metrics.asked if "[10000ms]" in query] == [end] * 4


def test_a_late_scrape_waits_for_nothing(platform: Platform) -> None:
    """Prometheus keeps its samples."""
    uri = platform.loaded()
    platform.clock.move(600)
    platform.pipeline.scrape(uri)
    assert platform.clock.waits_s == [0.0]


def test_prometheus_down_at_the_scrape_is_worth_a_retry(platform: Platform) -> None:
    """It is raised for a retry; a second try that works clears the reason."""
    uri = platform.loaded()
    platform.metrics.answers[coverage_query()] = PrometheusUnavailable("Prometheus at http://p cannot be asked")
    with pytest.raises(PrometheusUnavailable):
        platform.pipeline.scrape(uri)
    assert platform.pipeline.compare(uri) is Verdict.INVALID
    platform.metrics.answers = healthy_answers()
    platform.pipeline.scrape(uri)
    assert platform.pipeline.compare(uri) is Verdict.NO_BASELINE
    assert platform.pipeline.report(uri).metrics["cpu_usage"].value == 1.5


def test_prometheus_down_for_good(platform: Platform) -> None:
    """The client's figures are kept, the run is invalid, and the service gets no blame."""
    answers = healthy_answers() | {coverage_query(): PrometheusUnavailable("Prometheus at http://p cannot be asked")}
    platform.with_baseline().metrics = FakeMetrics(answers)
    platform.generator.latency_s = 0.4
    record = platform.execute()
    assert (record.verdict, record.reasons) == (Verdict.INVALID, ("Prometheus at http://p cannot be asked",))
    assert record.metrics["latency_p50"].value == pytest.approx(0.4, rel=0.1)
    assert record.metrics["cpu_usage"].reason == "Prometheus was not asked"


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
    """A missing disk figure makes no run invalid: it is null with its reason, and a note."""
    query = platform.catalogue.service("orders").prometheus.query("disk_usage", window="10000ms")
    platform.with_baseline().metrics.answers[query] = NoData("no data for 1 - min(…)")
    record = platform.execute()
    assert record.verdict is Verdict.PASS
    assert record.reasons[1] == "Disk used could not be compared: no data for 1 - min(…)"
    assert (record.metrics["disk_usage"].value, record.metrics["disk_usage"].reason) == (None, "no data for 1 - min(…)")


def test_a_scrape_before_any_load(platform: Platform) -> None:
    """Stages have an order; a message says which comes first."""
    uri = platform.plan()
    with pytest.raises(StoreError, match=f"^{uri} has no figures of a load yet; run_load comes first$"):
        platform.pipeline.scrape(uri)


def test_a_scrape_that_was_killed(platform: Platform) -> None:
    """Load figures alone are no pass."""
    assert platform.pipeline.compare(uri := platform.loaded()) is Verdict.INVALID
    assert platform.pipeline.report(uri).validity == (
        "Prometheus was never asked: the scrape was ended from outside; see the task's log",
    )


# compare and report


def test_baselines_that_break_during_the_run_keep_its_figures(platform: Platform) -> None:
    """The run is invalid for what it cannot be compared with, and half an hour of load is not lost."""
    uri = platform.loaded()
    platform.pipeline.scrape(uri)
    platform.baselines.problem = BaselineError("b.json is not valid JSON; restore it from version control")
    assert platform.pipeline.compare(uri) is Verdict.INVALID
    record = platform.pipeline.report(uri)
    assert record.validity == (
        "the baselines could not be read: b.json is not valid JSON; restore it from version control",
    )
    assert (record.load.due, record.metrics["cpu_usage"].value) == (400, 1.5)


def test_a_finished_run_leaves_what_the_contract_names(platform: Platform) -> None:
    """Record, report, charts, rows and seconds; what stages left for one another is gone."""
    uri = platform.plan()
    platform.pipeline.execute(uri)
    assert sorted(platform.store.runs_by_uri[uri]) == [
        "charts/latency.png",
        "report.md",
        "requests.csv.gz",
        "run.json",
        "timeseries.csv",
    ]


def test_the_record_is_written_last(platform: Platform) -> None:
    """Whoever sees run.json sees a finished run."""
    platform.execute()
    assert platform.store.written[-2:] == ["report.md", "run.json"]
    assert platform.store.written.count("run.json") == 1


def test_an_unfinished_run_is_none_of_the_runs(platform: Platform) -> None:
    """Until its record is there it has no figures to read."""
    uri = platform.loaded()
    assert list(platform.store.runs()) == []
    with pytest.raises(StoreError, match=f"^run {uri} is not finished: it has no run.json$"):
        platform.pipeline.record(uri)


def stages(platform: Platform) -> list[Callable[[str], Any]]:
    pipeline = platform.pipeline
    return [
        pipeline.stage_data,
        pipeline.preflight,
        pipeline.run_load,
        pipeline.scrape,
        pipeline.compare,
        pipeline.report,
    ]


def test_a_finished_run_refuses_every_stage(platform: Platform) -> None:
    """A record never changes; a new run is what is wanted."""
    uri = platform.plan()
    platform.pipeline.execute(uri)
    before = dict(platform.store.runs_by_uri[uri])
    for stage in stages(platform):
        with pytest.raises(
            StoreError, match=f"^run {uri} is finished; its record never changes, so trigger a new run$"
        ):
            stage(uri)
    assert platform.store.runs_by_uri[uri] == before
    assert len(platform.generator.loads) == 1


def test_a_run_that_was_never_planned_refuses_every_stage(platform: Platform) -> None:
    """An address without a plan is a mistake."""
    uri = platform.store.create(service="orders-service", scenario="brief", run_id="x")
    for stage in stages(platform)[:-1]:
        with pytest.raises(StoreError, match=f"^there is no run {uri}; its plan is missing$"):
            stage(uri)
    with pytest.raises(StoreError, match=f"^run {uri} was not compared yet; compare comes before report$"):
        platform.pipeline.report(uri)


def test_a_report_that_fails_still_writes_the_record(platform: Platform) -> None:
    """The verdict stands; the failure is raised, further load is refused, and a second try writes the report."""
    platform.charts.problem = OSError("no font")
    uri = platform.plan()
    with pytest.raises(OSError, match="no font"):
        platform.pipeline.execute(uri)
    record = platform.pipeline.record(uri)
    assert record.verdict is Verdict.NO_BASELINE
    with pytest.raises(StoreError, match="is finished"):
        platform.pipeline.run_load(uri)
    platform.charts.problem = None
    assert platform.pipeline.report(uri) == record
    assert platform.store.runs_by_uri[uri]["report.md"].startswith(b"# NO_BASELINE")


# promote


def test_promoting_a_pass_strengthens(platform: Platform) -> None:
    """Two runs at the same level: version 2, two runs, by whoever asked and why."""
    uri = platform.with_baseline().plan(update_baseline=True, reason="second run", triggered_by="ben")
    platform.pipeline.execute(uri)
    entry = platform.pipeline.promote(uri)
    assert (entry.version, len(entry.runs)) == (2, 2)
    assert (entry.approval.by, entry.approval.reason, entry.approval.at) == ("ben", "second run", platform.clock())
    assert platform.baselines.read().get("orders-service", "brief") == entry


def test_promoting_says_why_not(platform: Platform) -> None:
    """A run that is no baseline changes none; an unfinished one cannot be looked at."""
    platform.with_baseline().generator.latency_s = 0.4
    before = platform.baselines.read()
    uri = platform.plan(update_baseline=True, reason="anyway")
    with pytest.raises(StoreError, match="is not finished"):
        platform.pipeline.promote(uri)
    platform.pipeline.execute(uri)
    with pytest.raises(BaselineError, match="is REGRESSION, so it does not become the baseline by itself"):
        platform.pipeline.promote(uri)
    assert platform.baselines.read() == before
    entry = platform.pipeline.promote(uri, force=True, reason="new tax rules", by="cleo")
    assert (entry.version, entry.approval.by, entry.approval.reason) == (2, "cleo", "new tax rules")


def test_promoting_without_any_reason(platform: Platform) -> None:
    """A run that was not asked to become a baseline needs a reason when it shall."""
    uri = platform.plan()
    platform.pipeline.execute(uri)
    with pytest.raises(BaselineError, match=r"say why the level is right$"):
        platform.pipeline.promote(uri)


@pytest.mark.parametrize("verdict", [Verdict.INVALID, Verdict.SKIPPED])
def test_promoting_what_was_not_measured(platform: Platform, verdict: Verdict) -> None:
    """Never, not even by force."""
    if verdict is Verdict.INVALID:
        platform.generator.problem = LoadError("gone")
    else:
        platform.halt_reason = "release"
    uri = platform.plan(update_baseline=True, reason="first")
    assert platform.pipeline.execute(uri).verdict is verdict
    with pytest.raises(BaselineError, match=f"is {verdict} and can never be a baseline: "):
        platform.pipeline.promote(uri, force=True)
    assert platform.baselines.read().entries == {}


# the contract


def document_of(platform: Platform, uri: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(platform.store.runs_by_uri[uri]["run.json"])
    return found


def test_run_json_keeps_the_contract(platform: Platform) -> None:
    """Other tools read these names, units and values at the top level of run.json."""
    platform.with_baseline().generator.latency_s = 0.08
    uri = platform.plan(triggered_by="ana", dag_id="brief", dag_run_id="manual__1", reason="look")
    platform.pipeline.execute(uri)
    document = document_of(platform, uri)
    assert document["schema_version"] == 1
    assert document["run_id"] == uri.rpartition("/")[2]
    assert (document["service"], document["scenario"], document["environment"]) == (
        "orders-service",
        "brief",
        "staging",
    )
    # 06:30:00 + 5 s warm-up + 10 s + 2 s until the scrape + 60 s = 06:31:17
    assert document["started_at"] == "2026-03-02T06:31:17Z"
    assert document["window"] == {"start": "2026-03-02T06:31:22Z", "end": "2026-03-02T06:31:32Z"}
    assert document["load"] == {
        "requested_rate_rps": 40.0,
        "achieved_rate_rps": 40.0,  # 40/s × 10 s = 400 sent within 10 s
        "duration_s": 10.0,
        "warmup_s": 5.0,
        "due": 400,
        "sent": 400,
        "finished": 400,
        "failed": 0,
        "timed_out": 0,
        "unfinished": 0,
        "requested_curve": [],  # the same rate throughout
    }
    assert {name: metric["unit"] for name, metric in document["metrics"].items()} == {
        "latency_p50": "s",
        "latency_p95": "s",
        "latency_p99": "s",
        "throughput": "1/s",
        "error_rate": "ratio",
        "cpu_usage": "cores",
        "memory_usage": "bytes",
        "disk_usage": "ratio",
    }
    values = {name: metric["value"] for name, metric in document["metrics"].items()}
    assert values["latency_p50"] == pytest.approx(0.081, rel=0.05)  # 80 ms and 1 ms of waiting
    assert values["throughput"] == pytest.approx(40.0, abs=0.3)
    assert (values["error_rate"], values["cpu_usage"]) == (0.0, 1.5)
    assert (values["memory_usage"], values["disk_usage"]) == (512 * 1024**2, 0.40)
    assert list(document["fingerprint"]) == ["load", "limits", "data", "endpoints", "generator", "environment"]
    assert (document["validity"], document["verdict"]) == ([], "REGRESSION")
    worst = document["deviations"][0]
    assert (worst["metric"], worst["unit"], worst["severity"]) == ("latency_p50", "s", "warning")
    assert worst["value"] == values["latency_p50"]
    assert worst["shift"]["absolute"] == pytest.approx(worst["value"] - worst["baseline"])
    assert set(worst["shift"]) == {"ratio", "absolute", "low", "high"}
    assert worst["reason"] == document["reasons"][0]
    assert document["provenance"] == {
        "dag_id": "brief",
        "dag_run_id": "manual__1",
        "triggered_by": "ana",
        "update_baseline": False,
        "reason": "look",
        "versions": {"bellwether": "test"},
    }


def test_run_json_of_a_run_that_never_began(platform: Platform) -> None:
    """The same names; what could not be had is null, a metric with its reason."""
    platform.halt_reason = "release"
    uri = platform.plan()
    platform.pipeline.execute(uri)
    document = document_of(platform, uri)
    assert (document["verdict"], document["window"], document["deviations"]) == ("SKIPPED", None, [])
    assert document["load"]["requested_rate_rps"] == 40.0
    assert {name for name, value in document["load"].items() if value is None} == {
        "achieved_rate_rps",
        "due",
        "sent",
        "finished",
        "failed",
        "timed_out",
        "unfinished",
    }
    assert document["metrics"]["latency_p95"] == {"value": None, "unit": "s", "reason": "no load was measured"}
    assert document["metrics"]["cpu_usage"] == {"value": None, "unit": "cores", "reason": "Prometheus was not asked"}
    assert document["validity"] == ["load is halted: release"]


def test_the_same_run_twice_differs_in_id_and_time_only(platform: Platform) -> None:
    """Seeded data, seeded load: a repeated run is comparable to the last digit."""
    first, second = platform.execute(), platform.execute()
    assert first.metrics == second.metrics
    assert first.fingerprint == second.fingerprint
    assert first.run_id != second.run_id


def test_execute_returns_what_was_written(platform: Platform) -> None:
    """The record in hand is the record in the store."""
    uri = platform.plan()
    record: RunRecord = platform.pipeline.execute(uri)
    assert platform.pipeline.record(uri) == record

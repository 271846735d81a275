"""The judge of a night: what it reads from the store, and the records of runs and re-runs."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from include.perf.baselines.history import night_of
from include.perf.baselines.odd_entry import OddEntry
from include.perf.catalogue.hard_limits import HardLimit
from include.perf.model.cell import CellName
from include.perf.model.errors import BaselineError, ItemError, StoreError
from include.perf.model.metric import METRICS
from include.perf.runs.figures import UnreachableService
from include.perf.runs.record import RunRecord, Severity, Shift, Verdict
from include.perf.runs.stage_files import Deployed, FingerprintParts, Reruns, StageFiles
from include.perf.verdict.night import Judge
from tests.fakes.baseline_store import MemoryBaselines
from tests.fakes.clock import FixedClock
from tests.fakes.results_store import MemoryStore
from tests.fakes.small_platform import Platform
from tests.nights import BASELINE_VALUES, DUE, PARTS, SCENARIO, SERVICE, baseline_of, day, run_on
from tests.records import load_summary, metric_values, run_record
from tests.stages import FIGURES, HALTED, SCRAPED, planned

P95 = "latency_p95"
TONIGHT = 10


class Nights:
    """A store and baselines with ten nights of history, and a judge on the eleventh."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.baselines = MemoryBaselines()
        self.clock = FixedClock(day(TONIGHT) + timedelta(hours=1))
        self.baselines.baselines.entries = {SERVICE: {SCENARIO: baseline_of()}}

    @property
    def judge(self) -> Judge:
        """A judge of the current content."""
        return Judge(store=self.store, baselines=self.baselines, clock=self.clock)

    def record(self, uri: str) -> RunRecord:
        """Return the record of one run."""
        return self.judge.records([uri], versions={})[uri]

    def finished(self, number: int, factors: Mapping[str, float] | None = None, **changes: Any) -> str:
        """Store a finished run of a day."""
        made = run_on(number, factors)
        record = run_record(
            run_id=f"{day(number):%Y%m%dT%H%M%SZ}",
            service=SERVICE,
            scenario=SCENARIO,
            started_at=day(number),
            metrics=metric_values(**made.metrics),
            fingerprint=PARTS,
            load=load_summary(due=DUE, failed=made.failed),
        )
        record = replace(record, **changes)
        uri = self.store.create(service=record.service, scenario=record.scenario, run_id=record.run_id)
        StageFiles(self.store, uri).record.write(record)
        return uri

    def run(self, run_id: str = "first", factors: Mapping[str, float] | None = None, **spec: Any) -> StageFiles:
        """Store a run of tonight that has no verdict yet."""
        values = {name: value * (factors or {}).get(name, 1.0) for name, value in BASELINE_VALUES.items()}
        metrics = metric_values(**values)
        of = {
            source: {n: v for n, v in metrics.items() if METRICS[n].source == source}
            for source in ("client", "prometheus")
        }
        files = planned(self.store, run_id=run_id, **({"service": SERVICE, "scenario": SCENARIO} | spec))
        at = day(TONIGHT)
        files.load.write(replace(FIGURES, started_at=at, metrics=of["client"], due=400_000, failed=400, unfinished=0))
        files.server.write(replace(SCRAPED, metrics=of["prometheus"]))
        files.fingerprint.write(FingerprintParts(parts=PARTS))
        return files

    def again(self, first: StageFiles, *factors: float, **spec: Any) -> list[StageFiles]:
        """Store re-runs of a run; each factor multiplies p95."""
        made = [
            self.run(f"again-{number}", {P95: factor}, rerun_of=first.read_spec().run_id, **spec)
            for number, factor in enumerate(factors)
        ]
        first.reruns.write(Reruns(uris=tuple(rerun.uri for rerun in made)))
        return made


@pytest.fixture
def nights() -> Nights:
    """Ten nights of history and a judge."""
    return Nights()


# Suspicions


def test_the_most_suspicious_comes_first(nights: Nights) -> None:
    """Runs that are not suspicious are left out."""
    runs = {name: nights.run(name, {P95: factor}) for name, factor in (("a", 1.3), ("b", 1.0), ("c", 1.9))}
    assert list(nights.judge.suspicions([run.uri for run in runs.values()])) == [runs["c"].uri, runs["a"].uri]


def test_a_run_that_cannot_be_judged_is_not_suspicious(nights: Nights) -> None:
    """Neither a skipped run, nor any run if the baselines cannot be read."""
    skipped, slow = nights.run("a", {P95: 2.0}), nights.run("b", {P95: 2.0})
    skipped.end.write(HALTED)
    assert list(nights.judge.suspicions([skipped.uri, slow.uri])) == [slow.uri]
    nights.baselines.problem = BaselineError("b.json is broken")
    assert nights.judge.suspicions([skipped.uri, slow.uri]) == {}


def test_no_runs_at_all(nights: Nights) -> None:
    """An empty night has no results."""
    assert nights.judge.suspicions([]) == {}
    assert nights.judge.records([], versions={}) == {}


# The verdicts of a night


def test_every_run_has_its_own_verdict(nights: Nights) -> None:
    """Complete or not."""
    fine, skipped, killed = nights.run("a"), nights.run("b"), planned(nights.store, run_id="c")
    skipped.end.write(HALTED)
    records = nights.judge.records([fine.uri, skipped.uri, killed.uri], versions={"python": "3.11"})
    assert [record.verdict for record in records.values()] == [Verdict.PASS, Verdict.SKIPPED, Verdict.INVALID]
    assert list(records) == [fine.uri, skipped.uri, killed.uri]
    assert {record.provenance.versions["python"] for record in records.values()} == {"3.11"}


def test_the_history_includes_nights_since_the_baseline(nights: Nights) -> None:
    """Its seven runs and two later nights that passed; the record has the number."""
    nights.baselines.baselines.entries = {SERVICE: {SCENARIO: baseline_of(7)}}
    for number, verdict in ((10, Verdict.PASS), (11, Verdict.REGRESSION), (12, Verdict.PASS)):
        nights.finished(number - 3, run_id=f"since-{number}", verdict=verdict)
    record = nights.record(nights.run().uri)
    assert record.baseline is not None
    assert (record.verdict, record.baseline.nights, record.baseline.since) == (Verdict.PASS, 9, day(0))
    assert record.baseline.runs == 7


def test_re_runs_and_later_runs_are_not_in_the_history(nights: Nights) -> None:
    """Only valid first runs before tonight are."""
    nights.finished(9, run_id="x", started_at=day(9.2), rerun_of="day-9")
    nights.finished(9, run_id="y", started_at=day(10.01))
    nights.finished(9, run_id="z", started_at=day(9.3), verdict=Verdict.INVALID)
    record = nights.record(nights.run().uri)
    assert record.baseline is not None
    assert record.baseline.nights == 10


def test_a_record_that_cannot_be_read_is_left_out_with_a_warning(
    nights: Nights, caplog: pytest.LogCaptureFixture
) -> None:
    """One damaged file does not prevent verdicts."""
    uri = nights.finished(9, run_id="x", started_at=day(9.2))
    nights.store.write(uri, "run.json", b"{")
    with caplog.at_level(logging.WARNING):
        assert nights.record(nights.run().uri).verdict is Verdict.PASS
    assert "left out: " in caplog.text


def test_baselines_that_cannot_be_read_make_every_run_invalid(nights: Nights) -> None:
    """The figures are recorded."""
    nights.baselines.problem = BaselineError("b.json is broken")
    record = nights.record(nights.run().uri)
    assert (record.verdict, record.validity) == (
        Verdict.INVALID,
        ("the baselines could not be read: b.json is broken",),
    )
    assert record.metrics[P95].value == 0.4


def test_the_version_is_in_record_and_reason(nights: Nights) -> None:
    """Tonight's version, and that of the night before."""
    nights.finished(9, run_id="x", started_at=day(9.2), deploy_version="2.4.0")
    first = nights.run(factors={P95: 1.5})
    for run in (first, *nights.again(first, 1.5, 1.5)):
        run.deployed.write(Deployed(before="2.4.1", after="2.4.1"))
    record = nights.record(first.uri)
    assert record.deploy_version == "2.4.1"
    assert record.reasons[0].endswith("; first seen with version 2.4.1 (previous version 2.4.0)")


# Re-runs


def test_re_runs_share_the_verdict(nights: Nights) -> None:
    """The first run has the deviations and medians; every re-run names it."""
    first = nights.run(factors={P95: 1.30})
    reruns = nights.again(first, 1.25, 1.50)
    records = nights.judge.records([first.uri], versions={})
    assert list(records) == [first.uri, *(rerun.uri for rerun in reruns)]
    record, *others = records.values()
    assert (record.verdict, record.judged[P95]) == (Verdict.REGRESSION, pytest.approx(0.52))
    assert (record.metrics[P95].value, record.deviations[0].value) == (pytest.approx(0.52), pytest.approx(0.52))
    assert (record.reruns, record.rerun_of) == (("again-0", "again-1"), None)
    for again in others:
        assert (again.verdict, again.rerun_of, again.reruns) == (Verdict.REGRESSION, "first", ())
        assert (again.deviations, again.judged, again.shifts) == ((), {}, {})
        assert again.reasons == (f"judged together with run first: {record.reasons[0]}",)
        assert again.baseline is not None
        assert again.baseline.nights == 10
    assert others[1].metrics[P95].value == pytest.approx(0.6)


def test_re_runs_that_do_not_confirm_share_the_pass(nights: Nights) -> None:
    """All three pass, and the median is recorded."""
    first = nights.run(factors={P95: 1.6})
    nights.again(first, 1.0, 1.02)
    records = nights.judge.records([first.uri], versions={})
    assert {record.verdict for record in records.values()} == {Verdict.PASS}
    assert records[first.uri].judged[P95] == pytest.approx(0.408)


def test_an_invalid_re_run_is_left_out(nights: Nights) -> None:
    """The better of the other two counts; the invalid one keeps its own reason."""
    first = nights.run(factors={P95: 1.6})
    bad, _ = nights.again(first, 1.6, 1.0)
    bad.end.write(HALTED)
    records = nights.judge.records([first.uri], versions={})
    assert [record.verdict for record in records.values()] == [Verdict.PASS, Verdict.SKIPPED, Verdict.PASS]
    assert records[bad.uri].reasons == ("load is halted",)
    assert records[first.uri].reruns == ("again-0", "again-1")


def test_without_a_valid_re_run_the_first_run_decides(nights: Nights) -> None:
    """A large change is a warning, and the reason says why there was no re-run."""
    first = nights.run(factors={P95: 1.6})
    for rerun in nights.again(first, 1.0, 1.0):
        rerun.end.write(HALTED)
    record = nights.record(first.uri)
    assert (record.verdict, record.deviations[0].severity) == (Verdict.REGRESSION, Severity.WARNING)
    assert "suspicious, not re-run: none of the 2 re-runs is valid" in record.reasons[0]


def test_a_deleted_re_run_is_left_out(nights: Nights, caplog: pytest.LogCaptureFixture) -> None:
    """The run is judged with the other re-run."""
    first = nights.run(factors={P95: 1.6})
    gone, left = nights.again(first, 1.6, 1.6)
    nights.store.runs_by_uri[gone.uri].clear()
    records = nights.judge.records([first.uri], versions={})
    assert list(records) == [first.uri, left.uri]
    assert (records[first.uri].verdict, records[first.uri].reruns) == (Verdict.REGRESSION, ("again-1",))
    assert "run not judged: there is no run" in caplog.text


def test_a_finished_re_run_cannot_be_judged_again(nights: Nights) -> None:
    """Its record has the common verdict, which a new judgement could contradict."""
    first = nights.run(factors={P95: 1.6})
    _, finished = nights.again(first, 1.6, 1.6)
    finished.record.write(run_record())
    with pytest.raises(StoreError, match="is finished; its record never changes"):
        nights.judge.records([first.uri], versions={})


def test_a_re_run_of_another_version_is_invalid(nights: Nights) -> None:
    """There was a deployment in between, and no median over two versions."""
    first = nights.run(factors={P95: 1.6})
    first.deployed.write(Deployed(before="2.4.0", after="2.4.0"))
    for rerun in nights.again(first, 1.0, 1.0):
        rerun.deployed.write(Deployed(before="2.4.1", after="2.4.1"))
    first_record, *others = nights.judge.records([first.uri], versions={}).values()
    assert {record.verdict for record in others} == {Verdict.INVALID}
    assert first_record.judged == {}
    assert others[0].reasons == (
        "the service was deployed since run first, which this run repeats: 2.4.0 then, 2.4.1 now",
    )


def test_the_reason_says_why_there_was_no_re_run(nights: Nights) -> None:
    """The decision is stored with the run."""
    first = nights.run(factors={P95: 1.2})
    first.reruns.write(Reruns(refused="at most 4 services per night may be re-run"))
    record = nights.record(first.uri)
    assert record.verdict is Verdict.PASS
    assert "; suspicious, not re-run: at most 4 services per night may be re-run (t = " in record.reasons[0]


def test_a_run_whose_re_runs_were_not_planned_is_judged_alone(nights: Nights) -> None:
    """No re-run follows the comparison, so +60 % must not stay a suspicion; a single run only warns."""
    record = nights.record(nights.run(factors={P95: 1.6}).uri)
    assert record.verdict is Verdict.REGRESSION
    assert record.deviations[0].severity is Severity.WARNING
    assert "; suspicious, not re-run: its re-runs were not planned (t = " in record.reasons[0]


def test_the_hard_limits_are_those_of_the_service(nights: Nights) -> None:
    """+30 % is a warning, above 450 ms it is critical; the same if the run is judged again."""
    limits = (HardLimit(metric=P95, value=0.45),)
    judge = replace(nights.judge, limits_of={SERVICE: limits}.__getitem__)
    nights.baselines.baselines.entries = {SERVICE: {SCENARIO: baseline_of(9)}}
    first = nights.run(factors={P95: 1.3})
    nights.again(first, 1.3, 1.3)
    assert nights.record(first.uri).deviations[0].severity is Severity.WARNING
    record = judge.records([first.uri], versions={})[first.uri]
    assert (record.verdict, record.deviations[0].severity) == (Verdict.OVER_LIMIT, Severity.CRITICAL)
    assert record.limits == {P95: 0.45}
    beyond = "Latency p95 is 520 ms, above its limit of 450 ms (confirmed by the median of 3 runs)"
    assert record.reasons[0] == beyond
    first.record.write(record)
    assert judge.judge_again(first.uri).verdict is Verdict.OVER_LIMIT


def test_a_run_beyond_a_limit_is_re_run_before_it_counts(nights: Nights) -> None:
    """Without a baseline, too: 8 % of failures in one run of three are a note, not a verdict."""
    nights.baselines.baselines.entries = {}
    first = nights.run(factors={"error_rate": 80})  # of 0.1 %
    assert nights.judge.suspicions([first.uri]) == {first.uri: pytest.approx(0.08 / 0.05)}
    nights.again(first, 1.0, 1.0)
    record = nights.record(first.uri)
    assert (record.verdict, record.exceeded) == (Verdict.NO_BASELINE, ())
    assert record.reasons[-1].startswith("Error rate was beyond its limit in 1 of 3 runs (")


# A service that does not survive


REFUSED = UnreachableService(count=434, kind="connection refused", refused_share=0.4, since_s=9)


def killed(files: StageFiles) -> StageFiles:
    """Let the service of a run refuse connections; Prometheus misses its scrapes."""
    load, server = files.load.read(), files.server.read()
    assert load is not None
    assert server is not None
    files.load.write(replace(load, unreachable=REFUSED))
    files.server.write(replace(server, problem="Prometheus has no scrape of orders-service in the last 2 s"))
    return files


def test_a_service_that_dies_is_a_finding_about_the_service(nights: Nights) -> None:
    """Not INVALID: the missing scrapes follow from it. Its re-runs could not start, so the single run is critical."""
    first = killed(nights.run())
    assert nights.judge.suspicions([first.uri]) == {first.uri: 0.0}
    first.reruns.write(Reruns(refused="the target is down"))
    record = nights.record(first.uri)
    assert (record.verdict, record.validity, record.deviations) == (Verdict.OVER_LIMIT, (), ())
    assert record.collapse is not None
    assert record.collapse.severity is Severity.CRITICAL
    assert record.reasons[0].startswith(
        "the service could not be reached from 06:30:09 UTC on (434 requests, mostly connection refused) ("
    )
    assert record.reasons[0].endswith("(a single run, not re-run: the target is down)")
    assert night_of(record) is None
    assert record.is_failing


def test_a_service_that_dies_once_in_three_runs_is_a_warning(nights: Nights) -> None:
    """It is a fact, but not one that repeats."""
    first = killed(nights.run())
    again = nights.again(first, 1.0, 1.0)
    record = nights.record(first.uri)
    assert record.collapse is not None
    assert (record.collapse.severity, record.collapse.evidence) == (Severity.WARNING, "in 1 of 3 runs")
    killed(again[0])
    records = nights.judge.records([first.uri], versions={})
    assert (collapse := records[first.uri].collapse) is not None
    assert (collapse.severity, collapse.evidence) == (Severity.CRITICAL, "in 2 of 3 runs")
    assert [record.collapse is not None for record in records.values()] == [True, True, False]
    assert {record.verdict for record in records.values()} == {Verdict.OVER_LIMIT}


# A baseline that cannot be used


def odd(nights: Nights, scenario: str = SCENARIO) -> str:
    """Replace a baseline by an odd entry, and return its problem."""
    entries = nights.baselines.baselines
    entries.entries.get(SERVICE, {}).pop(scenario, None)
    entry = OddEntry(values=({"version": 3},), where="b.json", problems=("it is odd",))
    entries.odd.cells[CellName(SERVICE, scenario)] = entry
    return entry.problem


def test_a_run_is_not_comparable_with_a_baseline_that_cannot_be_used(nights: Nights) -> None:
    """It is neither a first run nor a pass; the reason has the problem and both remedies."""
    problem = odd(nights)
    first = nights.run(factors={P95: 3.0})
    record = nights.record(first.uri)
    assert (record.verdict, record.baseline) == (Verdict.NOT_COMPARABLE, None)
    command = f"python -m include.perf baselines promote {record.run_id} --force --reason '…'"
    assert record.reasons == (f"its baseline cannot be used: {problem}, or make this run the baseline: {command}",)
    assert nights.judge.suspicions([first.uri]) == {}
    first.record.write(record)
    assert nights.judge.judge_again(first.uri).reasons == record.reasons


def test_the_other_cells_are_judged_beside_an_odd_baseline(nights: Nights) -> None:
    """A regression of another cell of the same service is found."""
    odd(nights, "calm")
    first = nights.run(factors={P95: 1.6})
    nights.again(first, 1.6, 1.6)
    assert nights.record(first.uri).verdict is Verdict.REGRESSION


# Other cells


def test_other_scenarios_of_the_service_count(nights: Nights) -> None:
    """Two other scenarios were 8 % slower last night, like this one tonight: the service is slower."""
    entries = nights.baselines.baselines.entries[SERVICE]
    for name in ("calm", "storm"):
        entries[name] = baseline_of()
        nights.finished(10, {P95: 1.08}, scenario=name, started_at=day(9.9))
    record = nights.record(nights.run(factors={P95: 1.08}).uri)
    assert (record.verdict, record.deviations[0].cause.value) == (Verdict.REGRESSION, "service")


def test_a_platform_change_is_reported_once_per_channel(nights: Nights) -> None:
    """Five services are 20 % slower, one 90 %: the first reports it for those without another regression."""
    entries = nights.baselines.baselines.entries
    runs = []
    for name, factor in (("a", 1.2), ("b", 1.2), ("c", 1.9), ("d", 1.2), ("e", 1.2), ("f", 1.2)):
        entries[name] = {SCENARIO: baseline_of()}
        first = nights.run(name, {P95: factor}, service=name)
        nights.again(first, factor, factor, service=name) if factor > 1.5 else None
        runs.append(first)
    records = nights.judge.records([run.uri for run in runs], versions={})
    reported_by = {record.run_id: record.reported_by for record in records.values() if record.rerun_of is None}
    assert reported_by == {"a": None, "b": "a", "c": None, "d": "a", "e": "a", "f": "a"}
    apart = nights.judge.records([run.uri for run in runs], versions={}, channel_of=lambda name: str(name in "ab"))
    reported_by = {record.run_id: record.reported_by for record in apart.values() if record.rerun_of is None}
    assert reported_by == {"a": None, "b": "a", "c": None, "d": None, "e": "d", "f": "d"}  # once per channel


# A finished run, judged again


def test_a_finished_run_is_judged_against_the_current_baseline(nights: Nights) -> None:
    """Its record is older than the baseline; nothing is written."""
    uri = nights.finished(10, verdict=Verdict.NO_BASELINE)
    before = dict(nights.store.runs_by_uri[uri])
    assert nights.judge.judge_again(uri).verdict is Verdict.PASS
    assert nights.store.runs_by_uri[uri] == before
    nights.baselines.baselines.entries = {}
    assert nights.judge.judge_again(uri).verdict is Verdict.NO_BASELINE


def test_a_finished_run_cannot_be_re_run(nights: Nights) -> None:
    """A suspicion is not confirmed."""
    slow = nights.judge.judge_again(nights.finished(10, {P95: 1.2}))
    assert slow.verdict is Verdict.PASS
    assert "; suspicious, not re-run: the run is already finished (t = " in slow.reasons[0]


def test_a_large_change_of_a_finished_run_is_a_warning(nights: Nights) -> None:
    """+60 % in a single run."""
    slower = nights.judge.judge_again(nights.finished(10, {P95: 1.6}))
    assert [deviation.severity for deviation in slower.deviations] == [Severity.WARNING]


def test_a_finished_run_is_judged_with_its_re_runs(nights: Nights) -> None:
    """The median is judged, without invalid re-runs."""
    for number, factor, verdict in ((1, 1.5, Verdict.PASS), (2, 1.6, Verdict.PASS), (3, 9.0, Verdict.INVALID)):
        metrics = metric_values(**(BASELINE_VALUES | {P95: 0.4 * factor}))
        nights.finished(10, run_id=f"again-{number}", metrics=metrics, verdict=verdict, rerun_of="first")
    first = nights.finished(10, {P95: 1.2}, run_id="first", reruns=("again-1", "again-2", "again-3"))
    result = nights.judge.judge_again(first)
    assert (result.verdict, result.judged[P95]) == (Verdict.REGRESSION, pytest.approx(0.6))


def test_a_finished_run_whose_re_runs_were_deleted(nights: Nights) -> None:
    """A large change is a warning, as without re-runs."""
    slower = nights.judge.judge_again(nights.finished(10, {P95: 1.6}, reruns=("again-1", "again-2")))
    assert [deviation.severity for deviation in slower.deviations] == [Severity.WARNING]


@pytest.mark.parametrize("verdict", [Verdict.INVALID, Verdict.SKIPPED])
def test_a_finished_run_without_figures_keeps_its_verdict(nights: Nights, verdict: Verdict) -> None:
    """Nothing can be compared."""
    result = nights.judge.judge_again(nights.finished(10, verdict=verdict, reasons=("the load ended early",)))
    assert (result.verdict, result.reasons) == (verdict, ("the load ended early",))


def test_later_nights_of_other_scenarios_do_not_count(nights: Nights) -> None:
    """They became 8 % slower five days after the run."""
    uri = nights.finished(10, {P95: 1.08})
    for name in ("calm", "storm"):
        nights.baselines.baselines.entries[SERVICE][name] = baseline_of()
        nights.finished(15, {P95: 1.08}, scenario=name)
    nights.clock.now = day(16)
    assert nights.judge.judge_again(uri).verdict is Verdict.PASS


def test_earlier_nights_of_other_scenarios_count(nights: Nights) -> None:
    """They were equally slow the night before, even if that is long ago."""
    uri = nights.finished(10, {P95: 1.08})
    for name in ("calm", "storm"):
        nights.baselines.baselines.entries[SERVICE][name] = baseline_of()
        nights.finished(10, {P95: 1.08}, scenario=name, started_at=day(9.9))
    nights.clock.now = day(40)
    assert nights.judge.judge_again(uri).verdict is Verdict.REGRESSION


def test_later_nights_do_not_count(nights: Nights) -> None:
    """Only nights before the run are in its history."""
    uri = nights.finished(10)
    for number in range(11, 15):
        nights.finished(number, {P95: 2.0})
    assert nights.judge.judge_again(uri).nights == 10


def test_an_unfinished_run_cannot_be_judged_again(nights: Nights) -> None:
    """It has no record."""
    with pytest.raises(StoreError, match=r"is not finished: it has no run\.json$"):
        nights.judge.judge_again(nights.run().uri)


def test_shifts_of_the_record_have_intervals(nights: Nights) -> None:
    """Every shift from statistics, for a pass too."""
    record = nights.record(nights.run().uri)
    assert set(record.shifts) == set(BASELINE_VALUES)
    for name, shift in record.shifts.items():
        assert isinstance(shift, Shift)
        assert None not in (shift.low, shift.high, shift.absolute_low, shift.absolute_high), name


def test_a_run_whose_cell_cannot_be_listed_does_not_affect_the_others(
    nights: Nights, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without its history it gets no verdict; the other run is judged."""
    good, odd = nights.run("good"), nights.run("odd", service="odd-service")
    latest = nights.store.latest

    def refused(*, service: str, scenario: str, **options: Any) -> Iterator[str]:
        if service == "odd-service":
            raise ItemError("cannot read odd-service: Permission denied")
        return latest(service=service, scenario=scenario, **options)

    monkeypatch.setattr(nights.store, "latest", refused)
    assert list(nights.judge.records([good.uri, odd.uri], versions={})) == [good.uri]
    assert "run not judged: cannot read odd-service: Permission denied" in caplog.text


def test_a_run_that_cannot_be_read_does_not_affect_the_others(platform: Platform) -> None:
    """Its stage file is damaged; the other service is judged."""
    first, second = platform.loaded(), platform.loaded()
    for uri in (first, second):
        platform.run_stages.scrape(uri)
    platform.store.runs_by_uri[first]["stage-load.json"] = b"{"
    assert platform.night_stages.compare([first, second]) == {second: Verdict.NO_BASELINE}

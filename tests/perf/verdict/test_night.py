"""The judge of a night: what it reads from the store, whose verdict is whose, and what a re-run tells."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from include.perf.model.errors import BaselineError, StoreError
from include.perf.model.metric import METRICS
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
    """A store and baselines with a history of ten nights, and the judge over them on the eleventh."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.baselines = MemoryBaselines()
        self.clock = FixedClock(day(TONIGHT) + timedelta(hours=1))
        self.baselines.baselines.entries = {SERVICE: {SCENARIO: baseline_of()}}

    @property
    def judge(self) -> Judge:
        """The judge on what is there now."""
        return Judge(store=self.store, baselines=self.baselines, clock=self.clock)

    def record(self, uri: str) -> RunRecord:
        """Return the record that the judge makes of one run."""
        return self.judge.records([uri], versions={})[uri]

    def finished(self, number: int, factors: Mapping[str, float] | None = None, **changes: Any) -> str:
        """Put a finished run of a day into the store."""
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
        """Put a run of tonight into the store that only waits for its verdict."""
        values = {name: level * (factors or {}).get(name, 1.0) for name, level in BASELINE_VALUES.items()}
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
        """Put re-runs of a run into the store, p95 times a factor each."""
        made = [
            self.run(f"again-{number}", {P95: factor}, rerun_of=first.read_spec().run_id, **spec)
            for number, factor in enumerate(factors)
        ]
        first.reruns.write(Reruns(uris=tuple(each.uri for each in made)))
        return made


@pytest.fixture
def nights() -> Nights:
    """Ten nights, and the judge."""
    return Nights()


# Suspicions


def test_the_most_suspicious_comes_first(nights: Nights) -> None:
    """Those that do not look suspicious are left out."""
    runs = {name: nights.run(name, {P95: factor}) for name, factor in (("a", 1.3), ("b", 1.0), ("c", 1.9))}
    assert list(nights.judge.suspicions([each.uri for each in runs.values()])) == [runs["c"].uri, runs["a"].uri]


def test_what_cannot_be_judged_is_not_suspicious(nights: Nights) -> None:
    """Neither a skipped run nor one of which no baseline can be read."""
    skipped, slow = nights.run("a", {P95: 2.0}), nights.run("b", {P95: 2.0})
    skipped.end.write(HALTED)
    assert list(nights.judge.suspicions([skipped.uri, slow.uri])) == [slow.uri]
    nights.baselines.problem = BaselineError("b.json is broken")
    assert nights.judge.suspicions([skipped.uri, slow.uri]) == {}


def test_no_runs_at_all(nights: Nights) -> None:
    """An empty night is none."""
    assert nights.judge.suspicions([]) == {}
    assert nights.judge.records([], versions={}) == {}


# The verdicts of a night


def test_each_run_has_its_own_verdict(nights: Nights) -> None:
    """However far each of them came."""
    fine, skipped, killed = nights.run("a"), nights.run("b"), planned(nights.store, run_id="c")
    skipped.end.write(HALTED)
    records = nights.judge.records([fine.uri, skipped.uri, killed.uri], versions={"python": "3.11"})
    assert [each.verdict for each in records.values()] == [Verdict.PASS, Verdict.SKIPPED, Verdict.INVALID]
    assert list(records) == [fine.uri, skipped.uri, killed.uri]
    assert {each.provenance.versions["python"] for each in records.values()} == {"3.11"}


def test_a_run_is_held_to_the_nights_since_the_baseline(nights: Nights) -> None:
    """Its ten runs, and two since that passed; the reference says so."""
    for number, verdict in ((10, Verdict.PASS), (11, Verdict.REGRESSION), (12, Verdict.PASS)):
        nights.finished(number - 3, run_id=f"since-{number}", verdict=verdict, started_at=day(9.1 + number / 100))
    record = nights.record(nights.run().uri)
    assert record.baseline is not None
    assert (record.verdict, record.baseline.nights, record.baseline.since) == (Verdict.PASS, 12, day(0))
    assert record.baseline.runs == 10


def test_re_runs_are_no_nights_and_neither_is_what_came_later(nights: Nights) -> None:
    """Only first runs before tonight are its past."""
    nights.finished(9, run_id="x", started_at=day(9.2), rerun_of="day-9")
    nights.finished(9, run_id="y", started_at=day(10.01))
    nights.finished(9, run_id="z", started_at=day(9.3), verdict=Verdict.INVALID)
    record = nights.record(nights.run().uri)
    assert record.baseline is not None
    assert record.baseline.nights == 10


def test_a_record_that_cannot_be_read_is_told_and_left_out(nights: Nights, caplog: pytest.LogCaptureFixture) -> None:
    """One damaged file does not end the judging of all nights to come."""
    uri = nights.finished(9, run_id="x", started_at=day(9.2))
    nights.store.write(uri, "run.json", b"{")
    with caplog.at_level(logging.WARNING):
        assert nights.record(nights.run().uri).verdict is Verdict.PASS
    assert "left out of the history: " in caplog.text


def test_baselines_that_cannot_be_read_make_every_run_invalid(nights: Nights) -> None:
    """The figures are kept."""
    nights.baselines.problem = BaselineError("b.json is broken")
    record = nights.record(nights.run().uri)
    assert (record.verdict, record.validity) == (
        Verdict.INVALID,
        ("the baselines could not be read: b.json is broken",),
    )
    assert record.metrics[P95].value == 0.4


def test_the_version_is_in_record_and_reason(nights: Nights) -> None:
    """Tonight's against that of the last night."""
    nights.finished(9, run_id="x", started_at=day(9.2), deploy_version="2.4.0")
    first = nights.run(factors={P95: 1.5})
    for each in (first, *nights.again(first, 1.5, 1.5)):
        each.deployed.write(Deployed(before="2.4.1", after="2.4.1"))
    record = nights.record(first.uri)
    assert record.deploy_version == "2.4.1"
    assert record.reasons[0].endswith("; first seen with version 2.4.1 (previous version 2.4.0)")


# Re-runs


def test_re_runs_share_the_verdict(nights: Nights) -> None:
    """The first run has the deviations and the medians; each re-run says whose verdict it tells."""
    first = nights.run(factors={P95: 1.30})
    reruns = nights.again(first, 1.25, 1.50)
    records = nights.judge.records([first.uri], versions={})
    assert list(records) == [first.uri, *(each.uri for each in reruns)]
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
    """All three are passes, and later nights see the median."""
    first = nights.run(factors={P95: 1.6})
    nights.again(first, 1.0, 1.02)
    records = nights.judge.records([first.uri], versions={})
    assert {each.verdict for each in records.values()} == {Verdict.PASS}
    assert records[first.uri].judged[P95] == pytest.approx(0.408)


def test_an_invalid_re_run_is_left_out(nights: Nights) -> None:
    """Of the two that are left the better counts; the invalid one keeps its own reason."""
    first = nights.run(factors={P95: 1.6})
    bad, _ = nights.again(first, 1.6, 1.0)
    bad.end.write(HALTED)
    records = nights.judge.records([first.uri], versions={})
    assert [each.verdict for each in records.values()] == [Verdict.PASS, Verdict.SKIPPED, Verdict.PASS]
    assert records[bad.uri].reasons == ("load is halted",)
    assert records[first.uri].reruns == ("again-0", "again-1")


def test_without_any_valid_re_run_one_run_decides(nights: Nights) -> None:
    """As if there had been no time for them: far off is told as a warning, with that reason."""
    first = nights.run(factors={P95: 1.6})
    for each in nights.again(first, 1.0, 1.0):
        each.end.write(HALTED)
    record = nights.record(first.uri)
    assert (record.verdict, record.deviations[0].severity) == (Verdict.REGRESSION, Severity.WARNING)
    assert "suspicious, not re-run: none of the 2 re-runs is valid" in record.reasons[0]


def test_a_re_run_that_is_gone_is_left_out(nights: Nights, caplog: pytest.LogCaptureFixture) -> None:
    """Somebody tidied up the store: the run is judged with the other one."""
    first = nights.run(factors={P95: 1.6})
    gone, left = nights.again(first, 1.6, 1.6)
    nights.store.runs_by_uri[gone.uri].clear()
    records = nights.judge.records([first.uri], versions={})
    assert list(records) == [first.uri, left.uri]
    assert (records[first.uri].verdict, records[first.uri].reruns) == (Verdict.REGRESSION, ("again-1",))
    assert "run not judged: there is no run" in caplog.text


def test_a_run_is_not_judged_again_without_its_finished_re_runs(nights: Nights) -> None:
    """Their records say what the three came to; of one alone it could be something else."""
    first = nights.run(factors={P95: 1.6})
    _, finished = nights.again(first, 1.6, 1.6)
    finished.record.write(run_record())
    with pytest.raises(StoreError, match="is finished; its record never changes"):
        nights.judge.records([first.uri], versions={})


def test_a_re_run_of_another_version_is_invalid(nights: Nights) -> None:
    """It was deployed in between: not one median over two versions."""
    first = nights.run(factors={P95: 1.6})
    first.deployed.write(Deployed(before="2.4.0", after="2.4.0"))
    for each in nights.again(first, 1.0, 1.0):
        each.deployed.write(Deployed(before="2.4.1", after="2.4.1"))
    first_record, *others = nights.judge.records([first.uri], versions={}).values()
    assert {each.verdict for each in others} == {Verdict.INVALID}
    assert first_record.judged == {}
    assert others[0].reasons == (
        "the service was deployed since run first, which this run repeats: 2.4.0 then, 2.4.1 now",
    )


def test_why_there_were_no_re_runs_is_in_the_reason(nights: Nights) -> None:
    """The decision was kept with the run."""
    first = nights.run(factors={P95: 1.2})
    first.reruns.write(Reruns(refused="at most 4 services a night may be run again"))
    record = nights.record(first.uri)
    assert record.verdict is Verdict.PASS
    assert "; suspicious, not re-run: at most 4 services a night may be run again (t = " in record.reasons[0]


def test_a_hard_limit_is_that_of_the_runs_service(nights: Nights) -> None:
    """Tonight and judged again: 24 % more is a warning, and beyond 450 ms it is critical."""
    judge = replace(nights.judge, hard_limits_of={SERVICE: {P95: 0.45}}.__getitem__)
    nights.baselines.baselines.entries = {SERVICE: {SCENARIO: baseline_of(9)}}
    first = nights.run(factors={P95: 1.3})
    nights.again(first, 1.3, 1.3)
    assert nights.record(first.uri).deviations[0].severity is Severity.WARNING
    record = judge.records([first.uri], versions={})[first.uri]
    assert record.deviations[0].severity is Severity.CRITICAL
    first.record.write(record)
    assert "Latency p95 520 ms exceeds the hard limit of 450 ms" in judge.judge_again(first.uri).reasons


# Other cells


def test_other_scenarios_of_the_service_have_their_say(nights: Nights) -> None:
    """Two other scenarios were 8 % slower last night as this one is tonight: the service is slower."""
    entries = nights.baselines.baselines.entries[SERVICE]
    for name in ("calm", "storm"):
        entries[name] = baseline_of()
        nights.finished(10, {P95: 1.08}, scenario=name, started_at=day(9.5))
    record = nights.record(nights.run(factors={P95: 1.08}).uri)
    assert (record.verdict, record.deviations[0].cause.value) == (Verdict.REGRESSION, "service")


def test_of_runs_that_moved_with_the_platform_one_speaks(nights: Nights) -> None:
    """Five services are 20 % slower alike, one of them 90 %: the first tells it for those that show nothing else."""
    entries = nights.baselines.baselines.entries
    runs = []
    for name, factor in (("a", 1.2), ("b", 1.2), ("c", 1.9), ("d", 1.2), ("e", 1.2), ("f", 1.2)):
        entries[name] = {SCENARIO: baseline_of()}
        first = nights.run(name, {P95: factor}, service=name)
        nights.again(first, factor, factor, service=name) if factor > 1.5 else None
        runs.append(first)
    records = nights.judge.records([each.uri for each in runs], versions={})
    reported_by = {each.run_id: each.reported_by for each in records.values() if each.rerun_of is None}
    assert reported_by == {"a": None, "b": "a", "c": None, "d": "a", "e": "a", "f": "a"}
    apart = nights.judge.records([each.uri for each in runs], versions={}, channel_of=lambda name: str(name in "ab"))
    reported_by = {each.run_id: each.reported_by for each in apart.values() if each.rerun_of is None}
    assert reported_by == {"a": None, "b": "a", "c": None, "d": None, "e": "d", "f": "d"}  # each channel hears it once


# A finished run, judged again


def test_a_finished_run_is_judged_against_the_baseline_as_it_is_now(nights: Nights) -> None:
    """Recorded before there was one; nothing is written."""
    uri = nights.finished(10, verdict=Verdict.NO_BASELINE)
    before = dict(nights.store.runs_by_uri[uri])
    assert nights.judge.judge_again(uri).verdict is Verdict.PASS
    assert nights.store.runs_by_uri[uri] == before
    nights.baselines.baselines.entries = {}
    assert nights.judge.judge_again(uri).verdict is Verdict.NO_BASELINE


def test_a_finished_run_alone_is_one_run(nights: Nights) -> None:
    """Nobody can run it again after the fact: a suspicion stays one."""
    slow = nights.judge.judge_again(nights.finished(10, {P95: 1.2}))
    assert slow.verdict is Verdict.PASS
    assert "; suspicious, not re-run: the run is already finished (t = " in slow.reasons[0]


def test_a_finished_run_alone_that_is_far_off_is_a_warning(nights: Nights) -> None:
    """+60 % in one run is told, and wakes nobody."""
    slower = nights.judge.judge_again(nights.finished(10, {P95: 1.6}))
    assert [each.severity for each in slower.deviations] == [Severity.WARNING]


def test_a_finished_run_is_judged_with_its_re_runs(nights: Nights) -> None:
    """Their median, invalid ones left out."""
    for number, factor, verdict in ((1, 1.5, Verdict.PASS), (2, 1.6, Verdict.PASS), (3, 9.0, Verdict.INVALID)):
        metrics = metric_values(**(BASELINE_VALUES | {P95: 0.4 * factor}))
        nights.finished(10, run_id=f"again-{number}", metrics=metrics, verdict=verdict, rerun_of="first")
    first = nights.finished(10, {P95: 1.2}, run_id="first", reruns=("again-1", "again-2", "again-3"))
    result = nights.judge.judge_again(first)
    assert (result.verdict, result.judged[P95]) == (Verdict.REGRESSION, pytest.approx(0.6))


def test_a_finished_run_whose_re_runs_are_gone_is_one_run(nights: Nights) -> None:
    """Far off it is told as a warning, as if there had been none."""
    slower = nights.judge.judge_again(nights.finished(10, {P95: 1.6}, reruns=("again-1", "again-2")))
    assert [each.severity for each in slower.deviations] == [Severity.WARNING]


@pytest.mark.parametrize("verdict", [Verdict.INVALID, Verdict.SKIPPED])
def test_a_finished_run_that_was_not_measured_stays_so(nights: Nights, verdict: Verdict) -> None:
    """There is nothing to compare."""
    result = nights.judge.judge_again(nights.finished(10, verdict=verdict, reasons=("the load ended early",)))
    assert (result.verdict, result.reasons) == (verdict, ("the load ended early",))


def test_a_finished_run_knows_nothing_of_later_nights_of_other_scenarios(nights: Nights) -> None:
    """They became 8 % slower 5 days after it, and are nothing that its own 8 % could be seen with."""
    uri = nights.finished(10, {P95: 1.08})
    for name in ("calm", "storm"):
        nights.baselines.baselines.entries[SERVICE][name] = baseline_of()
        nights.finished(15, {P95: 1.08}, scenario=name)
    nights.clock.now = day(16)
    assert nights.judge.judge_again(uri).verdict is Verdict.PASS


def test_a_finished_run_knows_the_other_scenarios_of_its_time(nights: Nights) -> None:
    """They were as slow in the night before it, however long ago that is now."""
    uri = nights.finished(10, {P95: 1.08})
    for name in ("calm", "storm"):
        nights.baselines.baselines.entries[SERVICE][name] = baseline_of()
        nights.finished(10, {P95: 1.08}, scenario=name, started_at=day(9.5))
    nights.clock.now = day(40)
    assert nights.judge.judge_again(uri).verdict is Verdict.REGRESSION


def test_a_finished_run_knows_nothing_of_later_nights(nights: Nights) -> None:
    """What was measured after it is not its past."""
    uri = nights.finished(10)
    for number in range(11, 15):
        nights.finished(number, {P95: 2.0})
    assert nights.judge.judge_again(uri).nights == 10


def test_an_unfinished_run_cannot_be_judged_again(nights: Nights) -> None:
    """It has no record."""
    with pytest.raises(StoreError, match=r"is not finished: it has no run\.json$"):
        nights.judge.judge_again(nights.run().uri)


def test_shifts_of_the_record_have_intervals(nights: Nights) -> None:
    """Where the statistics decided, also for a pass."""
    record = nights.record(nights.run().uri)
    assert set(record.shifts) == set(BASELINE_VALUES)
    for name, shift in record.shifts.items():
        assert isinstance(shift, Shift)
        assert None not in (shift.low, shift.high, shift.absolute_low, shift.absolute_high), name


def test_a_run_that_cannot_be_read_keeps_no_other_from_its_verdict(platform: Platform) -> None:
    """Its stage file is damaged: the other service is judged, and the log says which was left out."""
    first, second = platform.loaded(), platform.loaded()
    for uri in (first, second):
        platform.run_stages.scrape(uri)
    platform.store.runs_by_uri[first]["stage-load.json"] = b"{"
    assert platform.night_stages.compare([first, second]) == {second: Verdict.NO_BASELINE}

"""Re-runs: which runs get them, what they are, and how they are judged and reported with their run."""

import logging
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from include.perf.catalogue.scenario.schedule import Deadline
from include.perf.load.generator import LoadOrder, LoadWatch
from include.perf.model.errors import LoadError, StoreError
from include.perf.model.text import counted, utc_time
from include.perf.pipeline.pipeline import measure as measure_run
from include.perf.pipeline.planning.request import RunRequest
from include.perf.pipeline.planning.time_plan import in_turn, refusal, reruns_of
from include.perf.runs.record import Severity, Verdict
from include.perf.runs.spec import RunSpec
from include.perf.runs.stage_files import FingerprintParts, Reruns, StageFiles
from tests.fakes.clock import START
from tests.fakes.failing import raising
from tests.fakes.generator import FakeGenerator
from tests.fakes.small_catalogue import small_scenario, small_service
from tests.fakes.small_platform import Platform
from tests.stages import SPEC

NIGHTLY = {"cron": "30 6 * * *", "timezone": "UTC"}


@dataclass(slots=True, kw_only=True)
class Varying(FakeGenerator):
    """Uses one latency per load, and the last one for all further loads; an error is raised instead of a load.

    Attributes:
        turns: of the loads to come.
    """

    turns: list[float | Exception] = field(default_factory=list)

    def run(self, order: LoadOrder, *, watch: LoadWatch) -> None:
        """Send the next load."""
        turn = self.turns.pop(0) if len(self.turns) > 1 else self.turns[0]
        if isinstance(turn, Exception):
            self.loads.append(order.load)
            raise turn
        self.latency_s = turn
        FakeGenerator.run(self, order, watch=watch)


def varying(platform: Platform, *turns: float | Exception) -> Varying:
    """Record a baseline at 40 ms, then set the latencies of the next loads."""
    platform.with_baseline()
    made = Varying(clock=platform.clock, turns=list(turns))
    platform.generator = made
    return made


def with_scenario(platform: Platform, *services: str, **changes: Any) -> None:
    """Change the scenario, and add services."""
    scenario = small_scenario(**changes)
    more = {name: small_service(name=name) for name in services}
    platform.catalogue = replace(
        platform.catalogue, scenarios={scenario.name: scenario}, services=platform.catalogue.services | more
    )


def measured(platform: Platform, **request: Any) -> list[str]:
    """Plan runs and execute them up to the scrape; return their URIs."""
    uris = platform.night_stages.plan(RunRequest(scenario="brief", **request))
    for uri in uris:
        measure(platform, uri)
    return uris


def measure(platform: Platform, uri: str) -> None:
    stages = platform.run_stages
    for stage in (stages.stage_data, stages.preflight, stages.run_load, stages.scrape):
        stage(uri)


def spec_of(platform: Platform, uri: str) -> RunSpec:
    return StageFiles(platform.store, uri).read_spec()


# Which run gets them


LENGTH = timedelta(seconds=75)  # the two of one service take 150 s, and those of a second one as long again
SEVEN = START.replace(hour=7, minute=0)
UNTIL_SEVEN = replace(SPEC, deadline=Deadline(at=SEVEN, occasion="its schedule ends at 07:00 UTC"))
ONE = timedelta(seconds=150)


def too_late(needed: str, now: datetime) -> str:
    return f"its re-runs would take {needed} from {utc_time(now)}, and must be over by 2026-03-02 07:00:00 UTC"


@pytest.mark.parametrize(
    ("ahead", "parallel", "needed", "rounds"),
    [
        (0, 1, "150 s", 1),
        (1, 1, "5 min", 2),  # one service before it: 2 × 150 s
        (3, 1, "10 min", 4),
        (0, 4, "150 s", 1),
        (3, 4, "150 s", 1),  # three before it, all four side by side
        (3, 3, "5 min", 2),  # three side by side, and it comes after them
        (5, 2, "450 s", 3),
    ],
)
def test_re_runs_must_end_before_the_deadline(ahead: int, parallel: int, needed: str, rounds: int) -> None:
    """Re-runs that come first count, in parallel if allowed; the last possible moment is in time."""
    scenario = small_scenario(parallel=parallel, reruns=10)
    last = SEVEN - rounds * ONE
    assert refusal(UNTIL_SEVEN, scenario, length=LENGTH, ahead=ahead, now=last) is None
    later = last + timedelta(seconds=1)
    assert refusal(UNTIL_SEVEN, scenario, length=LENGTH, ahead=ahead, now=later) == too_late(needed, later)


def test_without_a_deadline_there_is_always_time() -> None:
    """The run has no deadline."""
    assert refusal(SPEC, small_scenario(), length=LENGTH, ahead=0, now=START + timedelta(days=3)) is None


@pytest.mark.parametrize(("limit", "ahead", "is_refused"), [(0, 0, True), (1, 0, False), (1, 1, True), (4, 3, False)])
def test_as_many_services_as_the_scenario_allows(limit: int, ahead: int, is_refused: bool) -> None:
    """The most suspicious services come first."""
    found = refusal(SPEC, small_scenario(reruns=limit), length=LENGTH, ahead=ahead, now=START)
    assert (found is not None) is is_refused
    assert found in (None, f"at most {counted(limit, 'service')} per night may be re-run")


def test_turned_off_re_runs_are_the_first_reason() -> None:
    """A missing deadline does not matter then."""
    spec = replace(UNTIL_SEVEN, may_rerun=False)
    assert (
        refusal(spec, small_scenario(reruns=0), length=LENGTH, ahead=0, now=SEVEN)
        == "re-runs are turned off for this run"
    )


# In which order they are done


@pytest.mark.parametrize(
    ("parallel", "order"),
    [
        (1, ["a1", "a2", "b1", "b2", "c1", "c2"]),
        (2, ["a1", "b1", "a2", "b2", "c1", "c2"]),
        (3, ["a1", "b1", "c1", "a2", "b2", "c2"]),
        (20, ["a1", "b1", "c1", "a2", "b2", "c2"]),
    ],
)
def test_the_order_of_re_runs(parallel: int, order: list[str]) -> None:
    """Services that run in parallel alternate: the second re-run of one would only wait for its first."""
    assert in_turn([("a1", "a2"), ("b1", "b2"), ("c1", "c2")], parallel=parallel) == order


def test_without_re_runs_the_order_is_empty() -> None:
    """This is the case on most nights."""
    assert in_turn([], parallel=4) == []


def test_the_specification_of_re_runs() -> None:
    """The same load, service, person and deadline; their own ids, and no baseline."""
    now = START + timedelta(minutes=9)
    first, second = reruns_of(UNTIL_SEVEN, now=now)
    assert first.run_id != second.run_id
    assert {spec.run_id[:16] for spec in (first, second)} == {"20260302T063900Z"}
    for spec in (first, second):
        same = replace(spec, run_id="r1", created_at=SPEC.created_at, rerun_of=None, update_baseline=True)
        assert same == UNTIL_SEVEN
        assert (spec.rerun_of, spec.created_at, spec.update_baseline) == ("r1", now, False)


# Planning them


def test_a_suspicious_run_gets_two_re_runs(platform: Platform) -> None:
    """80 ms instead of 40 ms; the stages then treat the re-runs like any run."""
    varying(platform, 0.08)
    (uri,) = measured(platform, update_baseline=True, reason="try")
    planned = platform.night_stages.plan_reruns([uri])
    assert len(planned) == 2
    assert StageFiles(platform.store, uri).reruns.read() == Reruns(uris=tuple(planned))
    for rerun in planned:
        spec = spec_of(platform, rerun)
        assert (spec.rerun_of, spec.load) == (uri.rpartition("/")[2], spec_of(platform, uri).load)
        assert not spec.update_baseline


def test_a_run_that_does_not_look_suspicious_gets_no_re_runs(platform: Platform) -> None:
    """Nothing is decided or planned."""
    generator = varying(platform, 0.04)
    record = platform.execute()
    assert (record.verdict, record.reruns, len(generator.loads)) == (Verdict.PASS, (), 1)


def test_planning_twice_gives_the_same_runs(platform: Platform) -> None:
    """A retry of the task creates no new folders."""
    varying(platform, 0.08)
    uris = measured(platform)
    planned = platform.night_stages.plan_reruns(uris)
    folders = set(platform.store.runs_by_uri)
    platform.clock.move(30)
    assert platform.night_stages.plan_reruns(uris) == planned
    assert set(platform.store.runs_by_uri) == folders


def test_a_refusal_stands(platform: Platform) -> None:
    """It is not decided again at a later time."""
    with_scenario(platform, schedule=NIGHTLY | {"finish_by": "06:32"})
    varying(platform, 0.08)
    uris = measured(platform, due_at=START)
    assert platform.night_stages.plan_reruns(uris) == []
    platform.clock.now = START
    with_scenario(platform)
    assert platform.night_stages.plan_reruns(uris) == []


def two_suspicious(platform: Platform, *, finish_by: str | None = None, **changes: Any) -> list[str]:
    """Measure two services that are twice and three times as slow as their baselines; return their URIs."""
    with_scenario(platform, "rates-service", **changes)
    platform.generator.latency_s = 0.04
    for uri in measured(platform, update_baseline=True, reason="first baseline"):
        platform.night_stages.compare([uri])
        platform.night_stages.report(uri)
        platform.promote(uri)
    platform.clock.move(60)
    if finish_by is not None:
        with_scenario(platform, "rates-service", schedule=NIGHTLY | {"finish_by": finish_by}, **changes)
    platform.generator = Varying(clock=platform.clock, turns=[0.08, 0.12])
    return measured(platform, due_at=START)


@pytest.mark.parametrize(
    ("parallel", "order"),
    [(1, ["rates", "rates", "orders", "orders"]), (2, ["rates", "orders", "rates", "orders"])],
)
def test_several_services_get_re_runs_in_order(platform: Platform, parallel: int, order: list[str]) -> None:
    """The most suspicious first; in parallel, each waits only for its own first re-run."""
    uris = two_suspicious(platform, parallel=parallel)
    planned = platform.night_stages.plan_reruns(uris)
    assert [uri.split("/")[2].removesuffix("-service") for uri in planned] == order
    assert len(set(planned)) == 4


# 06:30:00, two loads of 15 s and their scrapes, a minute, two loads again: it is 06:32:08
@pytest.mark.parametrize(
    ("parallel", "finish_by", "services"),
    [
        (1, "06:34", 0),  # less than 150 s are left
        (1, "06:35", 1),  # 172 s
        (2, "06:35", 2),
        (1, "06:38", 2),  # 352 s
    ],
)
def test_in_parallel_there_is_time_for_more(platform: Platform, parallel: int, finish_by: str, services: int) -> None:
    """The time for the re-runs of one service is enough for as many as run in parallel."""
    uris = two_suspicious(platform, parallel=parallel, finish_by=finish_by)
    assert START + timedelta(seconds=120) < platform.clock() < START + timedelta(seconds=140)
    assert len(platform.night_stages.plan_reruns(uris)) == 2 * services


def test_the_most_suspicious_services_get_the_re_runs(platform: Platform) -> None:
    """Of two services one may be re-run: the one that is three times as slow."""
    uris = two_suspicious(platform, reruns=1)
    planned = platform.night_stages.plan_reruns(uris)
    assert {uri.split("/")[2] for uri in planned} == {"rates-service"}
    refused = StageFiles(platform.store, uris[0]).reruns.read()
    assert refused == Reruns(refused="at most 1 service per night may be re-run")


def test_a_missing_time_for_re_runs_is_in_the_record(platform: Platform, caplog: pytest.LogCaptureFixture) -> None:
    """The night must end at half past seven, and the run ended a minute before."""
    with_scenario(platform, schedule=NIGHTLY | {"finish_by": "07:30"})
    generator = varying(platform, 0.08)
    (uri,) = measured(platform, due_at=START)
    platform.clock.now = START.replace(hour=7, minute=29)
    with caplog.at_level(logging.WARNING):
        assert platform.night_stages.plan_reruns([uri]) == []
    platform.night_stages.compare([uri])
    record = platform.night_stages.report(uri)
    why = "its re-runs would take 170 s from 2026-03-02 07:29:00 UTC, and must be over by 2026-03-02 07:30:00 UTC"
    assert f"looks suspicious: {why}" in caplog.text
    assert (record.verdict, record.reruns, len(generator.loads)) == (Verdict.REGRESSION, (), 1)
    assert {deviation.severity for deviation in record.deviations} == {Severity.WARNING}


def test_turned_off_re_runs(platform: Platform) -> None:
    """A single run decides, and only warns."""
    generator = varying(platform, 0.08)
    record = platform.execute(may_rerun=False)
    assert (record.verdict, record.reruns, len(generator.loads)) == (Verdict.REGRESSION, (), 1)
    assert {deviation.severity for deviation in record.deviations} == {Severity.WARNING}


# Judging and telling them


def test_a_confirmed_regression_and_its_re_runs(platform: Platform) -> None:
    """Three loads; the first record has medians and deviations, the others refer to it."""
    generator = varying(platform, 0.08, 0.10, 0.09)
    record = platform.execute()
    assert (record.verdict, len(record.reruns), len(generator.loads)) == (Verdict.REGRESSION, 2, 3)
    assert record.judged["latency_p50"] == pytest.approx(0.091, rel=0.02)
    assert record.metrics["latency_p50"].value == pytest.approx(0.081, rel=0.02)
    folder = f"memory://{record.service}/{record.scenario}"
    for run_id, latency_s in zip(record.reruns, (0.101, 0.091), strict=True):
        again = platform.record(f"{folder}/{run_id}")
        assert (again.verdict, again.rerun_of, again.deviations) == (Verdict.REGRESSION, record.run_id, ())
        assert again.reasons[0].startswith(f"judged together with run {record.run_id}: Latency p50 +")
        assert again.metrics["latency_p50"].value == pytest.approx(latency_s, rel=0.02)
        assert b"This is a re-run of" in platform.store.runs_by_uri[f"{folder}/{run_id}"]["report.md"]


def test_re_runs_that_do_not_confirm(platform: Platform) -> None:
    """One slow run of three was chance."""
    varying(platform, 0.12, 0.04)
    record = platform.execute()
    assert (record.verdict, len(record.reruns)) == (Verdict.PASS, 2)
    assert record.judged["latency_p50"] == pytest.approx(0.041, rel=0.02)


def test_an_invalid_re_run_is_left_out(platform: Platform) -> None:
    """The generator failed in the second; of the two others the better one counts."""
    varying(platform, 0.12, LoadError("the load generator left no record"), 0.04)
    record = platform.execute()
    verdicts = [platform.record(f"memory://orders-service/brief/{run_id}").verdict for run_id in record.reruns]
    assert (record.verdict, verdicts) == (Verdict.PASS, [Verdict.INVALID, Verdict.PASS])


def test_only_invalid_re_runs(platform: Platform) -> None:
    """A single run is left: a warning."""
    varying(platform, 0.12, LoadError("the load generator left no record"))
    record = platform.execute()
    assert (record.verdict, len(record.reruns), record.judged) == (Verdict.REGRESSION, 2, {})
    assert {deviation.severity for deviation in record.deviations} == {Severity.WARNING}


def test_a_re_run_after_the_data_changed_is_invalid(platform: Platform) -> None:
    """Its requests are different, so a median with the first run would mean nothing."""
    varying(platform, 0.12)
    (uri,) = measured(platform)
    planned = platform.night_stages.plan_reruns([uri])
    for rerun in planned:
        platform.run_stages.stage_data(rerun)
        files = StageFiles(platform.store, rerun)
        parts = files.fingerprint.read_or(FingerprintParts(parts={})).parts
        files.fingerprint.write(FingerprintParts(parts={**parts, "data": "sha256:new"}))
        for stage in (platform.run_stages.preflight, platform.run_stages.run_load, platform.run_stages.scrape):
            stage(rerun)
    verdicts = platform.night_stages.compare([uri])
    assert [verdicts[rerun] for rerun in planned] == [Verdict.INVALID] * 2


def test_the_verdicts_of_re_runs_are_among_those_of_the_night(platform: Platform) -> None:
    """By URI, the run itself first."""
    varying(platform, 0.12, 0.04)
    (uri,) = measured(platform)
    planned = platform.night_stages.plan_reruns([uri])
    assert platform.night_stages.compare([uri]) == {
        uri: Verdict.REGRESSION,  # none of the re-runs was done
        planned[0]: Verdict.INVALID,
        planned[1]: Verdict.INVALID,
    }


def test_re_runs_do_not_count_as_nights(platform: Platform) -> None:
    """The next night has one more night of history, not three."""
    generator = varying(platform, 0.12, 0.04)
    platform.clock.move(86_400)
    platform.execute()
    generator.turns = [0.04]
    platform.clock.move(86_400)
    record = platform.execute()
    assert record.baseline is not None
    assert (record.baseline.runs, record.baseline.nights) == (1, 2)


# Reports


def test_every_run_of_the_night_has_its_report(platform: Platform) -> None:
    """None of them leaves stage files."""
    varying(platform, 0.12)
    platform.execute()
    for files in platform.store.runs_by_uri.values():
        assert {"run.json", "report.md"} <= set(files)
        assert not any(name.startswith("stage-") for name in files)


def test_a_failing_report_of_a_re_run_does_not_stop_the_records(platform: Platform) -> None:
    """All three records are written; the error is raised."""
    varying(platform, 0.12)
    (uri,) = measured(platform)
    runs = [uri, *platform.night_stages.plan_reruns([uri])]
    platform.night_stages.compare([uri])
    platform.charts.problem = OSError("no font")
    with pytest.raises(OSError, match="no font"):
        platform.night_stages.report(uri)
    assert all(StageFiles(platform.store, uri).is_finished for uri in runs)


def test_a_removed_re_run_does_not_stop_the_verdict(platform: Platform) -> None:
    """Its folder was removed before the comparison; the other two runs are judged and reported."""
    varying(platform, 0.12)
    (uri,) = measured(platform)
    gone, left = platform.night_stages.plan_reruns([uri])
    measure(platform, left)
    platform.store.runs_by_uri[gone].clear()
    assert set(platform.night_stages.compare([uri])) == {uri, left}
    record = platform.night_stages.report(uri)
    assert (record.verdict, record.reruns) == (Verdict.REGRESSION, (left.rpartition("/")[2],))


def test_a_second_try_of_the_report_skips_finished_re_runs(platform: Platform) -> None:
    """The task was killed between the re-runs and the run itself."""
    varying(platform, 0.12)
    (uri,) = measured(platform)
    first, second = platform.night_stages.plan_reruns([uri])
    platform.night_stages.compare([uri])
    StageFiles(platform.store, first).record.write(StageFiles(platform.store, first).read_draft())
    assert platform.night_stages.report(uri).run_id == uri.rpartition("/")[2]
    assert StageFiles(platform.store, second).is_finished
    with pytest.raises(StoreError, match="is finished; its record never changes"):
        platform.night_stages.report(uri)


def test_the_run_itself_is_written_last(platform: Platform) -> None:
    """If its record exists, those of its re-runs exist."""
    varying(platform, 0.12)
    (uri,) = measured(platform)
    planned = platform.night_stages.plan_reruns([uri])
    platform.night_stages.compare([uri])
    seen: list[str] = []
    write = platform.store.write

    def watched(to: str, name: str, content: bytes) -> None:
        seen.extend([to] if name == "run.json" else [])
        write(to, name, content)

    platform.store.write = watched  # type: ignore[method-assign]
    platform.night_stages.report(uri)
    assert seen[-1] == uri
    assert set(seen[:-1]) == set(planned)


def test_a_halt_that_begins_after_the_night_skips_the_re_runs(platform: Platform) -> None:
    """They are skipped, and a single run decides."""
    varying(platform, 0.12)
    (uri,) = measured(platform)
    planned = platform.night_stages.plan_reruns([uri])
    platform.halt_reason = "release"
    for rerun in planned:
        measure_run(rerun, platform.run_stages, on_progress=raising(AssertionError("no load")))
    verdicts = platform.night_stages.compare([uri])
    assert [verdicts[uri] for uri in planned] == [Verdict.SKIPPED] * 2
    assert verdicts[uri] is Verdict.REGRESSION

"""The nights of a cell: which records are nights, which are reference nights, and which belong to a baseline."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from include.perf.adapters.files.folder_store import FolderStore
from include.perf.baselines import history
from include.perf.baselines.baselines import Baselines
from include.perf.baselines.entry import Approval, Baseline, contribution
from include.perf.baselines.file_format import format_baselines, parse_baselines
from include.perf.baselines.history import (
    MAX_NIGHTS,
    Night,
    comparable_nights,
    market_day,
    night_of,
    passed_since,
    read_nights,
    runs_to_promote_with,
    values_of,
)
from include.perf.model.json_files import to_json
from include.perf.model.metric import METRICS
from include.perf.runs.record import BaselineReference, Cause, RunRecord, Verdict
from include.perf.runs.results_store import RECORD_FILE
from tests.odd_items import HOSTILE_VALUES, hostile_record
from tests.records import (
    baseline_reference,
    deviation,
    exceeded_limit,
    metric_values,
    over_limit_record,
    record_of,
    regressed_record,
    run_record,
)

START = datetime(2026, 3, 2, 6, 38, tzinfo=UTC)
SERVICE, SCENARIO = "analysis-engine-service", "market_open"
OTHER = {"load": "other"}


def record(day: int, verdict: Verdict = Verdict.PASS, **changes: Any) -> RunRecord:
    """Return the run of a day; day 0 is the first."""
    return run_record(run_id=f"r{day:03}", started_at=START + timedelta(days=day), verdict=verdict, **changes)


def night(day: int, verdict: Verdict = Verdict.PASS, **changes: Any) -> Night:
    found = night_of(record(day, verdict, **changes))
    assert found is not None
    return found


def baseline_of(*days: int) -> Baseline:
    baselines = Baselines()
    for day in days:
        approval = Approval(by="ana", at=START + timedelta(days=day), reason="x", run_id="r")
        entry = baselines.promote(record(day), approval=approval)
    return entry


def ids(nights: tuple[Night, ...]) -> list[str]:
    return [night.run.run_id for night in nights]


class Results:
    """A store in a folder, with methods to fill it."""

    def __init__(self, folder: Path) -> None:
        self.store = FolderStore(str(folder))

    def add(self, *records: RunRecord) -> None:
        for made in records:
            self.add_content(made.run_id, to_json(made))

    def add_content(self, run_id: str, content: bytes | None) -> None:
        uri = self.store.create(service=SERVICE, scenario=SCENARIO, run_id=run_id)
        if content is not None:
            self.store.write(uri, RECORD_FILE, content)

    def nights(self, **options: Any) -> tuple[Night, ...]:
        return read_nights(self.store, service=SERVICE, scenario=SCENARIO, **options)


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results(tmp_path)


@pytest.mark.parametrize(
    ("verdict", "is_night", "is_reference"),
    [
        (Verdict.PASS, True, True),
        (Verdict.REGRESSION, True, False),
        (Verdict.IMPROVEMENT, True, False),
        (Verdict.NO_BASELINE, True, False),
        (Verdict.NOT_COMPARABLE, False, False),
        (Verdict.INVALID, False, False),
        (Verdict.SKIPPED, False, False),
    ],
)
def test_night_by_verdict(verdict: Verdict, is_night: bool, is_reference: bool) -> None:
    """A measured run of the same load is a night; only a run that passed is a reference night."""
    found = night_of(record_of(verdict))
    assert (found is not None) == is_night
    assert (found is not None and found.is_reference) == is_reference


SLOW = exceeded_limit(metric="latency_p99", unit=METRICS["latency_p99"].unit, value=0.9, limit=0.5)


@pytest.mark.parametrize(
    ("changes", "is_night", "is_reference"),
    [
        ({}, True, False),  # too many failures: never compared with
        ({"exceeded": (SLOW,)}, True, True),  # a promise that is broken every night is no reason to have no history
        ({"exceeded": (SLOW,), "deviations": (deviation("latency_p99", 0.9),)}, True, False),
        ({"exceeded": (SLOW,), "shifts": {}, "baseline": None}, True, False),  # no baseline yet
        ({"exceeded": (SLOW,), "shifts": {}}, False, False),  # another load
    ],
)
def test_a_night_beyond_a_limit(changes: dict[str, Any], is_night: bool, is_reference: bool) -> None:
    """It is compared with if nothing changed, and the requests did not fail."""
    fine = {"error_rate": 0.0003}
    found = night_of(over_limit_record(**({"metrics": metric_values(**fine)} | changes)))
    assert (found is not None) is is_night
    assert (found is not None and found.is_reference) is is_reference


def test_a_rerun_is_not_a_night() -> None:
    """Its figures are in the medians of the run that it repeats."""
    assert night_of(record(1, rerun_of="r000")) is None


def test_the_content_of_a_night() -> None:
    """It has the figures of its run, and the metrics that were significant over the service."""
    wide = deviation("latency_p95", 0.06, cause=Cause.SERVICE)
    own = deviation("cpu_usage", 2.6)
    doubt = deviation("memory_usage", 1e9, cause=Cause.SERVICE, is_confirmed=False)
    made = record(1, Verdict.REGRESSION, deviations=(wide, own, doubt))
    found = night_of(made)
    assert found is not None
    assert (found.run, found.fingerprint) == (contribution(made), made.fingerprint)
    assert found.service_wide == {"latency_p95"}


# the store


def test_nights_come_oldest_first(results: Results) -> None:
    """Ordered by time, without runs that are not nights."""
    results.add(record(2), record(0), record(1, Verdict.INVALID), record(3, rerun_of="r002"), record(4))
    assert ids(results.nights()) == ["r000", "r002", "r004"]


@pytest.mark.parametrize(("day", "expected"), [(0, []), (1, ["r000"]), (2, ["r000", "r001"]), (9, ["r000", "r001"])])
def test_nights_before_a_moment(results: Results, day: int, expected: list[str]) -> None:
    """Runs that started then or later are left out, so a run is not compared with itself."""
    results.add(record(0), record(1))
    assert ids(results.nights(before=START + timedelta(days=day))) == expected


def test_a_cell_without_runs(results: Results) -> None:
    """No folder, no nights."""
    assert results.nights() == ()


def test_an_unfinished_run(results: Results) -> None:
    """Without a record it is not a night."""
    results.add(record(0))
    results.add_content("r001", None)
    assert ids(results.nights()) == ["r000"]


def test_a_record_that_cannot_be_read(results: Results, caplog: pytest.LogCaptureFixture) -> None:
    """It is left out with a warning; the others count."""
    results.add(record(0), record(2))
    results.add_content("r001", b"{")
    assert ids(results.nights()) == ["r000", "r002"]
    (message,) = [logged.message for logged in caplog.records if logged.levelname == "WARNING"]
    assert message.startswith("left out: file://")
    assert "r001/run.json cannot be read: " in message


@pytest.mark.parametrize("flaw", HOSTILE_VALUES)
def test_a_record_with_a_value_outside_its_domain(results: Results, flaw: str) -> None:
    """It is no night; the others count."""
    results.add(record(0), record(2))
    odd = replace(regressed_record(), run_id="r001", service=record(0).service, scenario=record(0).scenario)
    results.add_content("r001", hostile_record(odd, flaw))
    assert ids(results.nights()) == ["r000", "r002"]


def test_an_earlier_run_finds_its_nights_before_many_later_ones(
    results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Later runs do not count towards the limit of records that are read."""
    monkeypatch.setattr(history, "MAX_READ", 2)
    results.add(*(record(day) for day in range(6)))
    assert ids(results.nights(before=START + timedelta(days=3))) == ["r001", "r002"]


def test_runs_of_another_load_replace_no_night(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person started many manual runs."""
    monkeypatch.setattr(history, "MAX_NIGHTS", 2)
    results.add(*(record(day) for day in (1, 2)), *(record(day, Verdict.NOT_COMPARABLE) for day in (3, 4, 5)))
    assert ids(results.nights()) == ["r001", "r002"]


def test_a_record_without_a_time_zone(results: Results) -> None:
    """It cannot be ordered, and is left out without an error."""
    results.add(record(1))
    results.add_content("r002", to_json(record(2)).replace(b'06:38:00Z"', b'06:38:00"'))
    assert ids(results.nights(before=START + timedelta(days=9))) == ["r001"]


def test_only_the_latest_nights_are_read(results: Results) -> None:
    """45 for the history and 14 for the longest window."""
    results.add(*(record(day) for day in range(MAX_NIGHTS + 3)))
    found = ids(results.nights())
    assert (len(found), found[0], found[-1]) == (MAX_NIGHTS, "r003", f"r{MAX_NIGHTS + 2:03}")


# the nights of a baseline


def test_a_limited_number_of_nights(results: Results) -> None:
    """The latest nights, still oldest first."""
    results.add(*(record(day) for day in range(5)))
    assert ids(read_nights(results.store, service=SERVICE, scenario=SCENARIO, limit=2)) == ["r003", "r004"]


def test_values_of_the_nights_of_one_load() -> None:
    """By metric, in their order, without nights of another load and missing values."""
    nights = (
        night(0, metrics=metric_values(latency_p95=0.041)),
        night(1, fingerprint=OTHER),
        night(2, metrics=metric_values(latency_p95=0.043, cpu_usage="no data")),
    )
    values = values_of(nights, fingerprint=record(0).fingerprint)
    assert values["latency_p95"] == (0.041, 0.043)
    assert values["cpu_usage"] == (1.87,)
    assert list(values) == list(METRICS)


def test_the_nights_of_a_baseline() -> None:
    """The baseline's own runs, then later nights with the same fingerprint, whatever their verdict."""
    nights = (night(0), night(2), night(3, fingerprint=OTHER), night(4, Verdict.REGRESSION), night(5))
    found = comparable_nights(nights, baseline_of(1, 3))
    # r000 is earlier than the baseline; r002 lies between its runs
    assert ids(found) == ["r001", "r002", "r003", "r004", "r005"]
    assert [night.is_reference for night in found] == [True, True, True, False, True]


@pytest.mark.parametrize("verdict", [Verdict.REGRESSION, Verdict.IMPROVEMENT, Verdict.NO_BASELINE])
def test_a_run_of_the_baseline_is_accepted(verdict: Verdict) -> None:
    """Whatever its own verdict was, it now counts as passed, and only once."""
    (found,) = comparable_nights((night(1, verdict),), baseline_of(1))
    assert (found.verdict, found.is_reference) == (Verdict.PASS, True)


def undated(entry: Baseline) -> Baseline:
    return replace(entry, runs=tuple(replace(run, at=None) for run in entry.runs))


def of_hour(hour: float, verdict: Verdict = Verdict.PASS, *, dag_run_id: str = "manual__x", **changes: Any) -> Night:
    """Return a run so many hours after the first day's, which is at 06:38 UTC."""
    provenance = replace(run_record().provenance, dag_run_id=dag_run_id)
    at = START + timedelta(hours=hour)
    made = run_record(run_id=f"h{hour:g}", started_at=at, provenance=provenance, verdict=verdict, **changes)
    found = night_of(made)
    assert found is not None
    return found


def test_twenty_runs_of_one_afternoon_are_one_night() -> None:
    """With the median of their figures and the sum of their requests; the last one leads."""
    figures = [metric_values(latency_p95=0.04 + number / 1000) for number in range(20)]
    afternoon = [of_hour(30 + number / 10, metrics=metrics) for number, metrics in enumerate(figures)]
    (own, day) = comparable_nights(afternoon, baseline_of(0))
    assert (own.run.run_id, day.run.run_id) == ("r000", "h31.9")
    assert day.run.metrics["latency_p95"] == pytest.approx(0.0495)
    assert (day.run.due, day.run.failed) == (20 * 450_000, 20 * 135)
    assert [run.run_id for run in passed_since(afternoon, baseline_of(0), before=START + timedelta(days=9))] == [
        "r000",
        "h31.9",
    ]


def test_a_night_over_midnight_is_one_day() -> None:
    """The market's day ends at 17:00 in New York: 22:00 UTC in winter."""
    hours = {15.3: date(2026, 3, 2), 15.4: date(2026, 3, 3), 18.0: date(2026, 3, 3)}  # 21:56, 22:02, 00:38 UTC
    assert {hour: market_day(START + timedelta(hours=hour)) for hour in hours} == hours


def test_runs_by_hand_never_outvote_a_scheduled_night() -> None:
    """They count on a day without one; then the last one decides."""
    worse = {"deviations": (deviation("latency_p95", 0.06),)}
    by_hand = [of_hour(30, Verdict.REGRESSION, **worse), of_hour(31, Verdict.REGRESSION, **worse)]
    scheduled = of_hour(30.5, dag_run_id="scheduled__2026-03-03")
    assert ids(comparable_nights([by_hand[0], scheduled, by_hand[1]], baseline_of(0))) == ["r000", "h30.5"]
    assert ids(comparable_nights([*by_hand, of_hour(32)], baseline_of(0))) == ["r000", "h32"]
    (_, day) = comparable_nights([of_hour(29), *by_hand], baseline_of(0))
    assert (day.run.run_id, day.is_reference, day.worse) == ("h31", False, {"latency_p95"})


def test_a_run_of_the_baseline_always_counts() -> None:
    """Also on a day that ended with a regression, which stays a night of its own."""
    worse = of_hour(2, Verdict.REGRESSION, deviations=(deviation("latency_p95", 0.06),))
    assert [(n.run.run_id, n.is_reference) for n in comparable_nights([worse], baseline_of(0))] == [
        ("r000", True),
        ("h2", False),
    ]
    assert ids(comparable_nights([of_hour(2)], baseline_of(0))) == ["h2"]


def test_many_runs_by_hand_push_no_night_out(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit counts days."""
    monkeypatch.setattr(history, "MAX_NIGHTS", 2)
    moments = [START + timedelta(days=2, minutes=number + 1) for number in range(9)]
    afternoon = [replace(record(2), run_id=f"m{n}", started_at=moment) for n, moment in enumerate(moments)]
    results.add(record(1), record(2), *afternoon)
    assert results.nights(limit=2)[0].run.run_id == "r001"


def test_a_baseline_of_an_earlier_file_version() -> None:
    """Its runs have no start: they come first, and no later night is known."""
    assert ids(comparable_nights((night(5),), undated(baseline_of(1, 3)))) == ["r001", "r003"]


def test_a_baseline_with_one_dated_run() -> None:
    """Nights after that run count."""
    entry = baseline_of(1, 3)
    entry = replace(entry, runs=(replace(entry.runs[0], at=None), entry.runs[1]))
    assert ids(comparable_nights((night(2), night(5)), entry)) == ["r001", "r003", "r005"]


def compared_with(version: int) -> BaselineReference:
    return baseline_reference(version=version)


def test_after_a_roll_back_nights_of_the_replaced_version_do_not_count() -> None:
    """Version 2 started a new baseline on day 3; version 3 restores version 1."""
    baselines = Baselines()
    approval = Approval(by="ana", at=START, reason="x", run_id="r")
    baselines.promote(record(0), approval=approval)
    baselines.promote(record(3, Verdict.REGRESSION), approval=approval, force=True)
    entry = baselines.roll_back(SERVICE, SCENARIO, version=1, approval=approval)
    nights = tuple(night(day, baseline=compared_with(version)) for day, version in ((1, 1), (4, 2), (5, 2), (6, 3)))
    assert ids(comparable_nights(nights, entry)) == ["r000", "r001", "r006"]


def test_nights_of_a_continued_version_count() -> None:
    """Version 2 includes the run of version 1; nights of an unknown version count too."""
    nights = tuple(night(day, baseline=compared_with(version)) for day, version in ((2, 1), (4, 2), (5, 99)))
    found = ids(comparable_nights((*nights, night(6, baseline=None)), baseline_of(1, 3)))
    assert found == ["r001", "r002", "r003", "r004", "r005", "r006"]


def replaced_by_force(*, number: Any) -> tuple[Baseline, Baselines]:
    """Return the baseline of day 3 that was started by force over a damaged version 5 that has this number in the file.

    It is read back from the file.
    """
    odd = json.dumps({"schema_version": 2, SERVICE: {SCENARIO: {"version": number, "metrics": 7}}})
    baselines = parse_baselines(odd.encode(), where="b.json")
    approval = Approval(by="ana", at=START, reason="x", run_id="r")
    baselines.promote(record(3, Verdict.NOT_COMPARABLE), approval=approval, force=True, used=5)
    baselines = parse_baselines(format_baselines(baselines), where="b.json")
    entry = baselines.get(SERVICE, SCENARIO)
    assert entry is not None
    return entry, baselines


@pytest.mark.parametrize("number", [5, "five", None])
def test_nights_of_a_lost_version_do_not_count(number: Any) -> None:
    """What version 5 accepted is unknown, whether or not its number can be read; version 7 adds a run to version 6."""
    entry, baselines = replaced_by_force(number=number)
    assert entry.version == 6
    nights = tuple(night(day, baseline=compared_with(version)) for day, version in ((4, 5), (5, 4), (6, 6)))
    assert ids(comparable_nights(nights, entry)) == ["r003", "r006"]
    later = baselines.promote(record(7, baseline=compared_with(6)), approval=entry.approval)
    assert ids(comparable_nights((*nights, night(8, baseline=compared_with(7))), later)) == [
        *("r003", "r006", "r007", "r008")
    ]
    assert later.was_not_compared(record(4, baseline=compared_with(5)))


def test_versions_that_are_too_old_to_be_kept_are_not_lost() -> None:
    """Of 23 versions the entry has 21; nights that were compared with the first belong to it."""
    entry = baseline_of(*range(1, 24))
    nights = tuple(night(day, baseline=compared_with(version)) for day, version in ((30, 1), (31, 2), (32, 3)))
    assert ids(comparable_nights(nights, entry))[-3:] == ["r030", "r031", "r032"]


def test_a_second_improvement_does_not_include_the_first() -> None:
    """Days 2 and 3 are the current baseline; with them, half of the new one would be old runs."""
    baselines = Baselines(entries={SERVICE: {SCENARIO: baseline_of(1)}})
    approval = Approval(by="ana", at=START, reason="x", run_id="r")
    improved = [record(day, Verdict.IMPROVEMENT, baseline=compared_with(1)) for day in (2, 3)]
    entry = baselines.promote(improved[1], approval=approval, since=[contribution(improved[0])])
    again = [record(day, Verdict.IMPROVEMENT, baseline=compared_with(2)) for day in (4, 5)]
    nights = [found for made in (*improved, *again) if (found := night_of(made)) is not None]
    assert [run.run_id for run in runs_to_promote_with(nights, entry, again[1])] == ["r004"]


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        ({2: Verdict.PASS, 3: Verdict.PASS}, ["r001", "r002", "r003"]),
        ({2: Verdict.REGRESSION, 3: Verdict.PASS}, ["r001", "r003"]),
        ({2: Verdict.IMPROVEMENT, 3: Verdict.NO_BASELINE}, ["r001"]),
        ({3: Verdict.PASS, 4: Verdict.PASS, 5: Verdict.PASS}, ["r001", "r003"]),  # day 4 and later are left out
    ],
)
def test_runs_that_passed_since(later: Mapping[int, Verdict], expected: list[str]) -> None:
    """They may strengthen the baseline together with a run of day 4."""
    nights = tuple(night(day, verdict) for day, verdict in later.items())
    found = passed_since(nights, baseline_of(1), before=START + timedelta(days=4))
    assert [run.run_id for run in found] == expected

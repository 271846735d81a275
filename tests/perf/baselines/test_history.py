"""The nights of a cell: which records are some, which may be a reference, and which belong to a level."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from include.perf.adapters.files.folder_store import FolderStore
from include.perf.baselines import history
from include.perf.baselines.baselines import Baselines
from include.perf.baselines.entry import Approval, Baseline, contribution
from include.perf.baselines.history import (
    MAX_NIGHTS,
    Night,
    comparable_nights,
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
from tests.records import baseline_reference, deviation, metric_values, record_of, run_record

START = datetime(2026, 3, 2, 6, 38, tzinfo=UTC)
SERVICE, SCENARIO = "analysis-engine-service", "market_open"
OTHER = {"load": "other"}


def record(day: int, verdict: Verdict = Verdict.PASS, **changes: Any) -> RunRecord:
    """Return the run of a day, counted from 0."""
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
    return [each.run.run_id for each in nights]


class Results:
    """A store in a folder, and a way to fill it."""

    def __init__(self, folder: Path) -> None:
        self.store = FolderStore(str(folder))

    def add(self, *records: RunRecord) -> None:
        for each in records:
            self.add_content(each.run_id, to_json(each))

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
    """What was measured of the same load is a night; only what passed may later nights be held to."""
    found = night_of(record_of(verdict))
    assert (found is not None) == is_night
    assert (found is not None and found.is_reference) == is_reference


def test_a_rerun_is_no_night_of_its_own() -> None:
    """Its figures are in the medians of the run that it was done for."""
    assert night_of(record(1, rerun_of="r000")) is None


def test_what_a_night_knows() -> None:
    """Its run's figures and what was flagged over the whole service, not what one cell had for itself."""
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
    """In the order in which they were, without what is no night."""
    results.add(record(2), record(0), record(1, Verdict.INVALID), record(3, rerun_of="r002"), record(4))
    assert ids(results.nights()) == ["r000", "r002", "r004"]


@pytest.mark.parametrize(("day", "expected"), [(0, []), (1, ["r000"]), (2, ["r000", "r001"]), (9, ["r000", "r001"])])
def test_nights_before_a_moment(results: Results, day: int, expected: list[str]) -> None:
    """What started then or later is left out: a run is not compared with itself."""
    results.add(record(0), record(1))
    assert ids(results.nights(before=START + timedelta(days=day))) == expected


def test_a_cell_without_runs(results: Results) -> None:
    """No folder, no nights."""
    assert results.nights() == ()


def test_a_run_that_is_not_finished(results: Results) -> None:
    """No record yet, no night."""
    results.add(record(0))
    results.add_content("r001", None)
    assert ids(results.nights()) == ["r000"]


def test_a_record_that_cannot_be_read(results: Results, caplog: pytest.LogCaptureFixture) -> None:
    """It is left out and told; the others count."""
    results.add(record(0), record(2))
    results.add_content("r001", b"{")
    assert ids(results.nights()) == ["r000", "r002"]
    (message,) = [each.message for each in caplog.records if each.levelname == "WARNING"]
    assert message.startswith("left out of the history: file://")
    assert "r001/run.json cannot be read: " in message


def test_an_earlier_run_finds_its_nights_below_many_later_ones(
    results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came after the moment does not count as read."""
    monkeypatch.setattr(history, "MAX_READ", 2)
    results.add(*(record(day) for day in range(6)))
    assert ids(results.nights(before=START + timedelta(days=3))) == ["r001", "r002"]


def test_runs_of_another_load_push_no_night_out(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody tried something, again and again."""
    monkeypatch.setattr(history, "MAX_NIGHTS", 2)
    results.add(*(record(day) for day in (1, 2)), *(record(day, Verdict.NOT_COMPARABLE) for day in (3, 4, 5)))
    assert ids(results.nights()) == ["r001", "r002"]


def test_a_record_without_a_time_zone(results: Results) -> None:
    """It cannot be put in order with the others, and ends the judging of none."""
    results.add(record(1))
    results.add_content("r002", to_json(record(2)).replace(b'06:38:00Z"', b'06:38:00"'))
    assert ids(results.nights(before=START + timedelta(days=9))) == ["r001"]


def test_only_the_latest_nights_are_read(results: Results) -> None:
    """45 of a reference and the longest window of 14: what is older is of another season."""
    results.add(*(record(day) for day in range(MAX_NIGHTS + 3)))
    found = ids(results.nights())
    assert (len(found), found[0], found[-1]) == (MAX_NIGHTS, "r003", f"r{MAX_NIGHTS + 2:03}")


# the level


def test_so_many_nights_at_most(results: Results) -> None:
    """The latest of them, and still oldest first."""
    results.add(*(record(day) for day in range(5)))
    assert ids(read_nights(results.store, service=SERVICE, scenario=SCENARIO, limit=2)) == ["r003", "r004"]


def test_what_the_nights_of_one_load_measured() -> None:
    """By metric, in their order; nights of another load, and values that could not be had, are left out."""
    nights = (
        night(0, metrics=metric_values(latency_p95=0.041)),
        night(1, fingerprint=OTHER),
        night(2, metrics=metric_values(latency_p95=0.043, cpu_usage="no data")),
    )
    values = values_of(nights, fingerprint=record(0).fingerprint)
    assert values["latency_p95"] == (0.041, 0.043)
    assert values["cpu_usage"] == (1.87,)
    assert list(values) == list(METRICS)


def test_the_nights_of_a_level() -> None:
    """The baseline's own runs, then what was measured since under the same conditions, flagged or not."""
    nights = (night(0), night(2), night(3, fingerprint=OTHER), night(4, Verdict.REGRESSION), night(5))
    found = comparable_nights(nights, baseline_of(1, 3))
    # r000 was before the level began; r002 lies between its runs
    assert ids(found) == ["r001", "r002", "r003", "r004", "r005"]
    assert [each.is_reference for each in found] == [True, True, True, False, True]


@pytest.mark.parametrize("verdict", [Verdict.REGRESSION, Verdict.IMPROVEMENT, Verdict.NO_BASELINE])
def test_a_run_of_the_baseline_is_accepted(verdict: Verdict) -> None:
    """Whatever it was called at the time, it is the level now; and it is there once."""
    (found,) = comparable_nights((night(1, verdict),), baseline_of(1))
    assert (found.verdict, found.is_reference) == (Verdict.PASS, True)


def undated(entry: Baseline) -> Baseline:
    return replace(entry, runs=tuple(replace(run, at=None) for run in entry.runs))


def test_a_level_of_an_earlier_file_version() -> None:
    """Its runs say not when they were: they come first, and nothing is known to be since."""
    assert ids(comparable_nights((night(5),), undated(baseline_of(1, 3)))) == ["r001", "r003"]


def test_a_level_with_one_dated_run() -> None:
    """What came after that one counts."""
    entry = baseline_of(1, 3)
    entry = replace(entry, runs=(replace(entry.runs[0], at=None), entry.runs[1]))
    assert ids(comparable_nights((night(2), night(5)), entry)) == ["r001", "r003", "r005"]


def compared_with(version: int) -> BaselineReference:
    return baseline_reference(version=version)


def test_nights_of_another_level_are_no_part_of_it_after_a_roll_back() -> None:
    """Version 2 was another level, from day 3 on; version 3 is that of version 1 again."""
    baselines = Baselines()
    approval = Approval(by="ana", at=START, reason="x", run_id="r")
    baselines.promote(record(0), approval=approval)
    baselines.promote(record(3, Verdict.REGRESSION), approval=approval, force=True)
    entry = baselines.roll_back(SERVICE, SCENARIO, version=1, approval=approval)
    nights = tuple(night(day, baseline=compared_with(version)) for day, version in ((1, 1), (4, 2), (5, 2), (6, 3)))
    assert ids(comparable_nights(nights, entry)) == ["r000", "r001", "r006"]


def test_nights_that_the_level_was_strengthened_by_stay_part_of_it() -> None:
    """Version 2 has the run of version 1 too; what nobody knows the version of counts as well."""
    nights = tuple(night(day, baseline=compared_with(version)) for day, version in ((2, 1), (4, 2), (5, 99)))
    found = ids(comparable_nights((*nights, night(6, baseline=None)), baseline_of(1, 3)))
    assert found == ["r001", "r002", "r003", "r004", "r005", "r006"]


def test_a_second_improvement_takes_nothing_along_of_the_first() -> None:
    """Days 2 and 3 are the present level: with them the new one would be half of the old."""
    baselines = Baselines(entries={SERVICE: {SCENARIO: baseline_of(1)}})
    approval = Approval(by="ana", at=START, reason="x", run_id="r")
    improved = [record(day, Verdict.IMPROVEMENT, baseline=compared_with(1)) for day in (2, 3)]
    entry = baselines.promote(improved[1], approval=approval, since=[contribution(improved[0])])
    again = [record(day, Verdict.IMPROVEMENT, baseline=compared_with(2)) for day in (4, 5)]
    nights = [found for each in (*improved, *again) if (found := night_of(each)) is not None]
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
def test_what_passed_since(later: Mapping[int, Verdict], expected: list[str]) -> None:
    """The runs that may strengthen the baseline together with one of day 4."""
    nights = tuple(night(day, verdict) for day, verdict in later.items())
    found = passed_since(nights, baseline_of(1), before=START + timedelta(days=4))
    assert [run.run_id for run in found] == expected

"""What the charts of a history draw."""

import json
from datetime import timedelta
from typing import Any

from include.perf.alerts.book import Silence
from include.perf.pages.history_page import history_chart
from include.perf.runs.record import Shift, Verdict
from include.perf.runs.run_index import RunEntry
from tests.entries import CELL, moved, night, regressed
from tests.records import START


def chart_of(*entries: RunEntry, silences: tuple[Silence, ...] = ()) -> dict[str, Any]:
    """Return the data of a cell's charts."""
    return history_chart(entries, silences, cell=CELL)


def p95(data: dict[str, Any]) -> dict[str, Any]:
    """Return what is drawn of one metric."""
    found: dict[str, Any] = next(each for each in data["metrics"] if each["name"] == "latency_p95")
    return found


def at(days: float) -> int:
    """Return the moment of a night in seconds since 1970."""
    return round((START + timedelta(days=days)).timestamp())


def test_each_run_is_a_point() -> None:
    """Times, ids and values stand in the same order."""
    data = chart_of(night(0, 0.04), night(1, 0.0412345678))
    assert data["times"] == [at(0), at(1)]
    assert data["ids"] == ["night-0000", "night-0001"]
    assert p95(data)["values"] == [0.04, 0.041235]


def test_what_was_not_measured_is_on_the_axis() -> None:
    """An invalid run has no point, but is not passed over in silence."""
    data = chart_of(night(0), night(1, verdict=Verdict.INVALID))
    assert len(data["times"]) == 1
    assert [run_id for _, _, run_id in data["unmeasured"]] == ["night-0001"]


def test_a_level_is_told_where_it_changes() -> None:
    """With the band in which no change is worth telling: 5 % of 100 ms; and where it ends."""
    levels = {"latency_p95": 0.1}
    data = chart_of(night(0, levels=levels), night(1, levels=levels), night(2, levels={}))
    assert p95(data)["levels"] == [[at(0), 0.1, 0.095, 0.105], [at(2), None, None, None]]


def test_re_runs_are_single_points() -> None:
    """The median is in the line; the first run's own value and those of its re-runs stand beside it."""
    again = night(0, 0.043, run_id="again", rerun_of="night-0000", started_at=START + timedelta(days=0.1))
    data = chart_of(night(0, 0.06, judged={"latency_p95": 0.043}, reruns=("again",)), again)
    assert p95(data)["values"] == [0.043]
    assert p95(data)["singles"] == [[at(0), 0.06], [at(0.1), 0.043]]


def test_a_change_point_begins_a_spell() -> None:
    """Three nights of one regression are one change, on the night that it began with."""
    shifts = {"latency_p95": Shift(ratio=0.45, absolute=0.019)}
    since = START + timedelta(days=1)
    data = chart_of(
        night(0),
        regressed(1, deviations=(moved(is_confirmed=False),)),
        regressed(2, deviations=(moved(since=since),), shifts=shifts),
        regressed(3, deviations=(moved(since=since),), shifts=shifts),
        night(4),
        regressed(5, shifts=shifts),
    )
    assert p95(data)["changes"] == [[at(1), 1, "+45 %"], [at(5), 1, "+45 %"]]


def test_marks_are_of_the_metric() -> None:
    """A run that regressed in p95 is in line in every other metric."""
    data = chart_of(night(0), regressed(1), regressed(2, deviations=(moved(is_confirmed=False),)))
    assert p95(data)["marks"] == [[1, "bad"], [2, "doubt"]]
    assert all(each["marks"] == [] for each in data["metrics"] if each["name"] != "latency_p95")


def test_deploys_and_baselines_where_they_change() -> None:
    """A run that does not know its version changes nothing."""
    versions = (("1.0", 1), (None, 1), ("1.0", 2), ("1.1", 2))
    runs = [
        night(number, deploy_version=deploy, baseline_version=baseline)
        for number, (deploy, baseline) in enumerate(versions)
    ]
    data = chart_of(*runs)
    assert data["deploys"] == [[at(0), "1.0"], [at(3), "1.1"]]
    assert data["baselines"] == [[at(0), 1], [at(2), 2]]


def test_silences_of_the_cell_only() -> None:
    """Those of other scenarios say nothing about it."""
    ours = Silence(id="a", by="ana", reason="known", created_at=START, until=START + timedelta(days=1))
    other = Silence(id="b", by="ana", reason="x", created_at=START, until=START + timedelta(days=1), scenario="calm")
    assert chart_of(silences=(ours, other))["silences"] == [[at(0), at(1), None, "ana: known"]]


def test_three_years_are_small() -> None:
    """1 100 nights of eight metrics stay below 150 kB as JSON."""
    data = chart_of(*(night(number, 0.04 + number * 1e-6) for number in range(1100)))
    assert len(json.dumps(data, separators=(",", ":"))) < 150_000

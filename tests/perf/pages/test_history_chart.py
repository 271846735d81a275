"""The data of the charts of a cell's history."""

import json
from datetime import timedelta
from typing import Any

from include.perf.alerts.book import Silence
from include.perf.pages.history_page import history_chart
from include.perf.runs.record import Shift, Verdict
from include.perf.runs.run_index import RunEntry
from tests.entries import CELL, deviating, night, regressed
from tests.records import START


def chart_of(*entries: RunEntry, silences: tuple[Silence, ...] = ()) -> dict[str, Any]:
    """Return the data of a cell's charts."""
    return history_chart(entries, silences, cell=CELL)


def p95(data: dict[str, Any]) -> dict[str, Any]:
    """Return the data of latency p95."""
    found: dict[str, Any] = next(metric for metric in data["metrics"] if metric["name"] == "latency_p95")
    return found


def at(days: float) -> int:
    """Return the time of a night in seconds since 1970."""
    return round((START + timedelta(days=days)).timestamp())


def test_every_run_is_a_point() -> None:
    """Times, ids and values are in the same order."""
    data = chart_of(night(0, 0.04), night(1, 0.0412345678))
    assert data["times"] == [at(0), at(1)]
    assert data["ids"] == ["night-0000", "night-0001"]
    assert p95(data)["values"] == [0.04, 0.041235]


def test_an_invalid_run_is_marked_on_the_axis() -> None:
    """It has no point, but it is not left out."""
    data = chart_of(night(0), night(1, verdict=Verdict.INVALID))
    assert len(data["times"]) == 1
    assert [run_id for _, _, run_id in data["unmeasured"]] == ["night-0001"]


def test_the_baseline_is_given_where_it_changes() -> None:
    """With its band of the minimum effect, 5 % of 100 ms, and where the baseline ends."""
    levels = {"latency_p95": 0.1}
    data = chart_of(night(0, levels=levels), night(1, levels=levels), night(2, levels={}))
    assert p95(data)["baseline"] == [[at(0), 0.1, 0.095, 0.105], [at(2), None, None, None]]


def test_re_runs_are_single_points() -> None:
    """The line shows the median; the values of the first run and of its re-runs are single points."""
    rerun = night(0, 0.043, run_id="rerun", rerun_of="night-0000", started_at=START + timedelta(days=0.1))
    data = chart_of(night(0, 0.06, judged={"latency_p95": 0.043}, reruns=("rerun",)), rerun)
    assert p95(data)["values"] == [0.043]
    assert p95(data)["singles"] == [[at(0), 0.06], [at(0.1), 0.043]]


def test_a_change_point_starts_a_regression() -> None:
    """Three nights of one regression are one change point, on its first night."""
    shifts = {"latency_p95": Shift(ratio=0.45, absolute=0.019)}
    since = START + timedelta(days=1)
    data = chart_of(
        night(0),
        regressed(1, deviations=(deviating(is_confirmed=False),)),
        regressed(2, deviations=(deviating(since=since),), shifts=shifts),
        regressed(3, deviations=(deviating(since=since),), shifts=shifts),
        night(4),
        regressed(5, shifts=shifts),
    )
    assert p95(data)["changes"] == [[at(1), 1, "+45 %"], [at(5), 1, "+45 %"]]


def test_marks_are_per_metric() -> None:
    """A run that regressed in p95 has no mark in other metrics."""
    data = chart_of(night(0), regressed(1), regressed(2, deviations=(deviating(is_confirmed=False),)))
    assert p95(data)["marks"] == [[1, "bad"], [2, "doubt"]]
    assert all(metric["marks"] == [] for metric in data["metrics"] if metric["name"] != "latency_p95")


def test_deployments_and_baseline_versions_where_they_change() -> None:
    """A run with an unknown deployed version is not a change."""
    versions = (("1.0", 1), (None, 1), ("1.0", 2), ("1.1", 2))
    runs = [
        night(number, deploy_version=deploy, baseline_version=baseline)
        for number, (deploy, baseline) in enumerate(versions)
    ]
    data = chart_of(*runs)
    assert data["deploys"] == [[at(0), "1.0"], [at(3), "1.1"]]
    assert data["baselines"] == [[at(0), 1], [at(2), 2]]


def test_only_silences_of_the_cell() -> None:
    """Silences of other scenarios are left out."""
    covering = Silence(id="a", by="ana", reason="known", created_at=START, until=START + timedelta(days=1))
    other = Silence(id="b", by="ana", reason="x", created_at=START, until=START + timedelta(days=1), scenario="calm")
    assert chart_of(silences=(covering, other))["silences"] == [[at(0), at(1), None, "ana: known"]]


def test_three_years_are_small() -> None:
    """1 100 nights of eight metrics take less than 150 kB as JSON."""
    data = chart_of(*(night(number, 0.04 + number * 1e-6) for number in range(1100)))
    assert len(json.dumps(data, separators=(",", ":"))) < 150_000

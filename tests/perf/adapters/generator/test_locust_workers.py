"""Loads of several real workers: together they send one load, and all stop when one does."""

import signal
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from include.load.schedule import schedule
from include.perf.adapters.generator import load_process, locust_generator
from include.perf.catalogue.scenario.load_profile import LoadProfile
from include.perf.load.generator import Progress
from include.perf.measure.measurement import measure
from include.perf.model.errors import LoadError
from include.perf.runs.results_store import FEED_FILE
from tests.real_loads import LOAD, Target, drive, folder_in, kinds, loads_of, rows_in, summary_in, when_finished

pytestmark = pytest.mark.integration

LATE_S = 0.25
"""Tolerance for arrivals at the target on a busy machine; the schedule is checked to the microsecond."""


def test_two_workers_send_exactly_the_schedule_of_one(start: Callable[..., Target], tmp_path: Path) -> None:
    """A burst to three times the rate, shared by two: all due times, all endpoints, and every second at the target."""
    burst = [{"at_s": 0, "factor": 1}, {"at_s": 4, "factor": 3}, {"at_s": 9, "factor": 1, "by": "decay"}]
    load = LoadProfile.model_validate(
        {"rate_rps": 60, "duration_s": 10, "warmup_s": 1, "profile": burst, "max_concurrency": 200, "workers": 2}
    )
    reported: list[Progress] = []
    target, folder = start(), folder_in(tmp_path, "run")
    drive(folder, target.url, load=load, on_progress=reported.append)

    # The parts were joined, and nothing of them is left.
    assert sorted(path.name for path in folder.iterdir()) == [
        *("feed.jsonl", "generator.json", "generator.log", "load-plan.json", "requests.csv.gz"),
    ]
    rows, summary = rows_in(folder).sort_values("due_at"), summary_in(folder)
    alone = list(schedule(load, [3, 2]))
    assert summary.started_at == int(summary.started_at)  # on a full second, for both
    assert (rows["due_at"] - summary.started_at).tolist() == pytest.approx([due.due_s for due in alone], abs=2e-6)
    assert rows["endpoint"].tolist() == [("orders", "positions")[due.endpoint] for due in alone]
    assert (rows["phase"] == "measured").tolist() == [due.is_measured for due in alone]
    assert (summary.ended, summary.workers, summary.lost_workers) == ("completed", 2, ())
    assert len(rows) == summary.arrivals == load.total_arrivals == target.answered()
    assert kinds(rows) == {"": len(rows)}
    assert sum(summary.schedule_lags.values()) == load.measured_arrivals
    assert measure(folder).due == load.measured_arrivals
    assert max(progress.due for progress in reported) <= load.total_arrivals
    assert len(reported) >= 8

    # At the target: none before it was due, and those of a second in that second, or a little after it.
    came = np.sort(target.truth()["came"].to_numpy()) - summary.started_at
    due = np.array([arrival.due_s for arrival in alone])
    assert (came - due).min() > -0.001
    for second in range(1, load.total_s + 1):
        assert np.sum(due < second - LATE_S) <= np.sum(came < second) <= np.sum(due < second + 0.001)
    by_second = Counter(int(arrival.due_s) for arrival in alone)
    # Between the points of the profile the rate goes from 60/s to 180/s and back: 60 + 120·(t − ½)/4 …
    assert [by_second[second] for second in range(6)] == [60, 75, 105, 135, 165, by_second[5]]
    assert by_second[5] > by_second[6] > by_second[7] > by_second[8] > by_second[9]


def test_a_worker_that_is_killed_ends_the_load_and_its_rows_are_kept(
    start: Callable[..., Target], tmp_path: Path
) -> None:
    """SIGKILL to the second of two: the first stops, and the record names the lost one."""
    target, folder = start(), folder_in(tmp_path, "run")

    def kill() -> None:
        (process,) = [process for process in loads_of(folder) if process.cmdline()[-1] == "1"]
        process.kill()

    load = LOAD.model_copy(update={"workers": 2, "duration_s": 60})
    drive(folder, target.url, load=load, on_progress=when_finished(200, kill))
    summary, rows = summary_in(folder), rows_in(folder)
    assert (summary.workers, summary.lost_workers) == (2, (2,))
    assert summary.ended == "stopped: worker 2 of 2 was lost"
    # The arrivals are those of the worker that is left: every other one, each with its row.
    number = ((rows["due_at"] - summary.started_at) * 100 - 0.5).round().astype(int)
    of_first, of_second = number[number % 2 == 0], number[number % 2 == 1]
    assert sorted(of_first) == list(range(0, 2 * summary.arrivals, 2))
    # Reported requests were flushed before: some 200, half of them by the second.
    assert 50 <= len(of_second) < len(of_first)
    assert not any(before == after for before, after in pairwise(sorted(number)))
    assert kinds(rows)[""] <= target.answered() <= 6_000


def test_a_worker_that_ends_early_ends_the_load(start: Callable[..., Target], tmp_path: Path) -> None:
    """SIGTERM to one of two: it is not lost, but half of a load is not the planned load; both records are complete."""
    target, folder = start(), folder_in(tmp_path, "run")

    def terminate() -> None:
        (process,) = [process for process in loads_of(folder) if process.cmdline()[-1] == "1"]
        process.send_signal(signal.SIGTERM)

    load = LOAD.model_copy(update={"workers": 2, "duration_s": 60})
    drive(folder, target.url, load=load, on_progress=when_finished(100, terminate))
    summary, rows = summary_in(folder), rows_in(folder)
    assert (summary.ended, summary.lost_workers) == ("stopped by SIGTERM", ())
    assert 100 <= len(rows) == summary.arrivals < 3_000


def test_the_error_of_failed_starts_has_the_end_of_the_log(tmp_path: Path) -> None:
    """The feed is damaged: no record, no parts, and the reason in the error."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / FEED_FILE).write_text("{}\n", encoding="utf-8")
    with pytest.raises(LoadError, match=r"left no record; the end of its log: .*(stage the data again|was lost|ended)"):
        drive(folder, "http://127.0.0.1:9", load=LOAD.model_copy(update={"workers": 2}))
    assert sorted(path.name for path in folder.iterdir()) == ["feed.jsonl", "generator.log", "load-plan.json"]


def test_a_worker_that_dies_before_the_start_ends_the_load(
    start: Callable[..., Target], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent, and the others do not wait for it."""
    target, folder = start(), folder_in(tmp_path, "run")
    begin = load_process._start

    def begin_and_kill_the_second(command: Sequence[str], *arguments: Any, **options: Any) -> load_process.LoadProcess:
        worker = begin(command, *arguments, **options)
        if command[-1] == "1":
            worker.process.kill()
        return worker

    monkeypatch.setattr(load_process, "_start", begin_and_kill_the_second)
    monkeypatch.setattr(locust_generator, "STOP_S", 60.0)  # the other one may take long to import what it needs
    with pytest.raises(LoadError, match=r"left no record; the end of its log: stopped: worker 2 of 2 was lost"):
        drive(folder, target.url, load=LOAD.model_copy(update={"workers": 2}))
    assert target.answered() == 0

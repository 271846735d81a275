"""Stopped loads of real load processes: how soon the requests end, and what is kept.

What counts is what the target itself wrote down.
"""

import random
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from include.perf.adapters.generator import load_process, locust_generator
from include.perf.adapters.generator.locust_generator import STOP_S, LocustGenerator
from include.perf.catalogue.scenario.load_profile import LoadProfile
from include.perf.catalogue.scenario.stop_criterion import StopCriterion
from include.perf.guards.load_limits import LoadLimits
from include.perf.guards.watch import watching
from include.perf.load.generator import Progress
from include.perf.load.service_secrets import ServiceSecrets
from include.perf.measure.measurement import measure
from include.perf.measure.validity import load_problems
from include.perf.model.errors import LoadError
from include.perf.runs.results_store import GENERATOR_FILE, REQUESTS_FILE
from tests.real_loads import (
    LOAD,
    Target,
    drive,
    folder_in,
    kinds,
    loads_of,
    order_for,
    rows_in,
    service_at,
    summary_in,
)
from tests.socket_servers import SocketServer, Talk, always, answer, eventually, python

pytestmark = pytest.mark.integration

LONG = LOAD.model_copy(update={"duration_s": 60})
NOISE = ("the generator released arrivals late", "the generator's own lateness", "the machine was busy")
"""How the problems start that a busy machine causes."""
SPARE_S = 1.5
"""Tolerance for delays on a busy machine."""


@dataclass
class Stop:
    """Watches a load, gives a reason to stop it at a given time, and calls a function just before.

    Attributes:
        at: Unix time at which it first gave a reason.
    """

    after_s: float = 2.0
    act: Callable[[], object] = lambda: None
    reason: str | None = None
    at: float | None = None

    def take_in(self, progress: Progress) -> None:
        if progress.elapsed_s >= self.after_s and self.reason is None:
            self.act()
            self.reason = "enough"

    def reason_to_stop(self) -> str | None:
        if self.reason is not None and self.at is None:
            self.at = time.time()
        return self.reason


def run(folder: Path, url: str, watch: Any, *, load: LoadProfile = LONG, **service: Any) -> float:
    """Run a load to its end; return when it ended. Then none of its processes runs."""
    LocustGenerator(credentials=lambda _: ServiceSecrets()).run(
        order_for(service_at(url, **service), load, folder), watch=watch
    )
    ended = time.time()
    assert loads_of(folder) == []
    return ended


def worker_of(folder: Path, number: int) -> psutil.Process:
    (process,) = [process for process in loads_of(folder) if process.cmdline()[-1] == str(number)]
    return process


def last_sent(folder: Path) -> float:
    """Return when the last request was sent, from the record."""
    rows = rows_in(folder)
    went_out = rows[(rows["error"] != "unfinished") | (rows["service_time_s"] > 0)]
    return float((went_out["due_at"] + went_out["start_lag_s"]).max())


def assert_silent(target: Target) -> None:
    """Check that the target gets no more requests."""
    count = target.answered()
    time.sleep(0.5)
    assert target.answered() == count


@pytest.mark.parametrize(
    ("changes", "part"),
    [({}, "measured"), ({"workers": 2, "warmup_s": 30}, "warmup")],
    ids=["one worker", "two workers, in the warm-up"],
)
def test_a_stopped_load_ends_at_once_and_keeps_its_record(
    start: Callable[..., Target], tmp_path: Path, changes: dict[str, Any], part: str
) -> None:
    """The reason is in the record and in the verdict, and every arrival has a row."""
    target, folder, watch = start(), folder_in(tmp_path, "run"), Stop()
    load = LONG.model_copy(update=changes)
    ended = run(folder, target.url, watch, load=load)
    assert watch.at is not None
    assert ended < watch.at + STOP_S
    truth = target.truth()
    assert truth["came"].max() < watch.at + SPARE_S
    assert_silent(target)

    summary, rows, measured = summary_in(folder), rows_in(folder), measure(folder)
    assert (summary.ended, summary.lost_workers) == ("stopped: enough", ())
    assert len(rows) == summary.arrivals == measured.rows
    assert set(rows["phase"]) == {part}
    assert kinds(rows)[""] <= len(truth) <= len(rows)
    problems = [problem for problem in load_problems(load, measured) if not problem.startswith(NOISE)]
    assert problems == ["the load ended early: stopped: enough; start a new run"]
    if part == "warmup":
        assert (measured.due, measured.window.duration_s, measured.metrics["throughput"].value) == (0, 0.0, None)


def in_three_seconds(**criterion: Any) -> StopCriterion:
    return StopCriterion.model_validate({"window_s": 3} | criterion)


HANGS = [
    in_three_seconds(metric="error_ratio", above=0.5),
    in_three_seconds(metric="latency_p99", above=2.0),
    in_three_seconds(metric="achieved_ratio", below=0.5),
]


@pytest.mark.parametrize("criterion", HANGS, ids=[criterion.describe() for criterion in HANGS])
def test_a_load_on_a_hanging_target_stops_soon(
    start: Callable[..., Target], tmp_path: Path, criterion: StopCriterion
) -> None:
    """400/s fill 1 000 connections of two workers in 2.5 s; none has timed out when a criterion stops the load."""
    target, folder, hung = start(), folder_in(tmp_path, "run"), []
    limits = LoadLimits([criterion])

    def hang(progress: Progress) -> None:
        if progress.elapsed_s >= 1 and not hung:
            target.process.send_signal(signal.SIGSTOP)
            hung.append(time.time())

    load = LONG.model_copy(update={"rate_rps": 400, "max_concurrency": 1000, "workers": 2})
    with watching(hang, limits=limits, conditions=[], inquiries=[]) as watch:
        ended = run(folder, target.url, watch, load=load, timeout_s=60.0)
    # three seconds of the window, 2.5 s until no connection is free, a second until it is reported
    assert ended < hung[0] + 3 + 2.5 + 1 + STOP_S + SPARE_S
    measured, summary = measure(folder), summary_in(folder)
    assert last_sent(folder) < hung[0] + 2.5 + SPARE_S
    assert summary.ended.startswith(f"stopped: {criterion.metric.words if criterion.metric else ''} ")
    assert summary.ended.endswith("(stop_when)")
    assert (measured.timed_out, measured.rows, summary.lost_workers) == (0, summary.arrivals, ())
    assert measured.unfinished > 500  # a busy machine releases fewer before the stop


def test_a_load_on_a_failing_target_stops(tmp_path: Path) -> None:
    """Only HTTP 503: it stops after the window of 3 s, and within 5 s of it."""
    folder = folder_in(tmp_path, "run")
    limits = LoadLimits([in_three_seconds(metric="error_ratio", above=0.5)])
    with SocketServer(always(answer(status="503 Busy"))) as server:
        with watching(lambda _: None, limits=limits, conditions=[], inquiries=[]) as watch:
            run(folder, server.url, watch)
        summary = summary_in(folder)
    assert summary.ended == "stopped: error ratio 1 over the last 3 s is above 0.5 (stop_when)"
    assert 3.0 <= summary.measured_to - summary.measured_from < 3 + 5
    assert set(kinds(rows_in(folder))) <= {"HTTP 503", "unfinished"}


@pytest.mark.parametrize("frozen", [0, 1])
def test_a_frozen_worker_is_killed_and_the_other_stops_at_once(
    start: Callable[..., Target], tmp_path: Path, frozen: int
) -> None:
    """3 s for both together; the flushed rows of the frozen one are kept."""
    target, folder = start(), folder_in(tmp_path, "run")
    watch = Stop(act=lambda: worker_of(folder, frozen).send_signal(signal.SIGSTOP))
    ended = run(folder, target.url, watch, load=LONG.model_copy(update={"workers": 2}))
    assert watch.at is not None
    assert STOP_S <= ended - watch.at < 5
    assert target.truth()["came"].max() < watch.at + SPARE_S
    assert_silent(target)
    summary = summary_in(folder)
    assert (summary.ended, summary.lost_workers) == ("stopped: enough", (frozen + 1,))
    # a second of 100/s and more by the one, half of it by the other
    assert summary.arrivals >= 75
    assert len(rows_in(folder)) >= summary.arrivals + 50
    assert [problem.partition(";")[0] for problem in load_problems(LONG, measure(folder))][:2] == [
        "the load ended early: stopped: enough",
        f"worker {frozen + 1} of 2 of the load generator was lost: it was killed, or the machine ran out of memory",
    ]


def test_the_reason_is_kept_when_the_only_worker_is_frozen(start: Callable[..., Target], tmp_path: Path) -> None:
    """It is killed and leaves no summary; the error has the reason."""
    target, folder = start(), folder_in(tmp_path, "run")
    watch = Stop(act=lambda: worker_of(folder, 0).send_signal(signal.SIGSTOP))
    with pytest.raises(LoadError, match=r"^the load was stopped: enough; the load generator did not end within 3 s "):
        run(folder, target.url, watch)
    assert watch.at is not None
    assert time.time() < watch.at + 5
    assert loads_of(folder) == []
    assert not (folder / GENERATOR_FILE).exists()
    assert len(rows_in(folder)) >= 100
    assert_silent(target)


def test_a_silent_worker_ends_the_load(
    start: Callable[..., Target], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no reason to stop, but one of two workers is frozen: half of a load is not the planned load."""
    monkeypatch.setattr(locust_generator, "SILENCE_S", 3.0)
    target, folder, frozen = start(), folder_in(tmp_path, "run"), []

    def freeze(progress: Progress) -> None:
        if progress.elapsed_s >= 1 and not frozen:
            worker_of(folder, 0).send_signal(signal.SIGSTOP)  # its reports trigger the progress
            frozen.append(time.time())

    drive(folder, target.url, load=LONG.model_copy(update={"workers": 2}), on_progress=freeze)
    assert time.time() < frozen[0] + 3 + STOP_S + SPARE_S
    summary = summary_in(folder)
    assert summary.ended == "stopped: worker 1 of 2 hung and sent no report for 3 s"
    assert summary.lost_workers == (1,)


@dataclass
class StopOnceRunning(Stop):
    """Gives a reason to stop as soon as a number of load processes run.

    The generator asks for it once more before it sends the start, so the load stops before, however fast the processes
    become ready.
    """

    folder: Path = Path()
    processes: int = 0

    def reason_to_stop(self) -> str | None:
        if self.reason is None and len(loads_of(self.folder)) >= self.processes:
            self.reason = "halted by alice"
        return super().reason_to_stop()


@pytest.mark.parametrize("processes", [0, 2], ids=["before the first check", "while the workers prepare"])
def test_a_load_stopped_before_the_start_sends_nothing(
    start: Callable[..., Target], tmp_path: Path, processes: int
) -> None:
    target, folder = start(), folder_in(tmp_path, "run")
    watch = StopOnceRunning(folder=folder, processes=processes)
    with pytest.raises(LoadError, match=r"^the load was stopped before it left a record: halted by alice$"):
        run(folder, target.url, watch, load=LONG.model_copy(update={"workers": 2}))
    assert watch.at is not None
    assert time.time() < watch.at + STOP_S + SPARE_S
    assert loads_of(folder) == []
    assert not (folder / REQUESTS_FILE).exists()
    assert target.answered() == 0


def test_a_worker_that_never_started_leaves_no_record(start: Callable[..., Target], tmp_path: Path) -> None:
    """Not even an empty one, which would look like a load that was killed."""
    target, folder, watch = start(), folder_in(tmp_path, "run"), Stop(reason="halted by alice")
    with pytest.raises(LoadError, match=r"^the load was stopped before it left a record: halted by alice$"):
        run(folder, target.url, watch)
    assert not (folder / REQUESTS_FILE).exists()


def test_a_load_can_be_stopped_while_it_waits_for_answers(tmp_path: Path) -> None:
    """All requests are sent, and it would wait 60 s for answers."""
    folder = folder_in(tmp_path, "run")
    watch = Stop(after_s=12.0)
    with SocketServer(_never_answer) as server:
        load = LOAD.model_copy(update={"rate_rps": 30, "max_concurrency": 400, "drain_s": 60.0})
        ended = run(folder, server.url, watch, load=load, timeout_s=60.0)
    assert watch.at is not None
    assert ended < watch.at + STOP_S
    assert summary_in(folder).ended == "stopped: enough"
    assert kinds(rows_in(folder)) == {"unfinished": 300}  # 30/s × 10 s


def _never_answer(talk: Talk) -> None:
    while talk.read_request() is not None:
        pass


SLOW_WRITER = """
import json, os, sys, time
from pathlib import Path
from include.perf.load.load_plan import COMMANDS_VARIABLE, REPORTS_VARIABLE
for line in os.fdopen(int(os.environ[COMMANDS_VARIABLE]), "rb"):
    if line.strip() and "stop" in json.loads(line):  # an empty line is a sign of life
        os.write(int(os.environ[REPORTS_VARIABLE]), b'{"over": 0}\\n' if sys.argv[1] == "over" else b"")
        time.sleep(3)
        for name in ("requests.csv.gz", "generator.json"):
            (Path(sys.argv[2]).parent / name).write_bytes(b"complete")
        break
"""


@pytest.mark.parametrize("is_over", [True, False])
def test_a_worker_gets_time_to_write_its_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_over: bool) -> None:
    """A worker that has reported the end of its load gets time for its rows, a hanging one does not."""
    # Within it, a process on a busy machine has started, and reports the end before it writes for 3 s.
    monkeypatch.setattr(locust_generator, "STOP_S", 30.0 if is_over else 2.0)
    popen, report = subprocess.Popen, "over" if is_over else "nothing"

    def start_writer(command: list[str], **options: Any) -> "subprocess.Popen[bytes]":
        return popen([command[0], "-c", SLOW_WRITER, report, command[3]], **options)

    monkeypatch.setattr(load_process.subprocess, "Popen", start_writer)
    folder = folder_in(tmp_path, "run")
    if is_over:
        run(folder, "http://127.0.0.1:9", Stop(reason="enough"))
        assert (folder / REQUESTS_FILE).read_bytes() == (folder / GENERATOR_FILE).read_bytes() == b"complete"
    else:
        with pytest.raises(LoadError, match="the load was stopped before it left a record: enough"):
            run(folder, "http://127.0.0.1:9", Stop(reason="enough"))


PARENT = """
import sys
from pathlib import Path
from include.perf.adapters.generator.locust_generator import LocustGenerator
from include.perf.catalogue.scenario.load_profile import LoadProfile
from include.perf.catalogue.service import Service
from tests.real_loads import Onlooker, order_for
service, load = Service.model_validate_json(sys.argv[1]), LoadProfile.model_validate_json(sys.argv[2])
print("begins", flush=True)
LocustGenerator().run(order_for(service, load, Path(sys.argv[3])), watch=Onlooker())
"""


class Noting:
    """A target that answers a number of requests, and records when they arrived."""

    def __init__(self, *, answers: int) -> None:
        self.came: list[float] = []
        self._answers = answers

    def __call__(self, talk: Talk) -> None:
        while talk.read_request() is not None:
            self.came.append(time.time())
            if len(self.came) <= self._answers:
                talk.send(answer())


MOMENTS = random.Random(20260302)
BEFORE = [round(MOMENTS.uniform(0.0, 2.0), 2) for _ in range(3)]
UNDER_WAY = round(MOMENTS.uniform(1.0, 8.0), 2)
DRAINING = 11.0  # all 500 are sent after 10 s, and the last 20 are waited for

ENDS = [
    *(("before", moment, signal.SIGKILL) for moment in BEFORE),
    ("before", BEFORE[0], signal.SIGTERM),
    ("under way", UNDER_WAY, signal.SIGKILL),
    ("under way", UNDER_WAY, signal.SIGTERM),
    ("draining", DRAINING, signal.SIGKILL),
    ("under way", UNDER_WAY, signal.SIGSTOP),
]
PROMISED_S = 5.0
"""No request arrives so long after the end of the parent."""


@pytest.mark.parametrize(("when", "after_s", "number"), ENDS, ids=lambda value: getattr(value, "name", str(value)))
def test_a_load_never_outlives_its_parent(tmp_path: Path, when: str, after_s: float, number: signal.Signals) -> None:
    """No request arrives later than 5 s after its end, and no process is left."""
    folder, target = folder_in(tmp_path, "run"), Noting(answers=480)
    load = LOAD.model_copy(update={"rate_rps": 50, "workers": 2, "drain_s": 60.0})
    with SocketServer(target) as server:
        service = service_at(server.url, timeout_s=60.0)
        arguments = [service.model_dump_json(), load.model_dump_json(), str(folder)]
        with python("-c", PARENT, *arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
            assert parent.stdout is not None
            assert parent.stdout.readline() == b"begins\n"
            if when != "before":
                eventually(lambda: target.came, within_s=120.0)
            time.sleep(after_s)
            parent.send_signal(number)
            ended = time.time()
            if number is not signal.SIGSTOP:
                parent.wait(timeout=60)
                ended = time.time()
            # A worker that is still starting notices it once it has started.
            eventually(lambda: not loads_of(folder), within_s=120.0)
    assert not [came for came in target.came if came > ended + (PROMISED_S if number is signal.SIGSTOP else SPARE_S)]
    if when == "under way":
        assert 0 < len(target.came) < 500
    elif when == "draining":
        assert len(target.came) == 500


def test_a_parent_that_stands_still_for_two_seconds_ends_no_load(start: Callable[..., Target], tmp_path: Path) -> None:
    """A busy machine: every request is sent, and the run is complete."""
    target, folder = start(), folder_in(tmp_path, "run")
    service = service_at(target.url).model_dump_json()
    with python("-c", PARENT, service, LOAD.model_dump_json(), str(folder), stdout=subprocess.DEVNULL) as parent:
        eventually(lambda: target.answered() > 100, within_s=120.0)
        parent.send_signal(signal.SIGSTOP)
        time.sleep(2.0)
        parent.send_signal(signal.SIGCONT)
        assert parent.wait(timeout=60) == 0
    assert (summary_in(folder).ended, len(rows_in(folder))) == ("completed", 1_000)

"""Real loads by the real child process, compared with the target's own record.

The shortest load that a plan may ask for takes 10 s, so each of these tests asks as much of its load as it can.
"""

import logging
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest

from include.perf.adapters.generator.locust_generator import LocustGenerator
from include.perf.load.generator import Progress
from include.perf.load.load_plan import plan_for
from include.perf.load.worker_parts import join
from include.perf.measure.measurement import measure
from include.perf.model.errors import LoadError
from include.perf.runs.results_store import FEED_FILE, GENERATOR_FILE, REQUESTS_FILE
from tests.certificates import self_signed
from tests.real_loads import (
    DUE,
    LOAD,
    Onlooker,
    Target,
    drive,
    folder_in,
    kinds,
    loads_of,
    order_for,
    rows_in,
    service_at,
    summary_in,
    when_finished,
)
from tests.socket_servers import SocketServer, always, answer, free_port, python

log = logging.getLogger(__name__)

pytestmark = pytest.mark.integration


@pytest.fixture
def reported() -> list[Progress]:
    return []


@pytest.mark.alone
def test_a_load_is_as_requested_and_as_the_target_recorded_it(
    start: Callable[..., Target],
    tmp_path: Path,
    reported: list[Progress],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rate to 0.1 %, one row per arrival, and no quantile below the target's own."""
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "secret")
    environments = []

    def on_progress(progress: Progress) -> None:
        reported.append(progress)
        environments.extend(process.environ() for process in loads_of(folder))

    target, folder = start(), folder_in(tmp_path, "run")
    load = LOAD.model_copy(update={"warmup_s": 2})
    drive(folder, target.url, load=load, on_progress=on_progress)
    measured = measure(folder)

    assert (measured.due, measured.sent, measured.finished, measured.failed) == (DUE, DUE, DUE, 0)
    assert (measured.rows, measured.arrivals) == (1_200, 1_200)  # 100/s × (2 + 10) s
    assert measured.achieved_rate_rps == pytest.approx(100, rel=0.001)
    assert measured.window.duration_s == pytest.approx(10, abs=1e-5)
    assert measured.generator.ended == "completed"
    assert {endpoint.name: endpoint.due for endpoint in measured.endpoints} == {"orders": 600, "positions": 400}

    truth = target.truth()
    assert len(truth) == target.answered() == 1_200
    measured_truth = truth[truth["came"] >= measured.window.start.timestamp()]
    service_s = (measured_truth["went"] - measured_truth["came"]).to_numpy()
    for name, share in (("latency_p50", 0.50), ("latency_p95", 0.95), ("latency_p99", 0.99)):
        client_s, server_s = measured.metrics[name].value, float(np.quantile(service_s, share))
        assert client_s is not None
        log.info("%s: client %.3f ms, target %.3f ms", name, client_s * 1000, server_s * 1000)
        # The clocks are read at most a little apart; the client can only see more than the server.
        assert server_s - 0.001 <= client_s <= server_s + 0.050
    log.info("achieved %s/s, %s", measured.achieved_rate_rps, measured.generator)
    # Nothing was sent before it was due, nor long after.
    rows = rows_in(folder)
    assert abs(rows["due_at"].min() - truth["came"].min()) < 1.0

    assert [progress.total_s for progress in reported] == [12.0] * len(reported)
    assert len(reported) >= 8
    assert max(progress.due for progress in reported) <= 1_200
    assert environments
    assert not [name for environment in environments for name in environment if name.startswith("AIRFLOW")]


def test_a_stall_delays_every_request_that_was_due_in_it(start: Callable[..., Target], tmp_path: Path) -> None:
    """The target stalls for 1 s at its 500th request; users that wait would report one slow request."""
    target, folder = start("--stall-at", "500", "--stall-s", "1.0"), folder_in(tmp_path, "run")
    drive(folder, target.url)
    rows = rows_in(folder)
    assert (len(rows), kinds(rows)) == (DUE, {"": DUE})
    stall = target.truth("stall").iloc[0]
    due_in_it = rows[rows["due_at"].between(stall["came"], stall["went"] - 0.01)]
    # 100/s × 1 s, give or take what the clock does
    assert len(due_in_it) == pytest.approx(100, abs=5)
    assert (due_in_it["due_at"] + due_in_it["latency_s"] >= stall["went"] - 0.01).all()
    # Of 1 000 requests the 10 slowest waited for 0.9 s and more, and 50 for half a second and more.
    measured = measure(folder)
    p95, p99 = measured.metrics["latency_p95"].value, measured.metrics["latency_p99"].value
    assert p95 is not None
    assert p99 is not None
    assert p95 >= 0.45
    assert p99 >= 0.85
    assert measured.achieved_rate_rps == pytest.approx(100, rel=0.001)


def test_two_concurrent_loads_do_not_affect_each_other(start: Callable[..., Target], tmp_path: Path) -> None:
    """One succeeds while all requests of the other, to a port where nothing listens, fail."""
    target = start()
    good, bad = folder_in(tmp_path, "good"), folder_in(tmp_path, "bad")
    with ThreadPoolExecutor(2) as pool:
        both = [
            pool.submit(drive, good, target.url),
            pool.submit(drive, bad, f"http://127.0.0.1:{free_port()}", load=LOAD.model_copy(update={"rate_rps": 50})),
        ]
        for load in both:
            load.result()
    assert (kinds(rows_in(good)), target.answered()) == ({"": DUE}, DUE)
    assert kinds(rows_in(bad)) == {"connection refused": 500}  # 50/s × 10 s
    down = measure(bad)
    assert (down.due, down.finished, down.failed, down.arrivals) == (500, 0, 500, 500)
    assert (down.metrics["error_rate"].value, down.metrics["throughput"].value) == (1.0, 0.0)
    assert down.metrics["latency_p99"].value is None
    assert down.generator.ended == "completed"
    assert {(group.endpoint, group.count) for group in down.errors} == {("orders", 300), ("positions", 200)}


def test_the_record_is_complete_when_the_target_is_killed(start: Callable[..., Target], tmp_path: Path) -> None:
    """Answers before, refused connections after, at most the requests in flight in between; the schedule continues."""
    target, folder = start(), folder_in(tmp_path, "run")

    def kill() -> None:
        target.process.kill()
        target.process.wait(timeout=10)

    began = time.monotonic()
    drive(folder, target.url, on_progress=when_finished(300, kill))
    assert time.monotonic() - began < 40
    rows = rows_in(folder)
    found = kinds(rows)
    assert len(rows) == sum(found.values()) == DUE
    assert set(found) <= {"", "connection refused", "connection reset", "broken answer", "idle connection closed"}
    answered = len(target.truth())
    # An answer written just before the end may still be lost on its way.
    assert 300 <= found[""] <= answered
    assert found["connection refused"] >= 300
    measured = measure(folder)
    assert (measured.due, measured.finished, measured.failed) == (DUE, found[""], DUE - found[""])
    assert measured.achieved_rate_rps == pytest.approx(100, rel=0.001)


def test_a_target_that_hangs_times_out_and_the_run_ends_on_time(start: Callable[..., Target], tmp_path: Path) -> None:
    """Suspended, it accepts connections and answers none: every request waits for 1 s, and none is missing."""
    target, folder = start(), folder_in(tmp_path, "run")
    began = time.monotonic()
    stop = when_finished(300, lambda: target.process.send_signal(signal.SIGSTOP))
    drive(folder, target.url, timeout_s=1.0, on_progress=stop)
    # 10 s of load, 1 s for the last answers, and the start of a process on a busy machine
    assert time.monotonic() - began < 40
    rows = rows_in(folder)
    found = kinds(rows)
    assert set(found) <= {"", "timeout", "unfinished"}
    assert len(rows) == DUE
    assert found["timeout"] >= 300
    assert found[""] == len(target.truth())
    assert rows[rows["error"] == "timeout"]["service_time_s"].between(0.99, 6).all()
    measured = measure(folder)
    p99 = measured.metrics["latency_p99"].value
    assert p99 is not None
    assert p99 >= 0.99
    assert measured.timed_out + measured.unfinished == measured.failed == DUE - found[""]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_terminated_load_leaves_a_complete_record(
    start: Callable[..., Target], tmp_path: Path, number: signal.Signals
) -> None:
    """On a signal the child stops, writes its record, and gives the reason."""
    target, folder = start(), folder_in(tmp_path, "run")

    def end() -> None:
        for process in loads_of(folder):
            process.send_signal(number)

    drive(folder, target.url, on_progress=when_finished(100, end))
    measured = measure(folder)
    assert measured.generator.ended == f"stopped by {number.name}"
    assert measured.rows == measured.arrivals == measured.due
    assert 100 <= measured.due < DUE
    assert measured.window.duration_s < 10
    assert measured.finished <= target.answered() <= measured.due


def test_a_killed_child_leaves_its_flushed_rows(start: Callable[..., Target], tmp_path: Path) -> None:
    """SIGKILL: no summary, which the error says, and the rows up to the last second."""
    target, folder = start(), folder_in(tmp_path, "run")

    def kill() -> None:
        for process in loads_of(folder):
            process.kill()

    drive(folder, target.url, on_progress=when_finished(100, kill))
    with pytest.raises(LoadError, match="the load generator ended without a summary: it was killed"):
        measure(folder)
    rows = rows_in(folder)
    # Reported requests were flushed before.
    assert 100 <= len(rows) <= target.answered() + 200
    assert kinds(rows)[""] <= target.answered()


PARENT = """
import json, sys
from pathlib import Path
from include.perf.adapters.generator.locust_generator import LocustGenerator
from include.perf.catalogue.scenario.load_profile import LoadProfile
from include.perf.catalogue.service import Service
from tests.real_loads import Onlooker, order_for
service, load = Service.model_validate_json(sys.argv[1]), LoadProfile.model_validate_json(sys.argv[2])
watch = Onlooker(lambda progress: print(progress.finished, flush=True))
LocustGenerator().run(order_for(service, load, Path(sys.argv[3])), watch=watch)
"""


def test_a_load_never_outlives_the_process_that_started_it(start: Callable[..., Target], tmp_path: Path) -> None:
    """SIGKILL to the parent closes the command pipes: both workers end within 5 s, and their parts are complete."""
    target, folder = start(), folder_in(tmp_path, "run")
    load = LOAD.model_copy(update={"workers": 2})
    arguments = [service_at(target.url).model_dump_json(), load.model_dump_json(), str(folder)]
    with python("-c", PARENT, *arguments, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        while int(parent.stdout.readline()) < 100:
            pass
        workers = loads_of(folder)
        assert len(workers) == 2
        parent.kill()
        killed = time.time()
        _, alive = psutil.wait_procs(workers, timeout=5)
    assert alive == []
    truth = target.truth()
    assert truth["came"].max() < killed + 5
    assert len(truth) < DUE
    join(folder, workers=2)
    measured = measure(folder)
    assert measured.generator.ended == "stopped: the process that started the load is gone"
    assert (measured.generator.workers, measured.generator.lost_workers) == (2, ())
    assert measured.rows == measured.arrivals
    assert measured.finished <= len(truth) <= measured.due


class _Stopped(Exception):
    """The exception of an Airflow task that is cleared."""


def test_an_interrupted_task_ends_its_load(start: Callable[..., Target], tmp_path: Path) -> None:
    """The exception is raised after all processes have ended."""
    target, folder = start(), folder_in(tmp_path, "run")

    def interrupt() -> None:
        raise _Stopped

    with pytest.raises(_Stopped):
        drive(folder, target.url, on_progress=when_finished(50, interrupt))
    assert loads_of(folder) == []
    assert summary_in(folder).ended == "stopped by SIGTERM"
    assert len(rows_in(folder)) == summary_in(folder).arrivals


def test_a_load_over_tls_may_have_many_connections(tmp_path: Path) -> None:
    """The usual limit of open files is below what a load may need, and the child raises its own."""
    limits = []

    def look_and_end() -> None:
        for process in loads_of(folder):
            limits.append(process.rlimit(psutil.RLIMIT_NOFILE))
            process.terminate()

    folder, load = folder_in(tmp_path, "run"), LOAD.model_copy(update={"max_concurrency": 400})
    with SocketServer(always(answer()), tls=self_signed(tmp_path)) as server:
        service = service_at(server.url).model_copy(update={"verify_tls": False})
        before = _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (300, hard))
        try:
            LocustGenerator().run(order_for(service, load, folder), watch=Onlooker(when_finished(100, look_and_end)))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert limits == [(600, hard)]  # 400 connections and 200 for the rest
    found = kinds(rows_in(folder))
    assert found[""] >= 100
    # Kept alive: far fewer connections, and handshakes, than requests.
    assert server.accepted < found[""]
    assert set(found) <= {"", "unfinished"}


def test_the_error_of_a_failed_start_has_the_end_of_the_log(tmp_path: Path) -> None:
    """The feed is damaged: no record, and the reason in the error."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / FEED_FILE).write_text("{}\n", encoding="utf-8")
    with pytest.raises(LoadError, match=r"left no record; the end of its log: .*request feed .* stage the data again"):
        drive(folder, "http://127.0.0.1:9")


def test_an_old_record_is_not_taken_for_a_new_one(tmp_path: Path) -> None:
    """A retried task starts without the old record."""
    folder = tmp_path / "run"
    folder.mkdir()
    for name in (REQUESTS_FILE, GENERATOR_FILE):
        (folder / name).write_text("old", encoding="utf-8")
    with pytest.raises(LoadError, match="left no record"):
        drive(folder, "http://127.0.0.1:9")
    assert not (folder / REQUESTS_FILE).exists()
    assert not (folder / GENERATOR_FILE).exists()


def test_a_full_disk_ends_the_load_and_the_summary_says_so(tmp_path: Path) -> None:
    """A run whose rows could not be written is invalid."""
    folder = folder_in(tmp_path, "run")
    (folder / REQUESTS_FILE).symlink_to("/dev/full")
    with SocketServer(always(answer())) as server:
        plan = plan_for(order_for(service_at(server.url), LOAD, folder)).write()
        with python("-m", "include.load", str(plan), stderr=subprocess.DEVNULL) as process:
            assert process.wait(timeout=60) == 0
    summary = summary_in(folder)
    assert summary.ended.startswith("the load generator ran out of disk space (No space left on device)")
    assert 0 < summary.arrivals < DUE


def test_locust_was_not_imported_here() -> None:
    """The adapter starts it in a separate process."""
    assert "locust" not in sys.modules
    assert "gevent.monkey" not in sys.modules or not sys.modules["gevent.monkey"].is_module_patched("socket")

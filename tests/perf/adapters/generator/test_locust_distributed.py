"""Distributed loads: real worker processes on loopback, with their own key and port."""

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import psutil
import pytest

from include.load.schedule import schedule
from include.perf.catalogue.scenario.load_profile import LoadProfile
from include.perf.load.load_plan import GENERATOR_VERSION, PLAN_FILE
from include.perf.measure.measurement import measure
from include.perf.measure.validity import load_problems
from include.perf.model.errors import LoadError
from include.perf.runs.results_store import FEED_FILE
from tests.distributed_loads import KEY, Pool
from tests.real_loads import (
    LOAD,
    Onlooker,
    Target,
    folder_in,
    kinds,
    loads_of,
    rows_in,
    service_at,
    summary_in,
    when_finished,
)
from tests.socket_servers import child

pytestmark = pytest.mark.integration

HOST = os.uname().nodename
LATE_S = 0.25
SILENT_S = 30.0
"""A lost worker is noticed after 8 s; the tests allow some seconds more."""
PROMISED_S = 5.0
"""No request arrives so long after the end of the task; without noise the last one comes after 3.5 s."""

LONG = LOAD.model_copy(update={"duration_s": 60})


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    """A pool without workers."""
    with ExitStack() as running:
        yield Pool(folder=tmp_path, running=running)


def soon(is_so: Callable[[], bool], *, within_s: float = 30.0) -> bool:
    """Wait until a condition is true; return whether it is."""
    deadline = time.monotonic() + within_s
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.05)
    return is_so()


def assert_falls_silent(target: Target, *, within_s: float) -> None:
    """Check that the target soon gets no more requests."""
    deadline = time.monotonic() + within_s
    count = -1
    while (now := target.answered()) != count and time.monotonic() < deadline:
        count = now
        time.sleep(0.5)
    assert target.answered() == count


def test_three_workers_send_exactly_the_schedule_of_one(
    pool: Pool, start: Callable[..., Target], tmp_path: Path
) -> None:
    """600/s for 10 s: every second at the target, exact percentiles of all rows, exact shares of the endpoints."""
    target, folder = start(), folder_in(tmp_path, "run")
    agents = [pool.start() for _ in range(3)]
    load = LoadProfile(rate_rps=600, duration_s=10, warmup_s=1, max_concurrency=600)
    secrets = {"Authorization": "Bearer t0ken"}
    pool.drive(folder, target.url, load=load, workers=3, secrets=secrets)

    assert sorted(path.name for path in folder.iterdir()) == [
        *("feed.jsonl", "generator.json", "generator.log", "load-plan.json", "requests.csv.gz"),
    ]
    rows, summary, figures = rows_in(folder).sort_values("due_at"), summary_in(folder), measure(folder)
    alone = list(schedule(load, [3, 2]))
    assert (rows["due_at"] - summary.started_at).tolist() == pytest.approx([due.due_s for due in alone], abs=2e-6)
    assert rows["endpoint"].tolist() == [("orders", "positions")[due.endpoint] for due in alone]
    assert kinds(rows) == {"": 6_600}
    assert len(rows) == summary.arrivals == target.answered() == 6_600  # 600/s × 11 s
    assert [(endpoint.name, endpoint.due) for endpoint in figures.endpoints] == [
        ("orders", 3_600),
        ("positions", 2_400),
    ]
    assert (summary.ended, summary.workers, summary.lost_workers, summary.hosts) == ("completed", 3, (), (HOST,) * 3)

    # Percentiles are those of all rows at once.
    latencies = rows.loc[rows["phase"] == "measured", "latency_s"].to_numpy()
    for name, share in {"latency_p50": 0.50, "latency_p95": 0.95, "latency_p99": 0.99}.items():
        assert figures.metrics[name].value == pytest.approx(float(np.quantile(latencies, share)), abs=1e-12)

    # At the target: none before it was due, except for the error of the clocks, and all in their second.
    uncertainty_s = summary.clock_uncertainty_s
    assert uncertainty_s is not None
    assert 0 < uncertainty_s < 0.010
    came = np.sort(target.truth()["came"].to_numpy()) - summary.started_at
    due = np.array([arrival.due_s for arrival in alone])
    assert (came - due).min() > -0.001 - uncertainty_s
    for second in range(1, load.total_s + 1):
        assert np.sum(due < second - LATE_S) <= np.sum(came < second) <= np.sum(due < second + 0.001 + uncertainty_s)

    # Neither the key nor a secret header is in anything that was left.
    left = [*folder.iterdir(), *(agent.folder / "log" for agent in agents)]
    assert not any(secret in path.read_bytes() for path in left for secret in (KEY.encode(), b"t0ken"))
    assert soon(lambda: not any(agent.loads for agent in agents))
    assert [list(agent.folder.glob("bellwether-load-*")) for agent in agents] == [[], [], []]


def test_a_worker_that_is_killed_ends_the_load_and_its_rows_are_kept(
    pool: Pool, start: Callable[..., Target], tmp_path: Path
) -> None:
    """SIGKILL to the process of one of two: the other stops, and the record names the host of the lost one."""
    target, folder = start(), folder_in(tmp_path, "run")
    agents = [pool.start() for _ in range(2)]
    killed: list[float] = []

    def kill() -> None:
        killed.append(time.monotonic())
        agents[0].loads[0].kill()

    pool.drive(folder, target.url, load=LONG, workers=2, watch=Onlooker(when_finished(300, kill)))
    assert time.monotonic() - killed[0] < SILENT_S
    summary, rows = summary_in(folder), rows_in(folder)
    (lost,) = summary.lost_workers
    assert summary.ended == f"stopped: worker {lost} of 2 on {HOST} was lost"
    problems = load_problems(LONG, measure(folder))
    assert any(
        problem.startswith(f"worker {lost} (on {HOST}) of 2 of the load generator was lost") for problem in problems
    )
    # Reported requests were written before: some 300, half of them by the lost worker.
    number = ((rows["due_at"] - summary.started_at) * 100 - 0.5).round().astype(int)
    of_lost = number[number % 2 == lost - 1]
    assert 100 <= len(of_lost) < len(number) - len(of_lost)
    assert not number.duplicated().any()
    assert_falls_silent(target, within_s=2.0)


@pytest.mark.faults
def test_when_the_only_worker_is_lost_the_error_names_it(
    pool: Pool, start: Callable[..., Target], tmp_path: Path
) -> None:
    """No worker is left to write a summary; the rows up to then are kept."""
    target, folder = start(), folder_in(tmp_path, "run")
    agent = pool.start()
    kill = when_finished(100, lambda: agent.loads[0].kill())
    named = f"^no worker completed its load: worker 1 of 1 on {HOST} was lost; the requests up to then are in "
    with pytest.raises(LoadError, match=named):
        pool.drive(folder, target.url, load=LONG, workers=1, watch=Onlooker(kill))
    assert len(rows_in(folder)) >= 100


@pytest.mark.faults
def test_a_worker_that_was_killed_serves_the_next_load(
    pool: Pool, start: Callable[..., Target], tmp_path: Path
) -> None:
    """The agent starts a new process for every load, without any state of the previous one."""
    target, agent = start(), pool.start()
    for name in ("first", "second"):
        folder = folder_in(tmp_path, name)
        pool.drive(folder, target.url, load=LOAD, workers=1)
        assert (summary_in(folder).ended, len(rows_in(folder))) == ("completed", 1_000)
    assert target.answered() == 2_000
    assert agent.process.poll() is None


@pytest.mark.faults
def test_a_late_worker_takes_part_in_the_next_load_only(
    pool: Pool, start: Callable[..., Target], tmp_path: Path
) -> None:
    """It waits; the running load is not redistributed."""
    target, folder, agents = start(), folder_in(tmp_path, "run"), [pool.start()]
    load = LOAD.model_copy(update={"duration_s": 15})
    begin = when_finished(10, lambda: agents.append(pool.start()))
    pool.drive(folder, target.url, load=load, workers=1, watch=Onlooker(begin))
    summary = summary_in(folder)
    assert (summary.ended, summary.workers, summary.arrivals) == ("completed", 1, 1_500)
    assert "a load is already running; this worker takes part in the next one" in agents[1].log
    again = folder_in(tmp_path, "again")
    pool.drive(again, target.url, load=LOAD, workers=2)
    assert (summary_in(again).workers, len(rows_in(again))) == (2, 1_000)


OLDER = """
import runpy
import include.load.process
import include.load.versions
include.load.versions.GENERATOR_VERSION = "1"
runpy.run_module("include.load.remote", run_name="__main__")
"""


def test_too_few_workers_are_an_error_that_names_all_workers(
    pool: Pool, start: Callable[..., Target], tmp_path: Path
) -> None:
    """One of four connects; one has another version, and one another key. Nothing is sent."""
    target, folder = start(), folder_in(tmp_path, "run")
    pool.start()
    older = pool.start(remote=[sys.executable, "-c", OLDER])
    stranger = pool.start(key=secrets.token_hex(32))
    with pytest.raises(LoadError) as raised:
        pool.drive(folder, target.url, load=LOAD, workers=4, wait_s=20.0)
    text = str(raised.value)
    assert f"1 of 4 workers connected to 127.0.0.1:{pool.port} within 20 s ({HOST})" in text
    assert f"the worker on {HOST} was refused: it has generator 1 where the master has {GENERATOR_VERSION}" in text
    assert "connections that did not prove the key: " in text
    assert "start more with python -m include.load.worker (docs/distributed.md)" in text
    assert f"the master refused this worker: generator 1 where the master has {GENERATOR_VERSION}" in older.log
    assert (
        "another key, or is no master of this version of Bellwether; set the same BELLWETHER_LOCUST_KEY" in stranger.log
    )
    for agent in (older, stranger):  # a refused worker does not try again at once
        assert agent.log.count("trying again in 60 s") == 1
        assert agent.process.poll() is None
    assert target.answered() == 0


OTHER_CLOCK = """
import runpy, time
from types import SimpleNamespace
import include.load.process
import include.load.drive
include.load.drive.time = SimpleNamespace(time=lambda: time.time() + 10_800, perf_counter=time.perf_counter)
runpy.run_module("include.load.remote", run_name="__main__")
"""


def can_have_another_monotonic_clock() -> bool:
    """Return whether this system can give a process its own monotonic clock (time_namespaces(7))."""
    with contextlib.suppress(OSError):
        return subprocess.run(["unshare", "--time", "--monotonic", "7200", "true"], check=False).returncode == 0
    return False


@pytest.mark.alone
def test_a_worker_whose_clocks_are_off_by_hours_sends_the_same_load(
    pool: Pool, start: Callable[..., Target], tmp_path: Path
) -> None:
    """The wall clock by 3 h, the monotonic clock by 2 h where possible: all times are those of the master's clocks."""
    target, folder = start(), folder_in(tmp_path, "run")
    elsewhere = ["unshare", "--time", "--monotonic", "7200", "--fork"] if can_have_another_monotonic_clock() else []
    pool.start()
    pool.start(remote=[*elsewhere, sys.executable, "-c", OTHER_CLOCK])
    pool.drive(folder, target.url, load=LOAD, workers=2)
    rows, summary = rows_in(folder).sort_values("due_at"), summary_in(folder)
    alone = [due.due_s for due in schedule(LOAD, [3, 2])]
    assert (rows["due_at"] - summary.started_at).tolist() == pytest.approx(alone, abs=2e-6)
    assert (summary.ended, summary.workers) == ("completed", 2)
    assert abs(summary.clock_step_s) < 0.5
    assert summary.clock_drift_s is not None
    assert summary.clock_drift_s < 0.010
    came = np.sort(target.truth()["came"].to_numpy()) - summary.started_at
    assert np.median(came - np.array(alone)) < 0.050
    log = (folder / "generator.log").read_text(encoding="utf-8")
    assert bool(elsewhere) == any(f"ahead by {hours}" in log for hours in ("7199", "7200"))


TASK = """
import sys
from pathlib import Path
from include.perf.adapters.generator.locust_generator import LocustGenerator
from include.perf.adapters.generator.locust_pool import LocustPool
from include.perf.catalogue.scenario.load_profile import LoadProfile
from include.perf.catalogue.service import Service
from include.perf.load.service_secrets import ServiceSecrets
from tests.real_loads import Onlooker, order_for
service, load = Service.model_validate_json(sys.argv[1]), LoadProfile.model_validate_json(sys.argv[2])
workers = int(sys.argv[6]) if len(sys.argv) > 6 else 2
pool = LocustPool(host="127.0.0.1", port=int(sys.argv[4]), key=sys.argv[5], workers=workers)
generator = LocustGenerator(credentials=lambda _: ServiceSecrets(), pool=lambda: pool)
generator.run(order_for(service, load, Path(sys.argv[3])), watch=Onlooker())
"""


def master_of(folder: Path) -> psutil.Process:
    """Return the master of a load."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.cmdline()[2:4] == ["include.load.master", str(folder / PLAN_FILE)]:
                return process
    raise AssertionError("there is no master")


@pytest.mark.faults
@pytest.mark.parametrize("processes", ["the task", "the master", "both at once"])
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_a_load_does_not_outlive_its_task(
    pool: Pool, start: Callable[..., Target], tmp_path: Path, processes: str, sent: signal.Signals
) -> None:
    """Killed or stopped during the load: the target gets no request 5 s later, without any stop command."""
    target, folder = start(), folder_in(tmp_path, "run")
    agents = [pool.start() for _ in range(2)]
    service = service_at(target.url).model_dump_json()
    arguments = ["-c", TASK, service, LONG.model_dump_json(), str(folder), str(pool.port), KEY]
    with child(sys.executable, *arguments, stderr=subprocess.DEVNULL) as task:
        assert soon(lambda: target.answered() > 100, within_s=60.0)
        master = master_of(folder)
        if processes != "the task":
            master.send_signal(sent)
        if processes != "the master":
            task.send_signal(sent)
        ended = time.time()
        assert soon(lambda: not any(agent.loads for agent in agents), within_s=60.0)
        assert 0 < target.truth()["came"].max() - ended < PROMISED_S
        for process in (master, task):
            with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
                process.send_signal(signal.SIGCONT)
        task.wait(timeout=60)
        master.wait(timeout=60)
    assert len(rows_in_parts(folder)) >= 1
    # The workers are there for the next one.
    again = folder_in(tmp_path, "again")
    pool.drive(again, target.url, load=LOAD, workers=2)
    assert summary_in(again).ended == "completed"


@pytest.mark.faults
@pytest.mark.parametrize("whose", ["task", "master"])
def test_a_process_that_stands_still_for_two_seconds_ends_no_load(
    pool: Pool, start: Callable[..., Target], tmp_path: Path, whose: str
) -> None:
    """A busy machine, or one that is moved to another host: every request is sent, and the run is complete."""
    target, folder = start(), folder_in(tmp_path, "run")
    pool.start()
    service = service_at(target.url).model_dump_json()
    arguments = ["-c", TASK, service, LOAD.model_dump_json(), str(folder), str(pool.port), KEY, "1"]
    with child(sys.executable, *arguments) as task:
        assert soon(lambda: target.answered() > 100, within_s=60.0)
        process = psutil.Process(task.pid) if whose == "task" else master_of(folder)
        process.suspend()
        time.sleep(2.0)
        process.resume()
        assert task.wait(timeout=120) == 0
    assert (summary_in(folder).ended, len(rows_in(folder))) == ("completed", 1_000)


def rows_in_parts(folder: Path) -> list[Path]:
    """Return the files of rows of a load."""
    return [path for path in folder.glob("requests*.csv.gz") if path.stat().st_size]


@pytest.mark.faults
def test_workers_stop_when_their_master_hangs(pool: Pool, start: Callable[..., Target], tmp_path: Path) -> None:
    """SIGSTOP looks like an interrupted network to a worker: no messages, and no broken connection."""
    target, folder = start(), folder_in(tmp_path, "run")
    pool.start()
    stopped: list[psutil.Process] = []

    def stop() -> None:
        stopped.append(master_of(folder))
        stopped[0].send_signal(signal.SIGSTOP)

    pool.drive(folder, target.url, load=LONG, workers=1, watch=Onlooker(when_finished(100, stop)))
    truth = target.truth()
    assert truth["came"].max() - truth["came"].min() < 2 + PROMISED_S
    assert loads_of(folder) == []
    assert not stopped[0].is_running()


@pytest.mark.faults
def test_a_terminated_worker_hands_over_its_record(pool: Pool, start: Callable[..., Target], tmp_path: Path) -> None:
    """SIGTERM, as when its container is replaced: the load ends early, and every row is kept."""
    target, folder = start(), folder_in(tmp_path, "run")
    agents = [pool.start() for _ in range(2)]
    end = when_finished(100, agents[1].process.terminate)
    pool.drive(folder, target.url, load=LONG, workers=2, watch=Onlooker(end))
    summary = summary_in(folder)
    assert (summary.ended, summary.lost_workers) == ("stopped by SIGTERM", ())
    assert len(rows_in(folder)) == summary.arrivals
    assert agents[1].process.wait(timeout=20) == 0


def test_hostile_peers_end_at_most_their_own_part(pool: Pool, start: Callable[..., Target], tmp_path: Path) -> None:
    """Strangers flood the port from the beginning; with the key, one floods, and others send what no worker would."""
    target, folder = start(), folder_in(tmp_path, "run")
    pool.start()
    with (
        child(sys.executable, "-c", STRANGERS, str(pool.port)),
        child(sys.executable, "-c", HOSTILE, str(pool.port), KEY) as hostile,
    ):
        pool.drive(folder, target.url, load=LOAD, workers=1, watch=Onlooker(when_finished(900, hostile.kill)))
    summary = summary_in(folder)
    assert (summary.ended, summary.workers, len(rows_in(folder))) == ("completed", 1, 1_000)
    log = (folder / "generator.log").read_text(encoding="utf-8")
    assert "FORGED" not in log
    assert len(log) < 40_000  # of 100 lines about workers that take no part, and some about the others


STRANGERS = """
import os, socket, time
import sys, zmq
port, held = int(sys.argv[1]), []
public, secret = zmq.curve_keypair()
dealers = []
for number in range(10):
    dealer = zmq.Context.instance().socket(zmq.DEALER)
    dealer.linger, dealer.reconnect_ivl = 0, 50
    if number % 2:
        dealer.curve_serverkey, dealer.curve_publickey, dealer.curve_secretkey = public, public, secret
    dealer.connect(f"tcp://127.0.0.1:{port}")
    dealers.append(dealer)
while True:
    for dealer in dealers:
        try:
            dealer.send(b"FORGED" * 1_000, zmq.NOBLOCK)
        except zmq.Again:
            pass
    try:
        for sent in (b"", b"GET / HTTP/1.1\\r\\n\\r\\n", os.urandom(100)):
            held.append(socket.create_connection(("127.0.0.1", port), timeout=1))
            held[-1].sendall(sent)
    except OSError:
        time.sleep(0.1)
    held = held[-200:]
    time.sleep(0.05)
"""

HOSTILE = """
import itertools, json, sys, time
import zmq
from include.load.channel import key_pair
from include.load.conversation import Conversation, MessageKind
from include.load.versions import own_versions
port, key = int(sys.argv[1]), bytes.fromhex(sys.argv[2])
master, worker = key_pair(key, b"master"), key_pair(key, b"worker")
noise = [b"", b"FORGED", bytes(9), *(
    json.dumps(data).encode() for data in (
        {"report": {"FORGED": 1}}, {"summary": "FORGED"}, {"clock": None}, {"hello": "FORGED"}, ["FORGED"],
    )
)]
def connected(hello):
    dealer = zmq.Context.instance().socket(zmq.DEALER)
    dealer.linger = 0
    dealer.curve_serverkey, dealer.curve_publickey, dealer.curve_secretkey = master.public, worker.public, worker.secret
    dealer.connect(f"tcp://127.0.0.1:{port}")
    talk = Conversation()
    dealer.send(talk.pack_json({"hello": hello}))
    return dealer, talk
good = {"host": "hostile", "versions": {}}
floods = [connected(good), connected({"host": "FORGED\\nFORGED", "versions": own_versions()})]
for number in itertools.count():
    dealer, talk = connected({"host": f"hostile-{number}", "versions": {"locust": "0"}})
    try:
        for content in noise:
            dealer.send(talk.pack(content, MessageKind.JSON), zmq.NOBLOCK)
            dealer.send(talk.pack(content, MessageKind.ROWS), zmq.NOBLOCK)
            dealer.send(content, zmq.NOBLOCK)
        dealer.send_multipart([b"FORGED"] * 1_000, zmq.NOBLOCK)
        for flood, talk in floods:
            for _ in range(50):
                flood.send(talk.pack_json({"alive": True}), zmq.NOBLOCK)
    except zmq.Again:
        pass
    time.sleep(0.2)
    dealer.close()
"""


def test_a_load_that_is_halted_while_it_waits_for_workers_ends_at_once(pool: Pool, tmp_path: Path) -> None:
    """It does not wait for workers of a halted load."""
    folder, watch = folder_in(tmp_path, "run"), Onlooker()
    watch.reason = "load is halted by ops"
    began = time.monotonic()
    with pytest.raises(LoadError, match="the load was stopped before it left a record: load is halted by ops"):
        pool.drive(folder, "http://127.0.0.1:9", load=LOAD, workers=1, watch=watch)
    assert time.monotonic() - began < 10.0
    assert sorted(path.name for path in folder.iterdir()) == ["feed.jsonl", "generator.log", "load-plan.json"]


def test_a_port_in_use_is_reported(pool: Pool, tmp_path: Path) -> None:
    """Another master, or another program, listens there."""
    folder = folder_in(tmp_path, "run")
    with (
        socket.create_server(("127.0.0.1", pool.port)),
        pytest.raises(
            LoadError, match=f"the load could not begin: the master cannot listen at 127.0.0.1:{pool.port}: .*in use$"
        ),
    ):
        pool.drive(folder, "http://127.0.0.1:9", load=LOAD, workers=1)


def test_the_stored_plan_has_the_number_of_workers(pool: Pool, start: Callable[..., Target], tmp_path: Path) -> None:
    """All connected workers share the load, whatever number the profile needs."""
    target, folder = start(), folder_in(tmp_path, "run")
    pool.start()
    pool.start()
    pool.drive(folder, target.url, load=LOAD, workers=2)
    plan = json.loads((folder / PLAN_FILE).read_bytes())
    assert (plan["workers"], plan["load"]["workers"]) == (2, None)
    assert (folder / FEED_FILE).exists()

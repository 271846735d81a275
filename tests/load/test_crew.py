"""The master's workers: which are admitted and which are refused, and that a broken message ends only its own part."""

import gzip
import json
import logging
import os
import threading
from functools import partial
from pathlib import Path
from typing import Any

import gevent
import pytest

from include.load.control import Reports
from include.load.conversation import Conversation, MessageKind
from include.load.crew import Crew, LoadNotStarted
from include.load.member import Member
from include.load.roster import Roster
from include.load.rows_in import write_in_time
from include.load.sign_of_life import SignOfLife
from include.load.versions import difference, own_versions
from include.perf.load.service_secrets import ServiceSecrets
from include.perf.model.json_files import to_json
from include.perf.runs.results_store import FEED_FILE
from tests.load.driven_loads import FEED, plan_of
from tests.load.test_worker_messages import GOOD_LOG as SUMMARY


class Wire:
    """A channel that records the messages to each worker.

    Attributes:
        refused: connections without the key.
    """

    def __init__(self) -> None:
        self.sent: dict[bytes, list[bytes]] = {}
        self.refused = 0

    def send(self, worker: bytes, content: bytes) -> None:
        self.sent.setdefault(worker, []).append(content)


class Worker:
    """A worker at the other end of the wire."""

    def __init__(self, crew: Crew, wire: Wire, name: str) -> None:
        self.id, self._host, self._crew, self._wire = name.encode(), f"host-{name}", crew, wire
        self._read = 0
        self.talk = Conversation()

    def send_hello(self, **changes: Any) -> None:
        """Introduce itself, as the first message."""
        self.send({"hello": {"host": self._host, "versions": own_versions()} | changes})

    def received(self) -> list[dict[str, Any]]:
        """Return the master's messages since the previous call."""
        sent = self._wire.sent.get(self.id, [])
        unread, self._read = sent[self._read :], len(sent)
        return [self.talk.open(packed).data for packed in unread]

    def send(self, data: dict[str, Any]) -> None:
        self._crew.receive(self.id, self.talk.pack_json(data))

    def send_rows(self, rows: bytes) -> None:
        self._crew.receive(self.id, self.talk.pack(rows, MessageKind.ROWS))


class Bench:
    """A crew, with its wire and the pipe of its reports."""

    def __init__(self, folder: Path, *, min_workers: int = 1, wait_s: float = 0.5) -> None:
        FEED.write(folder / FEED_FILE)
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        pool = {"host": "127.0.0.1", "port": 5557, "min_workers": min_workers, "wait_s": wait_s}
        self.wire = Wire()
        self.roster = Roster(self.wire, pool=pool)
        self.crew = Crew(plan_of(folder, "http://127.0.0.1:9"), Reports(self._write), self.roster, pool=pool)

    def worker(self, name: str, **hello: Any) -> Worker:
        """Return a worker that has introduced itself."""
        worker = Worker(self.crew, self.wire, name)
        worker.send_hello(**hello)
        return worker

    def begin(self, *names: str) -> list[Worker]:
        """Begin a load with workers."""
        workers = [self.worker(name) for name in names]
        self.crew.gather()
        self.crew.send_orders(ServiceSecrets())
        for worker in workers:
            worker.received()
        return workers

    def member(self, worker: Worker) -> Member:
        return self.roster._known[worker.id]

    def reports(self) -> list[dict[str, Any]]:
        """Return the reports to the parent."""
        try:
            return [json.loads(line) for line in os.read(self._read, 1 << 16).splitlines()]
        except BlockingIOError:
            return []

    def close(self) -> None:
        self.crew.is_over.set()
        for member in self.roster._known.values():
            member.leave("the test is over")
            member.await_rows()
        gevent.sleep(0)
        os.close(self._read)
        os.close(self._write)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("include.load.crew.SETTLE_S", 0.0)
    monkeypatch.setattr("include.load.crew.POLL_INTERVAL_S", 0.01)
    made = Bench(tmp_path)
    yield made
    made.close()


def silent(member: Member) -> None:
    """Make a member silent for too long."""
    member.last_sign = SignOfLife(limit_s=-1.0)
    member.last_sign._given_at -= 60.0


def test_workers_get_the_order_without_paths_of_this_machine(bench: Bench) -> None:
    """Numbered by host name, with the secret headers, and without any path of the master."""
    second, first = bench.worker("b"), bench.worker("a")
    bench.crew.gather()
    bench.crew.send_orders(ServiceSecrets(headers={"Authorization": "Bearer t0ken"}))
    assert bench.crew.hosts == ["host-a", "host-b"]
    place, order = first.received()
    assert place == {"place": {"worker": 0, "workers": 2}}
    assert order["order"]["plan"]["workers"] == 2
    assert order["order"]["secrets"]["headers"] == {"Authorization": "Bearer t0ken"}
    plan = order["order"]["plan"]
    assert (plan["folder"], plan["ca_file"], order["order"]["ca"]) == (".", None, None)
    assert second.received()[0] == {"place": {"worker": 1, "workers": 2}}


def test_tokens_reach_the_workers_after_their_order(bench: Bench) -> None:
    """The newest of those that came before it, and then each new one."""
    worker = bench.worker("a")
    bench.crew.gather()
    for token in ("Bearer one", "Bearer two"):
        bench.crew.take_in({"tokens": [token]})
    bench.crew.send_orders(ServiceSecrets())
    bench.crew.take_in({"tokens": ["Bearer three"]})
    _, order, *tokens = worker.received()
    assert "Bearer" not in str(order)
    assert tokens == [{"tokens": ["Bearer two"]}, {"tokens": ["Bearer three"]}]


@pytest.mark.parametrize(("refused", "text"), [(3, "3"), (1_000, "1000 or more")])
def test_connections_without_the_key_are_counted(bench: Bench, refused: int, text: str) -> None:
    """The channel keeps them out, and counts them up to a limit; the error says how many there were."""
    bench.wire.refused = refused
    expected = f"^0 of 1 workers connected .*; connections that did not prove the key: {text}; start more"
    with pytest.raises(LoadNotStarted, match=expected):
        bench.crew.gather()


@pytest.mark.parametrize(
    "hello",
    [
        {},
        {"hello": None},
        {"hello": {"host": "a"}},
        {"hello": {"host": "a\nWARNING forged", "versions": {}}},
        {"hello": {"host": "", "versions": {}}},
        {"hello": {"host": "a" * 129, "versions": {}}},
        {"hello": {"host": "a", "versions": {"locust": "2\x1b[31m"}}},
        {"hello": {"host": "a", "versions": {f"v{number}": "1" for number in range(11)}}},
        {"hello": {"host": "a", "versions": {}, "more": 1}},
        {"alive": True},
    ],
)
def test_a_first_message_that_is_no_hello_leaves_nothing(
    bench: Bench, caplog: pytest.LogCaptureFixture, hello: dict[str, Any]
) -> None:
    """Of a worker of an earlier load, or of a peer that would write into the log."""
    stranger = Worker(bench.crew, bench.wire, "x")
    stranger.send(hello)
    bench.crew.receive(stranger.id, b"noise")
    assert (bench.roster._known, bench.wire.sent, caplog.text) == ({}, {}, "")


def test_admitted_workers_get_heartbeats(bench: Bench) -> None:
    """Also those that wait for the next load; not those that were refused or lost."""
    worker, lost = bench.begin("a", "b")
    late, older = bench.worker("c"), bench.worker("d", versions={})
    lost.talk.pack_json({"report": {"due": 1}})  # never arrives
    lost.send({"alive": True})
    for member in (worker, lost, late, older):
        member.received()
    heartbeats = gevent.spawn(bench.roster.send_heartbeats, lambda: 0.5)
    gevent.sleep(0)
    heartbeats.kill()
    assert [member.received() for member in (worker, late)] == [[{"alive": 0.5}]] * 2
    assert [member.received() for member in (lost, older)] == [[], []]


def test_another_version_is_refused(bench: Bench) -> None:
    """Both the worker and the task get the versions of both sides."""
    worker = bench.worker("a", versions=own_versions() | {"locust": "2.40.0", "python": "3.9"})
    assert [data["refused"].split(",")[0] for data in worker.received()] == [
        f"locust 2.40.0 where the master has {own_versions()['locust']}"
    ]
    with pytest.raises(
        LoadNotStarted, match=r"the worker on host-a was refused: it has locust 2\.40\.0 where the master has 2\."
    ):
        bench.crew.gather()


def test_the_error_names_only_some_refused_workers(bench: Bench) -> None:
    """A pool of old workers does not fill the log."""
    for number in range(50):
        bench.worker(f"w{number}", versions={})
    with pytest.raises(LoadNotStarted) as raised:
        bench.crew.gather()
    assert str(raised.value).count("was refused") == 10


def test_workers_that_take_no_part_do_not_fill_the_log(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """One that connects again and again is logged a hundred times."""
    caplog.set_level(logging.INFO)
    for number in range(150):
        bench.worker(f"w{number}", versions={}).send({"clock": 7})
    assert len(caplog.messages) == 101
    assert caplog.messages[-1] == "nothing more is logged about workers that take no part in this load"


def test_a_late_worker_waits_and_is_dismissed(bench: Bench) -> None:
    """It is dismissed when this master ends."""
    bench.begin("a")
    late = bench.worker("b")
    assert late.received() == [{"wait": True}]
    bench.crew.dismiss_waiting()
    assert late.received() == [{"over": True}]
    assert bench.crew.hosts == ["host-a"]


def test_a_silent_worker_is_lost(bench: Bench) -> None:
    """It is reported to the parent with its number; without any worker the load is over."""
    (worker,) = bench.begin("a")
    silent(bench.member(worker))
    assert bench.crew.is_over.wait(timeout=5)
    assert bench.reports() == [{"worker": 0, "left": "was lost"}]


def test_a_silent_worker_is_not_chosen(bench: Bench) -> None:
    """It connected, and was gone before the load began."""
    gone, worker = bench.worker("a"), bench.worker("b")
    silent(bench.member(gone))
    bench.crew.gather()
    assert bench.crew.hosts == ["host-b"]
    assert worker.received() == []


def test_a_missing_message_is_a_lost_worker(bench: Bench) -> None:
    """It may have contained rows."""
    (worker,) = bench.begin("a")
    worker.talk.pack_json({"report": {"due": 1}})  # never arrives
    worker.send({"alive": True})
    assert bench.reports() == [{"worker": 0, "left": "was lost: one of its messages is missing"}]


PROGRESS = {
    "elapsed_s": 1.0,
    "rate_rps": 100.0,
    "due": 100,
    "sent": 100,
    "finished": 99,
    "failed": 1,
    "in_flight": 0,
    "is_measuring": True,
    "latencies": {700: 99},
    "lags": {2: 100},
    "waits": {},
    "wanted_cores": 0.2,
}
AS_JSON = json.loads(json.dumps(PROGRESS))
BROKEN = "was lost: it sent a message that cannot be used, because "


def test_a_report_reaches_the_parent(bench: Bench) -> None:
    """With the number of its worker."""
    _, worker = bench.begin("a", "b")
    worker.send({"report": PROGRESS})
    assert bench.reports() == [{"worker": 1, "report": AS_JSON}]


@pytest.mark.parametrize(
    ("packed", "problem"),
    [
        (b"noise", "it is too short"),
        (b"", "it is too short"),
        ({"report": None}, "its report is not in the agreed form"),
        ({"report": [1]}, "its report is not in the agreed form"),
        ({"report": PROGRESS | {"due": -1}}, "its report is not in the agreed form"),
        ({"report": PROGRESS | {"rate_rps": float("nan")}}, "its report is not in the agreed form"),
        ({"report": PROGRESS | {"latencies": {10**9: 1}}}, "its report is not in the agreed form"),
        (
            {"report": PROGRESS | {"latencies": {"\n2026-01-01 WARNING forged": 1}}},
            "its report is not in the agreed form",
        ),
        ({"report": PROGRESS | {"due": "many"}}, "its report is not in the agreed form"),
        ({"report": PROGRESS | {"more": 1}}, "its report is not in the agreed form"),
        ({"summary": 7}, "its summary is not in the agreed form"),
        ({"summary": "{}"}, "its summary is not in the agreed form"),
        (
            {"clock": {"asked": 1.0, "came": float("inf"), "went": 1.0}},
            "the time of its clock is not in the agreed form",
        ),
        ({"clock": None}, "the time of its clock is not in the agreed form"),
        ({}, "its report is not in the agreed form"),
    ],
)
def test_a_broken_message_ends_the_part_of_its_worker_only(
    bench: Bench, caplog: pytest.LogCaptureFixture, packed: bytes | dict[str, Any], problem: str
) -> None:
    """The error says why, with nothing of what was sent; the other worker goes on."""
    caplog.set_level(logging.INFO)
    broken, worker = bench.begin("a", "b")
    bench.reports()
    if isinstance(packed, bytes):
        bench.crew.receive(broken.id, packed)
    else:
        broken.send(packed)
    broken.send({"report": PROGRESS})  # what it sends afterwards is ignored
    worker.send({"report": PROGRESS})
    assert bench.reports() == [{"worker": 0, "left": BROKEN + problem}, {"worker": 1, "report": AS_JSON}]
    assert broken.received() == [{"stop": "stopped: the master has given up on this worker"}]
    assert not bench.crew.is_over.is_set()
    assert caplog.messages[-1] == f"worker 1 on host-a {BROKEN}{problem}"


def test_an_unexpected_error_ends_the_part_of_its_worker_only(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the kind of the error, and nothing of what was sent."""

    def fail(member: Member, packed: bytes) -> None:
        raise RuntimeError("FORGED")

    broken, worker = bench.begin("a", "b")
    with monkeypatch.context() as patched:
        patched.setattr(Member, "receive", fail)
        broken.send({"report": PROGRESS})
    worker.send({"report": PROGRESS})
    left = "was lost: one of its messages could not be handled (RuntimeError)"
    assert bench.reports() == [{"worker": 0, "left": left}, {"worker": 1, "report": AS_JSON}]


def test_a_broken_message_of_a_waiting_worker_ends_its_turn(bench: Bench) -> None:
    """It is not chosen for the load; nothing is reported, because it has no number."""
    broken = bench.worker("a")
    broken.send({"clock": 7})
    bench.worker("b")
    bench.crew.gather()
    assert (bench.crew.hosts, bench.reports()) == (["host-b"], [])


@pytest.mark.parametrize("report", ["ready", "over"])
def test_a_worker_reports_its_start_and_end_once(bench: Bench, report: str) -> None:
    """Each starts a measurement of its clock, and a thousand of them would cost memory."""
    worker, _ = bench.begin("a", "b")
    worker.send({"report": {report: 0}})
    worker.send({"report": {report: 0}})
    assert bench.reports()[-1] == {"worker": 0, "left": f"{BROKEN}it reported twice that it is {report}"}


def test_a_worker_that_sends_without_end_is_lost(bench: Bench) -> None:
    """A thousand messages at once are more than any load needs."""
    flood, _ = bench.begin("a", "b")
    for _ in range(1_100):
        flood.send({"alive": True})
    assert bench.reports() == [{"worker": 0, "left": f"{BROKEN}it sends too many"}]


def test_a_load_is_given_up_at_once(bench: Bench) -> None:
    """Every worker is told to stop, and the reports say why; nothing waits for their records."""
    workers = bench.begin("a", "b")
    bench.crew.give_up("the master took too much memory")
    assert bench.crew.is_over.is_set()
    lost = "was lost: the master took too much memory"
    assert bench.reports() == [{"worker": number, "left": lost} for number in (0, 1)]
    assert all("stop" in worker.received()[-1] for worker in workers)


def test_unasked_times_of_a_clock_are_ignored(bench: Bench) -> None:
    """Only the answer to the current query counts, so a worker can neither collect rounds nor prepare them."""
    (worker,) = bench.begin("a")
    for number in range(100):
        worker.send({"clock": {"asked": float(number), "came": 0.0, "went": 0.0}})
    assert bench.member(worker)._rounds == []


def test_broken_rows_end_the_part_of_their_worker(bench: Bench, tmp_path: Path) -> None:
    """What it sent before is kept, and the rows of the other are not touched."""
    broken, worker = bench.begin("a", "b")
    good = gzip.compress(b"rows\n")
    for sender in (broken, worker):
        sender.send_rows(good)
    broken.send_rows(b"no gzip")
    assert bench.reports() == [{"worker": 0, "left": f"{BROKEN}its rows cannot be decompressed"}]
    bench.crew.await_rows()
    assert [(tmp_path / f"requests.{number}.csv.gz").read_bytes() for number in (1, 2)] == [good, good]


def test_a_disk_that_hangs_at_the_end_loses_the_worker_only(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its summary cannot be written; meanwhile the other worker is heard."""
    hung, worker = bench.begin("a", "b")
    repaired = threading.Event()
    monkeypatch.setattr("include.load.crew.write_atomically", lambda *_: repaired.wait(60))
    monkeypatch.setattr("include.load.crew.write_in_time", partial(write_in_time, timeout_s=0.2))
    monkeypatch.setattr("include.load.crew.CLOCK_S", 0.0)
    hung.send({"summary": to_json(SUMMARY).decode()})
    gevent.sleep(0.05)
    worker.send({"report": PROGRESS})
    assert bench.reports() == [{"worker": 1, "report": AS_JSON}]
    with gevent.Timeout(60):
        while not (reports := bench.reports()):
            gevent.sleep(0.01)
    repaired.set()
    left = "was lost: its record could not be written (the disk took longer than 0.2 s)"
    assert reports == [{"worker": 0, "left": left}]


def test_versions_that_are_missing_differ() -> None:
    """A worker of a version that did not send any."""
    assert difference(own_versions(), own_versions()) is None
    assert difference({}, {"generator": "2"}) == "generator unknown where the master has 2"


def test_the_number_of_workers_is_limited(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest one of no use is forgotten: one that was refused, or is gone; otherwise a new one is ignored."""
    monkeypatch.setattr("include.load.roster.MAX_MEMBERS", 2)
    bench.worker("a", versions={})
    gone = bench.worker("b")
    bench.worker("c")
    assert list(bench.roster._known) == [b"b", b"c"]
    bench.worker("d")
    assert list(bench.roster._known) == [b"b", b"c"]
    silent(bench.member(gone))
    bench.worker("e")
    bench.crew.gather()
    assert bench.crew.hosts == ["host-c", "host-e"]

"""The master's workers: which are admitted and which are refused, and that a stranger's message changes nothing."""

import json
import os
from pathlib import Path
from typing import Any

import gevent
import pytest

from include.load.control import Reports
from include.load.conversation import Conversation, Introduction
from include.load.crew import Crew, LoadNotStarted
from include.load.versions import difference, own_versions
from include.perf.runs.results_store import FEED_FILE
from tests.load.driven_loads import FEED, plan_of

KEY = "e1f0a83c5b7d4926804fd3b61c97a25e48d0b19f7c3652ae8f04d97b16c5e32a"


class Wire:
    """A channel that records the messages to each worker.

    Attributes:
        gone: the workers that are no longer connected.
        forgotten: the connections that are no longer tracked.
    """

    def __init__(self) -> None:
        self.sent: dict[str, list[bytes]] = {}
        self.gone: set[str] = set()
        self.forgotten: list[str] = []

    def send(self, client_id: str, sealed: bytes) -> None:
        self.sent.setdefault(client_id, []).append(sealed)

    def is_there(self, client_id: str) -> bool:
        return client_id not in self.gone

    def forget(self, client_id: str) -> None:
        self.forgotten.append(client_id)


class Worker:
    """A worker at the other end of the wire."""

    def __init__(self, crew: Crew, wire: Wire, name: str, *, key: str = KEY) -> None:
        self.name, self._crew, self._wire = name, crew, wire
        crew.greet(name)
        self._read = 1
        self._introduction = Introduction(key)
        self.talk: Conversation | None = None
        self.hello = b""

    def send_hello(self, **changes: Any) -> None:
        """Answer the master's introduction."""
        session = Introduction(KEY).open(self._wire.sent[self.name][0])["session"]
        hello = {
            "session": session,
            "worker": self.name,
            "nonce": f"nonce of {self.name}",
            "host": f"host-{self.name}",
            "versions": own_versions(),
        } | changes
        self.talk = Conversation(KEY, session=hello["session"], nonce=hello["nonce"], is_master=False)
        self.hello = self._introduction.seal(hello)
        self._crew.receive(self.name, self.hello)

    def received(self) -> list[dict[str, Any]]:
        """Return the master's messages since the previous call."""
        assert self.talk is not None
        unread, self._read = self._wire.sent[self.name][self._read :], len(self._wire.sent[self.name])
        return [self.talk.open(sealed).data for sealed in unread]

    def send(self, data: dict[str, Any]) -> None:
        assert self.talk is not None
        self._crew.receive(self.name, self.talk.seal_json(data))


class Bench:
    """A crew, with its wire and the pipe of its reports."""

    def __init__(self, folder: Path, *, min_workers: int = 1, wait_s: float = 0.5) -> None:
        FEED.write(folder / FEED_FILE)
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        pool = {"host": "127.0.0.1", "port": 5557, "key": KEY, "min_workers": min_workers, "wait_s": wait_s}
        self.crew = Crew(plan_of(folder, "http://127.0.0.1:9"), Reports(self._write), pool=pool)
        self.crew.channel = self.wire = Wire()

    def worker(self, name: str, **options: Any) -> Worker:
        return Worker(self.crew, self.wire, name, **options)

    def reports(self) -> list[dict[str, Any]]:
        """Return the reports to the parent."""
        try:
            return [json.loads(line) for line in os.read(self._read, 1 << 16).splitlines()]
        except BlockingIOError:
            return []

    def close(self) -> None:
        self.crew.is_over.set()
        gevent.sleep(0)
        os.close(self._read)
        os.close(self._write)


@pytest.fixture
def bench(tmp_path: Path) -> Any:
    made = Bench(tmp_path)
    yield made
    made.close()


def test_workers_get_the_order_without_paths_of_this_machine(bench: Bench) -> None:
    """Numbered by host name, with the secret headers, and without any path of the master."""
    second, first = bench.worker("b"), bench.worker("a")
    for worker in (second, first):
        worker.send_hello()
    bench.crew.gather()
    bench.crew.send_orders({"Authorization": "Bearer t0ken"})
    assert bench.crew.hosts == ["host-a", "host-b"]
    (order,) = (data["order"] for data in first.received())
    assert (order["worker"], order["workers"], order["plan"]["workers"]) == (0, 2, 2)
    assert order["headers"] == {"Authorization": "Bearer t0ken"}
    assert (order["plan"]["folder"], order["plan"]["ca_file"], order["ca"]) == (".", None, None)
    assert [data["order"]["worker"] for data in second.received()] == [1]


def test_a_hello_of_another_session_is_rejected(bench: Bench) -> None:
    """Recorded in an earlier load, with the right key."""
    worker = bench.worker("a")
    worker.send_hello(session="last night's")
    with pytest.raises(
        LoadNotStarted, match=r"^0 of 1 workers connected .*; workers without the right key: 1; start more"
    ):
        bench.crew.gather()


def test_a_hello_is_valid_for_its_own_connection_only(bench: Bench) -> None:
    """Recorded in the same load and replayed on another connection."""
    worker, stranger, second = bench.worker("a"), bench.worker("x"), bench.worker("y")
    worker.send_hello()
    for other in (stranger, second):
        bench.crew.receive(other.name, worker.hello)
    bench.crew.gather()
    assert bench.crew.hosts == ["host-a"]
    assert [len(bench.wire.sent[other.name]) for other in (stranger, second)] == [1, 1]  # the introduction


def test_two_workers_cannot_share_a_nonce(bench: Bench) -> None:
    """Their keys are derived from it, so the messages of one could pass for the other's."""
    for name in ("a", "b"):
        bench.worker(name).send_hello(nonce="one for both")
    bench.crew.gather()
    assert bench.crew.hosts == ["host-a"]


def test_the_master_s_own_introduction_is_rejected(bench: Bench) -> None:
    """It is sealed with the key, and of this session; sent back, it changes nothing and raises nothing."""
    bench.worker("x")
    bench.crew.receive("x", bench.wire.sent["x"][0])
    bench.worker("a").send_hello()
    bench.crew.gather()
    assert bench.crew.hosts == ["host-a"]


def test_admitted_workers_get_heartbeats(bench: Bench) -> None:
    """Sealed, also those that wait for the next load; not those that were refused, lost or have no key."""
    worker, lost = bench.worker("a"), bench.worker("b")
    worker.send_hello()
    lost.send_hello()
    bench.crew.gather()
    bench.crew.send_orders({})
    late, older, stranger = bench.worker("c"), bench.worker("d"), bench.worker("e", key="another key entirely")
    late.send_hello()
    older.send_hello(versions={})
    stranger.send_hello()
    assert lost.talk is not None
    lost.talk.seal_json({"report": {"due": 1}})  # never arrives
    lost.send({"report": {"due": 2}})
    for member in (worker, lost, late, older):
        member.received()
    heartbeats = gevent.spawn(bench.crew.send_heartbeats)
    gevent.sleep(0.1)
    heartbeats.kill()
    assert [member.received() for member in (worker, late)] == [[{"alive": True}]] * 2
    assert [member.received() for member in (lost, older)] == [[], []]
    assert len(bench.wire.sent["e"]) == 1


def test_a_worker_with_another_key_gets_nothing(bench: Bench) -> None:
    """Only the introduction, which it cannot read."""
    stranger = bench.worker("a", key="another key entirely")
    stranger.send_hello()
    with pytest.raises(LoadNotStarted, match="0 of 1 workers connected"):
        bench.crew.gather()
    assert len(bench.wire.sent["a"]) == 1


def test_another_version_is_refused(bench: Bench) -> None:
    """Both the worker and the task get the versions of both sides."""
    worker = bench.worker("a")
    worker.send_hello(versions=own_versions() | {"locust": "2.40.0", "python": "3.9"})
    assert [data["refused"].split(",")[0] for data in worker.received()] == [
        f"locust 2.40.0 where the master has {own_versions()['locust']}"
    ]
    with pytest.raises(
        LoadNotStarted, match=r"the worker on host-a was refused: it has locust 2\.40\.0 where the master has 2\."
    ):
        bench.crew.gather()


def test_a_late_worker_waits_and_is_dismissed(bench: Bench) -> None:
    """It is dismissed when this master ends."""
    bench.worker("a").send_hello()
    bench.crew.gather()
    bench.crew.send_orders({})
    late = bench.worker("b")
    late.send_hello()
    assert late.received() == [{"wait": True}]
    bench.crew.dismiss_waiting()
    assert late.received() == [{"over": True}]
    assert bench.crew.hosts == ["host-a"]


def test_a_silent_worker_is_lost(bench: Bench) -> None:
    """It is reported to the parent with its number; without any worker the load is over."""
    worker = bench.worker("a")
    worker.send_hello()
    bench.crew.gather()
    bench.crew.send_orders({})
    bench.wire.gone.add("a")
    assert bench.crew.is_over.wait(timeout=5)
    assert bench.reports() == [{"worker": 0, "left": "was lost"}]


def test_a_missing_message_is_a_lost_worker(bench: Bench) -> None:
    """It may have contained rows."""
    worker = bench.worker("a")
    worker.send_hello()
    bench.crew.gather()
    bench.crew.send_orders({})
    assert worker.talk is not None
    worker.talk.seal_json({"report": {"due": 1}})  # never arrives
    worker.send({"report": {"due": 2}})
    assert bench.reports() == [{"worker": 0, "left": "was lost: one of its messages is missing"}]


def test_noise_changes_nothing(bench: Bench) -> None:
    """From a worker of this load, and from an unknown connection."""
    worker = bench.worker("a")
    worker.send_hello()
    bench.crew.gather()
    bench.crew.send_orders({})
    for noise in (b"noise", None, 7):
        bench.crew.receive("a", noise)
        bench.crew.receive("unknown", noise)
    worker.send({"report": {"due": 1}})
    assert bench.reports() == [{"worker": 0, "report": {"due": 1}}]


def test_versions_that_are_missing_differ() -> None:
    """A worker of a version that did not send any."""
    assert difference(own_versions(), own_versions()) is None
    assert difference({}, {"generator": "2"}) == "generator unknown where the master has 2"


def test_the_number_of_connections_is_limited(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest one of no use is forgotten: a stranger, a refused worker, or one that is gone."""
    monkeypatch.setattr("include.load.crew.MAX_MEMBERS", 3)
    worker, refused = bench.worker("a"), bench.worker("b")
    worker.send_hello()
    refused.send_hello(versions={})
    bench.crew.greet("stranger")
    bench.crew.greet("b's turn")
    assert bench.wire.forgotten == ["b"]
    for number in range(100):
        bench.crew.greet(f"flood-{number}")
    assert bench.wire.forgotten == ["b", "stranger", "b's turn", *(f"flood-{number}" for number in range(98))]
    late = bench.worker("late")
    late.send_hello()
    bench.crew.gather()
    assert bench.crew.hosts == ["host-a", "host-late"]


def test_workers_that_may_take_part_are_never_forgotten_for_others(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without room a new connection is ignored, until one of the workers is gone; those of the load stay."""
    monkeypatch.setattr("include.load.crew.MAX_MEMBERS", 2)
    for name in ("a", "b"):
        bench.worker(name).send_hello()
    bench.crew.greet("x")
    assert (bench.wire.forgotten, "x" in bench.wire.sent) == (["x"], False)
    bench.wire.gone = {"a"}
    bench.crew.greet("y")
    assert (bench.wire.forgotten, "y" in bench.wire.sent) == (["x", "a"], True)
    bench.crew.gather()
    bench.wire.gone = {"b"}
    bench.crew.greet("z")
    assert bench.wire.forgotten == ["x", "a", "y"]
    assert bench.crew.hosts == ["host-b"]

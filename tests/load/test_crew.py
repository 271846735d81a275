"""The master's book on workers: who is let in, who is refused, and that a message of nobody changes nothing."""

import json
import os
from pathlib import Path
from typing import Any

import gevent
import pytest

from include.load.control import Reports
from include.load.conversation import Conversation, Introduction
from include.load.crew import Crew, NoLoad
from include.load.versions import difference, own_versions
from include.perf.runs.results_store import FEED_FILE
from tests.load.driven_loads import FEED, plan_of

KEY = "a key that only master and workers have"


class Wire:
    """A channel that keeps what was sent, by worker.

    Attributes:
        gone: the workers that say nothing any more.
    """

    def __init__(self) -> None:
        self.sent: dict[str, list[bytes]] = {}
        self.gone: set[str] = set()

    def send(self, client_id: str, sealed: bytes) -> None:
        self.sent.setdefault(client_id, []).append(sealed)

    def is_there(self, client_id: str) -> bool:
        return client_id not in self.gone


class Worker:
    """A worker at the other end of the wire."""

    def __init__(self, crew: Crew, wire: Wire, name: str, *, key: str = KEY) -> None:
        self.name, self._crew, self._wire = name, crew, wire
        crew.greet(name)
        self._read = 1
        self._introduction = Introduction(key)
        self.talk: Conversation | None = None
        self.hello = b""

    def say_hello(self, **changes: Any) -> None:
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
        self._crew.take(self.name, self.hello)

    def heard(self) -> list[dict[str, Any]]:
        """Return what the master said since this was last asked."""
        assert self.talk is not None
        unread, self._read = self._wire.sent[self.name][self._read :], len(self._wire.sent[self.name])
        return [self.talk.hear(sealed).words for sealed in unread]

    def say(self, words: dict[str, Any]) -> None:
        assert self.talk is not None
        self._crew.take(self.name, self.talk.say(words))


class Bench:
    """A crew of at least one worker, with its wire and the pipe of its reports."""

    def __init__(self, folder: Path, *, least: int = 1, come_s: float = 0.5) -> None:
        FEED.write(folder / FEED_FILE)
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        pool = {"host": "127.0.0.1", "port": 5557, "key": KEY, "least": least, "come_s": come_s}
        self.crew = Crew(plan_of(folder, "http://127.0.0.1:9"), Reports(self._write), pool=pool)
        self.crew.channel = self.wire = Wire()

    def worker(self, name: str, **options: Any) -> Worker:
        return Worker(self.crew, self.wire, name, **options)

    def reports(self) -> list[dict[str, Any]]:
        """Return what was reported to the process that ordered the load."""
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


def test_workers_get_the_order_and_nothing_of_this_machine(bench: Bench) -> None:
    """In the order of their hosts, with the secret headers, and with no path of the master's."""
    second, first = bench.worker("b"), bench.worker("a")
    for worker in (second, first):
        worker.say_hello()
    bench.crew.gather()
    bench.crew.hand_out({"Authorization": "Bearer t0ken"})
    assert bench.crew.hosts == ["host-a", "host-b"]
    (order,) = (words["order"] for words in first.heard())
    assert (order["worker"], order["workers"], order["plan"]["workers"]) == (0, 2, 2)
    assert order["headers"] == {"Authorization": "Bearer t0ken"}
    assert (order["plan"]["folder"], order["plan"]["ca_file"], order["ca"]) == (".", None, None)
    assert [words["order"]["worker"] for words in second.heard()] == [1]


def test_a_hello_to_another_session_lets_nobody_in(bench: Bench) -> None:
    """Recorded in an earlier load, with the right key."""
    worker = bench.worker("a")
    worker.say_hello(session="that of last night")
    with pytest.raises(NoLoad, match=r"^0 of 1 workers came .*; 1 did not prove to have the key; start more"):
        bench.crew.gather()


def test_a_hello_is_good_for_its_own_connection_only(bench: Bench) -> None:
    """Recorded in the same load and sent by somebody else, also when the worker itself was not let in yet."""
    worker, stranger, second = bench.worker("a"), bench.worker("x"), bench.worker("y")
    worker.say_hello()
    for each in (stranger, second):
        bench.crew.take(each.name, worker.hello)
    bench.crew.gather()
    assert bench.crew.hosts == ["host-a"]
    assert [len(bench.wire.sent[each.name]) for each in (stranger, second)] == [1, 1]  # the introduction


def test_two_workers_cannot_share_a_nonce(bench: Bench) -> None:
    """Their keys are made of it: what one said, the other could be taken to have said."""
    for name in ("a", "b"):
        bench.worker(name).say_hello(nonce="one for both")
    bench.crew.gather()
    assert bench.crew.hosts == ["host-a"]


def test_the_own_introduction_sent_back_lets_nobody_in(bench: Bench) -> None:
    """It is sealed with the key, and of this session; it changes nothing, and no error comes of it."""
    bench.worker("x")
    bench.crew.take("x", bench.wire.sent["x"][0])
    bench.worker("a").say_hello()
    bench.crew.gather()
    assert bench.crew.hosts == ["host-a"]


def test_who_was_let_in_hears_that_the_master_is_there(bench: Bench) -> None:
    """Sealed, also who waits for the next load; not who was refused or has no key, nor who was lost."""
    worker, lost = bench.worker("a"), bench.worker("b")
    worker.say_hello()
    lost.say_hello()
    bench.crew.gather()
    bench.crew.hand_out({})
    late, older, stranger = bench.worker("c"), bench.worker("d"), bench.worker("e", key="the key of somebody else")
    late.say_hello()
    older.say_hello(versions={})
    stranger.say_hello()
    assert lost.talk is not None
    lost.talk.say({"report": {"due": 1}})  # never arrives
    lost.say({"report": {"due": 2}})
    for each in (worker, lost, late, older):
        each.heard()
    beating = gevent.spawn(bench.crew.beat)
    gevent.sleep(0.1)
    beating.kill()
    assert [each.heard() for each in (worker, late)] == [[{"alive": True}]] * 2
    assert [each.heard() for each in (lost, older)] == [[], []]
    assert len(bench.wire.sent["e"]) == 1


def test_who_has_another_key_gets_nothing(bench: Bench) -> None:
    """Not one byte beyond the introduction, which it cannot read."""
    stranger = bench.worker("a", key="the key of somebody else")
    stranger.say_hello()
    with pytest.raises(NoLoad, match="0 of 1 workers came"):
        bench.crew.gather()
    assert len(bench.wire.sent["a"]) == 1


def test_another_version_is_refused_with_both(bench: Bench) -> None:
    """To the worker, and to whoever waits for it."""
    worker = bench.worker("a")
    worker.say_hello(versions=own_versions() | {"locust": "2.40.0", "python": "3.9"})
    assert [words["refused"].split(",")[0] for words in worker.heard()] == [
        f"locust 2.40.0 where the master has {own_versions()['locust']}"
    ]
    with pytest.raises(
        NoLoad, match=r"the worker on host-a was refused, it has locust 2\.40\.0 where the master has 2\."
    ):
        bench.crew.gather()


def test_who_comes_late_waits_and_is_let_go(bench: Bench) -> None:
    """Until this master has no more to do."""
    bench.worker("a").say_hello()
    bench.crew.gather()
    bench.crew.hand_out({})
    late = bench.worker("b")
    late.say_hello()
    assert late.heard() == [{"wait": True}]
    bench.crew.let_go()
    assert late.heard() == [{"over": True}]
    assert bench.crew.hosts == ["host-a"]


def test_who_says_nothing_any_more_is_lost(bench: Bench) -> None:
    """It is told to the one who ordered the load, with its number; and the load is over without any."""
    worker = bench.worker("a")
    worker.say_hello()
    bench.crew.gather()
    bench.crew.hand_out({})
    bench.wire.gone.add("a")
    assert bench.crew.is_over.wait(timeout=5)
    assert bench.reports() == [{"worker": 0, "left": "was lost"}]


def test_a_missing_message_is_a_lost_worker(bench: Bench) -> None:
    """Rows may be in it."""
    worker = bench.worker("a")
    worker.say_hello()
    bench.crew.gather()
    bench.crew.hand_out({})
    assert worker.talk is not None
    worker.talk.say({"report": {"due": 1}})  # never arrives
    worker.say({"report": {"due": 2}})
    assert bench.reports() == [{"worker": 0, "left": "was lost: a message of it never came"}]


def test_noise_changes_nothing(bench: Bench) -> None:
    """From a worker of this load, and from one that nobody knows."""
    worker = bench.worker("a")
    worker.say_hello()
    bench.crew.gather()
    bench.crew.hand_out({})
    for noise in (b"noise", None, 7):
        bench.crew.take("a", noise)
        bench.crew.take("nobody", noise)
    worker.say({"report": {"due": 1}})
    assert bench.reports() == [{"worker": 0, "report": {"due": 1}}]


def test_versions_that_are_missing_differ() -> None:
    """A worker from before there were versions."""
    assert difference(own_versions(), own_versions()) is None
    assert difference({}, {"generator": "2"}) == "generator unknown where the master has 2"

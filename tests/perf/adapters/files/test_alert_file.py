"""The alert file: changes are atomic, none is lost, and one process delivers at a time."""

import contextlib
import dataclasses
import fcntl
import itertools
import json
import math
import multiprocessing
import random
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest

from include.perf.adapters.files import locked_file
from include.perf.adapters.files.alert_file import AlertFile
from include.perf.alerts.book import (
    AlertBook,
    Chart,
    Delivery,
    DeliveryPart,
    DeliveryState,
    Event,
    Message,
    Posted,
    Problem,
    ProblemKind,
    Silence,
)
from include.perf.model.cell import CellName
from include.perf.model.errors import DeliveryError, StoreError
from include.perf.runs.record import Severity
from tests.fakes.failing import raising
from tests.writing_processes import last_sent_before_kill, run_both

AT = datetime(2026, 3, 2, 7, 0, 0, 123456, tzinfo=UTC)
CHANGES = 10
REMEDY = "repair it, or move it away"


def problem(problem_id: str = "r1", **changed: Any) -> Problem:
    given: dict[str, Any] = {
        "id": problem_id,
        "kind": ProblemKind.REGRESSION,
        "channel": "#performance",
        "cells": (CellName("orders", "market_open"), CellName("quotes", "market_open")),
        "title": "orders is slower: p95 42 → 61 ms",
        "opened_at": AT,
        "last_seen_at": AT + timedelta(days=1),
        "severity": Severity.CRITICAL,
        "worst": {"latency_p95": 0.45, "error_rate": math.inf},
        "levels": {"latency_p95": 0.042},
        "values": {"latency_p95": 0.061},
        "nights": 2,
        "posted": Posted("C0PERF0001", "1763838000.000100"),
        "closed_at": AT + timedelta(days=2),
    }
    return Problem(**(given | changed))


def book() -> AlertBook:
    """Return a book with every kind of content."""
    message = Message(text="first line", plain="the rest – é", blocks=[{"type": "divider"}], image_alt="curves")
    return AlertBook(
        processed_runs=["r1", "r2"],
        watched_since=AT,
        problems=[problem(), problem("r2", posted=None, closed_at=None, worst={})],
        silences=[
            Silence(
                id="s1",
                by="ana",
                reason="known",
                created_at=AT,
                until=AT + timedelta(days=7),
                service="orders",
                scenario="market_open",
                metric="latency_p95",
            ),
            Silence(id="s2", by="ben", reason="all", created_at=AT, until=AT),
        ],
        outbox=[
            Delivery(
                id="d1",
                event=Event.WORSENED,
                channel="#performance",
                message=message,
                created_at=AT,
                problem_id="r1",
                charts=(Chart("file:///results/r1", "charts/latency.png"),),
                part=DeliveryPart.CHARTS,
                state=DeliveryState.UNKNOWN,
                sender="p1",
                thread=Posted("C0PERF0001", "1763838000.000100"),
                since="1763837940.000000",
                attempts=3,
                refusals=2,
                reason="no answer in time",
            ),
            Delivery(
                id="d2",
                event=Event.OPENED,
                channel="#performance",
                message=message,
                created_at=AT,
                part=DeliveryPart.FORWARD,
                address="mailto:// 2",
                state=DeliveryState.SET_ASIDE,
                is_reported=True,
            ),
        ],
    )


def fill(target: AlertBook, source: AlertBook) -> None:
    for field in dataclasses.fields(source):
        setattr(target, field.name, getattr(source, field.name))


def written(path: Path, given: AlertBook | None = None) -> AlertFile:
    file = AlertFile(path)
    file.update(lambda empty: fill(empty, given or book()))
    return file


def test_a_missing_file_is_an_empty_book(tmp_path: Path) -> None:
    """Reading does not create it."""
    path = tmp_path / ".alerts.json"
    assert AlertFile(path).read() == AlertBook()
    assert not path.exists()


def test_the_next_reader_gets_every_field(tmp_path: Path) -> None:
    """Including an infinite change; only the file and its lock remain."""
    path = tmp_path / "deep" / ".alerts.json"
    written(path)
    found = AlertFile(path).read()
    assert found == book()
    assert found.problems[0].worst["error_rate"] == math.inf
    assert sorted(found.name for found in path.parent.iterdir()) == [".alerts.json", ".alerts.json.lock"]


def test_the_file_is_standard_json(tmp_path: Path) -> None:
    """JSON has no infinite numbers, so they are texts."""
    path = tmp_path / "alerts.json"
    written(path)
    content = json.loads(path.read_bytes(), parse_constant=pytest.fail)
    assert content["schema_version"] == 2
    assert content["problems"][0]["worst"] == {"latency_p95": 0.45, "error_rate": "Infinity"}


def test_an_empty_change_writes_the_same_bytes(tmp_path: Path) -> None:
    """A rewrite causes no diff."""
    path = tmp_path / "alerts.json"
    file = written(path)
    before = path.read_bytes()
    file.update(lambda _: None)
    assert path.read_bytes() == before


def test_a_failing_change_leaves_the_file(tmp_path: Path) -> None:
    """Nothing is written, and the lock is released."""
    path = tmp_path / "alerts.json"
    file = written(path)
    before = path.read_bytes()

    def fail(changed: AlertBook) -> None:
        changed.problems = [] * (1 // 0)

    with pytest.raises(ZeroDivisionError):
        file.update(fail)
    assert path.read_bytes() == before
    file.update(lambda changed: changed.outbox.clear())
    assert file.read().outbox == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", f"is not an alert book; {REMEDY}"),
        (b"{", f"is not an alert book; {REMEDY}"),
        (b"[]", f"is not an alert book; {REMEDY}"),
        (b"\xff", f"is not an alert book; {REMEDY}"),
        (b"{}", f"is not an alert book; {REMEDY}"),
        (b"[" * 100_000, f"is not an alert book; {REMEDY}"),
        (
            b'{"schema_version": 9}',
            f"schema_version must be at most 2, but is 9; upgrade Bellwether, or {REMEDY}",
        ),
        (
            b'{"schema_version": true}',
            f"schema_version must be at most 2, but is True; upgrade Bellwether, or {REMEDY}",
        ),
    ],
)
def test_an_invalid_file_is_not_changed(tmp_path: Path, content: bytes, message: str) -> None:
    """Neither by reading nor by a change; the message names the file."""
    path = tmp_path / "alerts.json"
    path.write_bytes(content)
    file = AlertFile(path)
    with pytest.raises(StoreError, match=f"^{path}.*{message}"):
        file.read()
    with pytest.raises(StoreError, match=message):
        file.update(lambda _: pytest.fail("an invalid file was changed"))
    assert path.read_bytes() == content


def test_a_disk_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old book is better than half of the new one."""
    path = tmp_path / "alerts.json"
    file = written(path)
    before = path.read_bytes()
    monkeypatch.setattr(locked_file, "write_atomically", raising(OSError(28, "No space left on device")))
    with pytest.raises(StoreError, match=f"^cannot write {path}: No space left on device; "):
        file.update(lambda changed: changed.problems.clear())
    assert path.read_bytes() == before


def test_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    """An unreadable file is an error, not an empty book."""
    with pytest.raises(StoreError, match=f"^cannot read {tmp_path}: Is a directory; check BELLWETHER_ALERTS$"):
        AlertFile(tmp_path).read()


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    """Without a lock, nothing is changed or delivered."""
    (tmp_path / "x").touch()
    file = AlertFile(tmp_path / "x" / "alerts.json")
    with pytest.raises(StoreError, match=r"^cannot lock "):
        file.update(lambda _: pytest.fail("changed without a lock"))
    with pytest.raises(StoreError, match=r"^cannot lock "), file.delivering():
        pytest.fail("delivering without a lock")


# Deliveries


def test_a_change_does_not_wait_for_a_delivery(tmp_path: Path) -> None:
    """Slack may be slow; changes in the meantime are stored at once."""
    file = AlertFile(tmp_path / "alerts.json", wait=lambda _: pytest.fail("waited"))
    with file.delivering():
        file.update(lambda changed: changed.problems.append(problem()))
    assert file.read().problems == [problem()]


def test_one_process_delivers_at_a_time(tmp_path: Path) -> None:
    """The next one starts when the first has finished."""
    path = tmp_path / "alerts.json"
    first, waits = contextlib.ExitStack(), []

    def wait(pause_s: float) -> None:
        waits.append(pause_s)
        if len(waits) == 3:
            first.close()

    first.enter_context(AlertFile(path).delivering())
    with AlertFile(path, wait=wait).delivering():
        assert waits == [0.1] * 3


def test_waiting_for_a_delivery_times_out(tmp_path: Path) -> None:
    """After 1800 waits of 0.1 s."""
    path, waits = tmp_path / "alerts.json", list[float]()
    with (
        AlertFile(path).delivering(),
        pytest.raises(DeliveryError, match=r"^another task has been delivering for more than 180 s; "),
        AlertFile(path, wait=waits.append).delivering(),
    ):
        pytest.fail("two deliver at once")
    assert sum(waits) == pytest.approx(180, abs=0.15)


def test_a_lock_whose_file_was_removed_is_lost(tmp_path: Path) -> None:
    """Another process could take a new one, so nothing more is sent."""
    path = tmp_path / "alerts.json"
    with AlertFile(path).delivering() as lost:
        assert lost() is None
        lock = next(tmp_path.glob(".*.delivering"))
        lock.unlink()
        assert lost() == f"the lock file {lock} was removed or replaced"
        lock.touch()
        assert lost() == f"the lock file {lock} was removed or replaced"


def test_a_failed_delivery_releases_the_lock(tmp_path: Path) -> None:
    """It is released when the block ends."""
    file = AlertFile(tmp_path / "alerts.json", wait=lambda _: pytest.fail("waited"))
    with pytest.raises(DeliveryError, match="Slack"), file.delivering():
        raise DeliveryError("Slack")
    with file.delivering():
        pass


def _deliver_until_killed(path: Path, sending: Connection) -> None:
    with AlertFile(path).delivering():
        sending.send("delivering")
        time.sleep(60)


def test_a_killed_process_releases_the_lock(tmp_path: Path) -> None:
    """The kernel releases it."""
    path = tmp_path / "alerts.json"
    context = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_deliver_until_killed, args=(path, sending))
    process.start()
    assert receiving.recv() == "delivering"
    lock = next(tmp_path.glob(".*.delivering"))
    with lock.open("wb") as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    process.kill()
    process.join(timeout=10)
    with AlertFile(path, wait=lambda _: pytest.fail("waited")).delivering():
        pass


# Concurrent processes


def _count(book: AlertBook, *, own: str) -> None:
    shared = book.problem("shared") or problem("shared", nights=0)
    book.put(dataclasses.replace(shared, nights=shared.nights + 1))
    book.put(problem(own))


def _change_many(path: Path, name: str, start: Barrier) -> None:
    start.wait()
    for number in range(CHANGES):
        AlertFile(path).update(partial(_count, own=f"{name}{number}"))


def test_two_processes_at_once_lose_nothing(tmp_path: Path) -> None:
    """2 processes × 10 changes: the shared problem counts 20, and the 10 of either process are there."""
    path = tmp_path / "alerts.json"
    run_both(_change_many, path)
    found = AlertFile(path).read()
    shared = found.problem("shared")
    assert shared is not None
    assert shared.nights == 20
    assert {problem.id for problem in found.problems} == {"shared"} | {f"{n}{i}" for n in "ab" for i in range(CHANGES)}


KILL_FOR_S = 2.0


def _fill(book: AlertBook, *, count: int) -> None:
    book.problems = [problem(f"r{number}", nights=count) for number in range(30)]


def _change_until_killed(path: Path, sending: Connection) -> None:
    """Count up in many problems at once, and send every count after it was written."""
    for count in itertools.count(1):
        AlertFile(path).update(partial(_fill, count=count))
        sending.send(count)


def test_a_process_that_is_killed_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    """Killed at seeded times: the sent count is there, or one more; the file is valid and not locked."""
    path = tmp_path / "alerts.json"
    source = random.Random(1)
    end, rounds = time.monotonic() + KILL_FOR_S, 0
    while time.monotonic() < end:
        last = last_sent_before_kill(partial(_change_until_killed, path), after_s=source.uniform(0.0, 0.03))
        found = AlertFile(path).read()
        assert len(found.problems) == 30
        assert {problem.nights for problem in found.problems} in ({last}, {last + 1})
        rounds += 1
    assert rounds >= 3

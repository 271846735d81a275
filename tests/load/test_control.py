"""The two pipes: commands are complete however they are split, and the end of a pipe ends the load."""

import json
import os
import time
from collections.abc import Iterator, Sequence
from typing import Any

import gevent
import pytest

from include.load.control import GONE, HANGS, MAX_UNSENT_BYTES, Commands, Reports, Start
from include.load.sign_of_life import SignOfLife
from include.perf.load.service_secrets import ServiceSecrets


class Pipe:
    """A pipe whose ends are closed after the test, unless the test closed them."""

    def __init__(self) -> None:
        self.read, self.write = os.pipe()
        self._open = {self.read, self.write}

    def close(self, descriptor: int) -> None:
        if descriptor in self._open:
            self._open.discard(descriptor)
            os.close(descriptor)

    def send(self, *commands: dict[str, Any]) -> None:
        for command in commands:
            os.write(self.write, json.dumps(command).encode() + b"\n")


def unexpected(tokens: Sequence[str]) -> None:
    """Fail: no tokens were sent."""
    raise AssertionError(tokens)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.close(made.read)
    made.close(made.write)


SECRETS = ServiceSecrets(headers={"Authorization": "Bearer t0ken", "X-Name": "café"})
FIRST = {"secrets": SECRETS.message()}
START = {"start": {"start": 12.5, "started_at": 1_767_787_200.0}}


def test_headers_then_the_start_then_a_reason_to_stop(pipe: Pipe) -> None:
    """All of them may arrive at once."""
    pipe.send(FIRST, START, {"stop": "stopped: worker 2 of 2 was lost"})
    pipe.close(pipe.write)
    commands, reasons = Commands(pipe.read), list[str]()
    assert commands.secrets() == SECRETS
    assert commands.start(unexpected) == Start(start=12.5, started_at=1_767_787_200.0)
    commands.watch(reasons.append, unexpected)
    assert reasons == ["stopped: worker 2 of 2 was lost", GONE]


def test_tokens_may_arrive_before_and_after_the_start(pipe: Pipe) -> None:
    """A load may begin later than its tokens were fetched."""
    pipe.send(
        {"secrets": SECRETS.message()},
        {"tokens": ["Bearer one"]},
        {"tokens": ["Bearer two"]},
        START,
        {"tokens": ["Bearer three"]},
    )
    pipe.close(pipe.write)
    commands, tokens, reasons = Commands(pipe.read), list[Any](), list[str]()
    commands.secrets()
    assert commands.start(tokens.append).start == 12.5
    assert tokens == [["Bearer one"], ["Bearer two"]]
    commands.watch(reasons.append, tokens.append)
    assert (tokens[2:], reasons) == ([["Bearer three"]], [GONE])


def test_a_command_may_arrive_in_pieces(pipe: Pipe) -> None:
    """Byte by byte; other greenlets go on meanwhile."""
    commands = Commands(pipe.read)
    started = gevent.spawn(lambda: (commands.secrets(), commands.start(unexpected)))
    for byte in json.dumps(FIRST).encode() + b"\n" + json.dumps(START).encode():
        os.write(pipe.write, bytes([byte]))
        gevent.sleep(0)
    assert not started.ready()
    os.write(pipe.write, b"\n")
    secrets, start = started.get(timeout=10)
    assert (secrets, start.start) == (SECRETS, 12.5)


def test_long_headers_arrive_complete(pipe: Pipe) -> None:
    """A pipe holds 64 KiB, and a read takes no more; these headers are longer."""
    secrets = ServiceSecrets(headers={f"X-{number}": "x" * 4_000 for number in range(40)})
    data = json.dumps({"secrets": secrets.message()}).encode() + b"\n"
    commands = Commands(pipe.read)
    reader = gevent.spawn(commands.secrets)
    os.set_blocking(pipe.write, False)
    while data:
        try:
            data = data[os.write(pipe.write, data) :]
        except BlockingIOError:
            gevent.sleep(0.001)
    assert reader.get(timeout=10) == secrets


@pytest.mark.parametrize("sent", [[], [FIRST]], ids=["before the headers", "before the start"])
def test_the_process_ends_when_its_parent_is_gone_before_the_start(pipe: Pipe, sent: list[dict[str, Any]]) -> None:
    """There is no record to finish: the process ends, and says why."""
    pipe.send(*sent)
    os.write(pipe.write, b'{"start": {"st')  # the parent was killed while it wrote
    pipe.close(pipe.write)
    commands = Commands(pipe.read)
    with pytest.raises(SystemExit, match=GONE):
        [commands.secrets(), commands.start(unexpected)]


def test_a_load_may_be_cancelled_before_the_start(pipe: Pipe) -> None:
    """Another worker did not start: this one ends, and says why."""
    pipe.send(FIRST, {"stop": "stopped: worker 2 of 2 was lost"})
    commands = Commands(pipe.read)
    commands.secrets()
    with pytest.raises(SystemExit, match="stopped: worker 2 of 2 was lost"):
        commands.start(unexpected)


def test_the_end_of_the_pipe_stops_the_load(pipe: Pipe) -> None:
    """However the parent ended, the kernel closes its end of the pipe."""
    reasons: list[str] = []
    watcher = gevent.spawn(Commands(pipe.read).watch, reasons.append, unexpected)
    gevent.sleep(0.01)
    assert reasons == []
    pipe.close(pipe.write)
    watcher.join(timeout=10)
    assert reasons == ["stopped: the process that started the load is gone"]


class Reader:
    """Reads the complete lines that have arrived."""

    def __init__(self, pipe: Pipe) -> None:
        self._descriptor = pipe.read
        self._pending = b""
        os.set_blocking(pipe.read, False)

    def lines(self) -> list[dict[str, Any]]:
        """Return the reports that are there now."""
        try:
            while data := os.read(self._descriptor, 1 << 16):
                self._pending += data
        except BlockingIOError:
            pass
        *lines, self._pending = self._pending.split(b"\n")
        return [json.loads(line) for line in lines]


def test_reports_are_lines_of_json(pipe: Pipe) -> None:
    """One line per report; JSON turns integer keys into text."""
    reports = Reports(pipe.write)
    reports.send({"ready": 1})
    reports.send({"latencies": {700: 2}})
    assert Reader(pipe).lines() == [{"ready": 1}, {"latencies": {"700": 2}}]


def test_a_late_reader_misses_nothing_and_delays_nobody(pipe: Pipe) -> None:
    """Reports that do not fit into the pipe are kept, complete and in order: 300 reports of 1 kB into 64 KiB."""
    reports, reader = Reports(pipe.write), Reader(pipe)
    for number in range(300):
        reports.send({"number": number, "text": "x" * 1_000})
    seen = reader.lines()
    assert 0 < len(seen) < 100
    for number in range(300, 310):
        reports.send({"number": number})
        seen += reader.lines()
    assert [report["number"] for report in seen] == list(range(310))


def test_a_reader_that_never_reads_does_not_fill_the_memory(pipe: Pipe) -> None:
    """About a megabyte is kept; further reports are dropped, and the kept ones stay complete."""
    reports, reader = Reports(pipe.write), Reader(pipe)
    for number in range(2_000):
        reports.send({"number": number, "text": "x" * 1_000})
    seen = reader.lines()
    for _ in range(40):  # 1 MiB is 16 times what the pipe holds
        reports.send({})
        seen += [report for report in reader.lines() if report]
    kept = [report["number"] for report in seen]
    assert kept == list(range(len(kept)))
    # A report has 1 000 bytes and some 30 around them; what the pipe holds comes on top.
    assert MAX_UNSENT_BYTES / 1_040 < len(kept) < (MAX_UNSENT_BYTES + (1 << 17)) / 1_000


def test_a_reader_that_is_gone_is_no_reason_to_stop(pipe: Pipe) -> None:
    """Only the command pipe ends a load."""
    reports = Reports(pipe.write)
    pipe.close(pipe.read)
    reports.send({"ready": 0})
    reports.send({"ready": 0})


def test_a_parent_that_gives_no_sign_of_life_stops_the_load(pipe: Pipe) -> None:
    """Its pipe is open, but it hangs; empty lines are signs of life, and no commands."""
    commands, reasons = Commands(pipe.read), list[str]()
    commands.last_sign = SignOfLife(limit_s=1.0)
    began = time.monotonic()
    watcher = gevent.spawn(commands.watch, reasons.append, unexpected)
    for _ in range(10):
        os.write(pipe.write, b"\n")
        gevent.sleep(0.2)
    assert reasons == []
    with gevent.Timeout(60):
        while not reasons:
            gevent.sleep(0.01)
    assert reasons == [HANGS]
    assert time.monotonic() - began > 2.5
    pipe.close(pipe.write)
    watcher.join(timeout=10)

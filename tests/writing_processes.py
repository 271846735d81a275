"""Processes that write one file at the same time, or until they are killed."""

import contextlib
import multiprocessing
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path


def run_both(work: Callable[[Path, str, Barrier], None], path: Path) -> None:
    """Run a function in two processes, ``a`` and ``b``, which start at the same time."""
    context = multiprocessing.get_context("fork")
    start = context.Barrier(2)
    processes = [context.Process(target=work, args=(path, name, start)) for name in ("a", "b")]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=30)
    assert [process.exitcode for process in processes] == [0, 0]


def last_sent_before_kill(work: Callable[[Connection], None], *, after_s: float) -> int:
    """Let a process write until it is killed (SIGKILL); return the last number that it sent.

    Args:
        work: sends a number over the connection after every write.
        after_s: seconds from the first number to the kill.
    """
    context = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(sending,))
    process.start()
    sending.close()
    last = receiving.recv()
    time.sleep(after_s)
    process.kill()
    process.join(timeout=10)
    assert process.exitcode == -signal.SIGKILL
    with receiving, contextlib.suppress(EOFError):
        while True:
            last = receiving.recv()
    return int(last)

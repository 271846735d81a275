"""Measure what it costs to wake up a process: the minimum cost of an open-model generator at a moderate rate.

Each program below only wakes up at a fixed rate. Its user and system time divided by the number of wake-ups is the
cost of one. The section starts it in a process of its own: ``python -m benchmarks.wakes PROGRAM RATE SECONDS``.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable

from benchmarks.bench import Bench, log_progress
from benchmarks.tables import Row, Table

RATES = (500, 3000)
RUN_S = 5


def wakes(bench: Bench) -> Table:
    """Measure every program at every rate."""
    run_s, rates = (1, RATES[:1]) if bench.is_quick else (RUN_S, RATES)
    rows = [_row(name, rate_rps, run_s) for rate_rps in rates for name in PROGRAMS]
    return Table(title="wakes: what a wake-up costs", rows=rows)


def _row(name: str, rate_rps: int, run_s: int) -> Row:
    log_progress(f"{name} at {rate_rps}/s")
    command = [sys.executable, "-m", "benchmarks.wakes", name, str(rate_rps), str(run_s)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return {"woken by": name, "rate /s": rate_rps, **json.loads(done.stdout)}


def _sleep(rate_rps: float, count: int) -> None:
    start = time.perf_counter()
    for number in range(count):
        time.sleep(max(0.0, start + number / rate_rps - time.perf_counter()))


def _gevent(rate_rps: float, count: int) -> None:
    from gevent.event import Event

    from include.load.alarm import make_alarm

    finished, start, rings = Event(), time.perf_counter(), 0

    def ring() -> None:
        nonlocal rings
        rings += 1
        if rings < count:
            alarm.set(start + rings / rate_rps)
        else:
            finished.set()

    alarm = make_alarm(ring)
    alarm.set(start)
    finished.wait()
    alarm.close()


PROGRAMS: dict[str, Callable[[float, int], None]] = {"time.sleep": _sleep, "the alarm of include.load": _gevent}


def main() -> None:
    """Run one program and print its cost as JSON."""
    name, rate_rps, run_s = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
    count = int(rate_rps * run_s)
    PROGRAMS[name](rate_rps, 1)  # imports do not count
    began = time.process_time()
    PROGRAMS[name](rate_rps, count)
    print(json.dumps({"CPU µs per wake": 1e6 * (time.process_time() - began) / count}))  # noqa: T201 - its result


if __name__ == "__main__":
    main()

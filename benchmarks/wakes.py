"""What it costs a process to be woken: the floor under every open-model generator at a moderate rate.

Each program below does nothing but wake up at a fixed rate; its user and system time over the wake-ups is the cost
of one. Run as a process of its own: ``python -m benchmarks.wakes PROGRAM RATE SECONDS``.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable

from benchmarks.load_sections import Bench, tell
from benchmarks.tables import Row, Table

RATES = (500, 3000)
RUN_S = 5


def wakes(bench: Bench) -> Table:
    """Measure every program at every rate."""
    run_s = 2 if bench.is_quick else RUN_S
    rows = [_row(name, rate, run_s) for rate in RATES for name in PROGRAMS]
    return Table(title="wakes: what a wake-up costs", rows=rows)


def _row(name: str, rate_rps: int, run_s: int) -> Row:
    tell(f"{name} at {rate_rps}/s")
    command = [sys.executable, "-m", "benchmarks.wakes", name, str(rate_rps), str(run_s)]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)
    return {"woken by": name, "rate /s": rate_rps} | found


def _sleep(rate_rps: float, count: int) -> None:
    start = time.perf_counter()
    for number in range(count):
        time.sleep(max(0.0, start + number / rate_rps - time.perf_counter()))


def _gevent(rate_rps: float, count: int) -> None:
    from gevent.event import Event

    from include.load.alarm import make_alarm

    over, start, rings = Event(), time.perf_counter(), 0

    def ring() -> None:
        nonlocal rings
        rings += 1
        if rings < count:
            alarm.set(start + rings / rate_rps)
        else:
            over.set()

    alarm = make_alarm(ring)
    alarm.set(start)
    over.wait()
    alarm.close()


PROGRAMS: dict[str, Callable[[float, int], None]] = {"time.sleep": _sleep, "the alarm of include.load": _gevent}


def main() -> None:
    """Run one program and print its cost as JSON."""
    name, rate_rps, run_s = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
    count = int(rate_rps * run_s)
    PROGRAMS[name](rate_rps, 1)  # what it imports does not count
    began = time.process_time()
    PROGRAMS[name](rate_rps, count)
    print(json.dumps({"CPU µs per wake": 1e6 * (time.process_time() - began) / count}))  # noqa: T201 - its result


if __name__ == "__main__":
    main()

"""Measure the load generator against a target whose truth is known, beside other generators.

Run from the project's root::

    python -m benchmarks.load [SECTION ...] [--quick] [--seconds 30] [--for 3600] [--json FILE]

Sections: rate, stalls, ceiling, wakes, workers, memory, validity; all unless named.

Method. The target (`target.c`) is a server of one thread on the loopback that logs for every request when it
reached this machine (the kernel's time stamp), when it was read and when its answer was handed to the kernel. It
runs at real-time priority where that is allowed, so that it is itself not late. Its service times are lognormal,
median 5 ms, p99 16 ms, seeded. Each run has a fresh target.

- The truth of a latency is from arrival to answer in that log, over the same requests; a bias is reported minus true.
- With stalls that would not do: a generator that sends nothing while the target sleeps sees nothing. There the
  truth is computed: request k was due at start + k / rate, waits for the end of a stall, and takes as long
  as the target took for a request that no stall touched, whether the generator sent it or not.
- Start lag is the k-th arrival at the target minus the k-th due time.
- CPU is the user and system time of all processes of the load, sampled by /proc, over seconds of full load: start-up
  does not count. Wanted cores is what the generator says of itself.
- `validity` runs the generator beside processes that keep the processors busy, at raised and at normal priority, and
  asks whether `include.perf.measure.validity` tells the runs whose figures are wrong.

Other generators are measured where they are in PATH. What else the machine does is in the figures: the head says how
busy it was before.
"""

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import load_sections, thresholds, wakes
from benchmarks.load_sections import Bench, described, tell
from benchmarks.tables import Table
from benchmarks.target import BenchmarkError, build
from benchmarks.watch import busy_share, machine

RUN_S, QUICK_S = 30, 10

SECTIONS: dict[str, Callable[[Bench], Table]] = {
    "rate": load_sections.rate,
    "stalls": load_sections.stalls,
    "ceiling": load_sections.ceiling,
    "wakes": wakes.wakes,
    "workers": load_sections.workers,
    "memory": load_sections.memory,
    "validity": thresholds.validity,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sections and print their tables."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, _end)  # so that what runs is ended and temporary files go
    head = machine() | {"busy before": f"{busy_share():.0%}"}
    _print("# Load generator\n\n" + ", ".join(f"{name}: {value}" for name, value in head.items()) + "\n")
    results = {}
    with tempfile.TemporaryDirectory(prefix="bellwether-benchmark-") as folder:
        try:
            program = build(Path(folder))
            bench = Bench(
                program=program,
                is_quick=options.quick,
                run_s=options.seconds or (QUICK_S if options.quick else RUN_S),
                memory_s=options.for_s,
                seed=options.seed,
            )
            for name in options.section or SECTIONS:
                table = SECTIONS[name](bench)
                results[name] = described(table.rows)
                _print(table.text())
                if options.json:
                    options.json.write_text(json.dumps({"machine": head, "sections": results}, indent=2) + "\n")
        except BenchmarkError as err:
            tell(str(err))
            return 1
    return 0


def _end(number: int, frame: object) -> None:
    sys.exit(f"stopped by {signal.Signals(number).name}")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.load", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("section", nargs="*", help=f"all unless given: {', '.join(SECTIONS)}")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs, to try it out")
    parser.add_argument("--seconds", type=int, help=f"measured seconds of one run; {RUN_S}, with --quick {QUICK_S}")
    parser.add_argument("--for", dest="for_s", type=int, default=120, help="seconds of the memory section")
    parser.add_argument("--seed", type=int, default=1, help="of the target's service times")
    parser.add_argument("--json", type=Path, help="file for the raw results")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.section if name not in SECTIONS]
    if unknown:
        parser.error(f"there is no section {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
    return options


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())

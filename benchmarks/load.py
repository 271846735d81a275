"""Measure the load generator against a target whose truth is known, next to other generators.

Run from the project's root::

    python -m benchmarks.load [SECTION ...] [--quick] [--seconds 30] [--for 3600] [--json FILE]

Sections: rate, stalls, arrivals, ceiling, slots, journeys, wakes, workers, memory, ways, validity. The default is all
of them, one after the other; with ``--quick`` they run at the same time.

Method. The target (`target.c`) is a single-threaded server on the loopback. For every request it logs when the request
reached this machine (the kernel's time stamp), when it was read, and when its answer was handed to the kernel. It runs
at real-time priority where that is allowed, so that it is not late itself. Service times are lognormal and seeded, with
a median of 5 ms and a p99 of 16 ms. Each run has a fresh target.

- A true latency runs from arrival to answer in that log, over the same requests. A bias is reported minus true.
- With stalls, the log is not enough: a generator that sends nothing while the target sleeps sees no stall. There, the
  truth is computed: request k is due at start + k / rate, waits for the end of a stall, and then takes as long as the
  target took for a request that no stall touched, whether or not the generator sent it.
- Start lag is the k-th arrival at the target minus the k-th due time.
- CPU is the user and system time of all processes of the load, sampled from /proc over seconds of full load, without
  start-up. Wanted cores is the generator's own figure.
- `validity` runs the generator next to processes that keep the processors busy, at raised and at normal priority, and
  checks whether `include.perf.measure.validity` recognises the runs whose figures are wrong.

Other generators are measured if they are in PATH. The head of the output shows how busy the machine was before.
"""

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks import arrivals, journeys, load_sections, stalls, thresholds, wakes, ways
from benchmarks.bench import SHORTEST_S, Bench, log_progress
from benchmarks.load_sections import described
from benchmarks.options import notes_of, parse, parser_of
from benchmarks.tables import Table
from benchmarks.target import BenchmarkError, MissingToolError, build
from benchmarks.watch import busy_share, machine

RUN_S = 30

SECTIONS: dict[str, Callable[[Bench], Table]] = {
    "rate": load_sections.rate,
    "stalls": stalls.stalls,
    "arrivals": arrivals.arrivals,
    "ceiling": load_sections.ceiling,
    "slots": load_sections.slots,
    "journeys": journeys.journeys,
    "wakes": wakes.wakes,
    "workers": load_sections.workers,
    "memory": load_sections.memory,
    "ways": ways.ways,
    "validity": thresholds.validity,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sections and print their tables."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, _end)  # so that children end and temporary files are removed
    head = machine() | {"busy before": f"{busy_share():.0%}"}
    _print("# Load generator\n\n" + ", ".join(f"{name}: {value}" for name, value in head.items()) + "\n")
    for note in notes_of(options):
        _print(note + "\n")
    results = {}
    with tempfile.TemporaryDirectory(prefix="bellwether-benchmark-") as folder:
        try:
            program = build(Path(folder))
            for name, table in _tables(options, program):
                results[name] = described(table.rows)
                _print(table.text())
                if options.json:
                    options.json.write_text(json.dumps({"machine": head, "sections": results}, indent=2) + "\n")
        except MissingToolError as err:
            log_progress(str(err))
            return 0 if options.quick else 1
        except BenchmarkError as err:
            log_progress(str(err))
            return 1
    return 0


def _tables(options: argparse.Namespace, program: Path) -> Iterator[tuple[str, Table]]:
    names = options.section or list(SECTIONS)

    def table_of(name: str) -> Table:
        bench = Bench(
            program=program,
            is_quick=options.quick,
            run_s=options.seconds,
            memory_s=options.for_s,
            seed=options.seed,
        )
        return SECTIONS[name](bench)

    if not options.quick:
        yield from _paired(names, map(table_of, names))
        return
    with ThreadPoolExecutor(len(names)) as pool:  # each mostly waits for its load process
        yield from _paired(names, pool.map(table_of, names))


def _paired(names: Sequence[str], tables: Iterable[Table]) -> Iterator[tuple[str, Table]]:
    return zip(names, tables, strict=True)


def _end(number: int, frame: object) -> None:
    sys.exit(f"stopped by {signal.Signals(number).name}")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = parser_of("load", __doc__)
    parser.add_argument("section", nargs="*", help=f"default: {' '.join(SECTIONS)}")
    parser.add_argument("--seconds", type=int, default=RUN_S, help="measured seconds of one run")
    parser.add_argument("--for", dest="for_s", type=int, default=120, help="seconds of the memory section")
    parser.add_argument("--seed", type=int, default=1, help="seed of the target's service times")
    parser.add_argument("--json", type=Path, help="also write the raw results to this file")
    options = parse(parser, arguments, quick={"seconds": SHORTEST_S, "for_s": SHORTEST_S})
    unknown = [name for name in options.section if name not in SECTIONS]
    if unknown:
        parser.error(f"unknown section {', '.join(unknown)}; choose from {', '.join(SECTIONS)}")
    return options


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())

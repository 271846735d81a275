"""Measure loads that are sent by workers over the network, against a target whose truth is known.

Run from the project's root::

    python -m benchmarks.distributed [--workers 2 3] [--rates 1000 3000 5000] [--seconds 15] [--quick] [--json FILE]

Method. The target is that of `benchmarks.load` (`target.c`). It counts requests independently, and logs when each
reached this machine. Workers are agents (`python -m include.load.worker`), with a master next to this process. Here,
all of them share one machine and its loopback, so the limit of this machine is their common limit. A load is correct if
the target counted what the record holds.

- counted, in the record: requests of the run, warm-up included; the ratio must be 1.
- sd per second: of the requests that reached the target in each second of the measured window.
- bias: a reported latency percentile minus the same one in the target's log.
- clock: the largest error of a worker's start time, from the round trips before the load.
"""

import argparse
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks import bellwether
from benchmarks.bellwether import Outcome
from benchmarks.options import notes_of, parse, parser_of
from benchmarks.tables import Row, Table
from benchmarks.target import Behaviour, BenchmarkError, MissingToolError, build
from benchmarks.watch import busy_share, machine
from include.perf.adapters.generator.locust_generator import LocustGenerator
from include.perf.adapters.generator.locust_pool import LocustPool
from include.perf.catalogue.scenario.load_profile import MIN_DURATION_S, LoadProfile

ROOT = Path(__file__).parents[1]
LOOPBACK = "127.0.0.1"
END_S = 20.0


@contextmanager
def agents(count: int, folder: Path) -> Iterator[LocustPool]:
    """Run a pool of ``count`` workers until the block ends."""
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
    pool = LocustPool(host=LOOPBACK, port=port, key=secrets.token_hex(32), workers=count)
    environment = os.environ | {
        "BELLWETHER_LOCUST_MASTER": f"{LOOPBACK}:{port}",
        "BELLWETHER_LOCUST_KEY": pool.key,
        "TMPDIR": str(folder),
    }
    running = []
    try:
        for number in range(count):
            with (folder / f"worker-{number}.log").open("wb") as log:
                command = [sys.executable, "-m", "include.load.worker"]
                running.append(subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log))
        yield pool
    finally:
        for process in running:
            process.terminate()
        for process in running:
            try:
                process.wait(timeout=END_S)
            except subprocess.TimeoutExpired:
                process.kill()


def drive(program: Path, load: LoadProfile, pool: LocustPool) -> Outcome:
    """Send one load from the workers of a pool.

    Raises:
        BenchmarkError: the load left no complete record.
    """
    return bellwether.drive(program, load, Behaviour(), generator=LocustGenerator(pool=lambda: pool))


def row(outcome: Outcome) -> Row:
    """Return the figures of a load."""
    figures, per_second = outcome.figures, outcome.per_second()
    counted, recorded = len(outcome.whole_truth.arrived), figures.rows
    generator = figures.generator
    return {
        "workers": generator.workers,
        "requested /s": outcome.load.rate_rps,
        "counted by the target": counted,
        "in the record": recorded,
        "counted / recorded": f"{counted / recorded:.6f}",
        "per second": float(np.mean(per_second)),
        "sd per second": float(np.std(per_second)),
        "true p50 ms": outcome.true_ms("p50"),
        "true p99 ms": outcome.true_ms("p99"),
        "bias p50 ms": outcome.bias_ms("p50"),
        "bias p99 ms": outcome.bias_ms("p99"),
        "lag p99 ms": 1000 * generator.schedule_lag_p99_s,
        "wanted cores, busiest worker": np.nan if generator.wanted_cores is None else generator.wanted_cores,
        "clock ± ms": np.nan if generator.clock_uncertainty_s is None else 1000 * generator.clock_uncertainty_s,
        "valid": "no" if outcome.problems else "yes",
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the loads and print their table."""
    options = _options(arguments)
    try:
        return _measure(options)
    except MissingToolError as err:
        sys.stderr.write(f"{err}\n")
        return 0 if options.quick else 1


def _measure(options: argparse.Namespace) -> int:
    head = machine() | {"busy before": f"{busy_share():.0%}"}
    rows: list[Row] = []
    notes = list(notes_of(options))
    with tempfile.TemporaryDirectory(prefix="bellwether-distributed-") as name:
        program = build(Path(name))
        for count in options.workers:
            with agents(count, Path(name)) as pool:
                for rate_rps in options.rates:
                    load = bellwether.load_profile(
                        rate_rps=rate_rps, duration_s=options.seconds, warmup_s=options.warmup
                    )
                    try:
                        outcome = drive(program, load, pool)
                    except BenchmarkError as err:
                        notes.append(f"No figures for {count} workers at {rate_rps:g}/s: {err}")
                    else:
                        rows.append(row(outcome))
                        notes += [f"{count} workers at {rate_rps:g}/s: {problem}." for problem in outcome.problems]
    sys.stdout.write(", ".join(f"{key}: {value}" for key, value in head.items()) + "\n\n")
    sys.stdout.write(Table(title="distributed: workers over the network", rows=rows, notes=notes).text() + "\n")
    if options.json:
        options.json.write_text(json.dumps({"machine": head, "rows": rows, "notes": notes}, indent=2) + "\n")
    return 0 if len(rows) == len(options.workers) * len(options.rates) else 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = parser_of("distributed", __doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 3], help="numbers of workers (default: 2 3)")
    parser.add_argument("--rates", type=float, nargs="+", default=[1000.0, 3000.0, 5000.0], help="requests per second")
    parser.add_argument("--seconds", type=int, default=15, help="measured seconds of one load (default: 15)")
    parser.add_argument("--warmup", type=int, default=bellwether.WARMUP_S, help="seconds before the measured part")
    parser.add_argument("--json", type=Path, help="also write the raw results to this file")
    quick = {"workers": [2], "rates": [50.0], "seconds": MIN_DURATION_S, "warmup": 0}
    return parse(parser, arguments, quick=quick)


if __name__ == "__main__":
    raise SystemExit(main())

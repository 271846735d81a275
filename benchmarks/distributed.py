"""Measure loads whose workers come over the network, against a target whose truth is known.

Run from the project's root::

    python -m benchmarks.distributed [--workers 2 3] [--rates 1000 3000 5000] [--seconds 15] [--json FILE]

Method. The target is that of `benchmarks.load` (`target.c`): it counts every request by itself, and logs when each
reached this machine. Workers are agents (`python -m include.load.worker`) with a master beside this process, as on
other machines; here all share one machine and talk over the loopback, so that its limit is the limit of all of them
together. A load is right when the target counted what the record holds, second by second.

- requests counted / in the record: both over the whole run; the ratio must be 1.
- sd per second: of the requests that reached the target in each second of the measured window.
- bias: a latency percentile that was reported, minus the same one in the target's log.
- clock: how far off the common start may have been on a worker, at most, by the round trips before the load.
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
from benchmarks.tables import Row, Table
from benchmarks.target import Behaviour, BenchmarkError, build
from benchmarks.watch import busy_share, machine
from include.perf.adapters.generator.locust_generator import LocustGenerator
from include.perf.adapters.generator.locust_pool import LocustPool
from include.perf.catalogue.scenario.load_profile import LoadProfile

ROOT = Path(__file__).parents[1]
LOOPBACK = "127.0.0.1"
END_S = 20.0


@contextmanager
def agents(count: int, folder: Path) -> Iterator[LocustPool]:
    """Lend a pool of so many workers, all of which are gone when the block ends."""
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
    """Run one load by the workers of a pool.

    Raises:
        BenchmarkError: it left no whole record.
    """
    return bellwether.drive(program, load, Behaviour(), generator=LocustGenerator(pool=lambda: pool))


def row(outcome: Outcome) -> Row:
    """Return what came of a load."""
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
        "most cores wanted": np.nan if generator.wanted_cores is None else generator.wanted_cores,
        "clock ± ms": np.nan if generator.clock_uncertainty_s is None else 1000 * generator.clock_uncertainty_s,
        "valid": "no" if outcome.problems else "yes",
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the loads and print their table."""
    options = _options(arguments)
    head = machine() | {"busy before": f"{busy_share():.0%}"}
    rows: list[Row] = []
    notes: list[str] = []
    with tempfile.TemporaryDirectory(prefix="bellwether-distributed-") as name:
        program = build(Path(name))
        for count in options.workers:
            with agents(count, Path(name)) as pool:
                for rate_rps in options.rates:
                    load = bellwether.load_profile(rate_rps=rate_rps, duration_s=options.seconds)
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
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.distributed",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 3], help="numbers of workers (default: 2 3)")
    parser.add_argument("--rates", type=float, nargs="+", default=[1000.0, 3000.0, 5000.0], help="requests per second")
    parser.add_argument("--seconds", type=int, default=15, help="measured seconds of one load (default: 15)")
    parser.add_argument("--json", type=Path, help="file for the raw results")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main())

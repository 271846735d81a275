"""Do the rules of `include.perf.measure.validity` reject the runs whose figures are wrong?

The generator runs at several rates, together with processes that keep the processors busy. A run is wrong if its p99 is
off by more than 10 % or its p50 by more than 1 ms. The rules only use what the generator measures about itself.
"""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from benchmarks import bellwether
from benchmarks.bellwether import Outcome
from benchmarks.bench import QUICK_RATE_RPS, SHORTEST_S, Bench, log_progress
from benchmarks.tables import Row, Table
from benchmarks.target import Behaviour, BenchmarkError

MAX_P50_ERROR_MS = 1.0
MAX_P99_ERROR = 0.10
RATES = (70.0, 340.0, 870.0, 1700.0, 2600.0)
QUICK_RATES = (QUICK_RATE_RPS,)
BURNERS = (0, 1, 2, 3)
QUICK_BURNERS = (1,)
RUN_S = 12
BURNER_S = 120
BURNER = "import sys, time\nend = time.monotonic() + float(sys.argv[1])\nwhile time.monotonic() < end: pass"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One run: its rate, the number of busy processes, and the priority of the generator."""

    rate_rps: float
    burners: int
    is_raised: bool


def validity(bench: Bench) -> Table:
    """Run every case, and count correct and wrong judgements."""
    rows = [_row(case, outcome) for case in _cases(bench) if (outcome := _run(bench, case)) is not None]
    counts = Counter((bool(row["off"] == "off"), row["judged"]) for row in rows)
    wrong_passed = [_name(row) for row in rows if row["off"] == "off" and row["judged"] == "valid"]
    good_refused = [_name(row) for row in rows if row["off"] == "" and row["judged"] == "invalid"]
    return Table(
        title="validity: do the limits catch wrong figures?",
        rows=rows,
        notes=[
            f"Off: p99 more than {MAX_P99_ERROR:.0%} or p50 more than {MAX_P50_ERROR_MS:g} ms from the truth.",
            *_confusion(counts),
            f"Wrong yet valid: {', '.join(wrong_passed) or 'none'}.",
            f"Right yet invalid: {', '.join(good_refused) or 'none'}.",
            *bench.failure_notes(),
        ],
    )


def _cases(bench: Bench) -> list[Case]:
    rates = QUICK_RATES if bench.is_quick else RATES
    burners = QUICK_BURNERS if bench.is_quick else BURNERS
    return [
        Case(rate_rps=rate_rps, burners=count, is_raised=is_raised)
        for is_raised in ((False,) if bench.is_quick else (False, True))
        for count in burners
        for rate_rps in rates
    ]


def _run(bench: Bench, case: Case) -> Outcome | None:
    priority = "raised" if case.is_raised else "normal"
    log_progress(f"{case.rate_rps:g}/s with {case.burners} burners at {priority} priority")
    seed = 1000 * bench.seed + round(case.rate_rps) + case.burners
    try:
        length = {"duration_s": SHORTEST_S, "warmup_s": 0} if bench.is_quick else {"duration_s": RUN_S}
        load = bellwether.load_profile(rate_rps=case.rate_rps, seed=seed, **length)
        with burning(case.burners) as others:
            return bellwether.drive(
                bench.program, load, Behaviour(seed=seed), others=others, at_normal_priority=not case.is_raised
            )
    except BenchmarkError as err:
        bench.note_failure(f"{case}: {err}")
        return None


@contextmanager
def burning(count: int) -> Iterator[tuple[int, ...]]:
    """Keep processors busy with ``count`` endless loops at normal priority, each in its own session."""
    processes = []
    try:
        for _ in range(count):
            command = [sys.executable, "-c", BURNER, str(BURNER_S)]
            processes.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True))
        yield tuple(process.pid for process in processes)
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _row(case: Case, outcome: Outcome) -> Row:
    generator = outcome.figures.generator
    p50_ms, p99_share = outcome.bias_ms("p50"), outcome.bias_ms("p99") / outcome.true_ms("p99")
    is_off = not (abs(p50_ms) <= MAX_P50_ERROR_MS and abs(p99_share) <= MAX_P99_ERROR)  # NaN is off
    return {
        "priority": "raised" if case.is_raised else "normal",
        "burners": case.burners,
        "rate /s": case.rate_rps,
        "p50 error ms": p50_ms,
        "p95 error": _percent(outcome.bias_ms("p95") / outcome.true_ms("p95")),
        "p99 error": _percent(p99_share),
        "p99 true ms": outcome.true_ms("p99"),
        "schedule lag p99 ms": 1000 * generator.schedule_lag_p99_s,
        "start lag p99 ms": 1000 * generator.start_lag_p99_s,
        "cores": generator.cpu_cores,
        "wanted cores": generator.wanted_cores,
        "wait": generator.wait_ratio,
        "steal": generator.steal_ratio,
        "other cores": outcome.foreign_cores,
        "off": "off" if is_off else "",
        "judged": "invalid" if outcome.problems else "valid",
    }


def _percent(share: float) -> str:
    return "–" if np.isnan(share) else f"{share:+.1%}"


def _name(row: Row) -> str:
    return f"{row['rate /s']:g}/s, {row['burners']} burners, {row['priority']}"


def _confusion(counts: Counter[tuple[bool, str]]) -> list[str]:
    lines = [
        "|                  | judged valid | judged invalid |",
        "| ---------------- | -----------: | -------------: |",
    ]
    for is_off, name in ((False, "figures right"), (True, "figures wrong")):
        lines.append(f"| {name:<16} | {counts[is_off, 'valid']:>12} | {counts[is_off, 'invalid']:>14} |")
    return ["\n".join(lines)]

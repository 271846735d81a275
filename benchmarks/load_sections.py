"""The sections of `benchmarks.load` about the rate, its cost and the memory."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks import bellwether
from benchmarks.bellwether import Outcome
from benchmarks.bench import OURS, Bench
from benchmarks.peers import SHARES, PeerOutcome
from benchmarks.tables import Row, Table
from benchmarks.target import Behaviour
from include.perf.catalogue.scenario.load_profile import LoadProfile

WITHIN = 0.01
MIB = 2**20
SLOT_RATE_RPS, SLOT_ROUNDS = 3000.0, 5

SIGNINGS: Mapping[str, Mapping[str, Any]] = {
    "timestamp, nonce and HMAC-SHA256": {
        "parts": ["timestamp", "nonce", "method", "target", "body"],
        "header": "X-Signature",
        "timestamp": {"header": "X-Timestamp"},
        "nonce": {"header": "X-Nonce"},
    },
    "AWS Signature Version 4": {"style": "aws", "region": "eu-west-1", "service": "execute-api"},
}


def rate(bench: Bench) -> Table:
    """Measure how well the generator keeps its schedule, as the target saw it."""
    rates = (50,) if bench.is_quick else (50, 100, 300, 500, 2000)
    outcomes = [bench.drive(Behaviour(seed=bench.seed), rate_rps=rps, duration_s=bench.run_s) for rps in rates]
    rows = [_rate_row(outcome) for outcome in outcomes if outcome]
    rows += [_peer_rate_row(outcome) for outcome in bench.run_paced(for_s=bench.run_s)]
    return Table(title="rate: does the generator keep the schedule?", rows=rows, notes=bench.failure_notes())


def _kept(requested_rps: float, per_second: "np.ndarray[Any, np.dtype[np.int64]]") -> Row:
    return {
        "achieved /s": float(np.mean(per_second)),
        "sd per second": float(np.std(per_second)),
        "seconds within 1 %": f"{np.mean(np.abs(per_second - requested_rps) <= WITHIN * requested_rps):.0%}",
    }


def _rate_row(outcome: Outcome) -> Row:
    return {
        "generator": OURS,
        "requested /s": outcome.load.rate_rps,
        **_kept(outcome.load.rate_rps, outcome.per_second()),
        "start lag p50 ms": outcome.start_lag_ms(0.50),
        "start lag p99 ms": outcome.start_lag_ms(0.99),
        **{f"true {name} ms": outcome.true_ms(name) for name in ("p50", "p99")},
        **{f"bias {name} ms": outcome.bias_ms(name) for name in ("p50", "p99")},
        "other cores": outcome.foreign_cores,
        "valid": _valid(outcome),
    }


def _peer_rate_row(outcome: PeerOutcome) -> Row:
    return {
        "generator": f"{outcome.name}, {outcome.connections} connections",
        "requested /s": outcome.requested_rps,
        **_kept(outcome.requested_rps or np.nan, outcome.per_second()),
        "start lag p50 ms": None,
        "start lag p99 ms": None,
        **{f"true {name} ms": outcome.true_ms(SHARES[name]) for name in ("p50", "p99")},
        **{f"bias {name} ms": outcome.bias_ms(name) for name in ("p50", "p99")},
        "other cores": outcome.foreign_cores,
        "valid": "–",
    }


def _valid(outcome: Outcome) -> str:
    return "no" if outcome.problems else "yes"


def ceiling(bench: Bench) -> Table:
    """Measure what a request costs one worker, and up to which rate its figures are right."""
    rates = (1000,) if bench.is_quick else (1000, 1500, 2000, 2500, 3000, 3500, 4000)
    outcomes = [
        bench.drive(Behaviour(seed=bench.seed), rate_rps=rps, duration_s=bench.run_s, **_workers(1)) for rps in rates
    ]
    rows: list[Row] = [_ceiling_row(outcome) for outcome in outcomes if outcome]
    rows += [_closed_row(outcome) for outcome in bench.run_closed_loop()]
    return Table(title="ceiling: one worker", rows=rows, notes=bench.failure_notes())


def _workers(count: int) -> dict[str, Any]:
    return {"workers": count} if "workers" in LoadProfile.model_fields else {}


def _ceiling_row(outcome: Outcome) -> Row:
    return {
        "generator": f"{OURS}, {outcome.load.rate_rps:,.0f}/s",
        "sent /s": len(outcome.truth.arrived) / outcome.figures.window.duration_s,
        "CPU s per 1,000": outcome.cpu_per_1000_s,
        "cores": outcome.figures.generator.cpu_cores,
        "wanted cores": outcome.figures.generator.wanted_cores,
        "schedule lag p99 ms": 1000 * outcome.figures.generator.schedule_lag_p99_s,
        "start lag p99 ms": outcome.start_lag_ms(0.99),
        **_both(outcome),
        "other cores": outcome.foreign_cores,
        "valid": _valid(outcome),
    }


def _both(outcome: Outcome) -> dict[str, float]:
    figures = {}
    for name in ("p50", "p99"):
        figures[f"{name} reported ms"] = outcome.reported_ms(name)
        figures[f"{name} true ms"] = outcome.true_ms(name)
    return figures


def _closed_row(outcome: PeerOutcome) -> Row:
    figures: dict[str, float | None] = {}
    for name in ("p50", "p99"):
        figures[f"{name} reported ms"] = outcome.reported_ms[name]
        figures[f"{name} true ms"] = outcome.true_ms(SHARES[name])
    return {
        "generator": f"{outcome.name}, {outcome.connections} connections closed loop",
        "sent /s": outcome.rate_rps,
        "CPU s per 1,000": outcome.cpu_per_1000_s,
        "cores": outcome.cpu_per_1000_s and outcome.cpu_per_1000_s * outcome.rate_rps / 1000,
        "wanted cores": None,
        "schedule lag p99 ms": None,
        "start lag p99 ms": None,
        **figures,
        "other cores": outcome.foreign_cores,
        "valid": "–",
    }


def workers(bench: Bench) -> Table:
    """Measure rates that need two workers."""
    title = "workers: two of them"
    if "workers" not in LoadProfile.model_fields:
        return Table(title=title, rows=[], notes=["Skipped: this version's load profile has no `workers`."])
    rates = (4000,) if bench.is_quick else (4000, 5000, 6000)
    outcomes = [
        bench.drive(Behaviour(seed=bench.seed), rate_rps=rps, duration_s=bench.run_s, **_workers(2)) for rps in rates
    ]
    return Table(
        title=title, rows=[_ceiling_row(outcome) for outcome in outcomes if outcome], notes=bench.failure_notes()
    )


def slots(bench: Bench) -> Table:
    """Measure what values of the requests' own and signatures cost, alternately with requests without them."""
    feeds = {"none": bellwether.feed(), "three": bellwether.feed_with_slots()}
    feeds |= dict.fromkeys(SIGNINGS, feeds["none"])
    outcomes: dict[str, list[Outcome]] = {name: [] for name in feeds}
    for number in range(1 if bench.is_quick else SLOT_ROUNDS):
        for name in feeds if number % 2 else reversed(feeds):
            outcome = bench.drive(
                Behaviour(seed=bench.seed),
                note=f"({name} of the request's own)",
                requests=feeds[name],
                signing=SIGNINGS.get(name),
                rate_rps=SLOT_RATE_RPS,
                duration_s=bench.run_s,
            )
            outcomes[name] += [outcome] if outcome else []
    medians = {name: median_cpu(found) for name, found in outcomes.items()}
    rows = [
        {
            "own values per request": name,
            "runs": len(outcomes[name]),
            "CPU s per 1,000": cpu,
            "ratio": cpu / medians["none"],
        }
        for name, cpu in medians.items()
    ]
    return Table(title="slots: values of the requests' own, and signatures", rows=rows, notes=bench.failure_notes())


def median_cpu(outcomes: Sequence[Outcome]) -> float:
    """Return the median of the CPU seconds per 1,000 requests; NaN without any."""
    used = [outcome.cpu_per_1000_s for outcome in outcomes if outcome.cpu_per_1000_s is not None]
    return float(np.median(used)) if used else np.nan


def memory(bench: Bench) -> Table:
    """Measure whether memory use stays flat."""
    rate_rps, for_s = bench.compared_rate_rps, bench.memory_s
    outcome = bench.drive(Behaviour(seed=bench.seed), rate_rps=rate_rps, duration_s=for_s, note="(memory)")
    rows: list[Row] = []
    if outcome:
        used = _memory_row(outcome.rss, rate_rps=rate_rps, for_s=for_s)
        rows.append({"generator": OURS, **used, "other cores": outcome.foreign_cores, "valid": _valid(outcome)})
    for peer in bench.run_paced(for_s=for_s):
        used = _memory_row(peer.rss, rate_rps=rate_rps, for_s=for_s)
        rows.append({"generator": peer.name, **used, "other cores": peer.foreign_cores, "valid": "–"})
    note = "First and last minute are the first and last quarter of a run shorter than four minutes."
    return Table(title="memory: does it stay flat?", rows=rows, notes=[note, *bench.failure_notes()])


def _memory_row(rss: Sequence[int], *, rate_rps: float, for_s: int) -> Row:
    samples = np.array(rss if len(rss) else (np.nan,), dtype=float) / MIB
    minute = max(1, round(len(samples) * min(0.25, 60 / for_s)))
    return {
        "rate /s": rate_rps,
        "seconds": for_s,
        "samples": len(rss),
        "RSS first minute MiB": float(np.mean(samples[:minute])),
        "RSS last minute MiB": float(np.mean(samples[-minute:])),
        "peak MiB": float(np.max(samples)),
    }


def described(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return rows for JSON, with ``None`` in place of NaN."""
    return [{name: None if value != value else value for name, value in row.items()} for row in rows]

"""The section `stalls` of `benchmarks.load`: which generators see that their target stalls."""

import numpy as np

from benchmarks import peers
from benchmarks.bench import OURS, SHORTEST_S, Bench
from benchmarks.peers import SHARES, STOCK_LOCUST, PeerOutcome
from benchmarks.tables import Row, Table
from benchmarks.target import Behaviour, Floats, Truth

STALLING = Behaviour(stall_s=1.0, every_s=10.0)
STALLED_RATE_RPS = 500.0


def stalls(bench: Bench) -> Table:
    """Measure which generators see that the target stalls."""
    for_s = SHORTEST_S if bench.is_quick else 60
    behaviour = Behaviour(stall_s=STALLING.stall_s, every_s=STALLING.every_s, seed=bench.seed)
    rows: list[Row] = []
    ours = bench.drive(behaviour, rate_rps=STALLED_RATE_RPS, duration_s=for_s, note="with stalls")
    if ours:
        reported = {name: ours.reported_ms(name) for name in SHARES}
        begin = ours.figures.window.start.timestamp()
        row = _stall_row(OURS, ours.load.max_concurrency, reported, ours.truth, begin=begin, for_s=for_s)
        rows.append({**row, "other cores": ours.foreign_cores})
    for users in (10,) if bench.is_quick else (10, 50, 500):
        stock = bench.run_peer(STOCK_LOCUST, behaviour, connections=users, for_s=for_s, rate_rps=STALLED_RATE_RPS)
        rows.append(_peer_stall_row(stock, for_s=for_s))
    others = bench.run_peers(behaviour, connections=50, for_s=for_s, rate_rps=STALLED_RATE_RPS)
    rows += [_peer_stall_row(outcome, for_s=for_s) for outcome in others]
    notes = ["wrk has no fixed rate: it sends as fast as the target answers."]
    if ours:
        log = ", ".join(f"{name} {ours.true_from_due_ms(name):.2f} ms" for name in SHARES)
        notes.append(f"{OURS} by the target's log, from the k-th due time to the k-th answer: {log}.")
    return Table(title="stalls: 1 s in every 10 s at 500/s", rows=rows, notes=[*notes, *bench.failure_notes()])


def _peer_stall_row(outcome: PeerOutcome, *, for_s: int) -> Row:
    begin = float(outcome.truth.arrived[0])
    row = _stall_row(outcome.name, outcome.connections, outcome.reported_ms, outcome.truth, begin=begin, for_s=for_s)
    sent = {} if outcome.requested_rps else {"sent of due": "no fixed rate"}
    return {**row, **sent, "other cores": outcome.foreign_cores}


def _stall_row(
    name: str, connections: int, reported: peers.Percentiles, truth: Truth, *, begin: float, for_s: int
) -> Row:
    ideal = due_latencies(truth, rate_rps=STALLED_RATE_RPS, begin=begin, for_s=for_s)
    figures: dict[str, float | None] = {}
    for key, share in SHARES.items():
        figures[f"{key} reported ms"] = reported[key]
        figures[f"{key} true ms"] = float(1000 * np.quantile(ideal, share))
    sent = len(truth.between(begin, begin + for_s).arrived) / (STALLED_RATE_RPS * for_s)
    return {"generator": name, "connections": connections, "sent of due": f"{sent:.1%}", **figures}


def due_latencies(truth: Truth, *, rate_rps: float, begin: float, for_s: float) -> Floats:
    """Return the latencies that requests on an ideal schedule would have had, whatever the generator did.

    Request k is due at ``begin`` + k / rate. A request that is due in a stall starts at the end of the stall; an answer
    that falls into a stall leaves at its end. The service time is what the target took for the requests that no stall
    touched, including the target's own overhead.
    """
    due = begin + np.arange(round(rate_rps * for_s)) / rate_rps
    answered = _after_stalls(due, truth.stalls) + np.resize(_untouched_s(truth), len(due))
    latencies: Floats = _after_stalls(answered, truth.stalls) - due
    return latencies


def _untouched_s(truth: Truth) -> Floats:
    """Return how long the target took for the requests that no stall touched."""
    touched = np.isnan(truth.answered)
    for start, end in truth.stalls:
        touched |= (truth.arrived < end) & (truth.answered > start)
    took: Floats = (truth.answered - truth.arrived)[~touched]
    return took


def _after_stalls(moments: Floats, intervals: Floats) -> Floats:
    delayed = moments.copy()
    for start, end in intervals:
        delayed[(delayed >= start) & (delayed < end)] = end
    return delayed

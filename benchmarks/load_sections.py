"""The sections of `benchmarks.load`, except `wakes` and `validity`."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import bellwether, peers
from benchmarks.bellwether import Outcome
from benchmarks.peers import PEERS, SHARES, STOCK_LOCUST, Peer, PeerOutcome
from benchmarks.tables import Row, Table
from benchmarks.target import Behaviour, BenchmarkError, Floats, Truth
from include.perf.catalogue.scenario.load_profile import MIN_DURATION_S, LoadProfile
from include.perf.load.feed import Feed

OURS = "Bellwether"
STALLING = Behaviour(stall_s=1.0, every_s=10.0)
STALLED_RATE_RPS = 500.0
CLOSED_LOOP_CONNECTIONS = 100
PACED_CONNECTIONS = 50
COMPARED_RATE_RPS = 500.0
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
SHORTEST_S = MIN_DURATION_S
QUICK_RATE_RPS, QUICK_CONNECTIONS, QUICK_PEER_S = 50.0, 5, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What every section needs: the built target, and how long to measure.

    Attributes:
        run_s: measured seconds of one run, in sections without a length of their own.
        failures: loads that were refused or left no record, since the last table.
        missing: peers that are not installed, in the same way.
    """

    program: Path
    is_quick: bool
    run_s: int
    memory_s: int
    seed: int
    failures: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    @property
    def compared_rate_rps(self) -> float:
        """The rate at which all generators are compared."""
        return QUICK_RATE_RPS if self.is_quick else COMPARED_RATE_RPS

    def drive(
        self,
        behaviour: Behaviour,
        *,
        note: str = "",
        requests: Feed | None = None,
        signing: Mapping[str, Any] | None = None,
        **load: Any,
    ) -> Outcome | None:
        """Run one load of ours; ``None`` when it is refused or leaves no record."""
        if self.is_quick:
            load |= {"rate_rps": QUICK_RATE_RPS, "warmup_s": 0}
        log_progress(f"{OURS} {load['rate_rps']:g}/s for {load['duration_s']} s {note}")
        try:
            profile = bellwether.load_profile(**load)
            return bellwether.drive(self.program, profile, behaviour, requests=requests, signing=signing)
        except BenchmarkError as err:
            self.note_failure(f"{load['rate_rps']:g}/s: {err}")
            return None

    def note_failure(self, what: str) -> None:
        """Remember a load without figures for the notes of its table."""
        log_progress(what)
        self.failures.append(what)

    def failure_notes(self) -> list[str]:
        """Return what the last table lacks, and forget it."""
        notes = [f"No figures for {failure}" for failure in self.failures]
        if self.missing:
            notes.append(f"Not in PATH, and not measured: {', '.join(self.missing)}.")
        self.failures.clear()
        self.missing.clear()
        return notes

    def run_paced(self, *, for_s: int) -> Iterator[PeerOutcome]:
        """Run stock Locust and every installed peer that has a fixed rate, all at the same rate."""
        behaviour, rate_rps = Behaviour(seed=self.seed), self.compared_rate_rps
        for peer in self._installed([peer for peer in (STOCK_LOCUST, *PEERS) if peer.paced]):
            yield self.run_peer(peer, behaviour, connections=PACED_CONNECTIONS, for_s=for_s, rate_rps=rate_rps)

    def run_closed_loop(self) -> Iterator[PeerOutcome]:
        """Run stock Locust and every installed peer as fast as the target answers."""
        behaviour, connections = Behaviour(seed=self.seed), CLOSED_LOOP_CONNECTIONS
        yield self.run_peer(STOCK_LOCUST, behaviour, connections=connections, for_s=self.run_s, rate_rps=None)
        yield from self.run_peers(behaviour, connections=connections, for_s=self.run_s, rate_rps=None)

    def run_peers(
        self, behaviour: Behaviour, *, connections: int, for_s: int, rate_rps: float | None
    ) -> Iterator[PeerOutcome]:
        """Run every installed peer."""
        for peer in self._installed(PEERS):
            paced_rps = rate_rps if peer.paced else None
            yield self.run_peer(peer, behaviour, connections=connections, for_s=for_s, rate_rps=paced_rps)

    def run_peer(
        self, peer: Peer, behaviour: Behaviour, *, connections: int, for_s: int, rate_rps: float | None
    ) -> PeerOutcome:
        """Run one peer; in quick mode, for a few seconds with a few connections."""
        if self.is_quick:
            connections, for_s = QUICK_CONNECTIONS, QUICK_PEER_S
            rate_rps = QUICK_RATE_RPS if rate_rps else None
        pace = f"{rate_rps:g}/s" if rate_rps else "closed loop"
        log_progress(f"{peer.name}, {pace}, {connections} connections, for {for_s} s")
        return peers.run(peer, self.program, behaviour, connections=connections, for_s=for_s, rate_rps=rate_rps)

    def _installed(self, wanted: Sequence[Peer]) -> Iterator[Peer]:
        for peer in wanted:
            if peer.is_there:
                yield peer
            else:
                log_progress(f"{peer.name} is not in PATH, and is not measured")
                self.missing.append(peer.name)


def log_progress(what: str) -> None:
    """Write a line of progress to standard error."""
    sys.stderr.write(f"… {what}\n")
    sys.stderr.flush()


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
    medians = {name: _median_cpu(found) for name, found in outcomes.items()}
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


def _median_cpu(outcomes: Sequence[Outcome]) -> float:
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

"""What the sections of `benchmarks.load` share: the built target, and how long to send to it."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import bellwether, peers
from benchmarks.bellwether import Outcome
from benchmarks.peers import PEERS, STOCK_LOCUST, Peer, PeerOutcome
from benchmarks.target import Behaviour, BenchmarkError
from include.perf.catalogue.scenario.load_profile import MIN_DURATION_S
from include.perf.load.feed import Feed

OURS = "Bellwether"
COMPARED_RATE_RPS = 500.0
CLOSED_LOOP_CONNECTIONS = 100
PACED_CONNECTIONS = 50
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
        endpoints: Sequence[Mapping[str, Any]] | None = None,
        **load: Any,
    ) -> Outcome | None:
        """Run one load of ours; ``None`` when it is refused or leaves no record."""
        if self.is_quick:
            load |= {"rate_rps": QUICK_RATE_RPS, "warmup_s": 0}
        log_progress(f"{OURS} {load['rate_rps']:g}/s for {load['duration_s']} s {note}")
        try:
            profile = bellwether.load_profile(**load)
            return bellwether.drive(
                self.program, profile, behaviour, requests=requests, signing=signing, endpoints=endpoints
            )
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

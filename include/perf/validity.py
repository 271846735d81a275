"""Why a run cannot be trusted: a pure function from its figures to reasons.

A run with any reason here is ``INVALID``: never a pass, never an alert about the service, never a baseline.
A slow or failing service is no reason: that is what a run is for.
"""

from collections.abc import Iterator

from include.perf.run import COMPLETED, LoadFigures, ServerFigures
from include.perf.scenario import LoadProfile

MIN_RATE_SHARE = 0.99
"""Share of the requested rate that must be released on time; the schedule itself holds 0.1 %."""

MAX_SCHEDULE_LAG_S = 0.010
"""99th percentile of how late arrivals may be released. It adds to every latency; an idle generator
releases within 1.2 ms up to 2,000/s (measured)."""

MAX_WANTED_CORES = 0.65
"""Above it one Locust process inflates the 99th percentile, long before its own 90 % warning (measured)."""

MIN_COVERAGE_RATIO = 0.95
"""Share of the scrapes that must be there; with fewer an average still looks normal and is not."""

MAX_CLOCK_STEP_S = 0.5
"""A wall clock that moved against the monotonic one makes the window in Prometheus another one."""


def load_problems(load: LoadProfile, figures: LoadFigures) -> list[str]:
    """Return the reasons in the generator's own record."""
    return list(_load_problems(load, figures))


def _load_problems(load: LoadProfile, figures: LoadFigures) -> Iterator[str]:
    generator = figures.generator
    if generator.ended != COMPLETED:
        yield f"the load ended early: {generator.ended}; start a new run"
    if figures.rows != figures.arrivals:
        yield (
            f"{figures.arrivals} requests were due but {figures.rows} are in the record; "
            "the generator lost some, start a new run"
        )
    planned = round(load.rate_rps * load.duration_s)
    if figures.due < planned * MIN_RATE_SHARE:
        yield (
            f"the generator released {figures.due} of {planned} arrivals "
            f"(at least {MIN_RATE_SHARE:.0%} are needed); give it a core of its own, or ask for a lower rate"
        )
    if generator.schedule_lag_p99_s > MAX_SCHEDULE_LAG_S:
        yield (
            f"the generator released arrivals late: p99 {generator.schedule_lag_p99_s * 1000:.1f} ms "
            f"(at most {MAX_SCHEDULE_LAG_S * 1000:g} ms); give it a core of its own"
        )
    if generator.wanted_cores is not None and generator.wanted_cores > MAX_WANTED_CORES:
        yield (
            f"the generator was saturated: it wanted {generator.wanted_cores:.2f} cores "
            f"(at most {MAX_WANTED_CORES}); give it a core of its own, or ask for a lower rate"
        )
    if abs(generator.clock_step_s) > MAX_CLOCK_STEP_S:
        yield (
            f"the clock of this machine was stepped by {generator.clock_step_s:+.2f} s during the run; "
            "start a new run once it is steady"
        )


def server_problems(figures: ServerFigures) -> list[str]:
    """Return the reasons in what Prometheus had."""
    if figures.problem is not None:
        return [figures.problem]
    if figures.coverage_ratio is None or figures.coverage_ratio < MIN_COVERAGE_RATIO:
        share = figures.coverage_ratio or 0.0
        return [
            f"Prometheus has {share:.0%} of the service's scrapes in the measured window "
            f"(at least {MIN_COVERAGE_RATIO:.0%} are needed); check the target in Prometheus and scrape_interval_s"
        ]
    return []


def load_notes(figures: LoadFigures) -> list[str]:
    """Return what a reader should know and what makes nothing invalid."""
    notes = []
    if figures.generator.capped:
        notes.append(
            f"{figures.generator.capped} arrivals found all connections busy and waited; their latency counts from "
            "when they were due, but fewer requests were in flight at once than users would have sent"
        )
    if figures.unfinished:
        notes.append(f"{figures.unfinished} requests had no answer when the load ended; they count as failed")
    return notes

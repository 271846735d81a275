"""The validity of a run: a pure function from its figures to the reasons why they cannot be trusted.

A run with any reason is ``INVALID``: never a pass, never an alert about the service, never a baseline. A slow or
failing service is no reason: measuring that is the purpose of a run.
"""

from collections.abc import Iterator
from datetime import UTC

from include.perf.catalogue.scenario.load_profile import LoadProfile
from include.perf.catalogue.scenario.stop_criterion import STOPPED_BY_TARGET
from include.perf.model.metric import METRICS, MIN_SAMPLES
from include.perf.runs.figures import COMPLETED, MIN_COVERAGE_RATIO, GeneratorFigures, LoadFigures, ServerFigures

MIN_RATE_SHARE = 0.999
"""Share of the planned arrivals that must be released. A generator that keeps up releases all of them; with fewer the
load was not the planned one."""

MAX_REFUSED_SHARE = 0.01
"""Share of the requests that may be refused from some moment of the run on. With more, the service did not do the work
that the figures stand for, however fast it answered."""

MIN_REQUESTS = MIN_SAMPLES["latency_p99"]

MAX_SCHEDULE_LAG_S = 0.010
"""99th percentile of how late arrivals may be released: beyond it they leave in bursts, which is not the planned
load."""

MAX_DISTORTION_SHARE = 0.5
"""By how much the generator's own lateness may raise a latency, as a share of its minimum effect: lateness alone then
neither causes a deviation nor hides one that is clearly larger."""

MAX_WANTED_CORES = 0.80
"""Processor time of one worker, corrected for its waiting for a processor. Above it the lateness grows without bound
within seconds; docs/benchmarks.md has the measurements behind the limits here."""

MAX_WAIT_RATIO = 0.25
"""Share of the time in which the generator was runnable but did not run. The effect on its own figures is checked
above; beyond this limit a target on the same machine is delayed as well."""

MAX_STEAL_RATIO = 0.25
"""Share of this machine's time that its hypervisor gave to other machines; with 10 to 20 % the figures were still
correct (measured)."""

MAX_CLOCK_STEP_S = 0.5
"""When the wall clock was set against the monotonic clock, the window in Prometheus is not the measured one."""

MAX_CLOCK_UNCERTAINTY_S = MAX_SCHEDULE_LAG_S
"""How far off the start of a remote worker may be: its requests are that much earlier or later than planned, while
latencies stay correct because each is measured with one clock."""

MAX_CLOCK_DRIFT_S = 0.1
"""How far the clock of a worker may drift from the master's. A quartz off by 25 ppm needs an hour for it; at that speed
the gaps between requests are unaffected, and requests stay in their second of the record."""

BUSY = "the machine was busy with something else"
DEDICATED_CORE = "give the generator a dedicated core"


def load_problems(load: LoadProfile, figures: LoadFigures, *, has_collapsed: bool = False) -> list[str]:
    """Return the reasons from the generator's record.

    Args:
        has_collapsed: whether the service did not survive the load: then that it ended early is no reason.
    """
    return [
        *_problems_of_the_end(figures, has_collapsed=has_collapsed),
        *_problems_of_the_record(load, figures),
        *_problems_of_access(figures),
        *_problems_of_the_schedule(figures),
        *_problems_of_the_machine(figures.generator),
    ]


def _problems_of_the_end(figures: LoadFigures, *, has_collapsed: bool) -> Iterator[str]:
    ended = figures.generator.ended
    if ended != COMPLETED and not (has_collapsed and ended.endswith(STOPPED_BY_TARGET)):
        yield f"the load ended early: {ended}; start a new run"


def _problems_of_the_record(load: LoadProfile, figures: LoadFigures) -> Iterator[str]:
    generator = figures.generator
    if generator.lost_workers:
        lost = ", ".join(_named(number, generator) for number in generator.lost_workers)
        unreachable = ", or could not be reached" if generator.hosts else ""
        yield (
            f"worker {lost} of {generator.workers} of the load generator was lost: it was killed, or the machine ran "
            f"out of memory{unreachable}; start a new run"
        )
    elif figures.rows != figures.expected_rows:
        yield (
            f"{figures.expected_rows} requests were due but {figures.rows} are in the record; "
            "the generator lost some; start a new run"
        )
    if generator.ended == COMPLETED:
        yield from _problems_of_the_count(load, figures)


def _named(number: int, generator: GeneratorFigures) -> str:
    """Return the number of a worker, with its host when it ran on another machine."""
    return f"{number} (on {generator.hosts[number - 1]})" if generator.hosts else str(number)


def _problems_of_the_count(load: LoadProfile, figures: LoadFigures) -> Iterator[str]:
    """Yield the reasons when a completed load had too few requests."""
    planned = load.measured_arrivals
    if figures.released < planned * MIN_RATE_SHARE:
        yield (
            f"the generator released {figures.released} of {planned} arrivals "
            f"(at least {MIN_RATE_SHARE:.1%} are needed); {DEDICATED_CORE}, or request a lower rate"
        )
    if figures.due < MIN_REQUESTS:
        yield (
            f"the run was too short: {figures.due} requests were due in the measured part (at least {MIN_REQUESTS} "
            "are needed to know a 99th percentile); request a longer duration or a higher rate"
        )


def _problems_of_access(figures: LoadFigures) -> Iterator[str]:
    """Yield the reason when the service no longer let the load in."""
    refusals = figures.refusals
    if refusals is None or refusals.count <= MAX_REFUSED_SHARE * figures.due:
        return
    answers = " and ".join(f"HTTP {status}" for status in refusals.statuses)
    yield (
        f"the service refused {refusals.count} of {figures.due} requests with {answers}, from {refusals.since_s:.0f} s "
        "after the start of the load on: a token or a session ended, or access was withdrawn; have tokens renewed with "
        "login in services.yaml, or correct the connection, and start a new run"
    )


def _problems_of_the_schedule(figures: LoadFigures) -> Iterator[str]:
    """Yield the reasons when requests were released late; from then on the kernel takes the times."""
    generator = figures.generator
    if generator.schedule_lag_p99_s > MAX_SCHEDULE_LAG_S:
        yield (
            f"the generator released arrivals late: p99 {generator.schedule_lag_p99_s * 1000:.1f} ms "
            f"(at most {MAX_SCHEDULE_LAG_S * 1000:g} ms); {DEDICATED_CORE}"
        )
    raised = list(_raised_latencies(figures))
    if raised:
        yield (
            f"the generator's own lateness raised {', '.join(raised)}, more than half of the minimum effect; "
            f"{DEDICATED_CORE}"
        )


def _raised_latencies(figures: LoadFigures) -> Iterator[str]:
    for name, raised_s in figures.generator.distortion.items():
        value = figures.metrics[name].value or 0.0
        own = value - raised_s
        most_s = MAX_DISTORTION_SHARE * METRICS[name].minimum_effect(baseline=own, is_provisional=False)
        if raised_s > most_s:
            yield (
                f"{name.removeprefix('latency_')} from {own * 1000:.1f} to {value * 1000:.1f} ms "
                f"(at most by {most_s * 1000:.1f} ms)"
            )


def _problems_of_the_machine(generator: GeneratorFigures) -> Iterator[str]:
    if generator.wanted_cores is not None and generator.wanted_cores > MAX_WANTED_CORES:
        yield (
            f"the generator was saturated: it needed {generator.wanted_cores:.2f} cores "
            f"(at most {MAX_WANTED_CORES:g} per worker); {DEDICATED_CORE}, or {generator.workers + 1} workers, or "
            "request a lower rate"
        )
    if generator.wait_ratio is not None and generator.wait_ratio > MAX_WAIT_RATIO:
        yield (
            f"{BUSY}: the generator waited for a processor {generator.wait_ratio:.0%} of the time "
            f"(at most {MAX_WAIT_RATIO:.0%}); {DEDICATED_CORE}"
        )
    if generator.steal_ratio is not None and generator.steal_ratio > MAX_STEAL_RATIO:
        yield (
            f"{BUSY}: its host gave {generator.steal_ratio:.0%} of its time to others "
            f"(at most {MAX_STEAL_RATIO:.0%}); move the generator to a host that is not overbooked"
        )
    yield from _problems_of_the_clocks(generator)


def _problems_of_the_clocks(generator: GeneratorFigures) -> Iterator[str]:
    if abs(generator.clock_step_s) > MAX_CLOCK_STEP_S:
        yield (
            f"the clock of this machine was set by {generator.clock_step_s:+.2f} s during the run; "
            "start a new run once it is synchronized"
        )
    if generator.clock_uncertainty_s is not None and generator.clock_uncertainty_s > MAX_CLOCK_UNCERTAINTY_S:
        yield (
            "the clocks of master and workers could only be compared to "
            f"±{generator.clock_uncertainty_s * 1000:.0f} ms (at most ±{MAX_CLOCK_UNCERTAINTY_S * 1000:g} ms), so the "
            "workers did not follow one schedule; move them closer to each other in the network, or reduce its traffic"
        )
    if generator.clock_drift_s is not None and generator.clock_drift_s > MAX_CLOCK_DRIFT_S:
        yield (
            f"the clock of a worker drifted from the master's by {generator.clock_drift_s * 1000:.0f} ms during the "
            f"run (at most {MAX_CLOCK_DRIFT_S * 1000:g} ms), so the workers did not follow one schedule; move it to a "
            "machine with a stable clock"
        )


def server_problems(figures: ServerFigures) -> list[str]:
    """Return the reasons from the server-side metrics."""
    return [*_problems_of_scrapes(figures), *_problems_of_restart(figures)]


def _problems_of_scrapes(figures: ServerFigures) -> list[str]:
    if figures.problem is not None:
        return [figures.problem]
    if figures.coverage_ratio is None or figures.coverage_ratio < MIN_COVERAGE_RATIO:
        share = figures.coverage_ratio or 0.0
        return [
            f"Prometheus has {share:.0%} of the service's scrapes in the measured window "
            f"(at least {MIN_COVERAGE_RATIO:.0%} are needed); check the target in Prometheus and scrape_interval_s"
        ]
    return []


def _problems_of_restart(figures: ServerFigures) -> list[str]:
    if figures.restarted_at is None:
        return []
    return [
        f"a process of the service was started at {figures.restarted_at.astimezone(UTC):%H:%M:%S} UTC, while it was "
        "measured: it had crashed, or was deployed or scaled; find out which, and start a new run"
    ]


def load_notes(figures: LoadFigures) -> list[str]:
    """Return notes for the reader that do not make a run invalid."""
    notes = []
    if figures.generator.capped:
        notes.append(
            f"{figures.generator.capped} arrivals waited because all connections were busy; their latency counts from "
            "their due time, but fewer requests were in flight than real users would have sent"
        )
    if figures.unfinished:
        notes.append(f"{figures.unfinished} requests had no answer when the load ended; they count as failed")
    return [*notes, *figures.notes]

"""What a load was and how it went: requested against achieved, the generator, endpoints, errors, stalls."""

from collections.abc import Iterator

from include.perf.metric import Unit, format_value
from include.perf.phrase import counted, span
from include.perf.reporting.document import Bullets, Code, Column, Mark, Paragraph, Section, Strong, Table, Tone, Words
from include.perf.run import COMPLETED, GeneratorFigures, LoadSummary, RunRecord

MAX_STALLS = 10
"""Told one by one; of more the longest."""


def load_section(record: RunRecord) -> Section:
    """Return what was asked for, and what became of it."""
    load = record.load
    achieved = format_value(load.achieved_rate_rps, Unit.REQUESTS_PER_SECOND)
    if load.achieved_rate_rps is not None:
        achieved += f" ({load.achieved_rate_rps / load.requested_rate_rps * 100:.1f} %)"
    rows = (
        ("Requested rate", requested_rate(load)),
        ("Achieved rate", achieved),
        ("Requests due", _count(load.due)),
        ("Really sent", _count(load.sent)),
        ("Answered as they should be", _count(load.finished)),
        ("Failed", f"{_count(load.failed)}{_share(load.failed, load.due)}"),
        ("… of these timed out", _count(load.timed_out)),
        ("… of these never answered", _count(load.unfinished)),
    )
    columns = (Column("Measured window"), Column("Value", is_figure=True))
    return Section(
        "Load: requested against achieved",
        (Table(caption="Requests of the measured window", columns=columns, rows=rows),),
    )


def requested_rate(load: LoadSummary) -> str:
    """Write the requested rate; of a load that varies, its mean over the measured part and its peak."""
    requested = format_value(load.requested_rate_rps, Unit.REQUESTS_PER_SECOND)
    if load.peak_rate_rps <= load.requested_rate_rps:
        return requested
    return f"{requested} on average, {format_value(load.peak_rate_rps, Unit.REQUESTS_PER_SECOND)} at its peak"


def generator_section(record: RunRecord) -> Section:
    """Return how the load generator itself fared."""
    figures = record.generator
    if figures is None:
        return Section("Load generator", (Paragraph("It left no figures about itself."),))
    columns = (Column("How the generator fared"), Column("Value", is_figure=True), Column("What it tells"))
    table = Table(caption="How the generator fared", columns=columns, rows=tuple(_generator_rows(figures)))
    return Section("Load generator", (table,))


def _generator_rows(figures: GeneratorFigures) -> Iterator[tuple[Words, ...]]:
    wanted = "unknown" if figures.wanted_cores is None else format_value(figures.wanted_cores, Unit.CORES)
    ended = "as planned" if figures.ended == COMPLETED else Mark(figures.ended, Tone.BAD)
    yield "Ended", ended, figures.version
    lag = format_value(figures.schedule_lag_p99_s, Unit.SECONDS)
    yield "Schedule lag p99", lag, "arrivals released late: the generator's own fault"
    lag = format_value(figures.start_lag_p99_s, Unit.SECONDS)
    yield "Start lag p99", lag, "from due to sent: with the wait for a free slot"
    for name, raised_s in figures.distortion.items():
        raised = format_value(raised_s, Unit.SECONDS)
        yield f"Own part in {name.removeprefix('latency_')}", raised, "by so much its lateness raised the figure"
    workers = "one process" if figures.workers == 1 else f"{figures.workers} processes"
    workers += f" on {', '.join(dict.fromkeys(figures.hosts))}" if figures.hosts else ""
    yield "CPU used", format_value(figures.cpu_cores, Unit.CORES), f"{workers}, each has one core"
    yield "CPU wanted", wanted, "the most of one process; more than it got means that it was held up"
    yield "Waited for a CPU", _ratio(figures.wait_ratio), "share of the time: the machine had other work"
    yield "Taken by the host", _ratio(figures.steal_ratio), "share of the machine's time"
    yield "Concurrency peak", _count(figures.concurrency_peak), "most requests in flight"
    yield "Capped arrivals", _count(figures.capped), "found every slot taken: the target was slow"
    step = format_value(figures.clock_step_s, Unit.SECONDS)
    yield "Clock step", step, "wall clock against monotonic clock"
    if figures.clock_uncertainty_s is not None:
        known = format_value(figures.clock_uncertainty_s, Unit.SECONDS)
        yield "Clocks of the workers", f"± {known}", "how far off their common start may have been"


def endpoints_section(record: RunRecord) -> Section | None:
    """Return the endpoints one by one, ``None`` without any."""
    if not record.endpoints:
        return None
    rows = tuple(
        (
            each.name,
            _count(each.due),
            _count(each.rows or None),
            f"{_count(each.failed)}{_share(each.failed, each.due)}",
            *(format_value(value, Unit.SECONDS) for value in (each.latency_p50, each.latency_p95, each.latency_p99)),
        )
        for each in record.endpoints
    )
    figures = ("Due", "Staged rows", "Failed", "p50", "p95", "p99")
    columns = (Column("Endpoint"), *(Column(title, is_figure=True) for title in figures))
    return Section("Endpoints", (Table(caption="Requests and latency by endpoint", columns=columns, rows=rows),))


def errors_section(record: RunRecord) -> Section | None:
    """Return the failed requests by kind, the most frequent first; ``None`` where failures were not grouped."""
    if not record.errors:
        return Section("Errors", (Paragraph("None."),)) if record.load.failed == 0 else None
    groups = sorted(record.errors, key=lambda group: -group.count)
    items: tuple[Words, ...] = tuple(
        (
            f"{_count(group.count)} × ",
            Strong(group.kind),
            f" at {group.endpoint}, for example ",
            Code(group.example),
        )
        for group in groups
    )
    return Section("Errors", (Bullets(items),))


def stalls_section(record: RunRecord) -> Section | None:
    """Return the spells in which nothing was answered, ``None`` without any."""
    if not record.stalls:
        return None
    longest = sorted(record.stalls, key=lambda stall: -stall.duration_s)[:MAX_STALLS]
    told = f"{counted(len(record.stalls), 'time')} the service answered nothing although requests were waiting"
    if len(longest) < len(record.stalls):
        told += f"; the {MAX_STALLS} longest"
    items = tuple(
        f"{stall.duration_s:.1f} s from {span(round(stall.start_s))} after the load began"
        for stall in sorted(longest, key=lambda stall: stall.start_s)
    )
    return Section("Stalls", (Paragraph(f"{told}:"), Bullets(items)))


def _ratio(value: float | None) -> str:
    return "unknown" if value is None else f"{value * 100:.1f} %"


def _count(number: int | None) -> str:
    return "–" if number is None else f"{number:,}".replace(",", " ")


def _share(part: int | None, whole: int | None) -> str:
    return "" if not part or not whole else f" ({part / whole * 100:.2f} %)"

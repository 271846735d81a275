"""What a load was and how it went: requested against achieved, the generator, endpoints, errors, stalls.

Where the figures of a run come from: what it was held to, and what ran where.
"""

from collections.abc import Iterator

from include.perf.model.metric import Unit
from include.perf.model.numbers import format_value
from include.perf.model.text import counted, span, utc_time
from include.perf.reporting.document import (
    Block,
    Bullets,
    Code,
    Column,
    Inline,
    Mark,
    Paragraph,
    Section,
    Strong,
    Table,
    Tone,
    Words,
)
from include.perf.runs.figures import COMPLETED, GeneratorFigures
from include.perf.runs.phrases import baseline_of, is_compared, utc_window
from include.perf.runs.record import LoadSummary, RunRecord, Verdict

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


def baseline_section(record: RunRecord) -> Section:
    """Return what the run was held to, and together with which others."""
    title = "Compared with"
    if record.baseline is None:
        return Section(title, (Paragraph("Nothing: there is no baseline of this service and scenario."),))
    kept = f"{baseline_of(record)} (made {utc_time(record.baseline.approved_at)})"
    if is_compared(record):
        return Section(title, (Paragraph(f"Baseline {kept}."), *_judged_together(record)))
    invalid = record.verdict is Verdict.INVALID
    why = "this run is invalid" if invalid else "the two are not comparable, see the reasons above"
    return Section(title, (Paragraph(f"Nothing, because {why}. The baseline there is: {kept}."),))


def _judged_together(record: RunRecord) -> Iterator[Block]:
    if record.reruns:
        words: list[Inline] = ["The run looked suspicious, so it was run again: ", Code(record.reruns[0])]
        for rerun in record.reruns[1:]:
            words += [", ", Code(rerun)]
        if record.judged:
            words += [". The medians of all valid runs were judged; the column ", Strong("This run"), " shows them."]
        else:
            words += [". None of the re-runs is valid, so this run was judged alone."]
        yield Paragraph(tuple(words))
    if record.rerun_of:
        about = "; the verdict is about both, and the charts are of this one."
        yield Paragraph(("This is a re-run of ", Code(record.rerun_of), about))


def provenance_section(record: RunRecord) -> Section:
    """Return what ran where, when, and because of whom."""
    columns = (Column("What"), Column("Value"))
    table = Table(caption="What ran where", columns=columns, rows=tuple(_provenance(record)))
    return Section("What ran where", (table,))


def _provenance(record: RunRecord) -> Iterator[tuple[Words, ...]]:
    load, source = record.load, record.provenance
    yield "Run", record.run_id
    yield "Service", record.service
    yield "Scenario", record.scenario
    yield "Environment", record.environment
    yield "Deployed version", record.deploy_version or "not told by the service"
    yield "Measured window", utc_window(record.window) if record.window else _unmeasured(record)
    yield "Duration", f"{span(load.duration_s)} after {span(load.warmup_s)} of warm-up"
    yield "Requested rate", requested_rate(load)
    yield "Triggered by", source.triggered_by
    yield "Asked to become the baseline", "yes" if source.update_baseline else "no"
    yield "Reason", source.reason or "none given"
    yield "DAG run", " ".join(filter(None, (source.dag_id, source.dag_run_id))) or "none (command line)"
    yield "Versions", ", ".join(f"{name} {text}" for name, text in sorted(source.versions.items())) or "unknown"
    for name, text in sorted(record.fingerprint.items()):
        yield f"Fingerprint: {name}", text


def _unmeasured(record: RunRecord) -> str:
    return f"none; started {utc_time(record.started_at)}"

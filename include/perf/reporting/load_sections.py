"""Sections about one run: its load, load generator, endpoints, errors and stalls, its baseline and its origin."""

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
"""Stalls listed; of more, the longest."""


def load_section(record: RunRecord) -> Section:
    """Return the section about requested and achieved load."""
    load = record.load
    achieved = format_value(load.achieved_rate_rps, Unit.REQUESTS_PER_SECOND)
    if load.achieved_rate_rps is not None and load.requested_rate_rps:
        achieved += f" ({load.achieved_rate_rps / load.requested_rate_rps * 100:.1f} %)"
    rows = (
        ("Requested rate", requested_rate(load)),
        ("Achieved rate", achieved),
        ("Requests due", _count(load.due)),
        ("Requests sent", _count(load.sent)),
        ("Succeeded", _count(load.finished)),
        ("Failed", f"{_count(load.failed)}{_share(load.failed, load.due)}"),
        ("… timed out", _count(load.timed_out)),
        ("… never answered", _count(load.unfinished)),
    )
    columns = (Column("Measured window"), Column("Value", is_figure=True))
    return Section(
        "Load: requested and achieved",
        (Table(caption="Requests of the measured window", columns=columns, rows=rows),),
    )


def requested_rate(load: LoadSummary) -> str:
    """Write the requested rate; for a varying load, its mean over the measured window and its peak."""
    requested = format_value(load.requested_rate_rps, Unit.REQUESTS_PER_SECOND)
    if load.peak_rate_rps <= load.requested_rate_rps:
        return requested
    return f"{requested} on average, {format_value(load.peak_rate_rps, Unit.REQUESTS_PER_SECOND)} at its peak"


def generator_section(record: RunRecord) -> Section:
    """Return the section about the load generator itself."""
    figures = record.generator
    if figures is None:
        return Section("Load generator", (Paragraph("The load generator left no figures about itself."),))
    columns = (Column("Load generator"), Column("Value", is_figure=True), Column("Meaning"))
    table = Table(caption="Figures of the load generator", columns=columns, rows=tuple(_generator_rows(figures)))
    return Section("Load generator", (table,))


def _generator_rows(figures: GeneratorFigures) -> Iterator[tuple[Words, ...]]:
    demand = "unknown" if figures.wanted_cores is None else format_value(figures.wanted_cores, Unit.CORES)
    ended = "as planned" if figures.ended == COMPLETED else Mark(figures.ended, Tone.BAD)
    yield "Ended", ended, figures.version
    lag = format_value(figures.schedule_lag_p99_s, Unit.SECONDS)
    yield "Schedule lag p99", lag, "delay of due requests within the generator"
    lag = format_value(figures.start_lag_p99_s, Unit.SECONDS)
    yield "Start lag p99", lag, "from due time to send time, including the wait for a free slot"
    for name, added_s in figures.distortion.items():
        added = format_value(added_s, Unit.SECONDS)
        yield f"Added to {name.removeprefix('latency_')}", added, "latency caused by the generator's lag"
    workers = "one process" if figures.workers == 1 else f"{figures.workers} processes"
    workers += f" on {', '.join(dict.fromkeys(figures.hosts))}" if figures.hosts else ""
    workers += ", at most one core" if figures.workers == 1 else ", at most one core each"
    yield "CPU used", format_value(figures.cpu_cores, Unit.CORES), workers
    yield "CPU demand", demand, "of the busiest process; more than it used means that it waited for the CPU"
    yield "CPU wait", _ratio(figures.wait_ratio), "share of the time in which other processes had the CPU"
    yield "CPU steal", _ratio(figures.steal_ratio), "share of the time in which the host ran other machines"
    yield "Peak concurrency", _count(figures.concurrency_peak), "most requests in flight"
    yield "Capped arrivals", _count(figures.capped), "arrivals that found no free slot, because the target was slow"
    if figures.resent:
        yield "Resent", _count(figures.resent), "requests on idle connections that the server had just closed"
    total = sum(figures.requests_by_address.values())
    if len(figures.requests_by_address) > 1:
        for address, requests in sorted(figures.requests_by_address.items()):
            yield f"Sent to {address}", _count(requests), f"{requests / total:.1%} of all requests"
    step = format_value(figures.clock_step_s, Unit.SECONDS)
    yield "Clock step", step, "change of the wall clock against the monotonic clock"
    if figures.clock_uncertainty_s is not None:
        uncertainty = format_value(figures.clock_uncertainty_s, Unit.SECONDS)
        yield "Worker clocks", f"± {uncertainty}", "uncertainty of the workers' common start"


def endpoints_section(record: RunRecord) -> Section | None:
    """Return a table of the endpoints; ``None`` without endpoints."""
    if not record.endpoints:
        return None
    rows = tuple(
        (
            endpoint.name,
            _count(endpoint.due),
            _count(endpoint.rows or None),
            f"{_count(endpoint.failed)}{_share(endpoint.failed, endpoint.due)}",
            *(
                format_value(value, Unit.SECONDS)
                for value in (endpoint.latency_p50, endpoint.latency_p95, endpoint.latency_p99)
            ),
        )
        for endpoint in record.endpoints
    )
    figures = ("Due", "Staged rows", "Failed", "p50", "p95", "p99")
    columns = (Column("Endpoint"), *(Column(title, is_figure=True) for title in figures))
    return Section("Endpoints", (Table(caption="Requests and latency by endpoint", columns=columns, rows=rows),))


def journeys_section(record: RunRecord) -> Section | None:
    """Return a table of the journeys as a whole, and why some were abandoned; ``None`` without journeys."""
    if not record.journeys:
        return None
    rows = tuple(
        (
            journey.name,
            _count(journey.due),
            f"{_count(journey.abandoned)}{_share(journey.abandoned, journey.due)}",
            *(
                format_value(value, Unit.SECONDS)
                for value in (journey.latency_p50, journey.latency_p95, journey.latency_p99)
            ),
        )
        for journey in record.journeys
    )
    figures = ("Due", "Abandoned", "p50", "p95", "p99")
    columns = (Column("Journey"), *(Column(title, is_figure=True) for title in figures))
    table = Table(caption="Journeys from their due time to their last answer", columns=columns, rows=rows)
    return Section("Journeys", (table, *_reasons_of(record)))


def _reasons_of(record: RunRecord) -> Iterator[Block]:
    reasons = tuple(
        f"{_count(number)} × {journey.name}: {reason}"
        for journey in record.journeys
        for reason, number in sorted(journey.reasons.items(), key=lambda found: -found[1])
    )
    if reasons:
        yield Bullets(reasons)


def errors_section(record: RunRecord) -> Section | None:
    """Return failed requests by kind, the most frequent first; ``None`` where failures were not grouped."""
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
    """Return the stalls, in which the service answered nothing; ``None`` without stalls."""
    if not record.stalls:
        return None
    longest = sorted(record.stalls, key=lambda stall: -stall.duration_s)[:MAX_STALLS]
    what = (
        f"{counted(len(record.stalls), 'stall')} in which the service answered nothing although requests were pending"
    )
    if len(longest) < len(record.stalls):
        what += f"; the {MAX_STALLS} longest"
    items = tuple(
        f"{stall.duration_s:.1f} s, {span(round(stall.start_s))} after the start of the load"
        for stall in sorted(longest, key=lambda stall: stall.start_s)
    )
    return Section("Stalls", (Paragraph(f"{what}:"), Bullets(items)))


def _ratio(value: float | None) -> str:
    return "unknown" if value is None else f"{value * 100:.1f} %"


def _count(number: int | None) -> str:
    return "–" if number is None else f"{number:,}".replace(",", " ")


def _share(part: int | None, total: int | None) -> str:
    return "" if not part or not total else f" ({part / total * 100:.2f} %)"


def baseline_section(record: RunRecord) -> Section:
    """Return what the run was compared with, and its re-runs."""
    title = "Compared with"
    if record.baseline is None:
        return Section(title, (Paragraph("Nothing: this service has no baseline under this scenario yet."),))
    baseline = f"{baseline_of(record)} (created {utc_time(record.baseline.approved_at)})"
    if is_compared(record):
        return Section(title, (Paragraph(f"Baseline {baseline}."), *_judged_together(record)))
    is_invalid = record.verdict is Verdict.INVALID
    why = "this run is invalid" if is_invalid else "the two are not comparable; see the reasons above"
    return Section(title, (Paragraph(f"Nothing, because {why}. The current baseline: {baseline}."),))


def _judged_together(record: RunRecord) -> Iterator[Block]:
    if record.reruns:
        words: list[Inline] = ["The run looked suspicious, so it was re-run: ", Code(record.reruns[0])]
        for rerun in record.reruns[1:]:
            words += [", ", Code(rerun)]
        if record.judged:
            words += [
                ". The medians of all valid runs were judged; they are shown in the column ",
                Strong("This run"),
                ".",
            ]
        else:
            words += [". No re-run is valid, so this run was judged alone."]
        yield Paragraph(tuple(words))
    if record.rerun_of:
        about = "; the verdict covers both runs, and the charts show this one."
        yield Paragraph(("This is a re-run of ", Code(record.rerun_of), about))


def provenance_section(record: RunRecord) -> Section:
    """Return what ran, when, where and by whom."""
    columns = (Column("Detail"), Column("Value"))
    table = Table(caption="Run details", columns=columns, rows=tuple(_provenance(record)))
    return Section("Run details", (table,))


def _provenance(record: RunRecord) -> Iterator[tuple[Words, ...]]:
    load, source = record.load, record.provenance
    yield "Run", record.run_id
    yield "Service", record.service
    yield "Scenario", record.scenario
    yield "Environment", record.environment
    yield "Deployed version", record.deploy_version or "not reported by the service"
    yield "Measured window", utc_window(record.window) if record.window else _unmeasured(record)
    yield "Duration", f"{span(load.duration_s)} after {span(load.warmup_s)} of warm-up"
    yield "Requested rate", requested_rate(load)
    yield "Triggered by", source.triggered_by
    yield "Requested as baseline", "yes" if source.update_baseline else "no"
    yield "Reason", source.reason or "none given"
    yield "DAG run", " ".join(filter(None, (source.dag_id, source.dag_run_id))) or "none (command line)"
    yield "Versions", ", ".join(f"{name} {text}" for name, text in sorted(source.versions.items())) or "unknown"
    for name, text in sorted(record.fingerprint.items()):
        yield f"Fingerprint: {name}", text


def _unmeasured(record: RunRecord) -> str:
    return f"none; started {utc_time(record.started_at)}"

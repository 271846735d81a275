"""Where the figures of a run come from: what it was held to, and what ran where."""

from collections.abc import Iterator

from include.perf.phrase import baseline_of, is_compared, span, utc_time, utc_window
from include.perf.reporting.document import Block, Code, Column, Inline, Paragraph, Section, Strong, Table, Words
from include.perf.reporting.load_sections import requested_rate
from include.perf.run import RunRecord, Verdict


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

"""The report of a run: what happened, and whether the figures can be trusted.

The module is pure: the same record, charts and history give the same document.
"""

import shlex
from collections.abc import Mapping, Sequence

from include.perf.measure.production.comparison import ProductionComparison
from include.perf.model.text import one_line
from include.perf.reporting.document import (
    Block,
    Bullets,
    ChartFigure,
    Command,
    Document,
    Mark,
    Paragraph,
    Section,
    Strong,
    Tone,
)
from include.perf.reporting.load_sections import (
    baseline_section,
    endpoints_section,
    errors_section,
    generator_section,
    journeys_section,
    load_section,
    provenance_section,
    stalls_section,
)
from include.perf.reporting.metric_table import History, metrics_table, without_value
from include.perf.reporting.production_section import production_section
from include.perf.runs.phrases import finding
from include.perf.runs.record import RunRecord, Verdict

CHART_TITLES = {
    "comparison": "The eight metrics against their baseline",
    "latency": "Latency over time",
    "throughput": "Throughput over time, requested and achieved",
    "distribution": "Latency distribution against the baseline's",
    "resources": "CPU, memory and disk over time",
}
"""Titles by chart name, in the order shown; charts with other names follow."""

TONES = {
    Verdict.PASS: Tone.GOOD,
    Verdict.IMPROVEMENT: Tone.GOOD,
    Verdict.REGRESSION: Tone.BAD,
    Verdict.OVER_LIMIT: Tone.BAD,
    Verdict.INVALID: Tone.DOUBT,
    Verdict.NOT_COMPARABLE: Tone.DOUBT,
    Verdict.NO_BASELINE: Tone.QUIET,
    Verdict.SKIPPED: Tone.QUIET,
}


def run_document(
    record: RunRecord,
    *,
    charts: Mapping[str, str],
    history: History | None = None,
    production: ProductionComparison | None = None,
    left_out: Sequence[str] = (),
) -> Document:
    """Return the report of a run.

    Args:
        record: the run, with any verdict.
        charts: paths of the charts' PNGs relative to the report, by chart name.
        history: values of earlier nights by metric, oldest first.
        production: the comparison with production.
        left_out: a sentence for each file of the run that cannot be used.
    """
    sections = [_validity(record), _next_step(record)]
    if record.verdict is not Verdict.SKIPPED:
        sections += [
            _metrics(record, history),
            _charts(charts),
            stalls_section(record),
            journeys_section(record),
            endpoints_section(record),
            errors_section(record),
            load_section(record),
            generator_section(record),
            baseline_section(record),
            production_section(production),
        ]
    if left_out:
        sections.append(
            Section("Left out", (Paragraph("These files of the run cannot be used:"), Bullets(tuple(left_out))))
        )
    sections.append(provenance_section(record))
    return Document(
        mark=verdict_mark(record.verdict),
        subject=f"{record.service} · {record.scenario}",
        finding=finding(record),
        lead=(Bullets(record.reasons),) if record.reasons else (),
        sections=tuple(section for section in sections if section is not None),
    )


def verdict_mark(verdict: Verdict) -> Mark:
    """Return the mark of a verdict, the same in every document."""
    return Mark(verdict.value, TONES[verdict])


def _validity(record: RunRecord) -> Section:
    purpose = "The figures below are shown to help find the cause. "
    blocks: list[Block]
    if record.verdict is Verdict.SKIPPED:
        blocks = [Paragraph("Nothing was measured, so there are no figures.")]
    elif record.validity:
        blocks = [Paragraph((purpose, Strong("They cannot be trusted"), ":"))]
    elif record.verdict is Verdict.INVALID:
        blocks = [Paragraph((purpose, Strong("They cannot be trusted.")))]
    else:
        blocks = [Paragraph("The figures are valid: no problems found.")]
    if record.validity:
        blocks.append(Bullets(record.validity))
    if record.notes:
        blocks += [Paragraph("Notes:"), Bullets(record.notes)]
    return Section("Can the figures be trusted?", tuple(blocks))


def _next_step(record: RunRecord) -> Section | None:
    again = f"python -m include.perf run --service {shlex.quote(one_line(record.service))}"
    again += f" --scenario {shlex.quote(one_line(record.scenario))}"
    steps = {
        Verdict.INVALID: (
            "Fix the problems listed above and run again. This run says nothing about the service: it raises no alert "
            "about it and cannot become a baseline.",
            again,
        ),
        Verdict.OVER_LIMIT: (
            "Repair the service and run again; if a limit is wrong, correct hard_limits in services.yaml."
            + (" This run cannot become a baseline, because the service failed." if record.is_failing else ""),
            again,
        ),
        Verdict.SKIPPED: ("Once the reason above is resolved, run again or wait for the next scheduled run.", again),
        Verdict.NO_BASELINE: (
            "If these figures are as expected, record a run like this one as the baseline.",
            f"{again} --update-baseline --reason 'first baseline'",
        ),
        Verdict.NOT_COMPARABLE: (
            "If the difference is a mistake, undo it and run again. If it is intended, record a new baseline.",
            f"{again} --update-baseline --reason '…'",
        ),
    }
    if record.verdict not in steps:
        return None
    if record.verdict in (Verdict.NO_BASELINE, Verdict.NOT_COMPARABLE) and record.provenance.update_baseline:
        return Section("What to do", (Paragraph("Nothing: this run was requested to become the baseline."),))
    text, command = steps[record.verdict]
    return Section("What to do", (Paragraph(text), Command(command)))


def _metrics(record: RunRecord, history: History | None) -> Section:
    title = "Metrics" + (" (invalid)" if record.verdict is Verdict.INVALID else "")
    missing = without_value(record)
    table = metrics_table(record, history)
    return Section(title, (table, Bullets(missing)) if missing else (table,))


def _charts(charts: Mapping[str, str]) -> Section | None:
    if not charts:
        return None
    known = [name for name in CHART_TITLES if name in charts]
    names = [*known, *sorted(set(charts) - set(known))]
    figures = (ChartFigure(path=charts[name], title=CHART_TITLES.get(name, name)) for name in names)
    return Section("Charts", tuple(figures))

"""The report of a run: Markdown that answers "what happened, and can I trust it?" from the top down.

Pure: the same record and charts give the same text.
"""

import shlex
from collections.abc import Iterator, Mapping
from urllib.parse import quote

from include.perf.metric import METRICS, Metric, Unit, format_value
from include.perf.phrase import (
    baseline_of,
    change_of,
    floor_of,
    headline,
    is_compared,
    is_in_points,
    one_line,
    shift_of,
    span,
    utc_time,
    utc_window,
)
from include.perf.reporting.markdown import bullets, code, escape, table
from include.perf.run import COMPLETED, GeneratorFigures, LoadSummary, RunRecord, Shift, Verdict

__all__ = ["headline", "metrics_table", "render_report"]

CHART_TITLES = {
    "comparison": "The eight metrics against their baseline",
    "latency": "Latency over time",
    "throughput": "Throughput over time",
}
"""In the order shown; charts of other names follow."""


def render_report(record: RunRecord, charts: Mapping[str, str]) -> str:
    """Return the Markdown report of a run.

    Args:
        record: the run; any verdict.
        charts: paths of the charts relative to the report, by chart name.
    """
    sections = [_summary(record), _validity(record), _next_step(record)]
    if record.verdict is not Verdict.SKIPPED:
        sections += [
            _metrics(record),
            _charts(record, charts),
            _endpoints(record),
            _errors(record),
            _load(record),
            _generator(record),
            _baseline(record),
        ]
    sections.append(_provenance(record))
    return "\n\n".join(section for section in sections if section) + "\n"


def _summary(record: RunRecord) -> str:
    title = f"# {escape(headline(record))}"
    return f"{title}\n\n{bullets(map(escape, record.reasons))}" if record.reasons else title


def _validity(record: RunRecord) -> str:
    if record.verdict is Verdict.SKIPPED:
        text = "No load was measured, so there are no figures."
    elif record.validity:
        text = "The figures below are shown to find the cause. **They are not to be trusted**, because:"
    elif record.verdict is Verdict.INVALID:
        text = "The figures below are shown to find the cause. **They are not to be trusted.**"
    else:
        text = "The figures are valid: nothing was found that speaks against them."
    parts = ["## Can the figures be trusted?", text]
    if record.validity:
        parts.append(bullets(map(escape, record.validity)))
    if record.notes:
        parts += ["Worth knowing:", bullets(map(escape, record.notes))]
    return "\n\n".join(parts)


def _next_step(record: RunRecord) -> str:
    again = f"python -m include.perf run --service {shlex.quote(one_line(record.service))}"
    again += f" --scenario {shlex.quote(one_line(record.scenario))}"
    steps = {
        Verdict.INVALID: (
            "Put right what is listed above and run it again. This run says nothing about the service: "
            "it raises no alert about it and can never become a baseline.",
            again,
        ),
        Verdict.SKIPPED: ("Once the reason above is gone, run it again or leave it to the schedule.", again),
        Verdict.NO_BASELINE: (
            "If these figures are what the service should do, make such a run its baseline.",
            f"{again} --update-baseline --reason 'first baseline'",
        ),
        Verdict.NOT_COMPARABLE: (
            "If the difference is a mistake, undo it and run again. If it is here to stay, begin a new baseline.",
            f"{again} --update-baseline --reason '…'",
        ),
    }
    if record.verdict not in steps:
        return ""
    text, command = steps[record.verdict]
    return f"## What to do\n\n{text}\n\n```\n{command}\n```"


def metrics_table(record: RunRecord) -> str:
    """Return the eight metrics beside their baseline, with the judgement of each."""
    rows = [_metric_row(record, metric) for metric in METRICS.values()]
    header = ["Metric", "This run", "Baseline", "Shift (95 % interval)", "Judgement"]
    return table(header, rows, right=(1, 2, 3))


def _metrics(record: RunRecord) -> str:
    heading = "## Metrics" + (" (not to be trusted)" if record.verdict is Verdict.INVALID else "")
    parts = [heading, metrics_table(record)]
    missing = [
        f"{metric.title} has no value: {escape(_missing(record, metric))}"
        for metric in METRICS.values()
        if _value(record, metric) is None
    ]
    return "\n\n".join([*parts, bullets(missing)] if missing else parts)


def _metric_row(record: RunRecord, metric: Metric) -> list[str]:
    baseline = record.baseline.metrics.get(metric.name) if record.baseline else None
    shift = shift_of(record, metric.name) if is_compared(record) else None
    return [
        metric.title,
        format_value(_value(record, metric), metric.unit),
        format_value(baseline, metric.unit),
        _shift_cell(metric, shift),
        _judgement(record, metric, shift),
    ]


def _value(record: RunRecord, metric: Metric) -> float | None:
    found = record.metrics.get(metric.name)
    return record.judged.get(metric.name, found.value if found else None)


def _missing(record: RunRecord, metric: Metric) -> str:
    found = record.metrics.get(metric.name)
    return (found.reason if found else None) or "it was not measured"


def _shift_cell(metric: Metric, shift: Shift | None) -> str:
    if shift is None:
        return "–"
    change = change_of(metric.name, shift)
    if is_in_points(metric.name):
        if shift.absolute_low is None or shift.absolute_high is None:
            return change
        low, high = (f"{bound * 100:+.2f}".replace("-", "−") for bound in (shift.absolute_low, shift.absolute_high))
        return f"{change} ({low} … {high})"
    if shift.low is None or shift.high is None:
        return change
    low, high = (f"{bound * 100:+.0f}".replace("-", "−") for bound in (shift.low, shift.high))
    return f"{change} ({low} … {high} %)"


def _judgement(record: RunRecord, metric: Metric, shift: Shift | None) -> str:
    for deviation in record.deviations:
        if deviation.metric == metric.name and is_compared(record):
            if not deviation.is_confirmed:
                return "suspicious" if deviation.is_worse else "better, not sure yet"
            return f"**worse**, {deviation.severity}" if deviation.is_worse else "better"
    if _value(record, metric) is None:
        return "no value, see below"
    if record.verdict is Verdict.INVALID:
        return "not judged"
    if record.verdict is Verdict.NOT_COMPARABLE:
        return "not comparable"
    if shift is None or record.baseline is None:
        return "no baseline"
    floor = floor_of(metric, record)
    return "unchanged" if floor is None or abs(shift.absolute) <= floor else "within the noise"


def _charts(record: RunRecord, charts: Mapping[str, str]) -> str:
    if not charts:
        return ""
    known = [name for name in CHART_TITLES if name in charts]
    names = [*known, *sorted(set(charts) - set(known))]
    images = (f"![{escape(CHART_TITLES.get(name, name))}]({quote(charts[name])})" for name in names)
    return "## Charts\n\n" + "\n\n".join(images)


def _endpoints(record: RunRecord) -> str:
    if not record.endpoints:
        return ""
    rows = [
        [
            escape(each.name),
            _count(each.due),
            _count(each.rows or None),
            f"{_count(each.failed)}{_share(each.failed, each.due)}",
            *(format_value(value, Unit.SECONDS) for value in (each.latency_p50, each.latency_p95, each.latency_p99)),
        ]
        for each in record.endpoints
    ]
    header = ["Endpoint", "Due", "Staged rows", "Failed", "p50", "p95", "p99"]
    return "## Endpoints\n\n" + table(header, rows, right=(1, 2, 3, 4, 5, 6))


def _errors(record: RunRecord) -> str:
    if not record.errors:
        return "## Errors\n\nNone." if record.load.failed == 0 else ""
    groups = sorted(record.errors, key=lambda group: -group.count)
    items = (
        f"{_count(group.count)} × **{escape(group.kind)}** at {escape(group.endpoint)}, for example "
        f"{code(group.example)}"
        for group in groups
    )
    return "## Errors\n\n" + bullets(items)


def _load(record: RunRecord) -> str:
    load = record.load
    achieved = format_value(load.achieved_rate_rps, Unit.REQUESTS_PER_SECOND)
    if load.achieved_rate_rps is not None:
        achieved += f" ({load.achieved_rate_rps / load.requested_rate_rps * 100:.1f} %)"
    rows = [
        ["Requested rate", _requested(load)],
        ["Achieved rate", achieved],
        ["Requests due", _count(load.due)],
        ["Really sent", _count(load.sent)],
        ["Answered as they should be", _count(load.finished)],
        ["Failed", f"{_count(load.failed)}{_share(load.failed, load.due)}"],
        ["… of these timed out", _count(load.timed_out)],
        ["… of these never answered", _count(load.unfinished)],
    ]
    return "## Load: requested against achieved\n\n" + table(["Measured window", ""], rows, right=(1,))


def _requested(load: LoadSummary) -> str:
    """Write the requested rate; of a load that varies, its mean over the measured part and its peak."""
    requested = format_value(load.requested_rate_rps, Unit.REQUESTS_PER_SECOND)
    if load.peak_rate_rps <= load.requested_rate_rps:
        return requested
    return f"{requested} on average, {format_value(load.peak_rate_rps, Unit.REQUESTS_PER_SECOND)} at its peak"


def _generator(record: RunRecord) -> str:
    figures = record.generator
    if figures is None:
        return "## Load generator\n\nIt left no figures about itself."
    header = ["How the generator fared", "", "What it tells"]
    return "## Load generator\n\n" + table(header, list(_generator_rows(figures)), right=(1,))


def _generator_rows(figures: GeneratorFigures) -> Iterator[list[str]]:
    wanted = "unknown" if figures.wanted_cores is None else format_value(figures.wanted_cores, Unit.CORES)
    ended = "as planned" if figures.ended == COMPLETED else f"**{escape(figures.ended)}**"
    yield ["Ended", ended, escape(figures.version)]
    lag = format_value(figures.schedule_lag_p99_s, Unit.SECONDS)
    yield ["Schedule lag p99", lag, "arrivals released late: the generator's own fault"]
    lag = format_value(figures.start_lag_p99_s, Unit.SECONDS)
    yield ["Start lag p99", lag, "from due to sent: with the wait for a free slot"]
    for name, raised_s in figures.distortion.items():
        raised = format_value(raised_s, Unit.SECONDS)
        yield [f"Own part in {name.removeprefix('latency_')}", raised, "by so much its lateness raised the figure"]
    workers = "one process" if figures.workers == 1 else f"{figures.workers} processes"
    yield ["CPU used", format_value(figures.cpu_cores, Unit.CORES), f"{workers}, each has one core"]
    yield ["CPU wanted", wanted, "the most of one process; more than it got means that it was held up"]
    yield ["Waited for a CPU", _ratio(figures.wait_ratio), "share of the time: the machine had other work"]
    yield ["Taken by the host", _ratio(figures.steal_ratio), "share of the machine's time"]
    yield ["Concurrency peak", _count(figures.concurrency_peak), "most requests in flight"]
    yield ["Capped arrivals", _count(figures.capped), "found every slot taken: the target was slow"]
    step = format_value(figures.clock_step_s, Unit.SECONDS)
    yield ["Clock step", step, "wall clock against monotonic clock"]


def _ratio(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.1%}"


def _baseline(record: RunRecord) -> str:
    heading = "## Compared with"
    if record.baseline is None:
        return f"{heading}\n\nNothing: there is no baseline of this service and scenario."
    kept = f"{escape(baseline_of(record))}, since {utc_time(record.baseline.approved_at)}"
    if is_compared(record):
        return "\n\n".join([heading, f"Baseline {kept}.", *_judged_together(record)])
    invalid = record.verdict is Verdict.INVALID
    why = "this run is invalid" if invalid else "the two are not comparable, see the reasons above"
    return f"{heading}\n\nNothing, because {why}. The baseline there is: {kept}."


def _judged_together(record: RunRecord) -> Iterator[str]:
    if record.reruns:
        names = ", ".join(map(code, record.reruns))
        judged = "The medians of all valid runs were judged; the column *This run* shows them."
        alone = "None of the re-runs is valid, so this run was judged alone."
        yield f"The run looked suspicious, so it was run again: {names}. {judged if record.judged else alone}"
    if record.rerun_of:
        yield f"This is a re-run of {code(record.rerun_of)}; the verdict is about both, and the charts are of this one."


def _provenance(record: RunRecord) -> str:
    load, source = record.load, record.provenance
    when = utc_window(record.window) if record.window else f"none; started {utc_time(record.started_at)}"
    dag = " ".join(filter(None, (source.dag_id, source.dag_run_id))) or "none (command line)"
    rows = [
        ["Run", escape(record.run_id)],
        ["Service", escape(record.service)],
        ["Scenario", escape(record.scenario)],
        ["Environment", escape(record.environment)],
        ["Deployed version", escape(record.deploy_version or "not told by the service")],
        ["Measured window", when],
        ["Duration", f"{span(load.duration_s)} after {span(load.warmup_s)} of warm-up"],
        ["Requested rate", _requested(load)],
        ["Triggered by", escape(source.triggered_by)],
        ["Asked to become the baseline", "yes" if source.update_baseline else "no"],
        ["Reason", escape(source.reason or "none given")],
        ["DAG run", escape(dag)],
    ]
    versions = ", ".join(f"{name} {text}" for name, text in sorted(source.versions.items()))
    rows.append(["Versions", escape(versions or "unknown")])
    parts = sorted(record.fingerprint.items())
    rows += [[f"Fingerprint: {escape(name)}", escape(text)] for name, text in parts]
    return "## What ran where\n\n" + table(["What", "Value"], rows)


def _count(number: int | None) -> str:
    return "–" if number is None else f"{number:,}".replace(",", " ")


def _share(part: int | None, whole: int | None) -> str:
    return "" if not part or not whole else f" ({part / whole * 100:.2f} %)"

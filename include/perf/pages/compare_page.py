"""Two runs side by side: their metrics, endpoints and differences in tables, their latency in charts.

The charts show latency over time and the cumulative distribution of latencies.
"""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from include.perf.model.metric import METRICS, Metric, Unit, title_of
from include.perf.model.numbers import format_value
from include.perf.pages.marks import VERDICT_MARKS, MarkStyle, minute
from include.perf.reporting.document import Column, Mark, Table, Tone, Words
from include.perf.runs.figures import EndpointFigures
from include.perf.runs.phrases import change_of
from include.perf.runs.record import RunRecord, Shift
from include.perf.runs.run_index import RunEntry

LATENCIES = ("latency_p50", "latency_p95", "latency_p99")

MEASURED = "measured"

MAX_POINTS = 600
"""About as many points as a screen can show; of a longer run every second, third, … second is drawn."""

NOTHING = "–"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedRun:
    """One of the two runs, with the files that its charts are drawn from.

    Attributes:
        series: ``timeseries.csv``; ``None`` where the file is missing.
        spread: ``distribution.csv``; ``None`` where the file is missing.
        left_out: a sentence for each file that cannot be used.
    """

    entry: RunEntry
    record: RunRecord
    series: bytes | None
    spread: bytes | None
    left_out: tuple[str, ...] = ()

    @property
    def mark(self) -> MarkStyle:
        """The mark of its verdict."""
        return VERDICT_MARKS[self.record.verdict]

    @property
    def moment(self) -> str:
        """When it started."""
        return minute(self.record.started_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparePage:
    """Two runs; the second is compared with the first.

    Attributes:
        warnings: why the comparison may mislead.
        differences: in load, data, versions and environment.
        data: of the charts, see `compare_chart`.
    """

    first: ComparedRun
    second: ComparedRun
    warnings: tuple[str, ...]
    metrics: Table
    endpoints: Table
    differences: Table
    data: dict[str, Any]


def compare_page(first: ComparedRun, second: ComparedRun) -> ComparePage:
    """Return two runs side by side."""
    return ComparePage(
        first=first,
        second=second,
        warnings=(
            *_warnings(first.record, second.record),
            *(f"Left out: {problem}." for run in (first, second) for problem in run.left_out),
        ),
        metrics=_metrics(first.record, second.record),
        endpoints=_endpoints(first.record, second.record),
        differences=_differences(first.record, second.record),
        data=compare_chart((first.series, second.series), (first.spread, second.spread)),
    )


def compare_chart(
    series: tuple[bytes | None, bytes | None], spread: tuple[bytes | None, bytes | None]
) -> dict[str, Any]:
    """Return the data of the charts.

    Args:
        series: ``timeseries.csv`` of both runs.
        spread: ``distribution.csv`` of both runs.
    """
    over_time = [_latencies_over_time(content) for content in series]
    return {
        "latency": [
            {"name": name, "title": title_of(name), "runs": [run.get(name, [[], []]) for run in over_time]}
            for name in LATENCIES
        ],
        "distribution": [_cumulative_shares(content) for content in spread],
    }


def _warnings(first: RunRecord, second: RunRecord) -> Iterator[str]:
    if (first.service, first.scenario) != (second.service, second.scenario):
        yield "The runs are of different services or scenarios."
    if first.environment != second.environment:
        yield f"The runs are from different environments: {first.environment} and {second.environment}."
    if dict(first.fingerprint) != dict(second.fingerprint):
        yield "Load, data or test bed differ, so the service may not be the cause of a change. See Differences below."
    for letter, record in (("A", first), ("B", second)):
        if not record.verdict.is_measured:
            yield f"Run {letter} is {record.verdict}: its figures are not reliable."


def _metrics(first: RunRecord, second: RunRecord) -> Table:
    return Table(
        caption="The eight metrics",
        columns=(Column("Metric"), Column("A", is_figure=True), Column("B", is_figure=True), Column("B vs. A")),
        rows=tuple(_metric(metric, first, second) for metric in METRICS.values()),
    )


def _metric(metric: Metric, first: RunRecord, second: RunRecord) -> tuple[Words, ...]:
    before, after = (_value(record, metric.name) for record in (first, second))
    shown = (format_value(before, metric.unit), format_value(after, metric.unit))
    return (metric.title, *shown, _change(metric, before, after))


def _value(record: RunRecord, name: str) -> float | None:
    found = record.metrics.get(name)
    return found.value if found else None


def _change(metric: Metric, before: float | None, after: float | None) -> Words:
    """Return the change between two values, marked as better or worse above the minimum effect."""
    if before is None or after is None:
        return NOTHING
    change = after - before
    text = change_of(metric.name, Shift(ratio=change / before if before else None, absolute=change))
    if abs(change) <= metric.minimum_effect(baseline=before, is_provisional=False):
        return text
    is_worse = metric.worsening(baseline=before, value=after) > 0
    return (f"{text} ", Mark("worse", Tone.BAD) if is_worse else Mark("better", Tone.GOOD))


def _endpoints(first: RunRecord, second: RunRecord) -> Table:
    endpoints_a, endpoints_b = ({endpoint.name: endpoint for endpoint in run.endpoints} for run in (first, second))
    return Table(
        caption="Endpoints",
        columns=(
            Column("Endpoint"),
            *(Column(f"{title} {letter}", is_figure=True) for title in ("p95", "failed") for letter in "AB"),
        ),
        rows=tuple(_endpoint(name, endpoints_a, endpoints_b) for name in dict.fromkeys([*endpoints_a, *endpoints_b])),
    )


def _endpoint(
    name: str, endpoints_a: Mapping[str, EndpointFigures], endpoints_b: Mapping[str, EndpointFigures]
) -> tuple[Words, ...]:
    pair = (endpoints_a.get(name), endpoints_b.get(name))
    p95 = (format_value(endpoint.latency_p95 if endpoint else None, Unit.SECONDS) for endpoint in pair)
    failed = (str(endpoint.failed) if endpoint else NOTHING for endpoint in pair)
    return (name, *p95, *failed)


def _differences(first: RunRecord, second: RunRecord) -> Table:
    facts_a, facts_b = _facts(first), _facts(second)
    rows = [
        (name, facts_a.get(name) or NOTHING, facts_b.get(name) or NOTHING)
        for name in dict.fromkeys([*facts_a, *facts_b])
        if facts_a.get(name) != facts_b.get(name)
    ]
    return Table(caption="Differences", columns=(Column("Property"), Column("A"), Column("B")), rows=tuple(rows))


def _facts(record: RunRecord) -> dict[str, str]:
    """Return the circumstances of a run by name."""
    load = record.load
    baseline = record.baseline
    return {
        "Environment": record.environment,
        "Deployed version": record.deploy_version or "",
        "Requested rate": format_value(load.requested_rate_rps, Unit.REQUESTS_PER_SECOND),
        "Achieved rate": format_value(load.achieved_rate_rps, Unit.REQUESTS_PER_SECOND),
        "Duration": f"{load.duration_s:g} s after {load.warmup_s:g} s of warm-up",
        "Baseline": f"version {baseline.version}" if baseline else "",
        "Triggered by": record.provenance.triggered_by,
        **{f"Fingerprint: {name}": text for name, text in sorted(record.fingerprint.items())},
        **{f"Version: {name}": text for name, text in sorted(record.provenance.versions.items())},
    }


def _latencies_over_time(content: bytes | None) -> dict[str, list[list[float | None]]]:
    """Return every percentile over the seconds since the end of the warm-up."""
    rows = [row for row in _csv_rows(content) if row.get("phase") == MEASURED]
    rows = rows[:: max(1, -(-len(rows) // MAX_POINTS))]
    if not rows:
        return {}
    begin = _number(rows[0].get("second")) or 0.0
    seconds: list[float | None] = [(_number(row.get("second")) or 0.0) - begin for row in rows]
    return {name: [seconds, [_number(row.get(f"{name}_s")) for row in rows]] for name in LATENCIES}


def _cumulative_shares(content: bytes | None) -> list[list[float]]:
    """Return the upper bound of every histogram bin, and the share of requests at or below it."""
    bins = [(_number(row.get("upper_s")), _number(row.get("count"))) for row in _csv_rows(content)]
    known = [(upper, count) for upper, count in bins if upper is not None and count is not None]
    total = sum(count for _, count in known)
    if not total:
        return [[], []]
    shares, cumulative = [], 0.0
    for _, count in known:
        cumulative += count
        shares.append(round(cumulative / total, 6))
    return [[upper for upper, _ in known], shares]


def _csv_rows(content: bytes | None) -> list[dict[str, str]]:
    return [] if content is None else list(csv.DictReader(io.StringIO(content.decode("utf-8", errors="replace"))))


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None

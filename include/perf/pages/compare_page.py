"""Two runs side by side.

What the charts of two runs side by side draw: latency over time, and how latencies are distributed.
"""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from include.perf.model.metric import METRICS, Metric, Unit, title_of
from include.perf.model.numbers import format_value
from include.perf.pages.marks import VERDICT_LOOKS, MarkStyle, minute
from include.perf.reporting.document import Column, Mark, Table, Tone, Words
from include.perf.runs.figures import EndpointFigures
from include.perf.runs.phrases import change_of
from include.perf.runs.record import RunRecord, Shift
from include.perf.runs.run_index import RunEntry

LATENCIES = ("latency_p50", "latency_p95", "latency_p99")

MEASURED = "measured"

MOST_POINTS = 600
"""As many as a screen can tell apart; of a longer run every second, third, … second is drawn."""


def compare_chart(
    series: tuple[bytes | None, bytes | None], spread: tuple[bytes | None, bytes | None]
) -> dict[str, Any]:
    """Return the data of the charts.

    Args:
        series: ``timeseries.csv`` of both runs.
        spread: ``distribution.csv`` of both runs.
    """
    over_time = [_seconds(each) for each in series]
    return {
        "latency": [
            {"name": name, "title": title_of(name), "runs": [each.get(name, [[], []]) for each in over_time]}
            for name in LATENCIES
        ],
        "distribution": [_shares(each) for each in spread],
    }


def _rows(content: bytes | None) -> list[dict[str, str]]:
    return [] if content is None else list(csv.DictReader(io.StringIO(content.decode("utf-8", errors="replace"))))


def _seconds(content: bytes | None) -> dict[str, list[list[float | None]]]:
    """Return each percentile over the seconds since the measured part began."""
    rows = [row for row in _rows(content) if row.get("phase") == MEASURED]
    rows = rows[:: max(1, -(-len(rows) // MOST_POINTS))]
    if not rows:
        return {}
    begin = _number(rows[0].get("second")) or 0.0
    at: list[float | None] = [(_number(row.get("second")) or 0.0) - begin for row in rows]
    return {name: [at, [_number(row.get(f"{name}_s")) for row in rows]] for name in LATENCIES}


def _shares(content: bytes | None) -> list[list[float]]:
    """Return for each bin of the histogram where it ends, and which share of the requests was faster."""
    bins = [(_number(row.get("upper_s")), _number(row.get("count"))) for row in _rows(content)]
    known = [(upper, count) for upper, count in bins if upper is not None and count is not None]
    total = sum(count for _, count in known)
    if not total:
        return [[], []]
    shares, below = [], 0.0
    for _, count in known:
        below += count
        shares.append(round(below / total, 6))
    return [[upper for upper, _ in known], shares]


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None


NOTHING = "–"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedRun:
    """One of the two, with the files that its charts are drawn from.

    Attributes:
        series, spread: ``timeseries.csv`` and ``distribution.csv``; ``None`` where there is none.
    """

    entry: RunEntry
    record: RunRecord
    series: bytes | None
    spread: bytes | None

    @property
    def look(self) -> MarkStyle:
        """How its verdict looks."""
        return VERDICT_LOOKS[self.record.verdict]

    @property
    def moment(self) -> str:
        """When it was."""
        return minute(self.record.started_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparePage:
    """Two runs, the first of them the one that the other is held to.

    Attributes:
        warnings: why they should not be compared.
        differences: what they do not have in common.
        data: what the charts draw.
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
        warnings=tuple(_warnings(first.record, second.record)),
        metrics=_metrics(first.record, second.record),
        endpoints=_endpoints(first.record, second.record),
        differences=_differences(first.record, second.record),
        data=compare_chart((first.series, second.series), (first.spread, second.spread)),
    )


def _warnings(first: RunRecord, second: RunRecord) -> Iterator[str]:
    if (first.service, first.scenario) != (second.service, second.scenario):
        yield "They are of different services or scenarios."
    if first.environment != second.environment:
        yield f"They ran in different environments: {first.environment} and {second.environment}."
    if dict(first.fingerprint) != dict(second.fingerprint):
        yield "Load, data or test bed differ, so a difference need not be the service's; see what differs."
    for letter, record in (("A", first), ("B", second)):
        if not record.verdict.is_measured:
            yield f"{letter} is {record.verdict}: its figures cannot be trusted."


def _metrics(first: RunRecord, second: RunRecord) -> Table:
    return Table(
        caption="The eight metrics",
        columns=(Column("Metric"), Column("A", is_figure=True), Column("B", is_figure=True), Column("B against A")),
        rows=tuple(_metric(metric, first, second) for metric in METRICS.values()),
    )


def _metric(metric: Metric, first: RunRecord, second: RunRecord) -> tuple[Words, ...]:
    before, after = (_value(record, metric.name) for record in (first, second))
    shown = (format_value(before, metric.unit), format_value(after, metric.unit))
    return (metric.title, *shown, _difference(metric, before, after))


def _value(record: RunRecord, name: str) -> float | None:
    found = record.metrics.get(name)
    return found.value if found else None


def _difference(metric: Metric, before: float | None, after: float | None) -> Words:
    """Say how far two values are apart; marked where it is more than what is told at all."""
    if before is None or after is None:
        return NOTHING
    change = after - before
    text = change_of(metric.name, Shift(ratio=change / before if before else None, absolute=change))
    if abs(change) <= metric.minimum_effect(baseline=before, is_provisional=False):
        return text
    is_worse = metric.worsening(baseline=before, value=after) > 0
    return (f"{text} ", Mark("worse", Tone.BAD) if is_worse else Mark("better", Tone.GOOD))


def _endpoints(first: RunRecord, second: RunRecord) -> Table:
    ours, theirs = ({each.name: each for each in record.endpoints} for record in (first, second))
    return Table(
        caption="Endpoints",
        columns=(
            Column("Endpoint"),
            *(Column(f"{title} {letter}", is_figure=True) for title in ("p95", "failed") for letter in "AB"),
        ),
        rows=tuple(_endpoint(name, ours, theirs) for name in dict.fromkeys([*ours, *theirs])),
    )


def _endpoint(
    name: str, ours: Mapping[str, EndpointFigures], theirs: Mapping[str, EndpointFigures]
) -> tuple[Words, ...]:
    pair = (ours.get(name), theirs.get(name))
    p95 = (format_value(each.latency_p95 if each else None, Unit.SECONDS) for each in pair)
    failed = (str(each.failed) if each else NOTHING for each in pair)
    return (name, *p95, *failed)


def _differences(first: RunRecord, second: RunRecord) -> Table:
    ours, theirs = _facts(first), _facts(second)
    rows = [
        (name, ours.get(name) or NOTHING, theirs.get(name) or NOTHING)
        for name in dict.fromkeys([*ours, *theirs])
        if ours.get(name) != theirs.get(name)
    ]
    return Table(caption="What differs", columns=(Column("What"), Column("A"), Column("B")), rows=tuple(rows))


def _facts(record: RunRecord) -> dict[str, str]:
    """Return what a run is made of, in words."""
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

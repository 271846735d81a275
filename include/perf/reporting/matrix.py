"""The verdicts of many runs at a glance: services down, scenarios across."""

from collections.abc import Iterable

from include.perf.metric import format_value
from include.perf.reporting.markdown import table
from include.perf.run import RunRecord

NOT_RUN = "–"


def matrix(records: Iterable[RunRecord]) -> str:
    """Return a Markdown table with the verdict and the p95 of each run; of two of one cell the later one."""
    cells = {(record.service, record.scenario): record for record in sorted(records, key=lambda each: each.started_at)}
    services = list(dict.fromkeys(service for service, _ in cells))
    scenarios = list(dict.fromkeys(scenario for _, scenario in cells))
    rows = [[service, *(_cell(cells.get((service, scenario))) for scenario in scenarios)] for service in services]
    return table(["service", *scenarios], rows)


def _cell(record: RunRecord | None) -> str:
    if record is None:
        return NOT_RUN
    p95 = record.metrics["latency_p95"]
    shown = f", p95 {format_value(p95.value, p95.unit)}" if p95.value is not None else ""
    return f"{record.verdict}{shown}"

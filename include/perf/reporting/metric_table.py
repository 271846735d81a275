"""The table of a run's eight metrics: value, baseline, shift, judgement and trend."""

from collections.abc import Mapping, Sequence

from include.perf.model.metric import METRICS, Metric
from include.perf.model.numbers import format_value
from include.perf.model.text import counted
from include.perf.reporting.document import Column, Mark, Table, Tone, Trend, Words
from include.perf.runs.phrases import (
    change_of,
    interval_of,
    is_compared,
    shift_of,
    uncertainty_in_unit,
    why_unchanged,
)
from include.perf.runs.record import Deviation, RunRecord, Shift, Verdict

History = Mapping[str, Sequence[float]]
"""Values of earlier nights by metric, oldest first."""

NOTHING = "–"

_COLUMNS = (
    Column("Metric"),
    Column("This run", is_figure=True),
    Column("Baseline", is_figure=True),
    Column("Shift (95 % interval)", is_figure=True),
    Column("Judgement"),
)


def metrics_table(record: RunRecord, history: History | None = None) -> Table:
    """Return the eight metrics and their baseline.

    Args:
        history: values of earlier nights; without them there is no trend column.
    """
    rows = [_row(record, metric) for metric in METRICS.values()]
    columns: tuple[Column, ...] = _COLUMNS
    if history and any(history.values()):
        columns = (*columns, Column("Earlier nights and this run"))
        rows = [
            (*row, _trend(record, metric, history.get(metric.name, ())))
            for row, metric in zip(rows, METRICS.values(), strict=True)
        ]
    return Table(caption="The eight metrics against their baseline", columns=columns, rows=tuple(rows))


def without_value(record: RunRecord) -> tuple[str, ...]:
    """Return a sentence for each metric that has no value, with the reason."""
    return tuple(
        f"{metric.title} has no value: {missing_reason(record, metric)}"
        for metric in METRICS.values()
        if record.value_of(metric.name) is None
    )


def missing_reason(record: RunRecord, metric: Metric) -> str:
    """Return why a metric has no value."""
    found = record.metrics.get(metric.name)
    return (found.reason if found else None) or "it was not measured"


def shown_value(record: RunRecord, metric: Metric) -> str:
    """Write the judged value, with the digits that the spread between nights justifies."""
    return format_value(record.value_of(metric.name), metric.unit, uncertainty=_uncertainty(record, metric))


def shown_change(record: RunRecord, metric: Metric) -> str:
    """Write the change from the baseline; a dash where nothing was compared."""
    shift = _shift(record, metric)
    return NOTHING if shift is None else change_of(metric.name, shift)


def judgement(record: RunRecord, metric: Metric) -> Mark | str:
    """Return the judgement of a metric."""
    if found := next((known for known in record.exceeded if known.metric == metric.name and not known.endpoint), None):
        return Mark(f"over its limit, {found.severity}", Tone.BAD)
    shift = _shift(record, metric)
    if shift is not None and (deviation := _deviation(record, metric)) is not None:
        return _of_deviation(deviation)
    if record.value_of(metric.name) is None:
        return Mark("no value, see below", Tone.DOUBT)
    if record.verdict is Verdict.INVALID:
        return Mark("not judged", Tone.DOUBT)
    if record.verdict is Verdict.NOT_COMPARABLE:
        return Mark("not comparable", Tone.DOUBT)
    if shift is None or record.baseline is None:
        return "no baseline"
    return _of_shift(shift, metric, record)


def _of_shift(shift: Shift, metric: Metric, record: RunRecord) -> str:
    """Return why a change does not count as a deviation."""
    return why_unchanged(metric, record, shift) or "unchanged"


def _of_deviation(deviation: Deviation) -> Mark:
    if not deviation.is_confirmed:
        return Mark("suspicious", Tone.DOUBT) if deviation.is_worse else Mark("better, not confirmed", Tone.QUIET)
    return Mark(f"worse, {deviation.severity}", Tone.BAD) if deviation.is_worse else Mark("better", Tone.GOOD)


def _deviation(record: RunRecord, metric: Metric) -> Deviation | None:
    return next((deviation for deviation in record.deviations if deviation.metric == metric.name), None)


def _shift(record: RunRecord, metric: Metric) -> Shift | None:
    return shift_of(record, metric.name) if is_compared(record) else None


def _level(record: RunRecord, metric: Metric) -> float | None:
    return record.baseline.metrics.get(metric.name) if record.baseline else None


def _uncertainty(record: RunRecord, metric: Metric) -> float | None:
    shift, level = _shift(record, metric), _level(record, metric)
    return None if shift is None or level is None else uncertainty_in_unit(shift, level)


def _row(record: RunRecord, metric: Metric) -> tuple[Words, ...]:
    level = format_value(_level(record, metric), metric.unit, uncertainty=_uncertainty(record, metric))
    shift = _shift_with_interval(metric, _shift(record, metric))
    return metric.title, shown_value(record, metric), level, shift, judgement(record, metric)


def _shift_with_interval(metric: Metric, shift: Shift | None) -> str:
    if shift is None:
        return NOTHING
    change, interval = change_of(metric.name, shift), interval_of(metric.name, shift)
    return f"{change} ({interval})" if interval else change


def _trend(record: RunRecord, metric: Metric, before: Sequence[float]) -> Trend | str:
    """Return the sparkline of earlier nights and this run; a change below the minimum effect looks flat."""
    if not before:
        return NOTHING
    value = record.value_of(metric.name)
    values = (*before, *([] if value is None else [value]))
    level = _level(record, metric)
    middle = values[0] if level is None else level
    margin = metric.minimum_effect(baseline=middle, is_provisional=False)
    first, last = (format_value(bound, metric.unit) for bound in (min(before), max(before)))
    return Trend(
        values=values,
        low=middle - margin,
        high=middle + margin,
        level=level,
        words=f"{counted(len(before), 'earlier night')}: {first} to {last}",
    )

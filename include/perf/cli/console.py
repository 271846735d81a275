"""The output of the command line: the progress of a load, verdicts and errors."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from include.perf.load.generator import Progress, ProgressListener
from include.perf.model.metric import Unit
from include.perf.model.numbers import format_value
from include.perf.runs.phrases import headline
from include.perf.runs.record import RunRecord, Verdict

PLAIN_LINE_EVERY_S = 10.0

PLAIN_WIDTH = 240
"""The width for a pipe, which has none: rich would break the names in a table at 80 columns."""

VERDICT_STYLES = {
    Verdict.PASS: "bold green",
    Verdict.IMPROVEMENT: "bold blue",
    Verdict.REGRESSION: "bold red",
    Verdict.OVER_LIMIT: "bold red",
    Verdict.INVALID: "bold yellow",
}


def plain_console(*, is_stderr: bool = False) -> Console:
    """Return a console that does not interpret text: reasons may contain brackets and colons."""
    console = Console(stderr=is_stderr, highlight=False, soft_wrap=True, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    return console


def complain(err: Exception) -> None:
    """Print an error to standard error."""
    plain_console(is_stderr=True).print(f"bellwether: {err}")


def progress_line(progress: Progress) -> str:
    """Return the progress of a load in one line."""
    p50, p95, p99 = (
        format_value(value, Unit.SECONDS)
        for value in (progress.latency_p50_s, progress.latency_p95_s, progress.latency_p99_s)
    )
    left_s = max(0.0, progress.total_s - progress.elapsed_s)
    return (
        f"{progress.elapsed_s:5.0f} s  {progress.rate_rps:7.1f}/s  p50 {p50}  p95 {p95}  p99 {p99}  "
        f"failed {progress.failed}  in flight {progress.in_flight}  "
        f"lag p99 {format_value(progress.lag_p99_s, Unit.SECONDS)}  {left_s:.0f} s left"
    )


@contextmanager
def shown_progress(console: Console) -> Iterator[ProgressListener]:
    """Yield a listener that shows a live line on a terminal, and a plain line every 10 s elsewhere."""
    if console.is_terminal:
        with Live(console=console, refresh_per_second=4, transient=True) as live:
            yield lambda progress: live.update(Text(progress_line(progress)))
        return
    yield EveryTenSeconds(console.print)


class EveryTenSeconds:
    """Writes one progress line for every ten seconds of the load."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._next_s = 0.0

    def __call__(self, progress: Progress) -> None:
        """Write a line if ten seconds have passed since the last one."""
        if progress.elapsed_s >= self._next_s:
            self._next_s = progress.elapsed_s + PLAIN_LINE_EVERY_S
            self._write(progress_line(progress))


def print_record(console: Console, record: RunRecord, *, where: str) -> None:
    """Print a verdict with its reasons and the URI of its report."""
    console.print(Text(headline(record), style=VERDICT_STYLES.get(record.verdict, "bold")))
    for reason in (*record.reasons, *record.notes):
        console.print(f"  - {reason}", markup=False, highlight=False)
    console.print(f"  {where}", markup=False, highlight=False)


def print_matrix(console: Console, records: Iterable[RunRecord]) -> None:
    """Print the verdicts of several runs as a table."""
    table = Table("service", "scenario", "verdict", "p95", "error rate", "rate")
    for record in records:
        p95, errors = record.metrics["latency_p95"], record.metrics["error_rate"]
        achieved = record.load.achieved_rate_rps
        table.add_row(
            record.service,
            record.scenario,
            Text(record.verdict.value, style=VERDICT_STYLES.get(record.verdict, "bold")),
            format_value(p95.value, p95.unit),
            format_value(errors.value, errors.unit),
            format_value(achieved, Unit.REQUESTS_PER_SECOND),
        )
    console.print(table)

"""The output of the command line: progress and verdicts, on a terminal and elsewhere."""

import io

import pytest
from rich.console import Console

from include.perf.cli.console import (
    EveryTenSeconds,
    plain_console,
    print_matrix,
    print_record,
    progress_line,
    shown_progress,
)
from include.perf.runs.record import Verdict
from tests.fakes.generator import progress
from tests.records import load_summary, metric_values, record_of, run_record

LINE = "   12 s    499.6/s  p50 18.3 ms  p95 42.1 ms  p99 87.6 ms  failed 3  in flight 47  lag p99 0.800 ms  48 s left"


def screen(*, is_terminal: bool = False) -> Console:
    """Return a console that writes to memory."""
    return Console(file=io.StringIO(), width=200, soft_wrap=True, force_terminal=is_terminal, markup=False, emoji=False)


def shown(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, LINE),  # 60 − 12 = 48 s left
        (
            {"latency_p50_s": None, "latency_p95_s": None, "latency_p99_s": None, "lag_p99_s": None},
            "   12 s    499.6/s  p50 –  p95 –  p99 –  failed 3  in flight 47  lag p99 –  48 s left",
        ),
        ({"elapsed_s": 61.4}, LINE.replace("   12 s", "   61 s").replace("48 s left", "0 s left")),
        ({"elapsed_s": -2.0}, LINE.replace("   12 s", "   -2 s").replace("48 s left", "62 s left")),
    ],
)
def test_progress_line(changes: dict[str, float | None], line: str) -> None:
    """Rate, latencies, failures, requests in flight, schedule lag, and the time left."""
    assert progress_line(progress(**changes)) == line


def test_a_line_every_ten_seconds_off_a_terminal() -> None:
    """A log of an hour has 360 lines, not 3 600; the first line comes with the first arrival."""
    console = screen()
    with shown_progress(console) as show:
        for second in range(-3, 31):
            show(progress(elapsed_s=float(second)))
    lines = shown(console).splitlines()
    assert [line.split(" s")[0].strip() for line in lines] == ["0", "10", "20", "30"]
    assert "\x1b" not in shown(console)


def test_uneven_progress_is_not_printed_more_often() -> None:
    """Ten seconds count from the last line, so a late line is not followed by another one at once."""
    written: list[str] = []
    every = EveryTenSeconds(written.append)
    for elapsed_s in (0.4, 9.9, 10.3, 10.5, 25.0, 30.0, 34.9, 35.0):
        every(progress(elapsed_s=elapsed_s))
    assert [line.split(" s")[0].strip() for line in written] == ["0", "10", "25", "35"]


def test_a_live_line_on_a_terminal_leaves_nothing_behind() -> None:
    """It is redrawn, and removed when the load is over."""
    console = screen(is_terminal=True)
    with shown_progress(console) as show:
        for second in range(5):
            show(progress(elapsed_s=float(second)))
    assert "lag p99 0.800 ms  60 s left" in shown(console) or "56 s left" in shown(console)
    assert "left" not in shown(console).rpartition("\x1b[2K")[2]  # after the last "erase this line"


@pytest.mark.parametrize("verdict", Verdict)
def test_a_record_of_each_verdict(verdict: Verdict) -> None:
    """The headline, one line for each reason and note, and the URI of the report."""
    record = record_of(verdict)
    console = screen()
    print_record(console, record, where="file:///results/r1/report.md")
    lines = shown(console).splitlines()
    assert lines[0].startswith(f"{verdict} · analysis-engine-service · market_open – ")
    assert lines[1:] == [
        *(f"  - {reason}" for reason in (*record.reasons, *record.notes)),
        "  file:///results/r1/report.md",
    ]


def test_text_of_a_service_is_not_interpreted_as_markup() -> None:
    """Brackets in an answer neither colour the terminal nor end the program."""
    console = Console(file=io.StringIO(), width=200)  # markup on, as rich has it by default
    print_record(console, run_record(reasons=("the answer was [/red] [bold]x",)), where="[x]")
    assert "  - the answer was [/red] [bold]x\n  [x]\n" in shown(console)


def test_the_matrix() -> None:
    """One row per run: verdict, p95, errors and the achieved rate; a missing value is a dash."""
    console = screen()
    nothing = metric_values(latency_p95="no load was measured", error_rate="no load was measured")
    records = [
        run_record(),
        run_record(
            service="b-service", verdict=Verdict.INVALID, metrics=nothing, load=load_summary(achieved_rate_rps=None)
        ),
    ]
    print_matrix(console, records)
    rows = [
        [cell.strip() for cell in line.strip("│").split("│")] for line in shown(console).splitlines() if "│" in line
    ]
    assert rows == [
        ["analysis-engine-service", "market_open", "PASS", "42.4 ms", "0.03 %", "500/s"],
        ["b-service", "market_open", "INVALID", "–", "–", "–"],
    ]


def test_the_plain_console_does_not_interpret_text(capsys: pytest.CaptureFixture[str]) -> None:
    """No markup, no emoji, no colours in a pipe, no line breaks at 80 columns."""
    plain_console().print("[bold]" + "x" * 300 + ":smile: 12")
    plain_console(is_stderr=True).print("[/]")
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("[bold]" + "x" * 300 + ":smile: 12\n", "[/]\n")

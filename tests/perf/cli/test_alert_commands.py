"""The command alerts: the list, and silences."""

import io
from datetime import timedelta
from pathlib import Path

import pytest
from rich.console import Console

from include.perf.adapters.files.alert_file import AlertFile
from include.perf.alerts.book import Delivery, Event, Problem, ProblemKind
from include.perf.cli.alert_commands import AlertCommands
from include.perf.cli.arguments import argument_parser
from include.perf.model.cell import CellName
from include.perf.model.errors import ConfigurationError
from include.perf.runs.record import Severity
from tests.fakes.clock import START
from tests.perf.alert_words import message


@pytest.fixture
def file(tmp_path: Path) -> AlertFile:
    """A book with one open problem and one pending message."""
    file = AlertFile(tmp_path / "alerts.json")
    problem = Problem(
        id="run-1",
        kind=ProblemKind.REGRESSION,
        channel="#trading",
        cells=(CellName("trading-gateway-service", "market_open"),),
        title="it is slower",
        opened_at=START,
        last_seen_at=START,
        severity=Severity.WARNING,
        worst={"latency_p95": 0.45},
        nights=3,
    )
    lost = Delivery(id="1", event=Event.OPENED, channel="#x", message=message("lost"), created_at=START, attempts=2)
    file.update(lambda book: book.put(problem))
    file.update(lambda book: book.outbox.append(lost))
    return file


def shell(file: AlertFile, *arguments: str) -> str:
    """Run a command and return what it prints."""
    commands = AlertCommands(
        store=lambda: file,
        user=lambda: "mara",
        clock=lambda: START,
        acknowledged=lambda silence: message(f"{silence.by} knows"),
    )
    options = argument_parser().parse_args(["alerts", *arguments])
    out = io.StringIO()
    assert commands.execute(options, Console(file=out, width=200)) == 0
    return out.getvalue()


SILENCE = ("silence", "--service", "trading-gateway", "--days", "7", "--reason", "release 2.5")


def test_open_problems_and_pending_messages_are_listed(file: AlertFile) -> None:
    """With the start, the number of nights, and the number of attempts."""
    shown = shell(file, "list")
    assert "2026-03-02 06:30:00 UTC" in shown
    assert "it is slower" in shown
    assert "pending, 2 attempts: lost" in shown


def test_a_silence_is_stored_listed_and_acknowledged(file: AlertFile) -> None:
    """With the name and the reason; it can be ended early."""
    output = shell(file, *SILENCE)
    assert "trading-gateway-service, every scenario, every metric until 2026-03-09 06:30:00 UTC" in output
    book = file.read()
    (silence,) = book.silences
    assert (silence.by, silence.until) == ("mara", START + timedelta(days=7))
    assert (book.outbox[-1].event, book.outbox[-1].message.text) == (Event.ACKNOWLEDGED, "mara knows")
    assert "release 2.5" in shell(file, "list")
    assert "is over" in shell(file, "unsilence", silence.id)
    assert file.read().silences == []


def test_a_silence_without_a_subject_is_refused(file: AlertFile) -> None:
    """Nothing is stored."""
    with pytest.raises(ConfigurationError, match="name at least one of them"):
        shell(file, "silence", "--days", "1", "--reason", "x")
    assert file.read().silences == []

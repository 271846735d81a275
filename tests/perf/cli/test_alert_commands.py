"""The command alerts: the list, and silences."""

import io
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from rich.console import Console

from include.perf.adapters.files.alert_file import AlertFile
from include.perf.alerts.book import (
    AlertBook,
    Delivery,
    DeliveryPart,
    DeliveryState,
    Event,
    Problem,
    ProblemKind,
    UnreadableEntry,
)
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
    lost = Delivery(
        id="1",
        event=Event.OPENED,
        channel="#x",
        message=message("lost [now]"),
        created_at=START,
        attempts=2,
        reason="Slack is down: lost [now]",
    )
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
    assert "pending, message for #x, 2 attempts: lost [now] (Slack is down)\n" in shown


def test_deliveries_that_were_set_aside_are_listed_retried_and_dropped(file: AlertFile) -> None:
    """With the reason, and the command; so is what cannot be read."""

    def change(book: AlertBook) -> None:
        (lost,) = book.outbox
        aside = replace(lost, state=DeliveryState.SET_ASIDE, reason="channel_not_found")
        book.outbox = [aside, replace(aside, id="2", part=DeliveryPart.FORWARD, address="pagerduty://")]
        book.unreadable = [UnreadableEntry(section="silences", content=5, reason="")]

    file.update(change)
    shown = shell(file, "list")
    assert (
        "set aside, message for #x, 2 attempts: lost [now] (channel_not_found); see `alerts retry 1` and "
        "`alerts drop 1`\n"
    ) in shown
    assert "set aside, other channel for pagerduty://, 2 attempts: " in shown
    assert "left out of silences: silences[0] " in shown
    assert shell(file, "retry", "1") == "1 message will be sent with the next delivery\n"
    assert [entry.state for entry in file.read().outbox] == [DeliveryState.PENDING, DeliveryState.SET_ASIDE]
    assert shell(file, "drop", "all") == "dropped: lost [now]\n"
    assert [entry.id for entry in file.read().outbox] == ["1"]
    with pytest.raises(ConfigurationError, match=r"^no delivery '1' is set aside; set aside: none$"):
        shell(file, "retry", "1")


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

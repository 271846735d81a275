"""Stopping all load from a terminal, and letting it start again."""

import argparse
import io
from collections.abc import Sequence

import pytest
from rich.console import Console

from include.perf.cli.alert_commands import HaltCommands
from include.perf.guards.halt import Halt
from include.perf.model.errors import ConfigurationError
from tests.fakes.clock import START
from tests.fakes.failing import raising

TOLD = "load is halted by ana since 2026-03-02 06:30:00 UTC: incident 4711 (to resume, remove the file /srv/halt.json)"


class Switch:
    """A switch in memory.

    Attributes:
        halt: what it is set to.
    """

    def __init__(self) -> None:
        self.halt: Halt | None = None

    def read(self) -> Halt | None:
        """Return the halt."""
        return self.halt

    def reason(self) -> str | None:
        """Return why no load may run."""
        return self.halt.describe("remove the file /srv/halt.json") if self.halt else None

    def set(self, halt: Halt) -> None:
        """Stop all load."""
        self.halt = halt

    def clear(self) -> None:
        """Let load start again."""
        self.halt = None


@pytest.fixture
def switch() -> Switch:
    """Load is not halted."""
    return Switch()


def typed(switch: Switch, *words: str) -> str:
    """Type a command, which must end with 0, and return what it prints."""
    return printed(HaltCommands(switch=lambda: switch, user=lambda: "ana", clock=lambda: START), words)


def printed(commands: HaltCommands, words: Sequence[str]) -> str:
    parser = argparse.ArgumentParser()
    commands.add_to(parser.add_subparsers(required=True))
    options = parser.parse_args(words)
    console = Console(file=io.StringIO(), width=240, markup=False, emoji=False, highlight=False)
    assert options.command(options, console) == 0
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_halt_sets_the_switch_with_name_reason_and_time(switch: Switch) -> None:
    """And says what everyone will read from now on."""
    assert typed(switch, "halt", "--reason", "incident 4711") == f"{TOLD}\n"
    assert switch.halt == Halt(by="ana", reason="incident 4711", at=START)


def test_a_second_halt_takes_the_place_of_the_first(switch: Switch) -> None:
    """Who halts last is asked."""
    switch.halt = Halt(by="mara", reason="release")
    assert typed(switch, "halt", "--reason", "incident 4711") == f"{TOLD}\n"


def test_a_reason_is_needed(switch: Switch, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever finds no load running wants to know why."""
    with pytest.raises(SystemExit, match="2"):
        typed(switch, "halt")
    assert "the following arguments are required: --reason" in capsys.readouterr().err
    assert switch.halt is None


def test_resume_removes_the_halt_and_describes_it(switch: Switch) -> None:
    """The terminal keeps who halted load, when and why."""
    switch.halt = Halt(by="ana", reason="incident 4711", at=START)
    assert typed(switch, "resume") == "Resumed. The halt was set by ana at 2026-03-02 06:30:00 UTC: incident 4711\n"
    assert switch.halt is None


def test_resume_without_a_halt_is_no_error(switch: Switch) -> None:
    """Nothing changes."""
    assert typed(switch, "resume") == "load was not halted\n"


def test_a_switch_that_cannot_be_set_is_an_error(switch: Switch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody may believe that load is halted when it is not."""
    monkeypatch.setattr(
        switch, "set", raising(ConfigurationError("cannot write /srv/halt.json: Read-only file system"))
    )
    with pytest.raises(ConfigurationError, match="Read-only file system"):
        typed(switch, "halt", "--reason", "incident 4711")

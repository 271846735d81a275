"""The commands halt and resume."""

import io
from collections.abc import Sequence

import pytest
from rich.console import Console

from include.perf.cli.alert_commands import HaltCommands
from include.perf.cli.arguments import argument_parser
from include.perf.guards.halt import Halt
from include.perf.model.errors import ConfigurationError
from tests.fakes.clock import START
from tests.fakes.failing import raising

HALT = "load is halted by ana since 2026-03-02 06:30:00 UTC: incident 4711 (to resume, remove the file /srv/halt.json)"


class MemoryHalt:
    """A halt state in memory.

    Attributes:
        halt: the halt; ``None`` while load may run.
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
def state() -> MemoryHalt:
    """Load is not halted."""
    return MemoryHalt()


def run(state: MemoryHalt, *words: str) -> str:
    """Run a command, which must end with 0, and return its output."""
    return printed(HaltCommands(halt_state=lambda: state, user=lambda: "ana", clock=lambda: START), words)


def printed(commands: HaltCommands, words: Sequence[str]) -> str:
    options = argument_parser().parse_args(words)
    console = Console(file=io.StringIO(), width=240, markup=False, emoji=False, highlight=False)
    assert commands.execute(options, console) == 0
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_halt_stores_name_reason_and_time(state: MemoryHalt) -> None:
    """It prints the message that refused runs will show."""
    assert run(state, "halt", "--reason", "incident 4711") == f"{HALT}\n"
    assert state.halt == Halt(by="ana", reason="incident 4711", at=START)


def test_a_second_halt_replaces_the_first(state: MemoryHalt) -> None:
    """The message names the last person who halted load."""
    state.halt = Halt(by="mara", reason="release")
    assert run(state, "halt", "--reason", "incident 4711") == f"{HALT}\n"


def test_a_reason_is_needed(state: MemoryHalt, capsys: pytest.CaptureFixture[str]) -> None:
    """People want to know why no load runs."""
    with pytest.raises(SystemExit, match="2"):
        run(state, "halt")
    assert "the following arguments are required: --reason" in capsys.readouterr().err
    assert state.halt is None


def test_resume_removes_the_halt_and_describes_it(state: MemoryHalt) -> None:
    """The terminal keeps who halted load, when and why."""
    state.halt = Halt(by="ana", reason="incident 4711", at=START)
    assert run(state, "resume") == "Resumed. The halt was set by ana at 2026-03-02 06:30:00 UTC: incident 4711\n"
    assert state.halt is None


def test_resume_without_a_halt_is_no_error(state: MemoryHalt) -> None:
    """Nothing changes."""
    assert run(state, "resume") == "load was not halted\n"


def test_a_halt_that_cannot_be_stored_is_an_error(state: MemoryHalt, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody must believe that load is halted when it is not."""
    monkeypatch.setattr(state, "set", raising(ConfigurationError("cannot write /srv/halt.json: Read-only file system")))
    with pytest.raises(ConfigurationError, match="Read-only file system"):
        run(state, "halt", "--reason", "incident 4711")

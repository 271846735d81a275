"""The commands ``halt`` and ``resume`` of the command line."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from rich.console import Console

from include.perf.halt import Halt, HaltSwitch


@dataclass(frozen=True, slots=True, kw_only=True)
class HaltCommands:
    """Stops all load, and lets it start again.

    Attributes:
        switch: gives the switch that the environment names.
        user: says who is at the keyboard.
    """

    switch: Callable[[], HaltSwitch]
    user: Callable[[], str]
    clock: Callable[[], datetime]

    def add_to(self, commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
        """Add both to the commands there are."""
        halt = commands.add_parser("halt", help="start no load any more, and stop what runs")
        halt.add_argument("--reason", required=True, help="told with your name wherever a run is refused or stopped")
        halt.set_defaults(command=self._halt)
        commands.add_parser("resume", help="let load start again").set_defaults(command=self._resume)

    def _halt(self, options: argparse.Namespace, console: Console) -> int:
        switch = self.switch()
        switch.set(Halt(by=self.user(), reason=options.reason, at=self.clock()))
        console.print(f"{switch.reason()}")
        return 0

    def _resume(self, _: argparse.Namespace, console: Console) -> int:
        switch = self.switch()
        reason = switch.reason()
        switch.clear()
        console.print("load was not halted" if reason is None else f"load may start again; it was: {reason}")
        return 0

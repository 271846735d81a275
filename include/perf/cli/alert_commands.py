"""The command ``alerts`` of the command line: what is open, what is silenced, and what could not be delivered.

The commands ``halt`` and ``resume`` of the command line.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from rich.console import Console
from rich.table import Table

from include.perf.alerts.alert_writer import AlertWriter
from include.perf.alerts.book import AlertBook, Message, Silence
from include.perf.alerts.delivery import AlertStore
from include.perf.alerts.silence import SilenceRequest, about, lift, silence_of
from include.perf.catalogue.reading import load_catalogue
from include.perf.guards.halt import Halt, HaltState
from include.perf.model.text import counted, utc_time


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertCommands:
    """Looks at alerts, and asks for silence.

    Attributes:
        store: gives what is kept of alerts, where the environment says.
        user: says who is at the keyboard.
        acknowledged: says in a problem's thread that somebody knows.
    """

    store: Callable[[], AlertStore]
    user: Callable[[], str]
    clock: Callable[[], datetime]
    acknowledged: Callable[[Silence], Message]

    def add_to(self, commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
        """Add ``alerts`` with its actions to the commands there are."""
        alerts = commands.add_parser("alerts", help="what was told, and what is silenced")
        actions = alerts.add_subparsers(required=True, metavar="action")
        actions.add_parser("list", help="open problems, silences, and what waits to be delivered").set_defaults(
            command=self._list
        )
        silence = actions.add_parser("silence", help="hear no more of something you know of, for so many days")
        silence.add_argument("--service", help="by default every one")
        silence.add_argument("--scenario", help="by default every one")
        silence.add_argument("--metric", help="by default every one")
        silence.add_argument("--days", type=float, required=True, help="after which it ends by itself")
        silence.add_argument("--reason", required=True, help="kept and listed with your name")
        silence.set_defaults(command=self._silence)
        unsilence = actions.add_parser("unsilence", help="end a silence before its time")
        unsilence.add_argument("id", help="as it is listed")
        unsilence.set_defaults(command=self._unsilence)

    def _list(self, _: argparse.Namespace, console: Console) -> int:
        book = self.store().read()
        console.print(_problems(book))
        console.print(_silences(book, now=self.clock()))
        for delivery in book.outbox:
            console.print(f"not delivered yet, {counted(delivery.attempts, 'attempt')}: {delivery.message.text}")
        return 0

    def _silence(self, options: argparse.Namespace, console: Console) -> int:
        request = SilenceRequest(
            by=self.user(),
            reason=options.reason,
            days=options.days,
            service=options.service,
            scenario=options.scenario,
            metric=options.metric,
        )
        silence = silence_of(request, load_catalogue(), now=self.clock())
        told = self.acknowledged(silence)
        self.store().update(lambda book: AlertWriter(book=book, now=self.clock()).silence(silence, told))
        console.print(f"silence {silence.id}: {about(silence)} until {utc_time(silence.until)}")
        return 0

    def _unsilence(self, options: argparse.Namespace, console: Console) -> int:
        silence = self.store().update(lambda book: lift(book, options.id, now=self.clock()))
        console.print(f"silence {silence.id} is over: {about(silence)}")
        return 0


def _problems(book: AlertBook) -> Table:
    table = Table("open since", "nights", "severity", "problem")
    for problem in book.problems:
        if problem.is_open:
            table.add_row(utc_time(problem.opened_at), str(problem.nights), problem.severity, problem.title)
    return table


def _silences(book: AlertBook, *, now: datetime) -> Table:
    table = Table("silence", "about", "until", "by", "reason")
    for silence in book.silences:
        if silence.is_active(now):
            table.add_row(silence.id, about(silence), utc_time(silence.until), silence.by, silence.reason)
    return table


@dataclass(frozen=True, slots=True, kw_only=True)
class HaltCommands:
    """Stops all load, and lets it start again.

    Attributes:
        switch: gives the switch that the environment names.
        user: says who is at the keyboard.
    """

    switch: Callable[[], HaltState]
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
        halt = switch.read()
        switch.clear()
        console.print("load was not halted" if halt is None else f"Resumed. {halt.describe_former()}")
        return 0

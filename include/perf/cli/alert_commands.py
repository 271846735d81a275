"""The commands ``alerts``, ``halt`` and ``resume`` of the command line."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from rich.console import Console
from rich.table import Table

from include.perf.alerts.alert_store import AlertStore
from include.perf.alerts.alert_writer import AlertWriter
from include.perf.alerts.book import AlertBook, Delivery, Message, Silence
from include.perf.alerts.outbox import drop, retry
from include.perf.alerts.silence import SilenceRequest, about, lift, silence_of
from include.perf.catalogue.reading import read_catalogue
from include.perf.guards.halt import Halt, HaltState
from include.perf.model.text import counted, utc_time


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertCommands:
    """Lists alerts and silences them.

    Attributes:
        store: returns the alerts that the environment names.
        user: returns the name of the current user.
        acknowledged: returns the message for the thread of a problem that was silenced.
    """

    store: Callable[[], AlertStore]
    user: Callable[[], str]
    clock: Callable[[], datetime]
    acknowledged: Callable[[Silence], Message]

    def execute(self, options: argparse.Namespace, console: Console) -> int:
        """Run the action of ``alerts``."""
        actions = {
            "list": self._list,
            "silence": self._silence,
            "unsilence": self._unsilence,
            "retry": self._retry,
            "drop": self._drop,
        }
        return actions[options.action](options, console)

    def _list(self, _: argparse.Namespace, console: Console) -> int:
        book = self.store().read()
        console.print(_problems(book))
        console.print(_silences(book, now=self.clock()))
        for delivery in book.outbox:
            console.print(_delivery(delivery), markup=False, soft_wrap=True)
        for entry in book.unreadable:
            console.print(f"left out of {entry.section}: {entry.reason}", markup=False, soft_wrap=True)
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
        silence = silence_of(request, read_catalogue(), now=self.clock())
        message = self.acknowledged(silence)
        self.store().update(lambda book: AlertWriter(book=book, now=self.clock()).silence(silence, message))
        console.print(f"silence {silence.id}: {about(silence)} until {utc_time(silence.until)}")
        return 0

    def _unsilence(self, options: argparse.Namespace, console: Console) -> int:
        silence = self.store().update(lambda book: lift(book, options.id, now=self.clock()))
        console.print(f"silence {silence.id} is over: {about(silence)}")
        return 0

    def _retry(self, options: argparse.Namespace, console: Console) -> int:
        chosen = self.store().update(lambda book: retry(book, options.id))
        console.print(f"{counted(len(chosen), 'message')} will be sent with the next delivery")
        return 0

    def _drop(self, options: argparse.Namespace, console: Console) -> int:
        chosen = self.store().update(lambda book: drop(book, options.id))
        for delivery in chosen:
            console.print(f"dropped: {delivery.message.text}", markup=False, soft_wrap=True)
        return 0


def _delivery(delivery: Delivery) -> str:
    """Return a line: state, part and place, attempts, text, and why it was not delivered."""
    where = delivery.address or delivery.channel
    what = f"{delivery.state}, {delivery.part} for {where}, {counted(delivery.attempts, 'attempt')}"
    reason = f" ({delivery.short_reason})" if delivery.reason else ""
    remedy = f"; see `alerts retry {delivery.id}` and `alerts drop {delivery.id}`" if delivery.is_set_aside else ""
    return f"{what}: {delivery.message.text}{reason}{remedy}"


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
    """Halts all load, and ends the halt.

    Attributes:
        halt_state: returns the halt state that the environment names.
        user: returns the name of the current user.
    """

    halt_state: Callable[[], HaltState]
    user: Callable[[], str]
    clock: Callable[[], datetime]

    def execute(self, options: argparse.Namespace, console: Console) -> int:
        """Run ``halt`` or ``resume``."""
        return self._halt(options.reason, console) if options.command == "halt" else self._resume(console)

    def _halt(self, reason: str, console: Console) -> int:
        state = self.halt_state()
        state.set(Halt(by=self.user(), reason=reason, at=self.clock()))
        console.print(f"{state.reason()}")
        return 0

    def _resume(self, console: Console) -> int:
        state = self.halt_state()
        halt = state.read()
        state.clear()
        console.print("load was not halted" if halt is None else f"Resumed. {halt.describe_former()}")
        return 0

"""The commands ``rules show``, ``check`` and ``write`` of the command line."""

import argparse
from dataclasses import dataclass
from typing import Protocol

from rich.console import Console
from rich.table import Table

from include.perf.model.metric import METRICS
from include.perf.model.numbers import format_value
from include.perf.model.text import counted
from include.perf.monitoring.rule_changes import Change, changes_between, describe_changes
from include.perf.monitoring.rule_limits import RuleLimits
from include.perf.monitoring.rule_writer import RuleWriter


class MakeWriter(Protocol):
    """Returns the writer that the environment names."""

    def __call__(self, url: str, *, must_reload: bool | None) -> RuleWriter:
        """Return the writer for the Prometheus at a URL.

        Args:
            must_reload: whether Prometheus must reload the rules; ``None`` for what the catalogue says.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesCommands:
    """Shows, checks and writes the alert rules."""

    writer: MakeWriter

    def execute(self, options: argparse.Namespace, console: Console) -> int:
        """Run the action of ``rules``."""
        actions = {"show": self._show, "check": self._check, "write": self._write}
        return actions[options.action](options, console)

    def _show(self, options: argparse.Namespace, console: Console) -> int:
        writer = self.writer(options.prometheus, must_reload=False)
        drafted = writer.draft(writer.in_force())
        if options.yaml:
            console.out(drafted.rules.decode(), end="", highlight=False)
            return 0
        console.print(_table(drafted.limits) if drafted.limits.cells else "no baseline has limits yet")
        for reason in drafted.left_out:
            console.print(f"  - {reason}", markup=False)
        return 0

    def _check(self, options: argparse.Namespace, console: Console) -> int:
        writer = self.writer(options.prometheus, must_reload=False)
        before = writer.in_force()
        drafted = writer.draft(before)
        writer.check(drafted)
        changes = changes_between(before, drafted.limits)
        console.print("the rules are valid and pass their tests")
        _print_changes(console, writer, changes, if_none="the limits in force match the baselines")
        return 0

    def _write(self, options: argparse.Namespace, console: Console) -> int:
        writer = self.writer(options.prometheus, must_reload=options.reload)
        changes = writer.write()
        is_loaded = writer.publisher.server is not None
        console.print(f"{writer.publisher.store.where} is written{' and loaded' if is_loaded else ''}")
        _print_changes(console, writer, changes, if_none="no limit changed")
        return 0


def _print_changes(console: Console, writer: RuleWriter, changes: tuple[Change, ...], *, if_none: str) -> None:
    console.print(counted(len(changes), "limit") + " changed:" if changes else if_none)
    for line in describe_changes(changes, writer.baselines.read()):
        console.print(f"  - {line}", markup=False)


def _table(limits: RuleLimits) -> Table:
    table = Table("service", "scenario", "environment", "metric", "baseline", "warning", "critical", "hard limit")
    for cell in limits.cells:
        for name, limit in cell.metrics.items():
            metric = METRICS[name]
            values = (limit.centre, limit.warning, limit.critical, limit.hard)
            shown = (format_value(value, metric.unit) for value in values)
            table.add_row(cell.service, cell.scenario, cell.environment, metric.title, *shown)
    return table

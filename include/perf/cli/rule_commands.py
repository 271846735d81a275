"""The commands ``rules show``, ``check`` and ``write`` of the command line."""

import argparse
import os
from dataclasses import dataclass
from typing import Protocol

from rich.console import Console
from rich.table import Table

from include.perf.cli.run_commands import DEFAULT_PROMETHEUS
from include.perf.model.metric import METRICS
from include.perf.model.numbers import format_value
from include.perf.model.text import counted
from include.perf.monitoring.rule_changes import Change, changes_between, describe_changes
from include.perf.monitoring.rule_limits import RuleLimits
from include.perf.monitoring.rule_writer import RuleWriter


class MakeWriter(Protocol):
    """Gives the writer that the environment names."""

    def __call__(self, url: str, *, must_reload: bool | None) -> RuleWriter:
        """Return the writer on the Prometheus at a URL.

        Args:
            must_reload: whether that is to load the rules; ``None`` for what the catalogue says.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesCommands:
    """Looks at the alert rules and writes them."""

    writer: MakeWriter

    def add_to(self, commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
        """Add ``rules`` with its actions to the commands there are."""
        rules = commands.add_parser("rules", help="alert rules for Prometheus, with limits out of the baselines")
        actions = rules.add_subparsers(required=True, metavar="action")
        show = actions.add_parser("show", help="the limits as they follow from the baselines now")
        show.add_argument("--yaml", action="store_true", help="the rules themselves, as they would be written")
        check = actions.add_parser("check", help="let promtool read and test them; nothing is written")
        write = actions.add_parser("write", help="check them and put them in place")
        write.add_argument(
            "--reload",
            action=argparse.BooleanOptionalAction,
            default=None,
            help="let Prometheus load them and see that it does; default: reload_rules in scenarios.yaml",
        )
        for action, command in ((show, self._show), (check, self._check), (write, self._write)):
            action.add_argument(
                "--prometheus",
                metavar="URL",
                default=os.environ.get("PROMETHEUS_URL", DEFAULT_PROMETHEUS),
                help=f"default: PROMETHEUS_URL, or {DEFAULT_PROMETHEUS}",
            )
            action.set_defaults(command=command)

    def _show(self, options: argparse.Namespace, console: Console) -> int:
        writer = self.writer(options.prometheus, must_reload=False)
        drafted = writer.draft(writer.in_force())
        if options.yaml:
            console.out(drafted.rules.decode(), end="", highlight=False)
            return 0
        console.print(_table(drafted.limits) if drafted.limits.cells else "no baseline bears limits yet")
        for why in drafted.left_out:
            console.print(f"  - {why}", markup=False)
        return 0

    def _check(self, options: argparse.Namespace, console: Console) -> int:
        writer = self.writer(options.prometheus, must_reload=False)
        before = writer.in_force()
        drafted = writer.draft(before)
        writer.check(drafted)
        changes = changes_between(before, drafted.limits)
        console.print("the rules are fine, and so are their tests")
        _print_changes(console, writer, changes, if_none="the limits in force are those of the baselines")
        return 0

    def _write(self, options: argparse.Namespace, console: Console) -> int:
        writer = self.writer(options.prometheus, must_reload=options.reload)
        changes = writer.write()
        is_loaded = writer.publisher.server is not None
        console.print(f"{writer.publisher.store.where} is in place{', and loaded' if is_loaded else ''}")
        _print_changes(console, writer, changes, if_none="no limit is another one than before")
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

"""The arguments of ``python -m include.perf``.

This module imports only the standard library, so that ``--help`` of every command answers at once. What a command does
stands in the module of its group, which is imported when the command runs.
"""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import Console

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

DESCRIPTION = """The command line of Bellwether. It needs no Airflow.

exit codes:
  0  pass (also an improvement, or no baseline yet)
  1  regression, or beyond a hard limit
  2  wrong use or configuration
  3  no verdict (invalid, not comparable or skipped)
"""

DEFAULT_PROMETHEUS = "http://localhost:9090"
HISTORY_RUNS = 30
STEP_S = 10
LOOPBACK = "127.0.0.1"


class ExecuteCommand(Protocol):
    """Runs a command, given its arguments."""

    def __call__(self, options: argparse.Namespace, console: "Console") -> int:
        """Return the exit code."""


def argument_parser() -> argparse.ArgumentParser:
    """Return the parser. Its result has the name of the ``command`` and, in a group of commands, of the ``action``."""
    parser = argparse.ArgumentParser(
        prog="python -m include.perf",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="log each stage")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    _add_run(commands)
    _add_smoke(commands)
    _add_preview(commands)
    _add_capacity(commands)
    _add_compare(commands)
    _add_baselines(commands)
    _add_halt(commands)
    _add_alerts(commands)
    _add_rules(commands)
    _add_history(commands)
    _add_metrics(commands)
    _add_data(commands)
    _add_draft(commands)
    commands.add_parser("check", help="check the catalogue, the market data and the baselines")
    return parser


def _add_run(commands: "Commands") -> None:
    run = commands.add_parser("run", help="load services, measure them and print the verdicts")
    run.add_argument("--service", help="one service; its name with or without -service")
    run.add_argument("--scenario", help="one scenario of the catalogue")
    run.add_argument("--all", action="store_true", help="all services or scenarios that are not named")
    run.add_argument("--duration", type=int, metavar="S", help="measured seconds, instead of the scenario's")
    run.add_argument("--rate", type=float, metavar="RPS", help="requests per second, instead of the scenario's")
    run.add_argument("--update-baseline", action="store_true", help="promote each valid run")
    run.add_argument("--reason", help="why the baseline is updated; stored with it")
    run.add_argument("--dry-run", action="store_true", help="show what would be sent, where and when; send nothing")
    run.add_argument(
        "--no-reruns",
        dest="reruns",
        action="store_false",
        help="do not re-run what looks suspicious; a single run then only warns",
    )
    run.add_argument("--junit", type=Path, metavar="FILE", help="write the verdicts as JUnit XML, for CI")
    _add_prometheus(run)


def _add_smoke(commands: "Commands") -> None:
    smoke = commands.add_parser("smoke", help="send a few requests to every endpoint, and show which ones fail")
    smoke.add_argument("--service", help="one service (default: all)")


def _add_preview(commands: "Commands") -> None:
    preview = commands.add_parser("preview", help="print one request of each endpoint, as it would go over the wire")
    preview.add_argument("--service", required=True, help="its name with or without -service")
    preview.add_argument("--scenario", help="whose market data to use (default: the first that loads the service)")


def _add_capacity(commands: "Commands") -> None:
    capacity = commands.add_parser(
        "capacity", help="find the highest rate that the load generators hold, and the capacity_rps to set"
    )
    capacity.add_argument(
        "--service", help="send to this service of the catalogue instead of to a process that answers every request"
    )
    capacity.add_argument(
        "--listen",
        metavar="ADDRESS",
        default=LOOPBACK,
        help="address of that process; workers on other machines must reach it (default: %(default)s)",
    )
    capacity.add_argument(
        "--max-rate",
        type=float,
        metavar="RPS",
        help="the highest rate to try (default: what one worker per core holds)",
    )
    capacity.add_argument(
        "--step-seconds", type=int, metavar="S", default=STEP_S, help="time per rate (default: %(default)s)"
    )
    capacity.add_argument(
        "--one-worker", action="store_true", help="find what one worker holds with the service, its worker_rps to set"
    )
    capacity.add_argument("--json", action="store_true", help="print the result as JSON")


def _add_compare(commands: "Commands") -> None:
    compare = commands.add_parser("compare", help="compare a finished run with the baseline as it is now")
    _add_run_reference(compare)


def _add_baselines(commands: "Commands") -> None:
    baselines = commands.add_parser("baselines", help="show baselines and change them")
    actions = baselines.add_subparsers(dest="action", required=True, metavar="action")
    every = actions.add_parser("list", help="list all baselines")
    show = actions.add_parser("show", help="show one baseline with its history")
    actions.add_parser("review", help="list baselines that need attention, and runs that could be promoted")
    actions.add_parser("schema", help="write the JSON Schemas of the files that other tools read")
    promote = actions.add_parser("promote", help="make a finished run part of its baseline")
    _add_run_reference(promote)
    promote.add_argument("--force", action="store_true", help="start a new baseline, even if the run is a regression")
    rollback = actions.add_parser("rollback", help="make an earlier version the baseline again")
    rollback.add_argument("--version", type=int, required=True)
    for action in (show, rollback):
        action.add_argument("--service", required=True)
        action.add_argument("--scenario", required=True)
    for action in (promote, rollback):
        action.add_argument("--reason", required=True, help="stored with the baseline")
    for action in (every, show):
        action.add_argument("--json", action="store_true", help="print as in the file")


def _add_halt(commands: "Commands") -> None:
    halt = commands.add_parser("halt", help="stop all load, and start no more")
    halt.add_argument("--reason", required=True, help="shown with your name wherever a run is refused or stopped")
    commands.add_parser("resume", help="end the halt, so that load can start again")


def _add_alerts(commands: "Commands") -> None:
    alerts = commands.add_parser("alerts", help="show problems and deliveries, and silence problems")
    actions = alerts.add_subparsers(dest="action", required=True, metavar="action")
    actions.add_parser("list", help="list open problems, silences and pending messages")
    silence = actions.add_parser("silence", help="silence alerts about a known problem for some days")
    silence.add_argument("--service", help="(default: all)")
    silence.add_argument("--scenario", help="(default: all)")
    silence.add_argument("--metric", help="(default: all)")
    silence.add_argument("--days", type=float, required=True, help="the silence ends after this time")
    silence.add_argument("--reason", required=True, help="stored and listed with your name")
    unsilence = actions.add_parser("unsilence", help="end a silence early")
    unsilence.add_argument("id", help="the id from the list")
    for name, what in (("retry", "send a delivery that was set aside again"), ("drop", "give up such a delivery")):
        actions.add_parser(name, help=what).add_argument("id", help="the id from the list; all for each of them")


def _add_rules(commands: "Commands") -> None:
    rules = commands.add_parser("rules", help="alert rules for Prometheus, with limits from the baselines")
    actions = rules.add_subparsers(dest="action", required=True, metavar="action")
    show = actions.add_parser("show", help="show the limits that follow from the baselines now")
    show.add_argument("--yaml", action="store_true", help="print the rules as they would be written")
    check = actions.add_parser("check", help="check and test the rules with promtool; nothing is written")
    write = actions.add_parser("write", help="check the rules and write them")
    write.add_argument(
        "--reload",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="wait until Prometheus has loaded the rules, and ask it to; default: reload_rules in scenarios.yaml",
    )
    for action in (show, check, write):
        _add_prometheus(action)


def _add_history(commands: "Commands") -> None:
    history = commands.add_parser("history", help="show past runs, and maintain their history")
    actions = history.add_subparsers(dest="action", required=True, metavar="action")
    past = actions.add_parser("list", help="list the latest runs of a service under a scenario")
    past.add_argument("--service", required=True)
    past.add_argument("--scenario", required=True)
    past.add_argument("--runs", type=int, default=HISTORY_RUNS, help="at most this many (default: %(default)s)")
    past.add_argument("--json", action="store_true", help="print everything that the index has on them")
    actions.add_parser("rebuild", help="rebuild the index from the records")
    prune = actions.add_parser("prune", help="remove old data, as the DAG maintenance does")
    prune.add_argument("--dry-run", action="store_true", help="only show what would be removed")


def _add_data(commands: "Commands") -> None:
    data = commands.add_parser("data", help="convert market data of trading platforms")
    actions = data.add_subparsers(dest="action", required=True, metavar="action")
    convert = actions.add_parser(
        "convert", help="convert an export of MetaTrader, Dukascopy, HistData, TrueFX, OANDA or another platform"
    )
    convert.add_argument("file", type=Path, help="the export; its format is recognised by its columns")
    convert.add_argument(
        "--output", type=Path, required=True, metavar="FILE.csv", help="the file for a scenario's data"
    )
    convert.add_argument("--instrument", help="such as EUR_USD, if the export does not name it")
    convert.add_argument(
        "--timezone", metavar="ZONE", help="of its times, such as Europe/Athens or UTC+2, if the format does not say so"
    )
    convert.add_argument("--spread", type=float, help="of every bar, in price units, if the export has none")
    convert.add_argument("--bars", help="length of the bars that are made from ticks (default: M1)")
    convert.add_argument(
        "--columns",
        metavar="MEANING=NAME,…",
        help="the columns of an export whose header is not understood, such as time=Date,bid=Bid,ask=Offer",
    )
    convert.add_argument(
        "--times",
        help="how it writes times, if that is not clear: such as '%%d/%%m/%%Y %%H:%%M', epoch_s or epoch_ms",
    )


def _add_draft(commands: "Commands") -> None:
    draft = commands.add_parser("draft", help="propose an entry of services.yaml from a locustfile")
    draft.add_argument("--locustfile", type=Path, required=True, metavar="FILE", help="it is read, and never executed")
    draft.add_argument("--service", help="the name of the service (default: that of the file)")
    draft.add_argument("--base-url", metavar="URL", help="where load goes to (default: the host of the first class)")


def _add_metrics(commands: "Commands") -> None:
    metrics = commands.add_parser("metrics", help="print Bellwether's own metrics in the format of Prometheus")
    metrics.add_argument(
        "--output",
        type=Path,
        metavar="FILE.prom",
        help="write them to a file, atomically, for the textfile collector of node_exporter",
    )


def _add_run_reference(command: argparse.ArgumentParser) -> None:
    command.add_argument("run", help="a run id, or the URI of the run's folder")


def _add_prometheus(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--prometheus",
        metavar="URL",
        default=os.environ.get("PROMETHEUS_URL", DEFAULT_PROMETHEUS),
        help=f"default: PROMETHEUS_URL, or {DEFAULT_PROMETHEUS}",
    )

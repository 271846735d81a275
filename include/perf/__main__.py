"""The command line: ``python -m include.perf``. Needs no Airflow.

Exit codes: 0 pass (also an improvement, or no baseline yet), 1 regression, 2 wrong use or configuration,
3 no verdict (invalid, not comparable or skipped).
"""

import argparse
import getpass
import logging
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Console

from include.perf.adapters.environment import (
    alert_file,
    baseline_file,
    build_pipeline,
    halt_file,
    metrics_sources,
    prometheus_at,
    results_store,
    run_index,
)
from include.perf.adapters.rules_environment import rule_writer_at
from include.perf.adapters.slack_messages import acknowledged
from include.perf.alert_commands import AlertCommands
from include.perf.alert_rules.commands import RulesCommands
from include.perf.baseline_commands import BaselineCommands
from include.perf.catalogue import SCENARIOS_FILE, load_catalogue
from include.perf.console import complain, plain_console
from include.perf.errors import BellwetherError, ConfigurationError, collected
from include.perf.exposition.commands import MetricsCommands
from include.perf.halt_commands import HaltCommands
from include.perf.history_commands import HistoryCommands
from include.perf.judge import Judge
from include.perf.market_data import read_market_data
from include.perf.pipeline import Pipeline
from include.perf.run_commands import EXIT_CODES, RunCommands
from include.perf.stage_files import StageFiles, find_run
from include.perf.time_plan import time_plans

INTERRUPTED = 128 + 2  # as a shell says of SIGINT


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says and return the exit code."""
    options = _parser().parse_args(arguments)
    level = logging.INFO if options.verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(levelname)s %(message)s")
    console = plain_console()
    try:
        code: int = options.command(options, console)
    except ConfigurationError as err:
        complain(err)
        return 2
    except BellwetherError as err:
        complain(err)
        return 3
    except KeyboardInterrupt:
        plain_console(is_stderr=True).print("bellwether: interrupted; no load runs any more")
        return INTERRUPTED
    return code


def _pipeline(prometheus: str) -> Pipeline:
    return build_pipeline(prometheus_at(prometheus))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m include.perf", description=__doc__)
    parser.add_argument("-v", "--verbose", action="store_true", help="tell each stage")
    commands = parser.add_subparsers(required=True, metavar="command")
    RunCommands(pipeline=_pipeline, user=_user).add_to(commands)
    _add_compare(commands)
    BaselineCommands(baselines=baseline_file, results=results_store, user=_user, clock=clock).add_to(commands)
    HaltCommands(switch=halt_file, user=_user, clock=clock).add_to(commands)
    AlertCommands(store=alert_file, user=_user, clock=clock, acknowledged=acknowledged).add_to(commands)
    RulesCommands(writer=rule_writer_at).add_to(commands)
    HistoryCommands(index=run_index, results=results_store, baselines=baseline_file, clock=clock).add_to(commands)
    MetricsCommands(sources=metrics_sources).add_to(commands)
    check = commands.add_parser("check", help="check the catalogue, the market data and the baselines")
    check.set_defaults(command=_check)
    return parser


def _add_compare(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    again = commands.add_parser("compare", help="judge a finished run against the baseline as it is now")
    again.add_argument("run", help="a run id, or the address of its folder")
    again.set_defaults(command=_compare)


def _compare(options: argparse.Namespace, console: Console) -> int:
    store = results_store()
    uri = find_run(store, options.run)
    record = StageFiles(store, uri).read_record()
    if not record.verdict.is_measured:
        console.print(f"{record.run_id} is {record.verdict}: {'; '.join(record.reasons)}")
        return EXIT_CODES[record.verdict]
    judge = Judge(store=store, baselines=baseline_file(), clock=clock, hard_limits_of=load_catalogue().hard_limits_of)
    result = judge.again(uri)
    console.print(f"{result.verdict} {record.service} {record.scenario} {record.run_id}")
    for reason in result.reasons:
        console.print(f"  - {reason}")
    return EXIT_CODES[result.verdict]


def _user() -> str:
    """Return who is at the keyboard; a container's user may have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def clock() -> datetime:
    """Say what time it is."""
    return datetime.now(UTC)


def _check(_: argparse.Namespace, console: Console) -> int:
    """Check everything and report every problem at once; re-runs that come too late are only warned of."""
    problems: list[str] = []
    warnings: list[str] = []
    found = ""
    with collected(problems):
        catalogue = load_catalogue()
        found = f"{len(catalogue.services)} services, {len(catalogue.scenarios)} scenarios"
        for data in dict.fromkeys(map(catalogue.data_path, catalogue.scenarios.values())):
            with collected(problems):
                read_market_data(data)
        for plan in time_plans(catalogue):
            if plan.problem:
                (warnings if plan.runs_fit else problems).append(f"{SCENARIOS_FILE}: {plan.problem}")
    with collected(problems):
        baseline_file().read()
    if problems:
        raise ConfigurationError(problems)
    for warning in warnings:
        console.print(f"warning: {warning}")
    console.print(f"{found}, their data and the baselines are fine")
    return 0


if __name__ == "__main__":
    sys.exit(main())

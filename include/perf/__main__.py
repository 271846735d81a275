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
from functools import partial

from rich.console import Console

from include.perf.adapters.generator.answering import answering
from include.perf.adapters.wiring.environment import build_outside, halt_file, metrics_sources
from include.perf.adapters.wiring.prometheus_access import prometheus_at
from include.perf.adapters.wiring.rules import rule_writer
from include.perf.adapters.wiring.storage import Storage
from include.perf.alerts.slack_messages import acknowledged
from include.perf.catalogue.catalogue import SCENARIOS_FILE
from include.perf.catalogue.reading import load_catalogue
from include.perf.cli.alert_commands import AlertCommands, HaltCommands
from include.perf.cli.baseline_commands import BaselineCommands
from include.perf.cli.capacity_commands import CapacityCommands
from include.perf.cli.console import complain, plain_console
from include.perf.cli.history_commands import HistoryCommands
from include.perf.cli.inspect_commands import MetricsCommands
from include.perf.cli.rule_commands import RulesCommands
from include.perf.cli.run_commands import DEFAULT_PROMETHEUS, EXIT_CODES, RunCommands
from include.perf.load.market_data import read_market_data
from include.perf.model.errors import BellwetherError, ConfigurationError, collected
from include.perf.monitoring.rule_writer import RuleWriter
from include.perf.pipeline.capacity_trials import CapacityTrials
from include.perf.pipeline.outside import Outside
from include.perf.pipeline.planning.time_plan import time_plans
from include.perf.runs.stage_files import StageFiles, find_run
from include.perf.verdict.night import Judge

STORAGE = Storage()
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


def _outside(prometheus: str) -> Outside:
    return build_outside(prometheus_at(prometheus).metrics(), storage=STORAGE)


def _rule_writer(url: str, *, must_reload: bool | None) -> RuleWriter:
    return rule_writer(prometheus_at(url), storage=STORAGE, must_reload=must_reload)


def _capacity_trials(step_s: int) -> CapacityTrials:
    return CapacityTrials(outside=_outside(DEFAULT_PROMETHEUS), step_s=step_s)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m include.perf", description=__doc__)
    parser.add_argument("-v", "--verbose", action="store_true", help="tell each stage")
    commands = parser.add_subparsers(required=True, metavar="command")
    RunCommands(outside=_outside, user=_user).add_to(commands)
    CapacityCommands(trials=_capacity_trials, answering=answering).add_to(commands)
    _add_compare(commands)
    BaselineCommands(baselines=STORAGE.baselines, results=STORAGE.results, user=_user, clock=clock).add_to(commands)
    HaltCommands(switch=halt_file, user=_user, clock=clock).add_to(commands)
    AlertCommands(store=STORAGE.alerts, user=_user, clock=clock, acknowledged=acknowledged).add_to(commands)
    RulesCommands(writer=_rule_writer).add_to(commands)
    HistoryCommands(index=STORAGE.run_index, results=STORAGE.results, baselines=STORAGE.baselines, clock=clock).add_to(
        commands
    )
    MetricsCommands(sources=partial(metrics_sources, STORAGE)).add_to(commands)
    check = commands.add_parser("check", help="check the catalogue, the market data and the baselines")
    check.set_defaults(command=_check)
    return parser


def _add_compare(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    again = commands.add_parser("compare", help="judge a finished run against the baseline as it is now")
    again.add_argument("run", help="a run id, or the address of its folder")
    again.set_defaults(command=_compare)


def _compare(options: argparse.Namespace, console: Console) -> int:
    store = STORAGE.results()
    uri = find_run(store, options.run)
    record = StageFiles(store, uri).read_record()
    if not record.verdict.is_measured:
        console.print(f"{record.run_id} is {record.verdict}: {'; '.join(record.reasons)}")
        return EXIT_CODES[record.verdict]
    limits = load_catalogue().hard_limits_of
    judge = Judge(store=store, baselines=STORAGE.baselines(), clock=clock, hard_limits_of=limits)
    result = judge.judge_again(uri)
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
        STORAGE.baselines().read()
    if problems:
        raise ConfigurationError(problems)
    for warning in warnings:
        console.print(f"warning: {warning}")
    console.print(f"{found}, their data and the baselines are fine")
    return 0


if __name__ == "__main__":
    sys.exit(main())

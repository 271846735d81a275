"""The entry point of ``python -m include.perf``: it gives each command the adapters that the environment names.

Imports stand inside the functions, so that a command imports only what it needs and ``--help`` next to nothing.
"""

import getpass
import logging
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from include.perf.cli.arguments import DEFAULT_PROMETHEUS, ExecuteCommand, argument_parser

if TYPE_CHECKING:
    from include.perf.monitoring.rule_writer import RuleWriter
    from include.perf.pipeline.outside import Outside

INTERRUPTED = 128 + 2  # the exit code of shells for SIGINT


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command on the command line and return the exit code."""
    options = argument_parser().parse_args(arguments)
    from include.perf.cli.console import complain, plain_console
    from include.perf.model.errors import BellwetherError, ConfigurationError

    level = logging.INFO if options.verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(levelname)s %(message)s")
    try:
        return _command(options.command)(options, plain_console())
    except ConfigurationError as err:
        complain(err)
        return 2
    except BellwetherError as err:
        complain(err)
        return 3
    except KeyboardInterrupt:
        plain_console(is_stderr=True).print("bellwether: interrupted; no load is running")
        return INTERRUPTED


def _command(name: str) -> ExecuteCommand:
    """Return a command with the adapters that it needs."""
    if name in ("run", "smoke"):
        from include.perf.cli.run_commands import RunCommands

        return RunCommands(outside=_outside, user=_user).execute
    if name == "data":
        from include.perf.cli.data_command import convert_data

        return convert_data
    if name == "draft":
        from include.perf.cli.draft_command import draft_service

        return draft_service
    if name == "preview":
        from include.perf.adapters.http.credentials import environment_credentials
        from include.perf.cli.preview_command import PreviewCommand

        return PreviewCommand(credentials=environment_credentials).execute
    if name == "capacity":
        return _capacity_command()
    if name in ("halt", "resume"):
        from include.perf.adapters.wiring.environment import halt_file
        from include.perf.cli.alert_commands import HaltCommands

        return HaltCommands(halt_state=halt_file, user=_user, clock=clock).execute
    if name == "rules":
        from include.perf.cli.rule_commands import RulesCommands

        return RulesCommands(writer=_rule_writer).execute
    return _command_on_stores(name)


def _command_on_stores(name: str) -> ExecuteCommand:
    """Return a command that only reads and writes stores."""
    from include.perf.adapters.wiring.storage import Storage

    storage = Storage()
    if name == "baselines":
        from include.perf.cli.baseline_commands import BaselineCommands

        baselines = BaselineCommands(baselines=storage.baselines, results=storage.results, user=_user, clock=clock)
        return baselines.execute
    if name == "alerts":
        from include.perf.alerts.slack_messages import acknowledged
        from include.perf.cli.alert_commands import AlertCommands

        return AlertCommands(store=storage.alerts, user=_user, clock=clock, acknowledged=acknowledged).execute
    if name == "history":
        from include.perf.cli.history_commands import HistoryCommands

        history = HistoryCommands(
            index=storage.run_index, results=storage.results, baselines=storage.baselines, clock=clock
        )
        return history.execute
    if name == "metrics":
        from include.perf.adapters.wiring.environment import metrics_sources
        from include.perf.cli.inspect_commands import MetricsCommands

        return MetricsCommands(sources=partial(metrics_sources, storage)).execute
    from include.perf.adapters.generator.locust_pool import environment_pool
    from include.perf.cli.inspect_commands import InspectCommands

    inspect = InspectCommands(baselines=storage.baselines, results=storage.results, pool=environment_pool, clock=clock)
    return inspect.execute


def _capacity_command() -> ExecuteCommand:
    from include.perf.adapters.generator.answering import answering
    from include.perf.cli.capacity_commands import CapacityCommands
    from include.perf.pipeline.capacity_trials import CapacityTrials

    def trials(step_s: int) -> CapacityTrials:
        return CapacityTrials(outside=_outside(DEFAULT_PROMETHEUS), step_s=step_s)

    return CapacityCommands(trials=trials, answering=answering).execute


def _outside(prometheus: str) -> "Outside":
    from include.perf.adapters.wiring.environment import build_outside
    from include.perf.adapters.wiring.prometheus_access import prometheus_at
    from include.perf.adapters.wiring.storage import Storage

    return build_outside(prometheus_at(prometheus).metrics(), storage=Storage())


def _rule_writer(url: str, *, must_reload: bool | None) -> "RuleWriter":
    from include.perf.adapters.wiring.prometheus_access import prometheus_at
    from include.perf.adapters.wiring.rules import rule_writer
    from include.perf.adapters.wiring.storage import Storage

    return rule_writer(prometheus_at(url), storage=Storage(), must_reload=must_reload)


def _user() -> str:
    """Return the name of the current user; the user of a container may have none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def clock() -> datetime:
    """Return the current time."""
    return datetime.now(UTC)


if __name__ == "__main__":
    sys.exit(main())

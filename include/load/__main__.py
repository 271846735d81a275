"""Drive one load: ``python -m include.load <load-plan.json> [<worker>]``.

It ends when the load is over, on SIGTERM or SIGINT, and when its parent is gone (the command pipe closes). In all these
cases the record up to then is in the plan's folder.
"""

from include.load.process import drive_load, environment  # noqa: I001 - first: it imports Locust

import logging
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from include.load.control import Commands, Reports, Start
from include.load.link import LoadProcessOrder
from include.perf.model.file_writer import write_atomically
from include.perf.load.load_plan import COMMANDS_VARIABLE, GeneratorLog, LoadPlan, REPORTS_VARIABLE
from include.perf.load.service_secrets import ServiceSecrets
from include.perf.model.json_files import to_json
from include.perf.load.worker_parts import part_of

HEAD_START_S = 0.5


class PipeLink:
    """The link to the parent process.

    Args:
        commands, reports: the pipes; ``None`` when a person started this process.
    """

    def __init__(self, plan: LoadPlan, worker: int, *, commands: Commands | None, reports: Reports | None) -> None:
        self._plan = plan
        self._worker = worker
        self._part = part_of(plan.folder, worker=worker, workers=plan.workers)
        self._commands = commands
        self._reports = reports
        self._runner = environment().create_local_runner()

    def order(self) -> LoadProcessOrder:
        """Return the plan of the command line, with the secrets from the pipe."""
        secrets = self._commands.secrets() if self._commands else ServiceSecrets()
        rows = self._part.requests.open("wb")
        return LoadProcessOrder(plan=self._plan, secrets=secrets, worker=self._worker, rows=rows)

    def start_users(self, count: int) -> None:
        """Start users with Locust's local runner."""
        self._runner.start(count, spawn_rate=count)

    @property
    def users(self) -> int:
        """How many users run."""
        return self._runner.user_count

    def report(self, report: Mapping[str, Any]) -> None:
        """Write a report to the pipe."""
        if self._reports:
            self._reports.send(report)

    def start(self, renew: Callable[[Sequence[str]], None]) -> Start:
        """Wait for the common start; without a pipe it is in `HEAD_START_S`."""
        if self._commands:
            return self._commands.start(renew)
        return Start(start=time.perf_counter() + HEAD_START_S, started_at=time.time() + HEAD_START_S)

    def watch(self, stop: Callable[[str], None], renew: Callable[[Sequence[str]], None]) -> None:
        """Call ``stop`` with a reason to stop, also when the parent is gone, and ``renew`` with new tokens."""
        if self._commands:
            self._commands.watch(stop, renew)

    def finish(self, summary: GeneratorLog) -> None:
        """Write the summary next to the rows, and end the users."""
        write_atomically(self._part.summary, to_json(summary))
        self._runner.quit()


def main() -> None:
    """Run the plan named on the command line."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    plan = LoadPlan.read(Path(sys.argv[1]))
    worker = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    commands, reports = (os.environ.get(name) for name in (COMMANDS_VARIABLE, REPORTS_VARIABLE))
    drive_load(
        PipeLink(
            plan,
            worker,
            commands=Commands(int(commands)) if commands else None,
            reports=Reports(int(reports)) if reports else None,
        )
    )


if __name__ == "__main__":
    main()

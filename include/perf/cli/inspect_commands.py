"""The commands ``compare``, ``check`` and ``metrics`` of the command line: they read, and change no store."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from rich.console import Console

from include.perf.baselines.baselines import BaselineStore
from include.perf.catalogue.catalogue import SCENARIOS_FILE, SERVICES_FILE
from include.perf.catalogue.forbidden_hosts import warning_without_list
from include.perf.catalogue.reading import read_catalogue
from include.perf.cli.run_commands import EXIT_CODES
from include.perf.model.errors import ConfigurationError, collected
from include.perf.model.file_writer import write_atomically
from include.perf.model.text import counted
from include.perf.monitoring.cell_status import Sources
from include.perf.monitoring.families import exposition_of
from include.perf.pipeline.planning.time_plan import time_plans
from include.perf.pipeline.wire_preview import problems_of_requests
from include.perf.runs.results_store import ResultsStore
from include.perf.runs.stage_files import StageFiles, find_run
from include.perf.verdict.night import Judge


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectCommands:
    """Compares finished runs, and checks the configuration.

    Attributes:
        baselines, results: return the stores that the environment names.
        pool: returns the load workers that the environment names; called only to check their settings.
    """

    baselines: Callable[[], BaselineStore]
    results: Callable[[], ResultsStore]
    pool: Callable[[], object]
    clock: Callable[[], datetime]

    def execute(self, options: argparse.Namespace, console: Console) -> int:
        """Run ``compare`` or ``check``."""
        return self._compare(options.run, console) if options.command == "compare" else self._check(console)

    def _compare(self, run: str, console: Console) -> int:
        """Compare a finished run with the baseline as it is now; return the exit code of the verdict."""
        store = self.results()
        uri = find_run(store, run)
        record = StageFiles(store, uri).read_record()
        if not record.verdict.is_measured:
            console.print(f"{record.run_id} is {record.verdict}: {'; '.join(record.reasons)}")
            return EXIT_CODES[record.verdict]
        limits_of = read_catalogue().limits_of
        judge = Judge(store=store, baselines=self.baselines(), clock=self.clock, limits_of=limits_of)
        result = judge.judge_again(uri)
        console.print(f"{result.verdict} {record.service} {record.scenario} {record.run_id}")
        for reason in result.reasons:
            console.print(f"  - {reason}")
        return EXIT_CODES[result.verdict]

    def _check(self, console: Console) -> int:
        """Check everything and report all problems at once.

        A night without time for all re-runs, and load that may go to whole private networks, are only warnings.
        """
        problems: list[str] = []
        warnings: list[str] = []
        found = ""
        with collected(problems):
            catalogue = read_catalogue()
            problems += catalogue.problems
            found = f"{counted(len(catalogue.services), 'service')}, {counted(len(catalogue.scenarios), 'scenario')}"
            problems += problems_of_requests(catalogue, warn=warnings.append)
            for plan in time_plans(catalogue):
                if plan.problem:
                    (warnings if plan.runs_fit else problems).append(f"{SCENARIOS_FILE}: {plan.problem}")
            if warning := warning_without_list(catalogue.services.values(), catalogue.forbidden_hosts):
                warnings.append(f"{SERVICES_FILE}: {warning}")
        with collected(problems):
            problems += self.baselines().read().odd.problems().values()
        with collected(problems):
            self.pool()
        if problems:
            raise ConfigurationError(problems)
        for warning in dict.fromkeys(warnings):
            console.print(f"warning: {warning}")
        console.print(f"{found}, their data and the baselines are fine")
        return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsCommands:
    """Writes Bellwether's own metrics, for where Prometheus cannot scrape them.

    Attributes:
        sources: returns the sources that the environment names.
    """

    sources: Callable[[], Sources]

    def execute(self, options: argparse.Namespace, console: Console) -> int:
        """Print the metrics, or write them to the file ``--output``."""
        sources = self.sources()
        as_of = sources.clock()
        content = exposition_of(sources.statuses(), as_of=as_of).content
        if options.output is None:
            console.out(content.decode(), end="")
            return 0
        try:
            write_atomically(options.output, content)
        except OSError as err:
            raise ConfigurationError(f"cannot write {options.output}: {err.strerror}; name another --output") from err
        return 0

"""The commands ``run`` and ``smoke`` of the command line."""

import argparse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from include.perf.baselines.promotion import promote, requested_approval
from include.perf.catalogue.catalogue import ALL_SERVICES, Catalogue
from include.perf.cli.arguments import DEFAULT_PROMETHEUS
from include.perf.cli.console import complain, print_matrix, print_record, shown_progress
from include.perf.model.errors import BaselineError, ConfigurationError, RunError, RunSkipped, StoreError
from include.perf.pipeline.night_stages import NightStages
from include.perf.pipeline.outside import Outside, Stores
from include.perf.pipeline.pipeline import execute
from include.perf.pipeline.planning.request import RunRequest
from include.perf.pipeline.planning.time_plan import scenarios_of
from include.perf.pipeline.previews import loads_in_words, preview
from include.perf.pipeline.smoke import smoke, smoke_in_words
from include.perf.reporting.junit import junit
from include.perf.reporting.summary import write_summary
from include.perf.runs.dag_run import COMMAND_LINE, results_of
from include.perf.runs.record import RunRecord, Verdict
from include.perf.runs.results_store import REPORT_FILE, SUMMARY_FILE
from include.perf.runs.spec import run_id_of

EXIT_CODES = {
    Verdict.PASS: 0,
    Verdict.IMPROVEMENT: 0,
    Verdict.NO_BASELINE: 0,
    Verdict.REGRESSION: 1,
    Verdict.OVER_LIMIT: 1,
    Verdict.INVALID: 3,
    Verdict.NOT_COMPARABLE: 3,
    Verdict.SKIPPED: 3,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCommands:
    """Loads services, or shows what a load would be.

    Attributes:
        outside: returns everything that a run is measured with, on the Prometheus at a URL.
        user: returns the name of the current user.
    """

    outside: Callable[[str], Outside]
    user: Callable[[], str]

    def execute(self, options: argparse.Namespace, console: Console) -> int:
        """Run ``run`` or ``smoke``."""
        return self._run(options, console) if options.command == "run" else self._smoke(options, console)

    def _run(self, options: argparse.Namespace, console: Console) -> int:
        if not options.all and not (options.service and options.scenario):
            raise ConfigurationError("name a --service and a --scenario, or give --all for all that are not named")
        outside = self.outside(options.prometheus)
        requests = self._requests(outside.stores.catalogue, options)
        if options.dry_run:
            return _preview(outside, requests, console)
        _check_junit(options.junit)
        records: list[RunRecord] = []
        planned: list[str] = []
        is_refused = False
        night_stages = NightStages(outside.stores)
        for uris in [night_stages.plan(request) for request in requests]:  # report all problems before the first load
            with shown_progress(console) as on_progress:
                night = execute(uris, outside, on_progress=on_progress)
            for uri, record in zip(uris, night, strict=True):
                print_record(console, record, where=f"{uri}/{REPORT_FILE}")
                if options.update_baseline and record.verdict.is_measured:
                    is_refused |= not _promoted(outside.stores, record, console)
            records += night
            planned += uris
        if options.junit is not None:
            options.junit.write_bytes(junit(records))
        if len(records) > 1:
            _sum_up(outside.stores, planned, records, console)
        return _exit_code(records) or (2 if is_refused else 0)

    def _requests(self, catalogue: Catalogue, options: argparse.Namespace) -> list[RunRequest]:
        """Return one request for each scenario; without a named scenario, for those that load the service."""
        service = options.service or ALL_SERVICES
        return [
            RunRequest(
                scenario=scenario,
                service=service,
                duration_s=options.duration,
                rate_rps=options.rate,
                update_baseline=options.update_baseline,
                reason=options.reason,
                may_rerun=options.reruns,
                triggered_by=self.user(),
            )
            for scenario in ([options.scenario] if options.scenario else _names(catalogue, service))
        ]

    def _smoke(self, options: argparse.Namespace, console: Console) -> int:
        """Try the endpoints; return 1 if one does not answer as expected, 3 if a service could not be tried."""
        outside = self.outside(DEFAULT_PROMETHEUS)
        catalogue = outside.stores.catalogue
        services = [catalogue.service(options.service).name] if options.service else list(catalogue.services)
        results = []
        is_refused = False
        for service in services:
            try:
                results += smoke(service, outside)
            except (RunError, RunSkipped) as err:
                complain(err)
                is_refused = True
        if results:
            console.print(smoke_in_words(results))
        if not all(result.is_good for result in results):
            return 1
        return 3 if is_refused else 0


def _names(catalogue: Catalogue, service: str) -> list[str]:
    return [scenario.name for scenario in scenarios_of(catalogue, service)]


def _preview(outside: Outside, requests: Sequence[RunRequest], console: Console) -> int:
    """Show what would be sent; return 3 if a load would be refused."""
    loads = preview(requests, outside)
    console.print(loads_in_words(loads))
    return 3 if any(load.refused for load in loads) else 0


def _check_junit(path: Path | None) -> None:
    """Check before the first load that the file can be written."""
    if path is not None and not path.absolute().parent.is_dir():
        raise ConfigurationError(f"--junit names {path}, but there is no folder {path.parent}; create it first")


def _sum_up(stores: Stores, uris: Sequence[str], records: Sequence[RunRecord], console: Console) -> None:
    """Print all verdicts, write their summary, and print where it is."""
    print_matrix(console, records)
    results = results_of(stores.results, uris, dag_id=COMMAND_LINE, dag_run_id=run_id_of(stores.clock()))
    console.print(f"  {write_summary(stores.results, results)}/{SUMMARY_FILE}")


def _promoted(stores: Stores, record: RunRecord, console: Console) -> bool:
    """Promote a run and print the result; a run that cannot become a baseline does not stop the others."""
    try:
        baseline = promote(
            record,
            approval=requested_approval(record, at=stores.clock()),
            force=False,
            store=stores.results,
            baselines=stores.baselines,
        )
    except (BaselineError, StoreError) as err:
        complain(err)
        return False
    console.print(f"  baseline version {baseline.version} recorded: {baseline.approval.reason}")
    return True


def _exit_code(records: Iterable[RunRecord]) -> int:
    codes = {EXIT_CODES[record.verdict] for record in records}
    return 1 if 1 in codes else max(codes, default=0)

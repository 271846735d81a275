"""The command line: ``python -m include.perf``. Needs no Airflow.

Exit codes: 0 pass (also an improvement, or no baseline yet), 1 regression, 2 wrong use or configuration,
3 no verdict (invalid, not comparable or skipped).
"""

import argparse
import getpass
import logging
import os
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from rich.console import Console

from include.perf.adapters.environment import baseline_file, build_pipeline, results_store
from include.perf.adapters.prometheus import Prometheus
from include.perf.baseline_commands import BaselineCommands
from include.perf.catalogue import ALL_SERVICES, load_catalogue
from include.perf.console import (
    plain_console,
    print_matrix,
    print_record,
    shown_progress,
)
from include.perf.errors import BaselineError, BellwetherError, ConfigurationError, collected
from include.perf.judge import Judge
from include.perf.market_data import read_market_data
from include.perf.pipeline import Pipeline
from include.perf.ports import REPORT_FILE
from include.perf.request import RunRequest
from include.perf.run import RunRecord, Verdict
from include.perf.stage_files import StageFiles, find_run

DEFAULT_PROMETHEUS = "http://localhost:9090"

INTERRUPTED = 128 + 2  # as a shell says of SIGINT

EXIT_CODES = {
    Verdict.PASS: 0,
    Verdict.IMPROVEMENT: 0,
    Verdict.NO_BASELINE: 0,
    Verdict.REGRESSION: 1,
    Verdict.INVALID: 3,
    Verdict.NOT_COMPARABLE: 3,
    Verdict.SKIPPED: 3,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says and return the exit code."""
    options = _parser().parse_args(arguments)
    level = logging.INFO if options.verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(levelname)s %(message)s")
    console = plain_console()
    try:
        code: int = options.command(options, console)
    except ConfigurationError as err:
        _complain(err)
        return 2
    except BellwetherError as err:
        _complain(err)
        return 3
    except KeyboardInterrupt:
        plain_console(is_stderr=True).print("bellwether: interrupted; no load runs any more")
        return INTERRUPTED
    return code


def _complain(err: Exception) -> None:
    plain_console(is_stderr=True).print(f"bellwether: {err}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m include.perf", description=__doc__)
    parser.add_argument("-v", "--verbose", action="store_true", help="tell each stage")
    commands = parser.add_subparsers(required=True, metavar="command")
    _add_run(commands)
    _add_compare(commands)
    BaselineCommands(baselines=baseline_file, results=results_store, user=_user, clock=clock).add_to(commands)
    check = commands.add_parser("check", help="check the catalogue, the market data and the baselines")
    check.set_defaults(command=_check)
    return parser


def _add_run(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    run = commands.add_parser("run", help="load a service, measure it and judge it")
    run.add_argument("--service", help="one service; names with and without -service are accepted")
    run.add_argument("--scenario", help="one scenario of the catalogue")
    run.add_argument("--all", action="store_true", help="every service, or every scenario, that is not named")
    run.add_argument("--duration", type=int, metavar="S", help="measured seconds, instead of the scenario's")
    run.add_argument("--rate", type=float, metavar="RPS", help="requests per second, instead of the scenario's")
    run.add_argument("--update-baseline", action="store_true", help="promote each run that is valid")
    run.add_argument("--reason", help="why the baseline is updated; kept with it")
    run.add_argument(
        "--no-reruns",
        dest="reruns",
        action="store_false",
        help="do not measure twice more what looks suspicious; one run alone then only warns",
    )
    run.add_argument(
        "--prometheus",
        metavar="URL",
        default=os.environ.get("PROMETHEUS_URL", DEFAULT_PROMETHEUS),
        help="default: PROMETHEUS_URL, or %(default)s",
    )
    run.set_defaults(command=_run)


def _add_compare(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    again = commands.add_parser("compare", help="judge a finished run against the baseline as it is now")
    again.add_argument("run", help="a run id, or the address of its folder")
    again.set_defaults(command=_compare)


def _run(options: argparse.Namespace, console: Console) -> int:
    if not options.all and not (options.service and options.scenario):
        raise ConfigurationError("name a --service and a --scenario, or give --all for every one that is not named")
    pipeline = build_pipeline(Prometheus(options.prometheus))
    scenarios = [options.scenario] if options.scenario else list(pipeline.catalogue.scenarios)
    records: list[RunRecord] = []
    is_refused = False
    for uris in _planned(pipeline, scenarios, options):
        with shown_progress(console) as on_progress:
            night = pipeline.execute(uris, on_progress=on_progress)
        for uri, record in zip(uris, night, strict=True):
            print_record(console, record, where=f"{uri}/{REPORT_FILE}")
            if options.update_baseline and record.verdict.is_measured:
                is_refused |= not _promoted(pipeline, uri, console)
        records += night
    if len(records) > 1:
        print_matrix(console, records)
    return _exit_code(records) or (2 if is_refused else 0)


def _promoted(pipeline: Pipeline, uri: str, console: Console) -> bool:
    """Promote a run and say so; one that may not become a baseline keeps no other run from its turn."""
    try:
        baseline = pipeline.promote(uri)
    except BaselineError as err:
        _complain(err)
        return False
    console.print(f"  baseline version {baseline.version} recorded: {baseline.approval.reason}")
    return True


def _planned(pipeline: Pipeline, scenarios: Iterable[str], options: argparse.Namespace) -> list[list[str]]:
    """Plan everything before the first load, so that what is wrong is said at once; the runs of each scenario."""
    requests = [
        RunRequest(
            scenario=scenario,
            service=options.service or ALL_SERVICES,
            duration_s=options.duration,
            rate_rps=options.rate,
            update_baseline=options.update_baseline,
            reason=options.reason,
            may_rerun=options.reruns,
            triggered_by=_user(),
        )
        for scenario in scenarios
    ]
    return [pipeline.plan(request) for request in requests]


def _exit_code(records: Iterable[RunRecord]) -> int:
    codes = {EXIT_CODES[record.verdict] for record in records}
    return 1 if 1 in codes else max(codes, default=0)


def _compare(options: argparse.Namespace, console: Console) -> int:
    store = results_store()
    uri = find_run(store, options.run)
    record = StageFiles(store, uri).read_record()
    if not record.verdict.is_measured:
        console.print(f"{record.run_id} is {record.verdict}: {'; '.join(record.reasons)}")
        return EXIT_CODES[record.verdict]
    result = Judge(store=store, baselines=baseline_file(), clock=clock).again(uri)
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
    """Check everything and report every problem at once."""
    problems: list[str] = []
    found = ""
    with collected(problems):
        catalogue = load_catalogue()
        found = f"{len(catalogue.services)} services, {len(catalogue.scenarios)} scenarios"
        for data in dict.fromkeys(map(catalogue.data_path, catalogue.scenarios.values())):
            with collected(problems):
                read_market_data(data)
    with collected(problems):
        baseline_file().read()
    if problems:
        raise ConfigurationError(problems)
    console.print(f"{found}, their data and the baselines are fine")
    return 0


if __name__ == "__main__":
    sys.exit(main())

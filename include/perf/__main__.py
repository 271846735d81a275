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
from include.perf.baseline import Approval
from include.perf.catalogue import ALL_SERVICES, load_catalogue
from include.perf.comparison import compare
from include.perf.console import (
    plain_console,
    print_baseline,
    print_baselines,
    print_matrix,
    print_record,
    shown_progress,
)
from include.perf.errors import BaselineError, BellwetherError, ConfigurationError, StoreError, collected
from include.perf.market_data import read_market_data
from include.perf.pipeline import Pipeline, RunRequest
from include.perf.ports import RECORD_FILE, REPORT_FILE
from include.perf.recording import StageFiles
from include.perf.run import RunRecord, Verdict

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
    _add_baselines(commands)
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


def _add_baselines(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    baselines = commands.add_parser("baselines", help="look at baselines and change them")
    actions = baselines.add_subparsers(required=True, metavar="action")
    actions.add_parser("list", help="every baseline").set_defaults(command=_baselines_list)
    show = actions.add_parser("show", help="one baseline with its history")
    promote = actions.add_parser("promote", help="make a finished run part of its baseline")
    promote.add_argument("run", help="a run id, or the address of its folder")
    promote.add_argument("--force", action="store_true", help="accept a regression as the new level")
    rollback = actions.add_parser("rollback", help="make an earlier version the baseline again")
    rollback.add_argument("--version", type=int, required=True)
    for action in (show, rollback):
        action.add_argument("--service", required=True)
        action.add_argument("--scenario", required=True)
    for action in (promote, rollback):
        action.add_argument("--reason", required=True, help="kept with the baseline")
    show.set_defaults(command=_baselines_show)
    promote.set_defaults(command=_baselines_promote)
    rollback.set_defaults(command=_baselines_rollback)


def _run(options: argparse.Namespace, console: Console) -> int:
    if not options.all and not (options.service and options.scenario):
        raise ConfigurationError("name a --service and a --scenario, or give --all for every one that is not named")
    pipeline = build_pipeline(Prometheus(options.prometheus))
    scenarios = [options.scenario] if options.scenario else list(pipeline.catalogue.scenarios)
    records, is_refused = [], False
    for uri in _planned(pipeline, scenarios, options):
        with shown_progress(console) as on_progress:
            record = pipeline.execute(uri, on_progress=on_progress)
        print_record(console, record, where=f"{uri}/{REPORT_FILE}")
        records.append(record)
        if options.update_baseline and record.verdict.is_measured:
            is_refused |= not _promoted(pipeline, uri, console)
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


def _planned(pipeline: Pipeline, scenarios: Iterable[str], options: argparse.Namespace) -> list[str]:
    """Plan everything before the first load, so that what is wrong is said at once."""
    requests = [
        RunRequest(
            scenario=scenario,
            service=options.service or ALL_SERVICES,
            duration_s=options.duration,
            rate_rps=options.rate,
            update_baseline=options.update_baseline,
            reason=options.reason,
            triggered_by=_user(),
        )
        for scenario in scenarios
    ]
    return [uri for request in requests for uri in pipeline.plan(request)]


def _exit_code(records: Iterable[RunRecord]) -> int:
    codes = {EXIT_CODES[record.verdict] for record in records}
    return 1 if 1 in codes else max(codes, default=0)


def _find(reference: str) -> RunRecord:
    """Return the record of a run by its id or its address."""
    store = results_store()
    uris = [reference] if "/" in reference else [uri for uri in store.runs() if uri.rpartition("/")[2] == reference]
    if not uris:
        raise StoreError(f"there is no finished run {reference!r} in the results store; check BELLWETHER_RESULTS_URI")
    return StageFiles(store, uris[0].removesuffix(f"/{RECORD_FILE}")).read_record()


def _compare(options: argparse.Namespace, console: Console) -> int:
    record = _find(options.run)
    if not record.verdict.is_measured:
        console.print(f"{record.run_id} is {record.verdict}: {'; '.join(record.reasons)}")
        return EXIT_CODES[record.verdict]
    baseline = baseline_file().read().get(record.service, record.scenario)
    result = compare(record.metrics, fingerprint=record.fingerprint, baseline=baseline)
    console.print(f"{result.verdict} {record.service} {record.scenario} {record.run_id}")
    for reason in result.reasons:
        console.print(f"  - {reason}")
    return EXIT_CODES[result.verdict]


def _baselines_list(_: argparse.Namespace, console: Console) -> int:
    print_baselines(console, baseline_file().read())
    return 0


def _baselines_show(options: argparse.Namespace, console: Console) -> int:
    service = load_catalogue().service(options.service).name
    entry = baseline_file().read().get(service, options.scenario)
    if entry is None:
        raise BaselineError(f"there is no baseline of {service} in {options.scenario}; `baselines list` shows all")
    print_baseline(console, service, options.scenario, entry)
    return 0


def _user() -> str:
    """Return who is at the keyboard; a container's user may have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _approval(options: argparse.Namespace, run_id: str) -> Approval:
    return Approval(by=_user(), at=datetime.now(UTC), reason=options.reason, run_id=run_id)


def _baselines_promote(options: argparse.Namespace, console: Console) -> int:
    record = _find(options.run)
    with baseline_file().change() as baselines:
        entry = baselines.promote(record, approval=_approval(options, record.run_id), force=options.force)
    print_baseline(console, record.service, record.scenario, entry)
    return 0


def _baselines_rollback(options: argparse.Namespace, console: Console) -> int:
    service = load_catalogue().service(options.service).name
    approval = _approval(options, run_id="")
    with baseline_file().change() as baselines:
        entry = baselines.roll_back(service, options.scenario, version=options.version, approval=approval)
    print_baseline(console, service, options.scenario, entry)
    return 0


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

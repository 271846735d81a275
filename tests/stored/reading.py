"""What a version reads in a store, as plain values: by ``expected.json`` the version before the move read the same.

Values only: sentences may be put otherwise, numbers and verdicts may not.
"""

import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any

from include.perf.adapters.files.alert_file import AlertFile
from include.perf.adapters.files.baseline_file import BaselineFile
from include.perf.adapters.files.folder_store import FolderStore
from include.perf.adapters.files.halt_file import HaltFile
from include.perf.adapters.files.load_locks import LoadLocks
from include.perf.adapters.files.load_log import LoadLog
from include.perf.adapters.files.rules_folder import RulesFolder
from include.perf.adapters.files.sqlite_index import SqliteIndex
from include.perf.adapters.s3.leases import Leases
from include.perf.adapters.s3.shared_state import LatestLoads, LoadLeases
from include.perf.alerts.book import Delivery, DeliveryPart, Problem
from include.perf.alerts.delivery import OutboxSender
from include.perf.alerts.slack_pipeline import SlackPipelineWords
from include.perf.baselines.entry import Approval, Baseline
from include.perf.baselines.history import read_nights
from include.perf.baselines.promotion import promote, review_all
from include.perf.guards.halt import halt_of
from include.perf.load.feed import read_feed
from include.perf.load.load_plan import LoadPlan
from include.perf.measure.distribution import read_distribution
from include.perf.measure.measurement import measure
from include.perf.measure.production.comparison import read_comparison
from include.perf.measure.request_rows import read_requests
from include.perf.measure.server_series import read_server_series
from include.perf.measure.timeseries import read_timeseries
from include.perf.model.json_files import to_json
from include.perf.runs.dag_run import results_of
from include.perf.runs.figures import LoadFigures
from include.perf.runs.record import RunRecord, Shift
from include.perf.runs.run_index import RunEntry
from include.perf.runs.stage_files import StageFiles
from tests.fakes.messengers import FakeOthers
from tests.stored.continuing import AFTERWARDS, Channel, House

IN_FLIGHT = {
    "planned": "stage_data",
    "staged": "preflight",
    "checked": "run_load",
    "halted": "preflight",
    "stopped": None,
    "killed": "run_load",
    "whole": "run_load",
    "loaded": "scrape",
    "scraped": None,
    "suspicious": None,
    "compared": None,
}
"""By the name of a night that was never finished, the stage that comes next; ``None`` where none measures any more."""

UNSURE_ARRIVED = "alerts/arrived.txt"
"""The ids of the messages that arrived although nobody knows."""


def plain(value: Any) -> Any:
    """Return a value as JSON has it, numbers to nine digits."""
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, bool) or value is None or isinstance(value, str | int):
        return value
    if isinstance(value, float):
        return float(f"{value:.9g}") if abs(value) != float("inf") else str(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, Iterable):
        return [plain(inner) for inner in value]
    raise TypeError(f"{value!r} has no plain form")


def kept(value: object) -> Any:
    """Return a value as it is written: by the names that its fields have in a file, whatever they are called here."""
    return json.loads(to_json(value))


def records(root: Path) -> Any:
    """Every finished run, oldest first."""
    store = _results(root)
    return {_name(uri): _record(StageFiles(store, uri).read_record()) for uri in store.runs()}


def nights(root: Path) -> Any:
    """What the history of each cell is, as a verdict rests on it."""
    store = _results(root)
    return {
        f"{cell.service}/{cell.scenario}": [
            {
                "run": night.run.run_id,
                "verdict": night.verdict,
                "is_reference": night.is_reference,
                "version": night.version,
                "metrics": night.run.metrics,
                "due": night.run.due,
                "failed": night.run.failed,
            }
            for night in read_nights(store, service=cell.service, scenario=cell.scenario)
        ]
        for cell in store.cells()
    }


def index(root: Path) -> Any:
    """What the index says of the runs, from the file that was left."""
    made = SqliteIndex(root / "results" / ".index.sqlite", store=_results(root), clock=lambda: AFTERWARDS)
    made.sync()
    cells = list(_results(root).cells())
    latest = made.latest(runs=3)
    return {
        "history": {
            f"{cell.service}/{cell.scenario}": [_entry(entry) for entry in made.history(cell)] for cell in cells
        },
        "latest": {f"{cell.service}/{cell.scenario}": [entry.run_id for entry in latest[cell]] for cell in latest},
    }


def baselines(root: Path) -> Any:
    """The baselines, and those in the form of each earlier version."""
    return {
        path.name: {
            f"{service}/{scenario}": _baseline(entry)
            for service, scenarios in BaselineFile(path).read().entries.items()
            for scenario, entry in scenarios.items()
        }
        for path in sorted((root / "baselines").glob("*.json"))
    }


def promoted(root: Path) -> Any:
    """What a further promotion and the review make of the baselines."""
    house = House(root)
    uri = next(uri for uri in house.store.runs(service="orders-service", scenario="brief") if _is_last_pass(house, uri))
    record = house.record(uri)
    approval = Approval(by="mia", at=AFTERWARDS, reason="after the upgrade", run_id=record.run_id)
    made = promote(record, approval=approval, force=False, store=house.store, baselines=house.baselines, over=None)
    found = review_all(store=house.store, baselines=house.baselines, now=AFTERWARDS + timedelta(days=200))
    return {
        "baseline": _baseline(made),
        "review": [[finding.service, finding.scenario, finding.kind, finding.run_id] for finding in found],
    }


def alerts(root: Path) -> Any:
    """The delivered alerts, and those that are pending."""
    book = AlertFile(root / "alerts" / "alerts.json").read()
    return {
        "problems": {problem.id: _problem(problem) for problem in book.problems},
        "silences": [kept(silence) for silence in book.silences],
        "outbox": _outbox(book.outbox),
        "told": book.processed_runs,
        "watched_since": book.watched_since,
    }


def _problem(problem: Problem) -> Any:
    """A problem, without what later versions keep of it."""
    assert (problem.last_lead, problem.reported) == ("", ())
    later = ("last_lead", "reported")
    return {name: value for name, value in kept(problem).items() if name not in later} | {"worst": problem.worst}


def delivered(root: Path) -> Any:
    """What is sent when all that waits is delivered twice."""
    channel = Channel(*(root / UNSURE_ARRIVED).read_text(encoding="ascii").split())
    book = AlertFile(root / "alerts" / "alerts.json")
    waited: list[float] = []
    deliverer = OutboxSender(
        store=book,
        messenger=channel,
        others=FakeOthers(),
        runs=_results(root),
        report=SlackPipelineWords().undeliverable,
        ops_channel="#ops",
        clock=lambda: AFTERWARDS,
        wait=waited.append,
        timer=lambda: sum(waited),
    )
    waiting = len(_outbox(book.read().outbox))
    problems = [*deliverer.deliver(), *deliverer.deliver()]
    return {
        "waiting": waiting,
        "posted": sorted(channel.posted),
        "replaced": [ts for ts, _ in channel.replaced],
        "attached": channel.attached,
        "problems": problems,
        "left": len(book.read().outbox),
        "threads": {problem.id: problem.posted.ts if problem.posted else None for problem in book.read().problems},
    }


def loads(root: Path) -> Any:
    """The latest loads, and those that run, in files and in objects."""
    locks = LoadLocks(root / "results" / ".loads")
    leases = Leases(StoredObject(root / "objects" / "loads.json"))  # type: ignore[arg-type]  # a file for an object
    latest = LatestLoads(StoredObject(root / "objects" / "load-log.json"), locks=LoadLeases(leases))  # type: ignore[arg-type]  # as above
    delivering = Leases(StoredObject(root / "objects" / "delivering.json")).running()  # type: ignore[arg-type]  # as above
    return {
        "files": [kept(load) for load in LoadLog(root / "results" / ".load-log", locks=locks).latest()],
        "objects": [kept(load) for load in latest.latest()],
        "locked": sorted(locks.held() or ()),
        "leased": sorted(latest.held() or ()),
        "delivering": sorted(delivering or ()),
    }


def halts(root: Path) -> Any:
    """Who halted load: as a file, and as a text that somebody typed."""
    found = HaltFile(root / "halt.json").read()
    typed = halt_of((root / "halt-typed.txt").read_text(encoding="utf-8"))
    return {
        "file": json.loads(found.to_text()) if found else None,
        "typed": json.loads(typed.to_text()) if typed else None,
    }


def limits(root: Path) -> Any:
    """The limits of the alert rules."""
    found = RulesFolder(root / "rules").limits()
    return None if found is None else kept(found)


def raw(root: Path) -> Any:
    """A real load: its plan, its feed, its rows, and what is measured in them."""
    folder = root / "load"
    feed, rows = read_feed(folder / "feed.jsonl"), read_requests(folder / "requests.csv.gz")
    plan = LoadPlan.read(folder / "load-plan.json")
    timeseries = read_timeseries((folder / "timeseries.csv").read_bytes(), where="timeseries.csv")
    assert timeseries is not None
    found = {
        "plan": [plan.base_url, plan.workers, plan.load.rate_rps, plan.load.duration_s, plan.drain_s],
        "feed": [[endpoint.name, endpoint.weight, endpoint.rows] for endpoint in feed.endpoints],
        "rows": [len(rows), rows["latency_s"].sum(), int((rows["status"] == 200).sum())],
        "timeseries": [timeseries.total_s, timeseries.warmup_s, timeseries.finished_rps.tolist()],
        "distribution": _distribution(folder),
    }
    return found | {"figures": _figures(measure(folder))}


def beside(root: Path) -> Any:
    """The files beside the record of the run that has them all."""
    store = _results(root)
    (uri,) = [uri for uri in store.runs() if store.read(uri, "production.json")]
    server = read_server_series(store.read(uri, "server.csv") or b"", where="server.csv")
    production = read_comparison(store.read(uri, "production.json") or b"", where="production.json")
    assert server is not None
    with store.folder(uri) as folder:
        distribution = _distribution(folder)
    return {
        "run": _name(uri),
        "files": sorted(store.names(uri)),
        "server": [server.seconds, server.values],
        "production": kept(production),
        "distribution": distribution,
    }


def summaries(root: Path) -> Any:
    """The results of the DAG run whose summary was left, and of one that is still going on."""
    store, found = _results(root), {}
    for path in sorted((root / "nights").glob("*.txt")):
        uris = [f"{store.root.as_uri()}/{name}" for name in path.read_text(encoding="ascii").split()]
        made = results_of(store, uris, dag_id="brief", dag_run_id=path.stem)
        found[path.stem] = {
            "records": [[record.run_id, record.verdict] for record in made.records.values()],
            "missing": [[missing.service, missing.scenario] for missing in made.missing],
        }
    folders = sorted(str(path.relative_to(store.root)) for path in (store.root / "summaries").glob("*/*/*"))
    return {"nights": found, "folders": folders}


def continued(root: Path) -> Any:
    """What becomes of the nights that were never finished, each in a copy of the store."""
    return {name: _continued(root, name, begin_with) for name, begin_with in IN_FLIGHT.items()}


def _continued(root: Path, name: str, begin_with: str | None) -> Any:
    copy = root.with_name(f"{root.name}-{name}")
    shutil.copytree(root, copy, ignore=shutil.ignore_patterns("dags", "rules", "load", "alerts", ".index.sqlite*"))
    moved(copy, origin=root)
    house = House(copy, seed=1000)
    uris = [f"{house.store.root.as_uri()}/{line}" for line in (copy / "in-flight" / f"{name}.txt").read_text().split()]
    if begin_with is not None:
        for uri in uris:
            house.measure(uri, begin_with=begin_with)
    again = house.night_stages.plan_reruns(uris) if name != "compared" else []
    if again:
        house.generator.latencies = {"rates-service": 0.090}
        for uri in again:
            house.measure(uri)
    found = house.conclude(uris) if name != "compared" else [house.night_stages.report(uri) for uri in uris]
    found += [house.record(uri) for uri in again]
    left = {_name(uri): sorted(house.store.names(uri)) for uri in (*uris, *again)}
    made = {record.run_id: _record(record) for record in found}
    for values in made.values():
        del values["sentences"]
    return {"records": made, "files": left}


READINGS: dict[str, Callable[[Path], Any]] = {
    made.__name__: made
    for made in (
        *(records, nights, index, baselines, promoted, alerts, delivered, loads),
        *(halts, limits, raw, beside, summaries, continued),
    )
}


class StoredObject:
    """An object of an object store, as a file that is only read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.where = str(path)

    def read(self) -> bytes:
        """Return what is in it."""
        return self._path.read_bytes()


def moved(root: Path, *, origin: Path | str) -> None:
    """Let a store that was copied name itself in its files instead of where it came from."""
    before = f"{origin.as_uri() if isinstance(origin, Path) else origin}/".encode()
    for path in root.rglob("*"):
        if path.is_file() and before in (content := path.read_bytes()):
            path.write_bytes(content.replace(before, f"{root.as_uri()}/".encode()))


def _results(root: Path) -> FolderStore:
    return FolderStore(str(root / "results"))


def _name(uri: str) -> str:
    return "/".join(uri.rsplit("/", 3)[1:])


def _is_last_pass(house: House, uri: str) -> bool:
    record = house.record(uri)
    entry = house.baselines.read().get(record.service, record.scenario)
    return entry is not None and record.verdict.value == "PASS" and not entry.has_run(record.run_id)


def _record(record: RunRecord) -> Any:
    return plain(
        {
            "verdict": record.verdict,
            "environment": record.environment,
            "started_at": record.started_at,
            "window": [record.window.start, record.window.end] if record.window else None,
            "load": kept(record.load),
            "metrics": {name: [value.value, value.unit.value] for name, value in record.metrics.items()},
            "without_value": sorted(name for name, value in record.metrics.items() if value.reason),
            "fingerprint": record.fingerprint,
            "sentences": [len(record.validity), len(record.reasons), len(record.notes)],
            "deviations": [
                {
                    "metric": deviation.metric,
                    "unit": deviation.unit.value,
                    "baseline": deviation.baseline,
                    "value": deviation.value,
                    "shift": _shift(deviation.shift),
                    "is": [deviation.is_worse, deviation.is_confirmed, deviation.severity, deviation.cause],
                    "since": deviation.since,
                }
                for deviation in record.deviations
            ],
            "shifts": {name: _shift(shift) for name, shift in record.shifts.items()},
            "baseline": kept(record.baseline) if record.baseline else None,
            "endpoints": [kept(endpoint) for endpoint in record.endpoints],
            "errors": [kept(group) for group in record.errors],
            "generator": kept(record.generator) if record.generator else None,
            "asked": [
                *(record.provenance.dag_id, record.provenance.dag_run_id, record.provenance.triggered_by),
                *(record.provenance.update_baseline, record.provenance.reason),
            ],
            "judged": record.judged,
            "reruns": record.reruns,
            "rerun_of": record.rerun_of,
            "told_by": record.reported_by,
            "platform": record.platform,
            "deploy_version": record.deploy_version,
        }
    )


def _entry(entry: RunEntry) -> Any:
    return plain(
        {
            "run": entry.run_id,
            "started_at": entry.started_at,
            "verdict": entry.verdict,
            "of": [entry.rerun_of, entry.reruns, entry.deploy_version, entry.triggered_by, entry.baseline_version],
            "dag": [entry.dag_id, entry.dag_run_id],
            "load": entry.load,
            "figures": [entry.metrics, entry.judged, entry.levels],
            "shifts": {name: _shift(shift) for name, shift in entry.shifts.items()},
            "deviations": [[deviation.metric, deviation.severity, deviation.cause] for deviation in entry.deviations],
            "generator": [entry.generator_lag_p99_s, entry.generator_saturation_ratio],
        }
    )


def _shift(shift: Shift) -> list[Any]:
    return [shift.ratio, shift.absolute, shift.low, shift.high, shift.absolute_low, shift.absolute_high]


def _baseline(entry: Baseline) -> Any:
    return plain(
        {
            "version": entry.version,
            "state": entry.state,
            "metrics": entry.metrics,
            "fingerprint": entry.fingerprint,
            "anchor": kept(entry.anchor),
            "spread": {name: kept(spread) for name, spread in entry.spread.items()},
            "runs": [[run.run_id, run.at, run.due, run.failed, run.deploy_version] for run in entry.runs],
            "run_metrics": [run.metrics for run in entry.runs],
            "approval": kept(entry.approval),
            "until": [entry.review_by, entry.expires_at, entry.supersedes, entry.since],
            "previous": [[old.version, old.state, len(old.runs), old.approval.reason] for old in entry.previous],
        }
    )


def _outbox(entries: Sequence[Delivery]) -> Any:
    """The parts of each message as version 1 named them: it had one entry for all of them."""
    messages: dict[str, list[Delivery]] = {}
    for entry in entries:
        messages.setdefault(entry.id.partition("-")[0], []).append(entry)
    return [_message(entry_id, {part.part: part for part in parts}) for entry_id, parts in messages.items()]


def _message(entry_id: str, parts: Mapping[DeliveryPart, Delivery]) -> Any:
    first = next(iter(parts.values()))
    charts = parts[DeliveryPart.CHARTS].charts if DeliveryPart.CHARTS in parts else ()
    worded = [part.message for part in parts.values() if part.part is not DeliveryPart.MARK]
    return plain(
        {
            "id": entry_id,
            "event": first.event,
            "channel": first.channel,
            "problem_id": first.problem_id,
            "charts": [[_name(chart.uri), chart.name] for chart in charts],
            "has_arrived": DeliveryPart.MESSAGE not in parts,
            "is_unsure": DeliveryPart.MESSAGE in parts and parts[DeliveryPart.MESSAGE].is_in_doubt,
            "at": first.created_at,
            "has_mark": DeliveryPart.MARK in parts,
            "message": [[len(text.text), len(text.plain), len(text.blocks)] for text in worded[:1]],
        }
    )


def _figures(figures: LoadFigures) -> Any:
    return plain(
        {
            "counts": [figures.due, figures.sent, figures.finished, figures.failed, figures.timed_out, figures.rows],
            "metrics": {name: value.value for name, value in figures.metrics.items()},
            "endpoints": [kept(endpoint) for endpoint in figures.endpoints],
            "generator": kept(figures.generator),
        }
    )


def _distribution(folder: Path) -> Any:
    found = read_distribution((folder / "distribution.csv").read_bytes(), where="distribution.csv")
    assert found is not None
    return plain([found.total, found.quantiles((0.5, 0.95, 0.99))])

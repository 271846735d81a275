"""Stored data keeps working: a store that the version before the move wrote, read by the present one.

``tests/stored/README.md`` says how it was written, and what is in it. What is read must be what that version read
itself (``expected.json.gz``); the main facts stand here once more, so that a reader sees them.
"""

import fcntl
import gzip
import importlib
import inspect
import json
import os
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from include.perf.adapters.files.alert_file import AlertFile
from include.perf.adapters.files.baseline_file import BaselineFile
from include.perf.adapters.files.load_locks import LoadLocks
from include.perf.alerts.alert_writer import AlertWriter
from include.perf.alerts.book import AlertBook, DeliveryPart, DeliveryState, Event
from include.perf.baselines import history
from include.perf.baselines.baselines import Baselines
from include.perf.baselines.entry import State
from include.perf.baselines.file_format import format_baselines, parse_baselines
from include.perf.model.json_files import from_json, to_json
from include.perf.pipeline.planning import fingerprint
from include.perf.runs.dag_run import DagRunResults, results_of
from include.perf.runs.record import RunRecord, Verdict
from include.perf.runs.spec import ReservationRequest, RunSpec
from include.perf.runs.stage_files import StageFiles, find_run
from tests.stored.continuing import AFTERWARDS, House
from tests.stored.reading import IN_FLIGHT, READINGS, moved, plain

ROOT = Path(__file__).parents[1]
STORED = ROOT / "tests" / "stored"
HOME = "file:///srv/bellwether"
CHANGING = {"index", "promoted", "raw", "delivered", "continued"}
"""What is read by doing something to the store."""


NEW_FIELDS = {"limits", "throughput"}
"""What a run that is measured and judged today has besides: its hard limits, and the throughput of its endpoints."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store, for tests that change nothing."""
    return unpacked(tmp_path_factory.mktemp("stored") / "store")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The store, in a folder of its own."""
    return unpacked(tmp_path / "store")


@pytest.fixture(scope="module")
def expected() -> Any:
    """What the version before read."""
    found = json.loads(gzip.decompress((STORED / "expected.json.gz").read_bytes()))
    found["alerts"]["outbox"] = [without_place(entry) for entry in found["alerts"]["outbox"]]
    return found


def without_place(entry: dict[str, Any]) -> dict[str, Any]:
    """Return an outbox entry of version 1 without what is not kept of a message any more once it arrived."""
    kept = {key: value for key, value in entry.items() if key not in ("attempts", "posted")}
    has_arrived = entry["posted"] is not None
    message = [] if has_arrived and not entry["charts"] else [entry["message"]]
    return kept | {"has_arrived": has_arrived, "at": entry["at"][0], "message": message}


def unpacked(folder: Path) -> Path:
    with tarfile.open(STORED / "store.tar.gz") as archive:
        # The filter is new in Python 3.11.4, and required without a warning from 3.12 on.
        safely: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(folder, **safely)  # noqa: S202 - our own archive
    moved(folder, origin=HOME)
    return folder


def differences(found: Any, wanted: Any, path: str = "") -> Iterator[str]:
    """Say where two plain values differ; numbers may by a billionth, as another machine's libraries round.

    A field that is new since then is empty, or one of `NEW_FIELDS`.
    """
    if isinstance(found, dict) and isinstance(wanted, dict):
        for name in sorted({*found, *wanted}):
            if name not in wanted and (not found[name] or name in NEW_FIELDS):
                continue
            yield from differences(found.get(name, "nothing"), wanted.get(name, "nothing"), f"{path}/{name}")
    elif isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        for number, (one, other) in enumerate(zip(found, wanted, strict=True)):
            yield from differences(one, other, f"{path}/{number}")
    elif isinstance(found, float) and isinstance(wanted, float):
        if found != pytest.approx(wanted, rel=1e-6, abs=1e-9):
            yield f"{path}: {found!r}, was {wanted!r}"
    elif found != wanted:
        yield f"{path}: {found!r}, was {wanted!r}"


@pytest.mark.parametrize("section", sorted(READINGS.keys() - CHANGING))
def test_everything_is_read_as_before(store: Path, expected: Any, section: str) -> None:
    """Records, history, baselines, alerts, loads, halt, limits and the files beside the records."""
    assert list(differences(plain(READINGS[section](store)), expected[section])) == []


@pytest.mark.parametrize("section", sorted(CHANGING))
def test_the_same_is_made_of_it_as_before(
    root: Path, expected: Any, section: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index goes on, a promotion, figures of a raw load, what is delivered, and nights that go on."""
    monkeypatch.setattr(fingerprint, "GENERATOR_VERSION", "2")  # with another one, the nights are not comparable
    monkeypatch.setattr(history, "market_day", lambda moment: moment)  # every run was a night then
    assert list(differences(plain(READINGS[section](root)), expected[section])) == []


# Results


def test_runs_of_every_verdict_are_there(store: Path) -> None:
    """None of the seven that there were is missing in the store, so that the test above means something."""
    house = House(store)
    records = [house.record(uri) for uri in house.store.runs()]
    assert Counter(record.verdict for record in records) == {
        Verdict.PASS: 33,
        Verdict.REGRESSION: 10,  # two of them with two re-runs each, and four of one night
        Verdict.NO_BASELINE: 6,
        Verdict.IMPROVEMENT: 1,
        Verdict.NOT_COMPARABLE: 1,
        Verdict.INVALID: 1,
        Verdict.SKIPPED: 1,
    }


def test_a_night_on_which_the_platform_was_slower(store: Path) -> None:
    """In each channel one run speaks for the other."""
    house = House(store)
    uris = uris_of(store, "nights/platform.txt")
    night = {
        record.service: record
        for record in results_of(house.store, uris, dag_id="brief", dag_run_id="platform").records.values()
    }
    assert {name: record.reported_by for name, record in night.items()} == {
        "orders-service": None,
        "rates-service": night["orders-service"].run_id,
        "engine-service": None,
        "ledger-service": night["engine-service"].run_id,
    }


def test_a_regression_with_its_re_runs(store: Path) -> None:
    """Twice as slow, confirmed by the median of three."""
    house = House(store)
    (uri, *_) = uris_of(store, "nights/regression.txt")
    record = house.record(uri)
    p95 = next(deviation for deviation in record.deviations if deviation.metric == "latency_p95")
    assert (record.verdict, p95.is_confirmed, p95.severity.value, p95.cause.value) == (
        Verdict.REGRESSION,
        True,
        "critical",
        "cell",
    )
    assert p95.shift.ratio == pytest.approx(1.0, abs=0.05)
    reruns = [house.record(find_run(house.store, run_id)) for run_id in record.reruns]
    assert [(again.rerun_of, again.verdict) for again in reruns] == [(record.run_id, Verdict.REGRESSION)] * 2
    assert record.judged["latency_p95"] == p95.value


def stored_json(folder: Path, pattern: str) -> list[Path]:
    found = sorted(folder.rglob(pattern))
    assert found
    return found


def missing(stored: Any, written: Any, path: str = "") -> Iterator[str]:
    """Say what of a stored document is not in one that is written now."""
    if isinstance(stored, dict) and isinstance(written, dict):
        for name, value in stored.items():
            yield from missing(value, written.get(name, "nothing"), f"{path}/{name}")
    elif isinstance(stored, list) and isinstance(written, list) and len(stored) == len(written):
        for number, (one, other) in enumerate(zip(stored, written, strict=True)):
            yield from missing(one, other, f"{path}/{number}")
    elif stored != written:
        yield f"{path}: {stored!r} is written as {written!r}"


@pytest.mark.parametrize(("name", "kind"), [("run.json", RunRecord), ("stage-spec.json", RunSpec)])
def test_what_is_written_has_the_same_fields(store: Path, name: str, kind: type[Any]) -> None:
    """Other tools read them, and so does a machine that is not upgraded yet; one field has a new name."""
    for path in stored_json(store / "results", name):
        stored = json.loads(path.read_bytes())
        written = json.loads(to_json(from_json(kind, path.read_bytes(), where=name)))
        if kind is RunRecord:
            stored["reported_by"] = stored.pop("told_by")
        assert list(missing(stored, written)) == []


# Baselines


def test_states_and_approvals(store: Path) -> None:
    """Who approved what, and what came before it."""
    every = BaselineFile(store / "baselines" / "baselines.json").read()
    assert {cell: (entry.version, entry.state, len(entry.runs)) for cell, entry in cells_of(every).items()} == {
        "engine-service/brief": (1, State.PROVISIONAL, 1),
        "ledger-service/brief": (5, State.CANDIDATE, 6),
        "orders-service/brief": (2, State.APPROVED, 11),
        "orders-service/storm": (1, State.PROVISIONAL, 1),
        "rates-service/brief": (2, State.CANDIDATE, 3),
    }
    ledger = cells_of(every)["ledger-service/brief"]
    assert (ledger.approval.by, ledger.approval.reason) == ("bob", "version 4 was measured on another disk")
    assert [(old.version, old.state, len(old.runs)) for old in ledger.previous] == [
        (4, State.SUPERSEDED, 11),
        (3, State.SUPERSEDED, 6),
        (2, State.SUPERSEDED, 3),
        (1, State.SUPERSEDED, 1),
    ]


def test_baselines_are_written_as_they_stood(store: Path) -> None:
    """Not a byte of the file is another one, so that a diff shows only what changed."""
    content = (store / "baselines" / "baselines.json").read_bytes()
    assert format_baselines(parse_baselines(content, where="baselines.json")) == content


def cells_of(every: Baselines) -> dict[str, Any]:
    return {
        f"{service}/{scenario}": entry
        for service, scenarios in every.entries.items()
        for scenario, entry in scenarios.items()
    }


# Alerts


def test_what_waits_is_delivered_once(root: Path) -> None:
    """Of twelve that wait, four were there already, one more without anybody knowing, and seven are sent."""
    found = READINGS["delivered"](root)
    assert (found["waiting"], found["left"], found["problems"]) == (12, 0, [])
    sent = [delivery_id for delivery_id, _, _ in found["posted"]]
    assert len(sent) == len(set(sent)) == 7
    assert len(found["replaced"]) == 2  # two problems are over, as their first messages say now


def test_the_outbox_has_an_entry_of_every_state(store: Path) -> None:
    """Of version 1: pending, tried in vain, perhaps sent, and arrived but for its charts or its mark."""
    outbox = AlertFile(store / "alerts" / "alerts.json").read().outbox
    states = Counter((entry.part, entry.state, entry.attempts > 0) for entry in outbox)
    assert states == {
        (DeliveryPart.MESSAGE, DeliveryState.PENDING, False): 5,
        (DeliveryPart.MESSAGE, DeliveryState.PENDING, True): 1,  # Slack refused it
        (DeliveryPart.MESSAGE, DeliveryState.UNKNOWN, True): 2,
        (DeliveryPart.CHARTS, DeliveryState.PENDING, False): 3,  # two of messages that arrived
        (DeliveryPart.MARK, DeliveryState.PENDING, False): 2,
        (DeliveryPart.OTHERS, DeliveryState.PENDING, False): 7,  # all that did not arrive, but for the acknowledgement
    }
    assert {entry.event for entry in outbox} >= {
        Event.OPENED,
        Event.WORSENED,
        Event.RECOVERED,
        Event.DIGEST,
        Event.LATE,
    }


def test_a_night_that_was_told_is_not_told_again(root: Path) -> None:
    """A task that is cleared after the upgrade says nothing twice; a new night is new."""
    uris = uris_of(root, "nights/failing.txt")
    night = results_of(House(root).store, uris, dag_id="brief", dag_run_id="failing")

    def ask(book: AlertBook) -> tuple[int, int]:
        writer = AlertWriter(book=book, now=AFTERWARDS)
        again, new = writer.take_news(night), writer.take_news(renamed(night))
        return len(again.records) + len(again.missing), len(new.records)

    assert AlertFile(root / "alerts" / "alerts.json").update(ask) == (0, len(night.records))


def renamed(night: DagRunResults) -> DagRunResults:
    """Return a night whose runs have other ids."""
    return replace(night, records={f"{uri}-again": record for uri, record in night.records.items()})


def test_the_book_is_written_with_the_same_fields(root: Path) -> None:
    """An infinite change, from zero, among them."""
    path = root / "alerts" / "alerts.json"
    before = json.loads(path.read_bytes())
    AlertFile(path).update(lambda book: None)
    after = json.loads(path.read_bytes())
    assert (before.pop("schema_version"), after.pop("schema_version")) == (1, 2)
    del before["outbox"]  # one entry for each part now
    assert list(missing(before, after)) == []
    assert [problem["worst"] for problem in before["problems"] if "Infinity" in problem["worst"].values()] != []


# Loads


def test_a_load_of_the_version_before_still_counts(root: Path) -> None:
    """As long as one of its processes lives, its lock stands, and what it takes is known."""
    folder = root / "results" / ".loads"
    (held,) = folder.glob("*.json")
    locks = LoadLocks(folder)
    claim = ReservationRequest(
        run_id="new",
        service="orders-service",
        scenario="storm",
        targets=("10.9.9.9:8000",),
        rate_rps=20.0,
        since=AFTERWARDS,
    )
    with held.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert locks.held() == {held.stem}
        with locks.reserve(claim, capacity_rps=600) as reservation:
            (other,) = reservation.concurrent
    assert (other.run_id, other.service, other.targets, other.rate_rps) == (
        held.stem,
        "ledger-service",
        ("10.0.0.7:8000",),
        30.0,
    )
    assert locks.held() == frozenset()  # the last process is gone, and nobody gave the lock back
    with locks.reserve(claim, capacity_rps=600) as reservation:
        assert (reservation.concurrent, held.exists()) == ((), False)


# Runs that go on


def test_a_run_goes_on_wherever_it_was(expected: Any) -> None:
    """What the version before made of its unfinished nights, and, by the first test here, this one makes of them."""
    verdicts = {
        name: [record["verdict"] for record in found["records"].values()]
        for name, found in expected["continued"].items()
    }
    assert verdicts == {name: ["PASS"] for name in IN_FLIGHT} | {
        "suspicious": ["REGRESSION"] * 3,  # the run, and two re-runs that it waited for
        "stopped": ["SKIPPED"],
    }


def test_a_finished_run_of_it_leaves_no_stage_files(root: Path) -> None:
    """What a stage of the version before left has its name still, so that it is cleared away."""
    house = House(root)
    (uri,) = uris_of(root, "in-flight/compared.txt")
    before = house.store.names(uri)
    house.night_stages.report(uri)
    assert {name for name in before if name.startswith("stage-")} >= {"stage-spec.json", "stage-draft.json"}
    assert not {name for name in house.store.names(uri) if name.startswith("stage-")}
    assert StageFiles(house.store, uri).is_finished


def uris_of(root: Path, path: str) -> list[str]:
    """Return the URIs of the runs that a file of the store names."""
    return [f"{(root / 'results').as_uri()}/{name}" for name in (root / path).read_text(encoding="ascii").split()]


# What Airflow keeps


@pytest.mark.parametrize("name", ["market_open", "normal_trading", "high_volatility", "overnight_processing"])
def test_the_callback_of_a_deadline_is_found(store: Path, name: str) -> None:
    """Airflow calls it by its path, for runs that began before the upgrade."""
    kept = json.loads((store / "dags" / f"{name}.json").read_bytes())
    callback = kept["dag"]["deadline"][0]["callback"]["__data__"]
    assert callback["path"] == "bellwether.lateness.tell_late"
    module, _, function = callback["path"].rpartition(".")
    found = getattr(importlib.import_module(module), function)
    inspect.signature(found).bind({}, **callback["kwargs"])


@pytest.mark.parametrize("path", ["bellwether.timetable.OpeningTimetable", "bellwether.links.SummaryLink"])
def test_classes_that_airflow_names_are_where_they_were(path: str) -> None:
    """Their paths are in its database; a class that was only imported there would be written under another one."""
    module, _, name = path.rpartition(".")
    found = getattr(importlib.import_module(module), name)
    assert (found.__module__, found.__qualname__) == (module, name)


READ_DAGS = """
import json, sys
from pathlib import Path
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization

bag = DagBag(sys.argv[1], safe_mode=True)
found = {}
for path in Path(sys.argv[2]).glob("*.json"):
    before = DagSerialization.from_json(path.read_text())
    now = bag.dags[path.stem]
    found[path.stem] = {
        "timetable": before.timetable.type_name,
        "summary": before.timetable.summary,
        "tasks_gone": sorted(set(before.task_ids) - set(now.task_ids)),
        "params_gone": sorted(set(before.params.dump()) - set(now.params.dump())),
        "links": {
            task.task_id: [link.name for link in task.operator_extra_links]
            for task in before.tasks if any(link.name == "Summary" for link in task.operator_extra_links)
        },
    }
print(json.dumps({"errors": bag.import_errors, "dags": found}))
"""

SCENARIOS = ("normal_trading", "market_open", "high_volatility", "overnight_processing")


def test_airflow_reads_the_dags_that_it_keeps(store: Path, tmp_path: Path) -> None:
    """In a process of its own, with the plugin loaded as Airflow does: timetables, tasks, parameters and links."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "BELLWETHER"))}
    environment |= {
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-c", READ_DAGS, str(ROOT / "dags"), str(store / "dags")],
        cwd=tmp_path,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["errors"] == {}
    dags = answer["dags"]
    assert set(dags) == {
        *(*SCENARIOS, "run_all", "dry_run", "smoke", "maintenance", "alert_watch"),
        *("baseline_approval", "baseline_review"),
    }
    assert dags["market_open"]["timetable"] == "bellwether.timetable.OpeningTimetable"
    assert dags["market_open"]["summary"] == "250 min before the London open"
    assert {name: dag["links"] for name, dag in dags.items() if dag["links"]} == {
        **{name: {"verdict": ["Summary"]} for name in SCENARIOS},
        "run_all": {"summary": ["Summary"]},
    }
    for name, dag in dags.items():
        assert (name, dag["tasks_gone"], dag["params_gone"]) == (name, [], [])

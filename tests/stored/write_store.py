"""Writes a store as this version leaves it: ``python -m tests.stored.write_store FOLDER VERSION_1`` at the root.

``store.tar.gz`` and ``expected.json`` come out in FOLDER; VERSION_1 is a baselines file that an early version wrote.
Everything is written by the product's own writers; only times, ids and what services answer are made up.
"""

import gzip
import io
import itertools
import json
import logging
import os
import secrets
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from include.perf.adapters import slack_messages
from include.perf.adapters.alert_file import AlertFile
from include.perf.adapters.halt_file import HaltFile
from include.perf.adapters.load_locks import LoadLocks
from include.perf.adapters.load_log import LoadLog
from include.perf.adapters.rules_folder import RulesFolder
from include.perf.adapters.s3.latest_loads import LatestLoads
from include.perf.adapters.s3.leases import Leases
from include.perf.adapters.s3.load_leases import LoadLeases
from include.perf.adapters.shared_content import Changed
from include.perf.alert import AlertBook, Event, Links
from include.perf.alert_delivery import Deliverer
from include.perf.alert_desk import Desk
from include.perf.alert_rules.draft import draft
from include.perf.alert_rules.limits_file import format_limits
from include.perf.baseline import Approval
from include.perf.dag_run import results_of, write_summary
from include.perf.errors import DeliveryError, DeliveryUnsure
from include.perf.halt import Halt
from include.perf.load_announcement.sent_load import SentLoad
from include.perf.night_runs import read_night
from include.perf.overdue import Overdue
from include.perf.pipeline import RunRequest
from include.perf.pipeline_alerts import PipelineAlerts
from include.perf.ports import Claim, LoadOrder, LoadWatch
from include.perf.run import to_json
from include.perf.service_alerts import Policy, ServiceAlerts
from include.perf.silence import SilenceRequest, acknowledge, silence_of
from tests.fakes import START, write_csv
from tests.real_loads import LOAD, drive, folder_in
from tests.stored.continuing import AFTERWARDS, Channel, Generator, House
from tests.stored.reading import READINGS, UNSURE_ARRIVED, moved, plain

log = logging.getLogger(__name__)

HOME = "file:///srv/bellwether"
ROOT = Path.cwd()

SERVICES = """\
schema_version: 1
defaults:
  deploy_version: {path: /healthz, field: version}
  prometheus: {scrape_interval_s: 1, queries: {disk_usage: "avg_over_time(disk{$selector}[$window])"}}
services:
"""
SERVICE = """\
  NAME-service:
    base_url: http://NAME-service:8000
    allowed_hosts: [NAME-service]
    slack_channel: "CHANNEL"
    prometheus: {selector: 'service="NAME"'}
    endpoints:
      - {name: place, method: POST, path: /NAME, weight: 3, body: {price: $price, side: $side}}
      - {name: list, method: GET, path: /NAME, weight: 2, query: {instrument: $instrument}}
"""
CHANNELS = {"orders": "#trading", "rates": "#trading", "engine": "#engine", "ledger": "#engine"}
SCENARIOS = """\
schema_version: 1
digest_channel: "#digest"
ops_channel: "#ops"
defaults:
  load: {warmup_s: 2, seed: 11}
scenarios:
  brief: {title: Brief, load: {rate_rps: 30, duration_s: 10}, data: day.csv}
  storm:
    title: Storm
    load: {rate_rps: 20, duration_s: 20}
    data: day.csv
    services: [orders-service, rates-service]
"""

CLAIM = Claim(
    run_id="20260318T062900Z-aaaaaa",
    service="rates-service",
    scenario="storm",
    targets=("10.0.0.8:8000",),
    rate_rps=20.0,
    since=AFTERWARDS - timedelta(minutes=1),
)


@dataclass(slots=True, kw_only=True)
class Killed(Generator):
    """Copies everything that lies on the disk while its load runs, or is over and not measured yet."""

    root: Path
    aside: Path = field(default=Path())

    def run(self, order: LoadOrder, *, watch: LoadWatch) -> None:
        Generator.run(self, order, watch=watch)
        self.aside = self.root.with_name("aside")
        shutil.copytree(self.root / "results", self.aside)


class FileObject:
    """An object of an object store, as a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.where = str(path)

    def read(self) -> bytes | None:
        return self.path.read_bytes() if self.path.exists() else None

    def update(self, change):
        changed: Changed = change(self.read())
        self.path.write_bytes(changed.content)
        return changed.result


class Writer:
    """Writes a store into a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "catalogue").mkdir()
        services = [SERVICE.replace("NAME", name).replace("CHANNEL", CHANNELS[name]) for name in CHANNELS]
        (root / "catalogue" / "services.yaml").write_text(SERVICES + "".join(services))
        (root / "catalogue" / "scenarios.yaml").write_text(SCENARIOS)
        write_csv(root / "catalogue" / "day.csv", count=12)
        for name in ("nights", "in-flight", "alerts", "objects"):
            (root / name).mkdir()
        self.house = House(root, now=START)
        self.book = AlertFile(root / "alerts" / "alerts.json")
        self.channel = Channel()

    # nights

    def night(
        self, number: int, scenario: str = "brief", *, promote: str = "", by: str = "schedule", **request
    ) -> list[str]:
        """Do a night; services named in ``promote`` have the run promoted in the name of who asked."""
        house = self.house
        house.clock.now = START + timedelta(days=number, minutes=45 * (scenario == "storm"))
        uris = self.planned(scenario, by=by, reason="agreed" if promote else None, **request)
        for uri in uris:
            house.measure(uri)
        for uri in house.pipeline.plan_reruns(uris):
            house.measure(uri)
        records = house.conclude(uris)
        for uri, record in zip(uris, records, strict=True):
            if record.service.removesuffix("-service") in promote.split():
                house.pipeline.promote(uri, by=by, reason="agreed")
        verdicts = [
            f"{record.service}: {record.verdict} {record.baseline.state if record.baseline else ''}"
            for record in records
        ]
        told = [record.told_by for record in records if record.told_by]
        log.info("%s %s: %s %s", number, scenario, verdicts, told)
        return uris

    def planned(
        self, scenario: str = "brief", *, by: str = "schedule", reason: str | None = None, **request
    ) -> list[str]:
        """Plan the runs of a night."""
        moment = self.house.clock()
        return self.house.pipeline.plan(
            RunRequest(
                scenario=scenario,
                triggered_by=by,
                reason=reason,
                update_baseline=reason is not None,
                dag_id=scenario,
                dag_run_id=f"scheduled__{moment.isoformat()}",
                **request,
            )
        )

    def nights(self) -> None:
        house = self.house
        self.night(0, promote="orders rates engine ledger", by="ana")
        self.night(0, "storm", promote="orders", by="ana")
        for number in range(1, 11):
            named = {2: "rates ledger", 5: "ledger", 10: "orders ledger"}.get(number, "")
            self.night(number, promote=named, by="ana" if named else "schedule")
        house.pipeline.baselines.update(
            lambda every: every.roll_back(
                "ledger-service",
                "brief",
                version=3,
                approval=Approval(
                    by="bob", at=house.clock(), reason="version 4 was measured on another disk", run_id="-"
                ),
            )
        )
        house.generator.latencies = {"orders-service": 0.080}
        self.told("regression", self.night(11))
        house.generator.latencies = dict.fromkeys(house.catalogue.services, 0.064)
        house.generator.latencies["orders-service"] = 0.120
        self.told("platform", self.night(12))
        house.generator.latencies = {"rates-service": 0.020}
        house.target.documents = [{"version": "2.4.1"}]
        self.told("recovered", self.night(13))
        self.told("improved", self.night(14))
        house.generator.failing = {"engine-service": 10}
        self.told("failing", self.night(15))
        house.generator.latencies, house.generator.failing = {}, {}
        self.mixed_night()

    def mixed_night(self) -> None:
        """INVALID, SKIPPED and NOT_COMPARABLE, one service each, and one that passes."""
        house = self.house
        house.clock.now = START + timedelta(days=15, hours=6)
        orders, rates, engine, ledger = self.planned()
        (rates,) = self.planned(service="rates", rate_rps=40)
        house.measure(orders)
        house.measure(rates)
        house.generator.log_changes |= {"schedule_lags": {200: 400}, "clock_step_s": 1.2}
        house.measure(engine)
        del house.generator.log_changes["schedule_lags"], house.generator.log_changes["clock_step_s"]
        house.halt_reason = "load is halted by ana: a release"
        house.measure(ledger)
        house.halt_reason = None
        uris = [orders, rates, engine, ledger]
        log.info("mixed: %s", [record.verdict for record in house.conclude(uris)])
        write_summary(house.store, results_of(house.store, uris, dag_id="brief", dag_run_id="manual__mixed"))
        self.told("mixed", uris)

    def told(self, name: str, uris: list[str]) -> None:
        self.keep(f"nights/{name}.txt", uris)
        self.tell(uris)
        self.deliver(name)

    def keep(self, path: str, uris: Sequence[str]) -> None:
        (self.root / path).write_text("".join(f"{'/'.join(uri.rsplit('/', 3)[1:])}\n" for uri in uris))

    # alerts

    def desk(self, book: AlertBook) -> Desk:
        return Desk(book=book, now=self.house.clock())

    def pipeline_alerts(self, desk: Desk) -> PipelineAlerts:
        return PipelineAlerts(desk=desk, channel="#ops", words=slack_messages)

    def tell(self, uris: Sequence[str]) -> None:
        """Take a night in, as the task ``alert`` does."""
        night = read_night(self.house.store, uris)
        policy = Policy(
            channel_of=lambda service: self.house.catalogue.service(service).slack_channel,
            digest_channel="#digest",
            mention="S0123456",
        )

        def write(book: AlertBook) -> None:
            desk = self.desk(book)
            assert not desk.is_told(night.run_ids)
            ServiceAlerts(desk=desk, policy=policy, words=slack_messages, links_of=lambda record: Links()).tell(night)
            self.pipeline_alerts(desk).tell(night, links=Links(airflow_run="https://airflow.example/dags/brief"))
            desk.forget()

        self.book.update(write)

    def deliver(self, night: str) -> None:
        """Deliver what waits, with what goes wrong that night."""
        lost, refused = DeliveryUnsure("no answer within 10 s"), DeliveryError("Slack did not take the message")
        self.channel.no_more = None if night == "regression" else DeliveryError("Slack did not take the charts")
        self.channel.lost_answers = {Event.OPENED}
        self.channel.faults = {
            "regression": {},
            "platform": {Event.OPENED: [lost], Event.DIGEST: [lost]},
            "recovered": {Event.DIGEST: [lost, lost]},
            "improved": {Event.DIGEST: [lost, lost, refused, refused]},
            "failing": {Event.DIGEST: [lost, lost, refused, refused], Event.OPENED: [lost]},
            "mixed": {Event.OPENED: [refused]},
        }[night]
        sent = [delivery.sent_at for delivery in self.book.read().outbox if delivery.is_unsure]
        now = max(sent) + timedelta(seconds=30) if night == "mixed" else self.house.clock()
        deliverer = Deliverer(store=self.book, messenger=self.channel, runs=self.house.store, clock=lambda: now)
        log.info("%s delivered: %s %s", night, deliverer.deliver(), self.channel.posted)

    def more_alerts(self) -> None:
        """Silences, what the pipeline says of itself, and nothing of it delivered."""
        catalogue = self.house.catalogue
        asked = SilenceRequest(by="ana", reason="the disk is replaced", days=14, service="engine", metric="latency_p99")
        over = SilenceRequest(by="bob", reason="a release", days=1, scenario="storm")

        def write(book: AlertBook) -> None:
            desk = self.desk(book)
            silence = silence_of(asked, catalogue, now=desk.now)
            desk.silence(silence, slack_messages.acknowledged(silence))
            book.silences.append(silence_of(over, catalogue, now=desk.now - timedelta(days=3)))
            problem = next(problem for problem in book.problems if problem.is_open and problem.worst)
            known = SilenceRequest(by="cem", reason="known, fixed with 2.5", days=7)
            acknowledge(desk, problem, known, slack_messages.acknowledged)
            alerts = self.pipeline_alerts(desk)
            alerts.tell_failed("storm", "there is no connection prometheus_default", links=Links())
            alerts.tell_late("brief", "scheduled__2026-03-15", late_since=desk.now, links=Links())
            alerts.tell_limits(["orders-service · brief: p95 warning 44 ms, was 45 ms"])
            alerts.tell_overdue("storm", Overdue(last_run_at=START, due_at=START + timedelta(days=7)))
            book.watched_since = START

        self.book.update(write)
        book = self.book.read()
        kinds = [
            (
                delivery.event.value,
                delivery.is_unsure,
                delivery.posted is not None,
                delivery.attempts,
                len(delivery.charts),
            )
            for delivery in book.outbox
        ]
        log.info("outbox: %s", kinds)
        (self.root / UNSURE_ARRIVED).write_text("\n".join(sorted(self.channel.there)) + "\n")

    # nights that are not finished

    def in_flight(self) -> None:
        house = self.house
        house.target.documents = [{"version": "2.4.0"}]
        house.clock.now = START + timedelta(days=15, hours=12)
        stages = {"planned": 0, "staged": 1, "checked": 2, "halted": 1, "stopped": 1, "loaded": 3, "scraped": 4}
        for name, done in stages.items():
            (uri,) = self.one(name)
            house.reservations.beside = (CLAIM,) if name == "loaded" else ()
            for stage in ("stage_data", "preflight", "run_load", "scrape")[:done]:
                getattr(house.pipeline, stage)(uri)
            house.reservations.beside = ()
            if name in ("halted", "stopped"):
                house.halt_reason = "load is halted by ana: a release"
                house.measure(uri, begin_with="preflight")
                house.halt_reason = None
        going_on = [self.root / "in-flight" / f"{name}.txt" for name in ("planned", "stopped", "loaded")]
        (self.root / "nights" / "going-on.txt").write_text("".join(path.read_text() for path in going_on))
        self.suspicious()
        (uri,) = self.one("compared")
        house.measure(uri)
        house.pipeline.compare([uri])
        self.killed("killed", is_killed=True)
        self.killed("whole", is_killed=False)

    def one(self, name: str, service: str = "orders") -> list[str]:
        self.house.clock.move(60)
        uris = self.planned(service=service)
        self.keep(f"in-flight/{name}.txt", uris)
        return uris

    def suspicious(self) -> None:
        """A run that is to be measured again twice, which did not begin yet."""
        self.house.generator.latencies = {"rates-service": 0.090}
        (uri,) = self.one("suspicious", "rates")
        self.house.measure(uri)
        assert len(self.house.pipeline.plan_reruns([uri])) == 2
        self.house.generator.latencies = {}

    def killed(self, name: str, *, is_killed: bool) -> None:
        """A run whose task was killed: what lies on the disk while its load goes out."""
        house, results = self.house, self.root / "results"
        (uri,) = self.one(name, "engine" if is_killed else "ledger")
        before, generator = (house.reservations, house.observers), house.generator
        house.generator = Killed(
            clock=house.clock,
            seed=generator.seed,
            log_changes=generator.log_changes,
            is_killed=is_killed,
            root=self.root,
        )
        house.reservations = LoadLocks(results / ".loads")
        house.observers = (LoadLog(results / ".load-log", locks=house.reservations),)
        house.measure(uri)
        shutil.rmtree(results)
        house.generator.aside.rename(results)
        (house.reservations, house.observers), house.generator = before, generator

    # the rest

    def rest(self, version_1: Path) -> None:
        root, house = self.root, self.house
        halt = Halt(by="ana", reason="a release", at=AFTERWARDS)
        HaltFile(root / "halt.json").set(halt)
        (root / "halt-typed.txt").write_text("the order book is being moved\n")
        drafted = draft(
            house.baselines.read(),
            house.catalogue,
            edges=lambda service: (0.01, 0.02, 0.04, 0.08, 0.16),
            now=AFTERWARDS,
        )
        (root / "rules").mkdir()
        RulesFolder(root / "rules").write(drafted.rules, format_limits(drafted.limits))
        self.objects()
        shutil.copy(version_1, root / "baselines" / "version-1.json")
        rows = {"latency_p50": 0.0183, "latency_p95": 0.0421, "throughput": 499.4, "error_rate": 0.0002}
        (root / "baselines" / "plain.json").write_text(json.dumps({"orders-service": {"brief": rows}}))
        self.beside()
        self.load()
        dags(root / "dags")

    def objects(self) -> None:
        """What lies in an object store beside the results, while a load goes out and a task delivers."""
        folder = self.root / "objects"
        leases = Leases(FileObject(folder / "loads.json"))
        locks = LoadLeases(leases)
        log = LatestLoads(FileObject(folder / "load-log.json"), locks=locks)
        delivering = Leases(FileObject(folder / "delivering.json"))
        load = SentLoad(
            run_id=CLAIM.run_id,
            service=CLAIM.service,
            scenario=CLAIM.scenario,
            environment="staging",
            rate_rps=30.0,
            started_at=AFTERWARDS,
            ends_by=AFTERWARDS + timedelta(seconds=30),
        )
        with locks.reserve(CLAIM, capacity_rps=600), delivering.held("delivering", "", admit=lambda others: None):
            log.load_began(load)
            kept = {path: path.read_bytes() for path in folder.iterdir()}
        for path, content in kept.items():
            path.write_bytes(content)

    def beside(self) -> None:
        """Let one finished run have a comparison with production; of the others only the record is kept."""
        from tests.perf.production_comparison.test_production_comparing import (
            DAYS,
            RUN,
            RUN_MS,
            SELECTOR,
            Answers,
            answers_of,
            compare,
            histogram,
            mix,
            production_answers,
        )

        made = Answers()
        for at in DAYS:
            made.at[at + timedelta(hours=1)] = production_answers()
        made.at[RUN.end] = answers_of(
            SELECTOR, RUN_MS, requests=400.0, errors=8.0, buckets=histogram(0, 20, 100, 100), mix=mix(orders=400.0)
        )
        *_, last = self.house.store.runs(service="orders-service", scenario="brief")
        self.house.store.write(last, "production.json", to_json(compare(made)))
        for uri in self.house.store.runs():
            if uri != last:
                for name in self.house.store.names(uri) - {"run.json"}:
                    self.house.store.remove(uri, name)

    def load(self) -> None:
        """A real load, against a target whose answers take some milliseconds."""
        from include.perf.measurement import measure

        folder = folder_in(self.root, "load")
        target = subprocess.Popen(
            [sys.executable, "-m", "tests.target_server", os.devnull], stdout=subprocess.PIPE, env=os.environ
        )
        try:
            port = int(target.stdout.readline())
            drive(folder, f"http://127.0.0.1:{port}", load=LOAD.model_copy(update={"rate_rps": 40.0}))
        finally:
            target.kill()
            target.wait()
        log.info("load: %d finished", measure(folder).finished)

    def prune(self) -> None:
        """Keep the records of the first nights only where a figure of later ones needs them, as a small store does."""
        for uri in self.house.store.runs():
            run_id = uri.rpartition("/")[2]
            if "20260303" < run_id < "20260310" and "/ledger" not in uri:
                self.house.store.discard(uri)


DAGS = """
import sys
from pathlib import Path
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization

bag = DagBag(sys.argv[1], safe_mode=True)
assert bag.import_errors == {}
for dag in bag.dags.values():
    Path(sys.argv[2], f"{dag.dag_id}.json").write_text(DagSerialization.to_json(dag))
"""


def dags(folder: Path) -> None:
    """Write the DAGs of the project as Airflow keeps them."""
    folder.mkdir()
    with tempfile.TemporaryDirectory() as home:
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW", "BELLWETHER"))}
        environment |= {
            "AIRFLOW_HOME": home,
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
            "PYTHONPATH": str(ROOT),
        }
        command = [sys.executable, "-c", DAGS, str(ROOT / "dags"), str(folder)]
        subprocess.run(command, cwd=home, env=environment, check=True, stdout=subprocess.DEVNULL)


def packed(root: Path) -> bytes:
    """Return a folder as an archive of which the same content makes the same bytes."""
    content = io.BytesIO()
    with gzip.GzipFile(fileobj=content, mode="wb", mtime=0) as file, tarfile.open(fileobj=file, mode="w") as archive:
        for path in sorted(path for path in root.rglob("*") if path.is_file()):
            entry = tarfile.TarInfo(str(path.relative_to(root)))
            entry.size = path.stat().st_size
            archive.addfile(entry, io.BytesIO(path.read_bytes()))
    return content.getvalue()


def main(folder: Path, version_1: Path) -> None:
    numbers = itertools.count(1)
    secrets.token_hex = lambda size=8: f"{next(numbers):0{2 * size}x}"  # the same ids every time
    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / "store"
        root.mkdir()
        writer = Writer(root)
        writer.nights()
        writer.more_alerts()
        writer.prune()
        writer.in_flight()
        writer.rest(version_1)
        READINGS["index"](root)
        for path in [*root.rglob(".*.lock"), *root.rglob(".*.delivering")]:
            path.unlink()
        (root / "load" / "generator.log").unlink(missing_ok=True)
        for path in root.rglob("*"):
            content = path.read_bytes() if path.is_file() else b""
            named = content.replace(str(root).encode(), b"/srv/bellwether").replace(
                str(ROOT).encode(), b"/opt/bellwether"
            )
            if named != content:
                assert path.suffix in (".json", ".txt"), path
                path.write_bytes(named)
        (folder / "store.tar.gz").write_bytes(packed(root))
        expected = {}
        for section, read in READINGS.items():
            copy = Path(name) / section
            shutil.copytree(root, copy)
            moved(copy, origin=HOME)
            expected[section] = plain(read(copy))
    text = json.dumps(expected, indent=1, sort_keys=True) + "\n"
    (folder / "expected.json.gz").write_bytes(gzip.compress(text.encode(), mtime=0))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    main(Path(sys.argv[1]), Path(sys.argv[2]))

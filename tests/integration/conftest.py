"""The demo stack for all tests that need Airflow: reference platform, Prometheus, Slack stand-in, Airflow.

Several pytest processes may share it (``make test`` runs two): the first process starts it, the last one stops it. The
tests add two services to its catalogue, one of them at a closed port, and a scenario for each. Runs that several tests
use are fixtures, so that they are executed only once.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import requests
import yaml
from playwright.sync_api import Browser, sync_playwright
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from demo import commands, configuration
from demo.airflow_api import AirflowApi
from demo.settings import HOST, ROOT, Stack, read_stack
from include.perf.catalogue.catalogue import SCENARIOS_FILE, SERVICES_FILE
from include.perf.runs.results_store import RECORD_FILE
from include.perf.runs.stage_files import SPEC_FILE
from tests.shared_lock import SharedLock
from tests.socket_servers import free_port
from tests.waiting import until

SERVICE = "analysis-engine-service"
SHORT_NAME = "analysis-engine"
LOAD = {"duration": 10, "rate": 30}
NEW_SERVICE = "risk-engine-service"
DEAD_SERVICE = "dead-end-service"
NEW_SCENARIO = "asia_open"
DEAD_SCENARIO = "dead_end"

NORMAL = {"latency_s": 0.2, "for_s": 1800}
"""The normal latency of the service in these tests. 30 % of 200 ms is far more than a busy machine adds to a latency,
so a repeated load gives the same result even here."""
REGRESSED = {"latency_s": 0.4, "for_s": 1800}

LIFETIME_S = 2400.0
RUN_S = 900.0
TRIES = 3
NOISE = ("the generator", "the machine was busy", "Prometheus has")
"""How the reasons begin that make a run INVALID on a busy machine. That is correct, so the test runs it again."""

ANSWERED = "http_requests_total"

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = os.environ.get("BELLWETHER_CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUM_NAMES)), "chromium")
CHROMIUM_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
PATIENCE_MS = 30_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A finished DAG run.

    Attributes:
        tasks: the states of its task instances by name, such as ``conclude.report[0]``.
        records: the run.json of its services, by service name.
        reruns: the run.json of every re-run.
        folders: the folders of its runs, by service name.
        messages: the Slack messages about it, with the replies that contain charts.
    """

    dag_id: str
    run_id: str
    state: str
    tasks: Mapping[str, str]
    records: Mapping[str, dict[str, Any]]
    reruns: list[dict[str, Any]]
    folders: Mapping[str, Path]
    messages: list[dict[str, Any]]

    @property
    def record(self) -> dict[str, Any]:
        """The run.json of its only service."""
        (only,) = self.records.values()
        return only

    @property
    def folder(self) -> Path:
        """The folder of its only service."""
        (only,) = self.folders.values()
        return only


def noise_of(run: Run) -> list[str]:
    """Return why a run is invalid, if a busy machine is the only cause; otherwise nothing."""
    return noise_in(run.records.values())


def noise_in(records: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return why records are invalid, if a busy machine is the only cause; otherwise nothing."""
    reasons = [reason for record in records for reason in record["validity"]]
    return reasons if all(reason.startswith(NOISE) for reason in reasons) else []


class Platform:
    """The running stack.

    Attributes:
        loading: shared by tests that send load; exclusive for tests that halt load or must not be disturbed.
        catalogue: shared by tests that need a stable list of services; exclusive for tests that change it.
    """

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.loading = SharedLock(stack.folder, "loading")
        self.catalogue = SharedLock(stack.folder, "catalogue")
        self.api = AirflowApi(stack.airflow_url, airflow_home=stack.airflow_home)
        self.api.log_in()

    def run(self, dag_id: str, conf: Mapping[str, Any]) -> Run:
        """Trigger a DAG over REST and wait until the run has finished."""
        with self.loading.shared():
            earlier = len(self.messages())
            return self.follow(dag_id, self.api.trigger(dag_id, conf), earlier_messages=earlier)

    def trigger_by_command(self, dag_id: str, conf: Mapping[str, Any]) -> str:
        """Trigger a DAG on the command line and return the ID of the run."""
        subprocess.run(
            [sys.executable, "-m", "airflow", "dags", "trigger", dag_id, "--conf", json.dumps(conf)],
            cwd=ROOT,
            env=configuration.airflow_environment(self.stack),
            check=True,
            capture_output=True,
            timeout=120,
        )
        newest = self.api.call("GET", f"/dags/{dag_id}/dagRuns?order_by=-run_after&limit=1")["dag_runs"][0]
        return str(newest["dag_run_id"])

    def follow(self, dag_id: str, run_id: str, *, earlier_messages: int) -> Run:
        """Wait until a run has finished, and collect its results.

        Args:
            earlier_messages: the number of Slack messages before the run.
        """
        state = self.api.wait_for(dag_id, run_id, timeout_s=RUN_S, on_states=lambda _: None)
        records = {path: self.record(path) for path in self._folders(run_id)}
        folders = {path.parents[1].name: path for path, record in records.items() if record["rerun_of"] is None}
        return Run(
            dag_id=dag_id,
            run_id=run_id,
            state=state,
            tasks=self.api.tasks(dag_id, run_id),
            records={name: records[folder] for name, folder in folders.items()},
            reruns=[record for record in records.values() if record["rerun_of"] is not None],
            folders=folders,
            messages=_about_run(self.messages(), run_id, earlier=earlier_messages),
        )

    def measured_run(self, dag_id: str, conf: Mapping[str, Any]) -> Run:
        """Trigger a DAG; if the machine was too busy for a valid run, repeat it without any other load."""
        run = self.run(dag_id, conf)
        for _ in range(TRIES - 1):
            if not noise_of(run):
                break
            with self.loading.exclusive():
                run = self.run(dag_id, conf)
        reasons = noise_of(run)
        if not reasons:
            return run
        pytest.fail(f"this machine was too busy for {TRIES} runs of {dag_id}: {'; '.join(reasons)}")

    def reparse_dags(self) -> None:
        """Let Airflow read dags/ now, as the button Reparse Dag does; otherwise it does so every few minutes."""
        files = {dag["fileloc"]: dag["file_token"] for dag in self.api.dags().values()}
        for token in files.values():
            try:
                self.api.call("PUT", f"/parseDagFile/{token}")
            except requests.HTTPError as err:
                if err.response is None or err.response.status_code != HTTPStatus.CONFLICT:  # already requested
                    raise

    def await_dags(self, is_ready: Callable[[Mapping[str, Any]], bool], *, what: str) -> None:
        """Wait for a condition on the DAGs that Airflow knows; let it read dags/ every minute.

        Airflow puts the files that it is asked for before all others: on a busy machine, frequent requests would
        keep the last files waiting for ever.
        """
        reparse_at = time.monotonic()

        def check() -> bool:
            nonlocal reparse_at
            if is_ready(self.api.dags()):
                return True
            if time.monotonic() >= reparse_at:
                self.reparse_dags()
                reparse_at = time.monotonic() + 60
            return False

        until(check, within_s=600, every_s=1.0, what=what)

    def record(self, folder: Path) -> dict[str, Any]:
        """Return the run.json of a run's folder."""
        document: dict[str, Any] = json.loads((folder / RECORD_FILE).read_bytes())
        return document

    def records(self) -> list[dict[str, Any]]:
        """Return the run.json of all runs so far, oldest load first."""
        found = [self.record(path.parent) for path in self.stack.results.glob(f"*/*/*/{RECORD_FILE}")]
        return sorted(found, key=lambda record: str(record["started_at"]))

    def _folders(self, run_id: str) -> list[Path]:
        found = self.stack.results.glob(f"*/*/*/{RECORD_FILE}")
        return [path.parent for path in found if self.record(path.parent)["provenance"]["dag_run_id"] == run_id]

    def messages(self) -> list[dict[str, Any]]:
        """Return all messages in the channel of on-call, oldest first; alerts about the pipeline go to another one."""
        answer = requests.get(f"{self.stack.slack_url}/_standin/messages", timeout=10)
        found: list[dict[str, Any]] = answer.json()["messages"]
        return [message for message in found if message["channel_name"] == "performance"]

    def set_fault(self, fault: Mapping[str, float], *, service: str = SERVICE) -> None:
        """Set the fault that a service simulates."""
        requests.put(f"{self.stack.service_url(service)}/admin/fault", json=fault, timeout=10).raise_for_status()

    def end_fault(self, *, service: str) -> None:
        """Remove the fault of a service."""
        requests.delete(f"{self.stack.service_url(service)}/admin/fault", timeout=10).raise_for_status()

    def answered(self, service: str) -> int:
        """Return how many requests a service has answered since it started, by its own metrics."""
        return answered_by(self.stack.service_url(service))

    def planned(self, run_id: str) -> list[Path]:
        """Return the folders of a run that has not finished."""
        found = self.stack.results.glob(f"*/*/*/{SPEC_FILE}")
        return [path.parent for path in found if json.loads(path.read_bytes())["dag_run_id"] == run_id]

    def finished(self, run_id: str, dag_id: str) -> Path:
        """Return the folder of a finished run of one service."""
        (folder,) = (path for path in self._folders(run_id) if path.parent.name == dag_id)
        return folder

    def returned(self, run: Run, task_id: str) -> str:
        """Return the return value of a task."""
        path = f"/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances/{task_id}/xcomEntries/return_value"
        return str(self.api.call("GET", path)["value"])

    @contextmanager
    def halting(self, text: str) -> Iterator[None]:
        """Halt load with the Airflow Variable during the block, without stopping loads of other test processes."""
        with self.loading.exclusive():
            self.api.call("POST", "/variables", {"key": "bellwether_halt", "value": text})
            try:
                yield
            finally:
                self.api.call("DELETE", "/variables/bellwether_halt")

    def log(self, run: Run, task_id: str, *, map_index: int = -1) -> str:
        """Return the log of a task."""
        return self.api.log(run.dag_id, run.run_id, task_id, map_index=map_index)


def answered_by(url: str) -> int:
    """Return how many requests a service of the platform has answered since it started, by its own metrics."""
    families = text_string_to_metric_families(requests.get(f"{url}/metrics", timeout=10).text)
    return int(sum(sample.value for family in families for sample in family.samples if sample.name == ANSWERED))


def _about_run(messages: list[dict[str, Any]], run_id: str, *, earlier: int) -> list[dict[str, Any]]:
    """Return the later messages, without those that link to other runs only and without the replies to them."""
    others = {message["ts"] for message in messages if _is_about_other_run(message, run_id)}
    return [message for message in messages[earlier:] if others.isdisjoint((message["ts"], message["thread_ts"]))]


def _is_about_other_run(message: Mapping[str, Any], run_id: str) -> bool:
    linked = {unquote(found) for found in re.findall(r"/runs/([^/?#\\\"|>]+)", json.dumps(message))}
    return bool(linked) and run_id not in linked


def folder_of_session(factory: pytest.TempPathFactory) -> Path:
    """Return a folder that all pytest processes of a session share."""
    own = factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The running stack; the last process that uses it stops it, and it stops after `LIFETIME_S` in any case."""
    folder = folder_of_session(tmp_path_factory)
    home, console = folder / "stack", Console(quiet=True)
    starting, using = SharedLock(folder, "starting"), SharedLock(folder, "using")
    with pytest.MonkeyPatch.context() as patch, ExitStack() as use:
        for part in ("AIRFLOW", "PROMETHEUS", "SLACK"):
            patch.setenv(f"BELLWETHER_DEMO_{part}_PORT", "0")
        for name in ("SLACK_BOT_TOKEN", "SLACK_CHANNEL"):
            patch.delenv(name, raising=False)
        try:
            with starting.exclusive():
                is_first = not using.is_held()
                use.enter_context(using.shared())
                stack = start_stack(home, console) if is_first else read_stack(home)
            assert stack is not None
            yield Platform(stack)
        finally:
            with starting.exclusive():
                use.close()
                if not using.is_held():
                    commands.down(home, console)


def start_stack(home: Path, console: Console) -> Stack:
    """Start the stack, and add the services and scenarios of the tests to its catalogue."""
    home.mkdir(exist_ok=True)
    stack = commands.up(home, console, lifetime_s=LIFETIME_S)
    add_to_catalogue(stack)
    Platform(stack).reparse_dags()
    return stack


def add_to_catalogue(stack: Stack) -> None:
    """Add two services and two scenarios as users do: edit the YAML files and copy a CSV."""
    services = yaml.safe_load((stack.catalogue / SERVICES_FILE).read_text(encoding="utf-8"))
    model = services["services"]["data-pipeline-service"]
    shipped = list(services["services"])
    services["services"][NEW_SERVICE] = model | {"description": "Added by a test; answers as data-pipeline-service."}
    services["services"][DEAD_SERVICE] = model | {"base_url": f"http://{HOST}:{free_port()}"}
    scenarios = yaml.safe_load((stack.catalogue / SCENARIOS_FILE).read_text(encoding="utf-8"))
    copied = stack.catalogue / "asia_open_data.csv"
    shutil.copy(scenarios["scenarios"]["overnight_processing"]["data"], copied)
    scenarios["scenarios"][NEW_SCENARIO] = {
        "title": "Asia open",
        "description": "Added by a test.",
        "load": {"rate_rps": 40, "duration_s": 10, "warmup_s": 2},
        "data": copied.name,
        "services": [NEW_SERVICE, "feature-store-service"],
    }
    scenarios["scenarios"][DEAD_SCENARIO] = scenarios["scenarios"][NEW_SCENARIO] | {"services": [DEAD_SERVICE]}
    scenarios["scenarios"]["market_open"]["services"] = shipped
    scenarios["scenarios"]["market_open"]["load"]["warmup_s"] = 2
    for name, document in ((SERVICES_FILE, services), (SCENARIOS_FILE, scenarios)):
        replace_at_once(stack.catalogue / name, yaml.safe_dump(document, sort_keys=False).encode())


def replace_at_once(path: Path, content: bytes) -> None:
    """Replace a file atomically, because Airflow may be reading it."""
    draft = path.with_suffix(".draft")
    draft.write_bytes(content)
    draft.replace(path)


@pytest.fixture(scope="session")
def new_scenario(platform: Platform) -> str:
    """The added scenario, once Airflow knows its DAG and that of the dead service."""
    added = {NEW_SCENARIO, DEAD_SCENARIO}
    platform.await_dags(added.issubset, what=f"the DAGs {', '.join(added)} appear")
    return NEW_SCENARIO


@pytest.fixture(scope="session")
def first_run(platform: Platform) -> Run:
    """The first run of a service, which becomes its baseline."""
    platform.set_fault(NORMAL)
    conf = {"service": SHORT_NAME, "update_baseline": True, "reason": "first run"}
    return platform.measured_run("market_open", LOAD | conf)


@pytest.fixture(scope="session")
def second_run(platform: Platform, first_run: Run) -> Run:
    """The same load on the unchanged service."""
    platform.set_fault(NORMAL)
    return platform.measured_run("market_open", LOAD | {"service": SERVICE})


@pytest.fixture(scope="session")
def slow_run(platform: Platform, second_run: Run) -> Run:
    """The same load on a service that has become 200 ms slower."""
    platform.set_fault(REGRESSED)
    try:
        return platform.measured_run("market_open", LOAD | {"service": SHORT_NAME})
    finally:
        platform.set_fault(NORMAL)


@pytest.fixture(scope="session")
def refused_runs(platform: Platform, new_scenario: str) -> dict[str, Run]:
    """Three parallel runs that fail before their load: no reason, a misspelt parameter, and a dead service."""
    assert new_scenario
    with platform.loading.shared():
        return dict(_refused_runs(platform))


def _refused_runs(platform: Platform) -> Iterator[tuple[str, Run]]:
    earlier = len(platform.messages())
    started = {
        "normal_trading": platform.api.trigger("normal_trading", {"service": SHORT_NAME, "update_baseline": True}),
        DEAD_SCENARIO: platform.api.trigger(DEAD_SCENARIO, {"service": DEAD_SERVICE}),
        "overnight_processing": platform.trigger_by_command(
            "overnight_processing", {"service": SHORT_NAME, "durations": 10}
        ),
    }
    for dag_id, run_id in started.items():
        yield dag_id, platform.follow(dag_id, run_id, earlier_messages=earlier)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium of the system. Playwright's event loop must not outlive the module."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def only_load(platform: Platform) -> Iterator[None]:
    """Block loads of other test processes during a test."""
    with platform.loading.exclusive():
        yield


@pytest.fixture
def halted(platform: Platform) -> Iterator[str]:
    """Halt load with the Airflow Variable during a test; return the reason."""
    reason = "incident 4711"
    with platform.halting(reason):
        yield reason

"""The production stack of docker-compose.yaml on a real engine, in a compose project that is removed at the end.

Its catalogue has shorter loads. Its image is built from this checkout.
"""

import json
import logging
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from prometheus_client.parser import text_string_to_metric_families

from demo.airflow_api import USER, AirflowApi
from include.perf.catalogue.catalogue import SCENARIOS_FILE
from include.perf.runs.results_store import RECORD_FILE
from tests.waiting import until

log = logging.getLogger("compose")

ROOT = Path(__file__).parents[2]
SERVICE = "trading-gateway-service"
SCENARIO = "market_open"
LOAD = {"service": SERVICE, "duration": 20, "rate": 60}
LOCUST_WORKERS = 3
RESULTS = "/var/lib/bellwether/results"

BUILD_S = 600.0
UP_S = 600
RUN_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Compose:
    """One compose project: its name, its settings, and the profile with the demo platform."""

    project: str
    env_file: Path

    def command(self, *arguments: str) -> list[str]:
        """Return a compose command for this project."""
        options = ["--project-name", self.project, "--env-file", str(self.env_file), "--profile", "demo"]
        return ["docker", "compose", "--file", str(ROOT / "docker-compose.yaml"), *options, *arguments]

    def run(self, *arguments: str, timeout_s: float = 60.0) -> str:
        """Run a compose command and return its output; fail with that output if the command fails."""
        done = self.tried(*arguments, timeout_s=timeout_s)
        assert done.returncode == 0, f"{' '.join(arguments)}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout

    def tried(self, *arguments: str, timeout_s: float = 60.0) -> "subprocess.CompletedProcess[str]":
        """Run a compose command and return its result, successful or not."""
        if "exec" not in arguments:  # polling would fill the log
            log.info("docker compose %s", " ".join(arguments))
        inherited = {name: value for name, value in os.environ.items() if name not in _settings(self.env_file)}
        return subprocess.run(
            self.command(*arguments), capture_output=True, text=True, timeout=timeout_s, env=inherited, check=False
        )

    def inside(self, service: str, *command: str) -> str:
        """Run a command in the first container of a service and return its output."""
        return self.run("exec", "-T", service, *command)

    def containers(self) -> list[dict[str, Any]]:
        """Return the running containers, as compose lists them."""
        return [json.loads(line) for line in self.run("ps", "--format", "json").splitlines()]


def _settings(env_file: Path) -> dict[str, str]:
    """Return the variables of a file; the environment of the test must not override them."""
    lines = env_file.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and line[0] != "#")


class ProductionApi(AirflowApi):
    """Airflow's REST API with the first user of the stack."""

    def __init__(self, url: str, *, passwords: Mapping[str, str]) -> None:
        super().__init__(url, airflow_home=Path())
        self._passwords = passwords

    def password(self, user: str = USER) -> str:
        """Return a user's password."""
        return self._passwords[user]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductionStack:
    """The running stack."""

    compose: Compose
    api: ProductionApi
    airflow_url: str
    prometheus_url: str
    slack_url: str

    def trigger(self) -> str:
        """Start the short load over REST."""
        return self.api.trigger(SCENARIO, LOAD)

    def finished(self, run_id: str) -> dict[str, Any]:
        """Wait until a run has finished, and return the record of its service."""
        shown: set[str] = set()

        def show(tasks: dict[str, str]) -> None:
            news = {f"{task} {state}" for task, state in tasks.items() if state not in {"none", "scheduled"}} - shown
            shown.update(news)
            for line in sorted(news):
                log.info("%s", line)

        self.api.wait_for(SCENARIO, run_id, timeout_s=RUN_S, on_states=show)
        (record,) = [record for record in self.records() if record["provenance"]["dag_run_id"] == run_id]
        log.info("%s %s", record["verdict"], record["validity"])
        return record

    def records(self) -> list[dict[str, Any]]:
        """Return every record in the volume."""
        script = (
            f"for path in __import__('pathlib').Path({RESULTS!r}).glob('*/*/*/{RECORD_FILE}'):\n"
            "    print(path.read_text().replace(chr(10), ' '))"
        )
        return [json.loads(line) for line in self.compose.inside("worker", "python", "-c", script).splitlines()]

    def messages(self) -> list[str]:
        """Return the texts of all Slack messages."""
        answer = requests.get(f"{self.slack_url}/_standin/messages", timeout=30)
        return [message["text"] for message in answer.json()["messages"]]

    def answered(self) -> int:
        """Return how many requests under /api the loaded service has answered, by its own metrics."""
        text = self.compose.inside(SERVICE, "curl", "--fail", "--silent", "http://127.0.0.1:8000/metrics")
        families = {family.name: family for family in text_string_to_metric_families(text)}
        samples = families["http_requests"].samples
        return round(sum(s.value for s in samples if s.name.endswith("_total") and "/api/" in s.labels["endpoint"]))

    def load_under_way(self) -> None:
        """Wait until requests of the last started run arrive at its service."""
        before = self.answered()
        until(lambda: self.answered() > before + 100, within_s=RUN_S, what="requests of the load")


def _short_catalogue(folder: Path) -> Path:
    """Copy the catalogue, with a warm-up of three seconds."""
    shutil.copytree(ROOT / "include", folder, ignore=shutil.ignore_patterns("*.py", "__pycache__", "perf", "load"))
    path = folder / SCENARIOS_FILE
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    document["defaults"]["load"]["warmup_s"] = 3
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return folder


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


@pytest.fixture(scope="session")
def env_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an .env from `make env`, with free ports and a short catalogue."""
    folder = tmp_path_factory.mktemp("compose")
    path = folder / ".env"
    subprocess.run([ROOT / "scripts/make-env", path], check=True, timeout=30, capture_output=True)
    airflow, prometheus, slack = _free_ports(3)
    settings = {
        "AIRFLOW_PORT": airflow,
        "PROMETHEUS_PORT": prometheus,
        "SLACK_PORT": slack,
        "CATALOGUE": _short_catalogue(folder / "catalogue"),
        "LOCUST_WORKERS": LOCUST_WORKERS,
        "BELLWETHER_IMAGE": "bellwether:compose-test",
    }
    mirrors = ("AIRFLOW_IMAGE", "POSTGRES_IMAGE", "REDIS_IMAGE", "PROMETHEUS_IMAGE")
    settings |= {name: os.environ[name] for name in mirrors if name in os.environ}
    with path.open("a", encoding="utf-8") as file:
        file.writelines(f"{name}={value}\n" for name, value in settings.items())
    return path


@pytest.fixture(scope="session")
def compose(env_file: Path) -> Compose:
    """Return the project of this test."""
    return Compose(project=f"bellwether-test-{os.getpid()}", env_file=env_file)


@pytest.fixture(scope="session")
def stack(compose: Compose) -> Iterator[ProductionStack]:
    """Build the image and start everything; remove containers, networks and volumes at the end."""
    values = dict(
        line.split("=", 1) for line in compose.env_file.read_text(encoding="utf-8").splitlines() if "=" in line
    )
    compose.run("config", "--quiet")
    compose.run("build", timeout_s=BUILD_S)
    try:
        compose.run("up", "--detach", "--wait", "--wait-timeout", f"{UP_S}", timeout_s=UP_S + 60)
        url = f"http://127.0.0.1:{values['AIRFLOW_PORT']}"
        api = ProductionApi(url, passwords={USER: values["AIRFLOW_ADMIN_PASSWORD"]})
        api.log_in()
        until(lambda: SCENARIO in api.dags(), within_s=120, what=f"the DAG {SCENARIO}")
        api.call("PATCH", f"/dags/{SCENARIO}", {"is_paused": False})
        yield ProductionStack(
            compose=compose,
            api=api,
            airflow_url=url,
            prometheus_url=f"http://127.0.0.1:{values['PROMETHEUS_PORT']}",
            slack_url=f"http://127.0.0.1:{values['SLACK_PORT']}",
        )
    finally:
        compose.tried("down", "--volumes", "--remove-orphans", "--timeout", "10", timeout_s=180)


@pytest.fixture(scope="session")
def viewer(stack: ProductionStack) -> requests.Session:
    """Return a session of a user who may read but change nothing."""
    given = ["--username", "vera", "--password", "vera-looks-only", "--role", "Viewer"]
    named = ["--firstname", "Vera", "--lastname", "Viewer", "--email", "vera@bellwether.invalid"]
    stack.compose.run("exec", "-T", "api-server", "airflow", "users", "create", *given, *named, timeout_s=180)
    return session(stack.airflow_url, "vera", "vera-looks-only")


def session(url: str, user: str, password: str) -> requests.Session:
    """Return a logged-in session of a user."""
    answer = requests.post(f"{url}/auth/token", json={"username": user, "password": password}, timeout=30)
    answer.raise_for_status()
    logged_in = requests.Session()
    logged_in.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    return logged_in

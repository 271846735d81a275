"""The configuration of the demo stack: catalogue, Prometheus configuration, Airflow's environment."""

import json
import os
import sys
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, get_args

import yaml

from demo.airflow_api import USER, VIEWER
from demo.settings import HOST, ROOT, Stack
from include.perf.catalogue.catalogue import SCENARIOS_FILE, SERVICES_FILE
from include.perf.catalogue.scenario.market_week import Weekday
from include.perf.model.file_writer import write_atomically

SCRAPE_INTERVAL_S = 1
OWN_METRICS_INTERVAL_S = 5
TOKEN_FILE = "metrics-token"  # noqa: S105 - the name of a file, not a token
SHORT_LOAD = {"duration_s": 20, "warmup_s": 5, "ramp_s": 0, "max_concurrency": 500}
"""Much shorter than the scenarios' own loads; `RATES` are lower, too, so that a small machine can send them."""

RATES = {"normal_trading": 50, "market_open": 150, "high_volatility": 100, "overnight_processing": 25}
WRITTEN_FILE = ".written.json"
TOKEN_VARIABLE = "SLACK_BOT_TOKEN"  # noqa: S105 - the name of a variable, not a token
SLACK_CHANNEL = "#performance"
PRODUCTION = "production"
PRODUCTION_MINUTES = 5
PRODUCTION_REFERENCE = {"scrape_interval_s": SCRAPE_INTERVAL_S, "days": 1}


def write_catalogue(stack: Stack, *, started_at: datetime) -> None:
    """Write the project's catalogue with the stack's addresses, short loads and no schedules.

    The production twins run on the same machine; their ports are forbidden for load. They have no data from yesterday,
    so runs are compared with their first complete minutes of today, also at a weekend.

    A file that somebody edited stays as it is; see `edited_files`.
    """
    stack.catalogue.mkdir(parents=True, exist_ok=True)
    source = ROOT / "include"
    services = _read(source / SERVICES_FILE)
    services["defaults"]["prometheus"]["scrape_interval_s"] = SCRAPE_INTERVAL_S
    services["forbidden_hosts"] = [f"{HOST}:{port}" for port in stack.production.values()]
    services["defaults"]["slack_channel"] = os.environ.get("SLACK_CHANNEL", SLACK_CHANNEL)
    for name, entry in services["services"].items():
        entry |= {"base_url": stack.service_url(name), "allowed_hosts": [HOST]}
        entry["production"] = entry["production"] | PRODUCTION_REFERENCE if stack.production else None
    scenarios = _read(source / SCENARIOS_FILE) | {"reload_rules": True}
    for name, entry in scenarios["scenarios"].items():
        entry["load"] |= SHORT_LOAD | {"rate_rps": RATES[name]}
        entry |= {"schedule": None, "parallel": 1, "data": str(source / entry["data"])}
        entry["production_hours"] = _first_minutes(started_at)
    edited, written = edited_files(stack), _written(stack)
    for name, document in ((SERVICES_FILE, services), (SCENARIOS_FILE, scenarios)):
        if name not in edited:
            content = yaml.safe_dump(document, sort_keys=False).encode()
            written[name] = sha256(content).hexdigest()
            # First the digest: after a crash in between, the file counts as edited and stays.
            write_atomically(stack.catalogue / WRITTEN_FILE, json.dumps(written).encode())
            write_atomically(stack.catalogue / name, content)


def edited_files(stack: Stack) -> list[str]:
    """Return the catalogue's files that are not as `write_catalogue` left them, or of which that is unknown."""
    written = _written(stack)
    return [
        name
        for name in (SERVICES_FILE, SCENARIOS_FILE)
        if (path := stack.catalogue / name).exists() and sha256(path.read_bytes()).hexdigest() != written.get(name)
    ]


def _written(stack: Stack) -> dict[str, str]:
    """Return the SHA-256 of each file that `write_catalogue` wrote."""
    try:
        return dict(json.loads((stack.catalogue / WRITTEN_FILE).read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return {}


def _first_minutes(started_at: datetime) -> dict[str, Any]:
    """Return the first minutes in which all parts of a stack should be up, as wall-clock hours."""
    begins = started_at.astimezone(UTC) + timedelta(minutes=2)
    ends = begins + timedelta(minutes=PRODUCTION_MINUTES)
    return {"from": f"{begins:%H:%M}", "to": f"{ends:%H:%M}", "timezone": "UTC", "weekdays": list(get_args(Weekday))}


def _read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def write_prometheus(stack: Stack) -> Path:
    """Write Prometheus' configuration and return the file."""
    groups = [("staging", stack.services), (PRODUCTION, stack.production)]
    targets = [
        {"targets": [f"{HOST}:{port}"], "labels": {"service": name, "environment": environment}}
        for environment, ports in groups
        for name, port in ports.items()
    ]
    folder = stack.folder / "prometheus"
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "global": {"scrape_interval": f"{SCRAPE_INTERVAL_S}s", "scrape_timeout": f"{SCRAPE_INTERVAL_S}s"},
        "rule_files": [str(stack.rules / "*.yaml")],
        "scrape_configs": [{"job_name": "platform", "static_configs": targets}, _own_metrics(stack)],
    }
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def _own_metrics(stack: Stack) -> dict[str, Any]:
    """Return the scrape job of Bellwether's own metrics: from Airflow, with a token in a file of mode 600."""
    token = stack.folder / "prometheus" / TOKEN_FILE
    token.touch(mode=0o600)
    token.write_text(stack.metrics_token, encoding="ascii")
    return {
        "job_name": "bellwether",
        "metrics_path": "/bellwether/metrics",
        "scrape_interval": f"{OWN_METRICS_INTERVAL_S}s",
        "scrape_timeout": f"{OWN_METRICS_INTERVAL_S}s",
        "honor_labels": True,  # service and environment are labels of the runs, not of Airflow
        "authorization": {"credentials_file": str(token)},
        "static_configs": [{"targets": [f"{HOST}:{stack.airflow}"]}],
    }


def bellwether_environment(stack: Stack) -> dict[str, str]:
    """Return the variables with which the command line works on the stack."""
    return {
        "BELLWETHER_CATALOGUE": str(stack.catalogue),
        "BELLWETHER_RESULTS_URI": stack.results.as_uri(),
        "BELLWETHER_BASELINES": str(stack.baselines),
        "BELLWETHER_ALERTS": str(stack.alerts),
        "BELLWETHER_INDEX": str(stack.folder / "index.sqlite"),
        "BELLWETHER_RULES": str(stack.rules),
        "BELLWETHER_HALT_FILE": str(stack.folder / "halt.json"),
        "PROMETHEUS_URL": stack.prometheus_url,
    }


def airflow_environment(stack: Stack) -> dict[str, str]:
    """Return Airflow's environment: this project's DAGs and plugins, and the stack's connections."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    return inherited | stack_environment(stack)


def stack_environment(stack: Stack) -> dict[str, str]:
    """Return all variables of the stack: for Airflow, and for the command line."""
    return bellwether_environment(stack) | _airflow_settings(stack) | _connections(stack)


def _airflow_settings(stack: Stack) -> dict[str, str]:
    settings = {
        "CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin,{VIEWER}:viewer",
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "CORE__PARALLELISM": "8",
        # SQLite has one writer at a time; on a busy machine, the default time-out of 5 s is too short. But the API
        # server blocks its event loop until it can log a change by a user, while the transaction of a starting task
        # may need that loop to commit. Only the time-out resolves this, before the task gives up.
        "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{stack.airflow_home / 'airflow.db'}?timeout=15",
        "CORE__EXECUTION_API_SERVER_URL": f"{stack.airflow_url}/execution/",
        "API__HOST": HOST,
        "API__PORT": str(stack.airflow),
        "API__BASE_URL": stack.airflow_url,
        "API__WORKERS": "1",
        "API_AUTH__JWT_SECRET": stack.secret,
        # a run has a dozen tasks, and each waits this long to be scheduled; the default is 1 s
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
        # also how long Airflow may take to notice that the process of a task has ended; by default five seconds
        "WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        "LOGGING__LOGGING_LEVEL": "INFO",
        # less background work disturbs measurements less on a small machine
        "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "300",
        "DAG_PROCESSOR__REFRESH_INTERVAL": "60",
        # otherwise, an edited catalogue would not show in the DAGs soon after the start
        "CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "0",
    }
    return {f"AIRFLOW__{name}": value for name, value in settings.items()} | {
        "AIRFLOW_HOME": str(stack.airflow_home),
        # `airflow standalone` finds the command airflow in PATH
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "PYTHONPATH": str(ROOT),
    }


def _connections(stack: Stack) -> dict[str, str]:
    """Return the connections; with a bot token in the environment, alerts go to the real Slack."""
    token = os.environ.get(TOKEN_VARIABLE)
    slack: dict[str, Any] = {"conn_type": "slack", "password": token or "xoxb-stand-in", "extra": {"timeout": 10}}
    if not token:
        slack["extra"]["base_url"] = f"{stack.slack_url}/api/"
    return {
        "AIRFLOW_CONN_PROMETHEUS_DEFAULT": stack.prometheus_url,
        "AIRFLOW_CONN_SLACK_API_DEFAULT": json.dumps(slack),
        "AIRFLOW_CONN_BELLWETHER_METRICS": json.dumps({"conn_type": "http", "password": stack.metrics_token}),
    }

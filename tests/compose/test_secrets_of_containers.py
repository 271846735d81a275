"""Each container of docker-compose.yaml holds only the secrets that it uses; no engine is needed."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yaml"

QUEUE = ("REDIS_PASSWORD", "CELERY_RESULTS_PASSWORD")
"""The queue of tasks, and their results."""

USES: dict[str, set[str]] = {
    "postgres": {"POSTGRES_PASSWORD"},
    "redis": {"REDIS_PASSWORD"},
    "airflow-init": {"POSTGRES_PASSWORD", "CELERY_RESULTS_PASSWORD", "AIRFLOW_ADMIN_PASSWORD"},
    "api-server": {
        *("POSTGRES_PASSWORD", "AIRFLOW_API_SECRET_KEY", "AIRFLOW_JWT_SECRET", "AIRFLOW_FERNET_KEY"),
        *("BELLWETHER_METRICS_TOKEN", "S3_CONNECTION"),
    },
    "scheduler": {"POSTGRES_PASSWORD", *QUEUE, "AIRFLOW_JWT_SECRET"},
    "dag-processor": {"POSTGRES_PASSWORD"},
    "triggerer": {"POSTGRES_PASSWORD", "AIRFLOW_FERNET_KEY"},
    "worker": {
        *QUEUE,
        *("BELLWETHER_LOCUST_KEY", "PROMETHEUS_CONNECTION", "S3_CONNECTION", "SLACK_CONNECTION"),
    },
    "worker-load": {*QUEUE, "BELLWETHER_LOCUST_KEY", "PROMETHEUS_CONNECTION", "S3_CONNECTION"},
    "locust-worker": {"BELLWETHER_LOCUST_KEY"},
    "prometheus": {"BELLWETHER_METRICS_TOKEN"},
    "grafana": {"GRAFANA_ADMIN_PASSWORD"},
}
"""The secrets of each container, by the names in .env; a container that is not here has none."""

CONNECTIONS = ("PROMETHEUS_CONNECTION", "S3_CONNECTION", "SLACK_CONNECTION")
"""Connections may contain a password."""

SECRETS = {
    *re.findall(r"^([A-Z_0-9]+)=$", (ROOT / ".env.example").read_text(encoding="utf-8"), flags=re.MULTILINE),
    *CONNECTIONS,
}
VALUES = {name: f"planted-{name}-x7Qz" for name in SECRETS}
"""A recognisable value of each secret."""


def holders(services: dict[str, Any]) -> dict[str, set[str]]:
    """Return which secrets the definition of each service contains, wherever they stand in it."""
    shown = {name: json.dumps(service) for name, service in services.items()}
    return {name: {secret for secret, value in VALUES.items() if value in text} for name, text in shown.items()}


def assert_only_used(found: dict[str, set[str]]) -> None:
    """Check each container; print all differences at once."""
    assert found == {name: USES.get(name, set()) for name in found}


def test_every_secret_has_a_holder() -> None:
    """A secret that nobody uses would not be one of .env.example."""
    assert set().union(*USES.values()) == SECRETS


def test_containers_hold_only_what_they_use() -> None:
    """As the file says, with its anchors and merges."""
    text = FILE.read_text(encoding="utf-8")
    for name, value in VALUES.items():
        text = re.sub(r"\$\{" + name + r"(:[-?][^{}]*)?\}", value, text)
    found = holders(yaml.safe_load(text)["services"])
    assert set(USES) < set(found)
    assert_only_used(found)


def has_compose() -> bool:
    """Return whether docker has its compose command."""
    command = ["docker", "compose", "version"]
    return (
        shutil.which("docker") is not None
        and subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0
    )


@pytest.mark.skipif(not has_compose(), reason="docker compose is not installed")
def test_the_rendered_configuration_agrees(tmp_path: Path) -> None:
    """As compose reads it: `docker compose config` needs no engine."""
    env_file = tmp_path / ".env"
    env_file.write_text("".join(f"{name}={value}\n" for name, value in VALUES.items()), encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name not in VALUES}
    options = ["--file", str(FILE), "--env-file", str(env_file), "--profile", "demo", "--profile", "grafana"]
    rendered = subprocess.run(
        ["docker", "compose", *options, "config", "--format", "json"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert_only_used(holders(json.loads(rendered.stdout)["services"]))


def test_networks_agree_with_the_secrets() -> None:
    """Whoever has no login of database or broker does not reach it either."""
    services = yaml.safe_load(FILE.read_text(encoding="utf-8"))["services"]
    networks = {name: set(service.get("networks", ["default"])) for name, service in services.items()}
    for network, logins in (("data", {"POSTGRES_PASSWORD", "CELERY_RESULTS_PASSWORD"}), ("queue", {"REDIS_PASSWORD"})):
        assert {name for name, found in networks.items() if network in found} == {
            name for name, used in USES.items() if logins & used
        }

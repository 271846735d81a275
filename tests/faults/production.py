"""A production stack on one machine: all parts of Airflow with PostgreSQL, Redis and Celery.

The reference platform, Prometheus and the Slack stand-in come from the demo stack.
"""

import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from demo import configuration, supervisor
from demo.airflow_api import AirflowApi
from demo.children import Child
from demo.settings import ROOT, Stack, new_stack
from tests.faults.servers import HOST, Server, answers, make_database, postgres, redis
from tests.integration.conftest import Platform, add_to_catalogue
from tests.waiting import until

SCHEDULERS = ("scheduler-1", "scheduler-2")
QUICK = {
    # minutes by default; shorter here, so that Airflow notices a killed part within a test
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
    "SCHEDULER__TASK_QUEUED_TIMEOUT": "20",
    "SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",
    "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
    "SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "10",
    "WORKERS__MIN_HEARTBEAT_INTERVAL": "2",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Production:
    """The running stack.

    Attributes:
        platform: the stack as in the integration tests.
        servers: all parts that tests may restart, by name.
        database: the connection string of Airflow's database.
    """

    platform: Platform
    database: str
    servers: dict[str, Server]


@contextmanager
def running(folder: Path) -> Iterator[Production]:
    """Run a stack until the end of the block."""
    stack = new_stack(folder, with_production=False)
    configuration.write_catalogue(stack, started_at=datetime.now(UTC))
    configuration.write_prometheus(stack)
    add_to_catalogue(stack)
    database, database_port = postgres(folder)
    broker, broker_port = redis(folder)
    environment = _environment(stack, database_port=database_port, broker_port=broker_port)
    with ExitStack() as ending:
        outside = [listening(child) for child in supervisor.children_of(stack) if child.name != "airflow"]
        for server in (database, broker, *outside):
            ending.callback(server.stop)
            server.launch()
        database.await_ready()
        make_database(database_port)
        _airflow(environment, "db", "migrate")
        api = AirflowApi(stack.airflow_url, airflow_home=stack.airflow_home)
        parts = _parts(stack, environment)
        for server in parts:
            ending.callback(server.stop)
            server.launch()
        for server in (broker, *outside, *parts):
            server.await_ready()
        until(api.is_healthy, what="Airflow is healthy", within_s=600)
        platform = Platform(stack)
        until(lambda: len(platform.api.dags()) >= 4, what="Airflow knows the DAGs", within_s=600)
        yield Production(
            platform=platform,
            database=f"host={HOST} port={database_port} user=airflow dbname=airflow",
            servers={server.name: server for server in (database, broker, *outside, *parts)},
        )


def _environment(stack: Stack, *, database_port: int, broker_port: int) -> dict[str, str]:
    database = f"airflow@{HOST}:{database_port}/airflow"
    settings = QUICK | {
        "CORE__EXECUTOR": "CeleryExecutor",
        "DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{database}",
        "CELERY__BROKER_URL": f"redis://{HOST}:{broker_port}/0",
        "CELERY__RESULT_BACKEND": f"db+postgresql://{database}",
        "CELERY__WORKER_ENABLE_REMOTE_CONTROL": "False",
        "API__BASE_URL": stack.airflow_url,
    }
    return (
        configuration.airflow_environment(stack)
        | image_settings()
        | {f"AIRFLOW__{name}": value for name, value in settings.items()}
    )


def image_settings() -> dict[str, str]:
    """Return what the image sets for Celery and the scheduler, so that the faults meet the settings of production."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    words = [word for line in text.splitlines() if line.startswith("ENV ") for word in shlex.split(line)[1:]]
    return {
        name: value
        for name, _, value in (word.partition("=") for word in words)
        if name.startswith(("AIRFLOW__CELERY__", "AIRFLOW__SCHEDULER__"))
    }


def _airflow(environment: dict[str, str], *words: str) -> None:
    """Run an airflow command."""
    command = [sys.executable, "-m", "airflow", *words]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=300)


def _parts(stack: Stack, environment: dict[str, str]) -> list[Server]:
    """Return the processes of Airflow: two schedulers, and one of each other kind."""

    def part(name: str, *words: str, is_ready: Callable[[], bool] = lambda: True) -> Server:
        child = Child(
            name=name,
            command=[sys.executable, "-m", "airflow", *words],
            environment=environment,
            log=stack.folder / "logs" / f"{name}.log",
        )
        return Server(child, is_ready=is_ready)

    worker = ["celery", "worker", "--concurrency", "4", "--skip-serve-logs", "--without-gossip", "--without-mingle"]
    worker += ["--pid", str(stack.folder / "worker.pid"), "--celery-hostname", "only@%h"]
    return [
        part("api-server", "api-server", "--port", str(stack.airflow), is_ready=lambda: answers(stack.airflow)),
        *(part(name, "scheduler", "--skip-serve-logs") for name in SCHEDULERS),
        part("dag-processor", "dag-processor"),
        part("triggerer", "triggerer", "--skip-serve-logs"),
        part("worker", *worker),
    ]


def listening(child: Child) -> Server:
    """Return a server that is ready when it listens on the port in its command line."""
    return Server(child, is_ready=lambda: answers(_port_of(child.command)))


def _port_of(command: Sequence[str]) -> int:
    for word, following in zip(command, [*command[1:], ""], strict=True):
        if word == "--port":
            return int(following)
        if word.startswith("--web.listen-address="):
            return int(word.rpartition(":")[2])
    raise ValueError(f"no port in {command}")

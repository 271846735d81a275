"""No process that we start has a secret of our environment in its own."""

import ast
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from include.perf.adapters.generator.answering import answering
from include.perf.adapters.generator.load_process import load_processes
from include.perf.adapters.metrics.prometheus_rules import Promtool
from tests.socket_servers import PROJECT, child, eventually
from tests.waiting import until

SECRET = "pl4nted-in-the-environment"
LOCUST_KEY = "e1f0a83c5b7d4926804fd3b61c97a25e48d0b19f7c3652ae8f04d97b16c5e32a"

NAMES = (
    "AIRFLOW_CONN_SLACK_API_DEFAULT",
    "AIRFLOW__CORE__FERNET_KEY",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
    "AWS_SECRET_ACCESS_KEY",
    "BELLWETHER_ANNOTATIONS_TOKEN",
    "DATABASE_URL",
    "PROMETHEUS_TOKEN",
    "SLACK_BOT_TOKEN",
    # names that begin like one of those that a child inherits
    "GEVENT_TOKEN",
    "HOME_ASSISTANT_TOKEN",
    "LC_TOKEN",
    "LD_TOKEN",
    "PATH_TOKEN",
    "PYTHON_KEYRING_PASSWORD",
    "SSL_CERT_PASSWORD",
    "TZ_TOKEN",
)


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a secret into every variable."""
    for name in NAMES:
        monkeypatch.setenv(name, f"{SECRET}-in-{name}")


def environment_of(pid: int) -> str:
    """Return the environment of a process as everyone sees it who may; it is empty until its program has begun."""
    path = Path(f"/proc/{pid}/environ")
    eventually(lambda: path.read_bytes() != b"")
    return path.read_text(encoding="utf-8", errors="replace").replace("\0", "\n")


def assert_clean(environment: str) -> None:
    """Check that there are no secrets, but what every program needs."""
    assert SECRET not in environment
    assert f"PATH={os.environ['PATH']}" in environment.splitlines()


def test_the_process_of_a_load(tmp_path: Path) -> None:
    """It gets its headers through a pipe."""
    server = ["http.server", "--bind", "127.0.0.1", "0"]  # any module that runs until it is ended
    with load_processes([server], log_file=tmp_path / "log", lock_fd=None) as (load,):
        found = environment_of(load.process.pid)
        load.process.kill()
    assert_clean(found)


def test_the_answering_process() -> None:
    """It measures the capacity of the generators, and needs no credentials."""
    with answering("127.0.0.1"):
        children = psutil.Process().children()
        found = [environment_of(process.pid) for process in children if "include.load.answering" in process.cmdline()]
    assert len(found) == 1
    assert_clean(found[0])


def test_promtool(tmp_path: Path) -> None:
    """It reads the rules that it gets, and nothing else."""
    program, found = tmp_path / "promtool", tmp_path / "environment"
    program.write_text(f"#!/bin/sh\ntr '\\0' '\\n' < /proc/self/environ > {found}\n", encoding="utf-8")
    program.chmod(0o755)
    Promtool(str(program)).check(b"groups: []", b"tests: []", name="rules.yaml")
    assert_clean(found.read_text(encoding="utf-8"))


@pytest.fixture
def silent_master() -> Iterator[int]:
    """Return the port of a master that says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as master:
        yield master.getsockname()[1]


@pytest.mark.integration
def test_the_process_of_a_load_of_another_machine(tmp_path: Path, silent_master: int) -> None:
    """It gets even the key of the workers through a pipe."""
    own = {"BELLWETHER_LOCUST_MASTER": f"127.0.0.1:{silent_master}", "BELLWETHER_LOCUST_KEY": LOCUST_KEY}
    environment = os.environ | own | {"TMPDIR": str(tmp_path)}
    with child(sys.executable, "-m", "include.load.worker", env=environment) as agent:
        children = until(psutil.Process(agent.pid).children, within_s=60, what="a process that takes part in the load")
        found = environment_of(children[0].pid)
    assert_clean(found)
    assert LOCUST_KEY not in found


def test_every_process_gets_its_environment_by_exact_names() -> None:
    """Without `env`, a process would inherit everything."""
    without = []
    for folder in ("dags", "include", "plugins"):
        for path in (PROJECT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and ast.unparse(node.func) in {"subprocess.Popen", "subprocess.run"}:
                    given = {keyword.arg for keyword in node.keywords}
                    without += [] if "env" in given else [f"{path}:{node.lineno}"]
                    copies = any("os.environ" in ast.unparse(keyword.value) for keyword in node.keywords)
                    without += [f"{path}:{node.lineno} copies os.environ"] if copies else []
    assert without == []

"""Start and stop the demo stack, and show its addresses."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import requests
from rich.console import Console

from demo.airflow_api import USER, AirflowApi
from demo.configuration import edited_files
from demo.settings import HOST, ROOT, Stack, new_stack, read_stack
from demo.supervisor import running_supervisor

READY_S = 240.0
STOP_S = 60.0
WRONG_ENTRY_S = 20.0
POLL_EVERY_S = 0.25


class StackError(Exception):
    """The stack cannot be started or stopped; the message says why and where to look."""


def up(home: Path, console: Console, *, with_production: bool = False, lifetime_s: float | None = None) -> Stack:
    """Start the stack if it is not running, and wait until every part answers.

    Raises:
        StackError: a part is missing or did not start.
    """
    stack = read_stack(home)
    if stack is not None and running_supervisor(home) is not None:
        console.print("The stack is already running:")
    else:
        console.print("Starting six services, Prometheus, a Slack stand-in and Airflow (about 30 s):")
        stack = _start(home, with_production=with_production, lifetime_s=lifetime_s)
    _await(stack, console)
    for name in edited_files(stack):
        console.print(
            f"{stack.catalogue / name} was edited, so it is kept; remove it to get a new one with the next start"
        )
    return stack


def _start(home: Path, *, with_production: bool, lifetime_s: float | None) -> Stack:
    if shutil.which("prometheus") is None:
        raise StackError(
            "prometheus is not in PATH; install it (Debian and Ubuntu: apt-get install prometheus; other systems: "
            "prometheus.io/download) and start again"
        )
    stack = new_stack(home, with_production=with_production)
    stack.write()
    (home / "logs").mkdir(exist_ok=True)
    command = [sys.executable, "-m", "demo", "supervise"]
    if lifetime_s is not None:
        command += ["--lifetime", str(lifetime_s)]
    with (home / "logs" / "supervisor.log").open("wb") as log:
        supervisor = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | {"BELLWETHER_DEMO_HOME": str(home)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    # The supervisor outlives this command. In tests, this process lives longer: the thread reaps the supervisor.
    threading.Thread(target=supervisor.wait, daemon=True).start()
    _until(lambda: running_supervisor(home) is not None, within_s=READY_S, failed=lambda: supervisor.poll() is not None)
    return stack


def _await(stack: Stack, console: Console) -> None:
    """Wait for each part, and print it once it is ready."""

    def ended() -> bool:
        return running_supervisor(stack.folder) is None

    parts: dict[str, Callable[[], bool]] = {
        f"six services, {HOST} ports {min(stack.services.values())}–{max(stack.services.values())}": lambda: all(
            _answers(f"{stack.service_url(name)}/healthz") for name in stack.services
        ),
        f"Prometheus, {stack.prometheus_url}": lambda: _answers(f"{stack.prometheus_url}/-/ready"),
        f"Slack stand-in, {stack.slack_url}": lambda: _answers(stack.slack_url),
    }
    api = AirflowApi(stack.airflow_url, airflow_home=stack.airflow_home)
    parts[f"Airflow, {stack.airflow_url}"] = api.is_healthy
    for name, is_ready in parts.items():
        if not _until(is_ready, within_s=READY_S, failed=ended):
            raise StackError(f"part of the stack did not start: {name}; see the logs in {stack.folder / 'logs'}")
        console.print(f"  ready: {name}", highlight=False)
    try:
        api.log_in()
    except requests.HTTPError as err:
        raise StackError(
            f"another Airflow answers at {stack.airflow_url} ({err}); "
            "restart the stack with make down and make up: it then takes a free port"
        ) from err
    if not _until(lambda: len(api.dags()) >= 4 or bool(api.import_errors()), within_s=READY_S, failed=ended):
        raise StackError(f"Airflow has not found the DAGs; see {stack.folder / 'logs' / 'airflow.log'}")
    errors = api.import_errors()
    # One wrong entry of the catalogue is an import error, too, but the DAGs of all others are there soon.
    if errors and not _until(lambda: len(api.dags()) >= 4, within_s=WRONG_ENTRY_S, failed=ended):
        raise StackError("Airflow cannot import the DAGs:\n" + "\n".join(errors))
    for error in errors:
        console.print(error, markup=False, highlight=False)


def _until(is_true: Callable[[], bool], *, within_s: float, failed: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if is_true():
            return True
        if failed():
            return False
        time.sleep(POLL_EVERY_S)
    return False


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).ok
    except requests.RequestException:
        return False


def down(home: Path, console: Console) -> None:
    """Stop the stack if it is running; its files are kept."""
    pid = running_supervisor(home)
    if pid is None:
        console.print("The stack is not running.")
        return
    os.kill(pid, signal.SIGTERM)
    if not _until(lambda: running_supervisor(home) is None, within_s=STOP_S, failed=lambda: False):
        raise StackError(f"process {pid} did not end within {STOP_S:g} s; see {home / 'logs' / 'supervisor.log'}")
    console.print(f"The stack is stopped. Its files are in {home}", markup=False)


def show_addresses(stack: Stack, console: Console) -> None:
    """Print the addresses of the stack, and how to log in."""
    api = AirflowApi(stack.airflow_url, airflow_home=stack.airflow_home)
    rows = {
        "Airflow": f"{stack.airflow_url}  (user {USER}, password {api.password()})",
        "Performance page": f"{stack.airflow_url}/bellwether/",
        "Slack (stand-in)": stack.slack_url,
        "Prometheus": stack.prometheus_url,
        "Results": str(stack.results),
    }
    for name, value in rows.items():
        console.print(f"  {name:<17} {value}", highlight=False, markup=False, soft_wrap=True)

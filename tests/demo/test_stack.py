"""The demo stack: its processes, its ports, and the configuration of its parts."""

import io
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import psutil
import pytest
import yaml
from rich.console import Console

from demo import configuration, supervisor
from demo.__main__ import main
from demo.children import Child, start, stop
from demo.settings import HOST, ROOT, Stack, new_stack, read_stack
from demo.story import TaskProgress
from include.perf.catalogue.reading import load_catalogue
from include.perf.catalogue.scenario.production_hours import last_hours

PARENT = "import subprocess, sys; child = subprocess.Popen(['sleep', '60']); print(child.pid, flush=True); child.wait()"
STARTED_AT = datetime(2026, 3, 1, 23, 55, 30, tzinfo=UTC)
STARTER = """
import sys
from pathlib import Path
from demo.children import Child, start
process = start(Child(name="x", command=["sleep", "60"], environment={"PATH": "/usr/bin:/bin"}, log=Path(sys.argv[1])),
                cwd=Path("."))
print(process.pid, flush=True)
sys.stdin.read()
"""


def child(tmp_path: Path, *command: str) -> Child:
    return Child(name="child", command=command, environment=os.environ, log=tmp_path / "logs" / "child.log")


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return new_stack(tmp_path / "home", with_production=True)


def test_stopping_a_child_ends_its_children(tmp_path: Path) -> None:
    """All descendants of a part end with it."""
    process = start(child(tmp_path, sys.executable, "-c", PARENT), cwd=tmp_path)
    log = tmp_path / "logs" / "child.log"
    parent = psutil.Process(process.pid)
    while not (written := log.read_text()).strip():
        assert parent.is_running()
    grandchild = psutil.Process(int(written))
    stop(process)
    assert not grandchild.is_running()
    assert process.returncode == -signal.SIGTERM


def test_a_child_that_ignores_the_signal_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that does not shut down in time is killed."""
    monkeypatch.setattr("demo.children.STOP_S", 0.1)
    ignoring = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ignoring', flush=True);"
        " time.sleep(60)"
    )
    process = start(child(tmp_path, sys.executable, "-c", ignoring), cwd=tmp_path)
    log = tmp_path / "logs" / "child.log"
    while "ignoring" not in log.read_text():
        assert process.poll() is None
    stop(process)
    assert process.returncode == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child when its parent is killed")
def test_killing_the_parent_ends_its_children(tmp_path: Path) -> None:
    """Even after SIGKILL, no part of the stack keeps running."""
    with subprocess.Popen(
        [sys.executable, "-c", STARTER, str(tmp_path / "log")],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as starter:
        assert starter.stdout is not None
        orphan = psutil.Process(int(starter.stdout.readline()))
        starter.kill()
        starter.wait()
        gone, _ = psutil.wait_procs([orphan], timeout=10)
    assert gone == [orphan]


def test_a_taken_port_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part gets its usual port if that is free, otherwise any free one; no port is used twice."""
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        monkeypatch.setenv("BELLWETHER_DEMO_AIRFLOW_PORT", str(taken.getsockname()[1]))
        stack = new_stack(tmp_path, with_production=True)
        assert stack.airflow != taken.getsockname()[1]
    ports = [stack.airflow, stack.prometheus, stack.slack, *stack.services.values(), *stack.production.values()]
    assert len(set(ports)) == 15  # Airflow, Prometheus, Slack, six services, six twins


def test_a_stack_is_found_again(stack: Stack) -> None:
    """Later commands know the stack; only the owner can read the file, which holds a secret."""
    stack.write()
    assert read_stack(stack.folder) == stack
    assert (stack.folder / "stack.json").stat().st_mode & 0o077 == 0
    assert read_stack(stack.folder / "nowhere") is None


def test_the_catalogue_is_the_project_s_on_loopback(stack: Stack) -> None:
    """It has the same services and scenarios, with loopback hosts, short loads and no schedules."""
    configuration.write_catalogue(stack, started_at=STARTED_AT)
    catalogue, shipped = load_catalogue(stack.catalogue), load_catalogue(ROOT / "include")
    assert list(catalogue.services) == list(shipped.services)
    assert list(catalogue.scenarios) == list(shipped.scenarios)
    for service in catalogue.services.values():
        assert (service.host, service.allowed_hosts) == (HOST, (HOST,))
        assert service.endpoints == shipped.services[service.name].endpoints
        assert [str(host) for host in catalogue.forbidden_for(service)] == [
            f"{HOST}:{port}" for port in stack.production.values()
        ]
    for scenario in catalogue.scenarios.values():
        assert scenario.schedule is None
        assert scenario.load.duration_s == 20


def test_an_edited_catalogue_is_never_overwritten(stack: Stack) -> None:
    """Each file on its own; one that is removed is written again."""
    configuration.write_catalogue(stack, started_at=STARTED_AT)
    assert configuration.edited_files(stack) == []
    services, scenarios = (stack.catalogue / name for name in ("services.yaml", "scenarios.yaml"))
    edited = services.read_bytes() + b"# mine\n"
    services.write_bytes(edited)
    before = scenarios.read_bytes()
    configuration.write_catalogue(stack, started_at=STARTED_AT + timedelta(hours=3))
    assert configuration.edited_files(stack) == ["services.yaml"]
    assert services.read_bytes() == edited
    assert scenarios.read_bytes() != before
    services.unlink()
    configuration.write_catalogue(stack, started_at=STARTED_AT)
    assert configuration.edited_files(stack) == []


@pytest.mark.parametrize("record", [None, b"", b"[]", b"7"])
def test_a_catalogue_of_unknown_origin_is_kept(stack: Stack, record: bytes | None) -> None:
    """An earlier version did not record what it wrote."""
    configuration.write_catalogue(stack, started_at=STARTED_AT)
    written = stack.catalogue / configuration.WRITTEN_FILE
    written.unlink()
    if record is not None:
        written.write_bytes(record)
    before = (stack.catalogue / "scenarios.yaml").read_bytes()
    configuration.write_catalogue(stack, started_at=STARTED_AT + timedelta(hours=3))
    assert (stack.catalogue / "scenarios.yaml").read_bytes() == before
    assert configuration.edited_files(stack) == ["services.yaml", "scenarios.yaml"]


def test_runs_are_compared_with_the_first_minutes_of_the_production_twins(stack: Stack, tmp_path: Path) -> None:
    """New twins have no data from yesterday; without twins, services have no production reference."""
    configuration.write_catalogue(stack, started_at=STARTED_AT)
    catalogue = load_catalogue(stack.catalogue)
    for service in catalogue.services.values():
        assert service.production is not None
        assert service.production.selector == f'service="{service.name}",environment="production"'
        assert (service.production.scrape_interval_s, service.production.days) == (1, 1)
    hours = catalogue.scenario("normal_trading").production_hours
    assert hours is not None
    # started at 23:55:30 on a Sunday
    (found,) = islice(last_hours(hours, catalogue.market_hours, before=STARTED_AT + timedelta(minutes=10)), 1)
    assert (found.begins, found.ends) == (
        datetime(2026, 3, 1, 23, 57, tzinfo=UTC),
        datetime(2026, 3, 2, 0, 2, tzinfo=UTC),
    )
    alone = new_stack(tmp_path / "alone", with_production=False)
    configuration.write_catalogue(alone, started_at=STARTED_AT)
    assert {service.production for service in load_catalogue(alone.catalogue).services.values()} == {None}


@pytest.mark.integration
def test_promtool_accepts_the_prometheus_configuration(stack: Stack) -> None:
    """Every service and every production twin is a target."""
    path = configuration.write_prometheus(stack)
    checked = subprocess.run(["promtool", "check", "config", str(path)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert path.read_text().count("environment: production") == 6


def test_prometheus_scrapes_our_own_metrics_with_a_token(stack: Stack) -> None:
    """Airflow has the same token; its file has mode 600; every stack has its own."""
    document = yaml.safe_load(configuration.write_prometheus(stack).read_text(encoding="utf-8"))
    (job,) = (config for config in document["scrape_configs"] if config["job_name"] == "bellwether")
    assert job["static_configs"] == [{"targets": [f"{HOST}:{stack.airflow}"]}]
    token = Path(job["authorization"]["credentials_file"])
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    connection = json.loads(configuration.stack_environment(stack)["AIRFLOW_CONN_BELLWETHER_METRICS"])
    assert token.read_text(encoding="ascii") == connection["password"]
    other = new_stack(Path(stack.home) / "other", with_production=False)
    assert other.metrics_token != stack.metrics_token


def test_prometheus_loads_the_rules_that_tasks_write(stack: Stack) -> None:
    """It loads them from the folder that Airflow writes to, whenever they change."""
    document = yaml.safe_load(configuration.write_prometheus(stack).read_text(encoding="utf-8"))
    folder = configuration.stack_environment(stack)["BELLWETHER_RULES"]
    assert document["rule_files"] == [f"{folder}/*.yaml"]
    (prometheus,) = (child for child in supervisor.children_of(stack) if child.name == "prometheus")
    assert "--web.enable-lifecycle" in prometheus.command
    configuration.write_catalogue(stack, started_at=STARTED_AT)
    assert load_catalogue(stack.catalogue).operations.reload_rules


def test_airflow_gets_the_stack_s_settings_only(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings and connections of another Airflow in the environment are ignored."""
    monkeypatch.setenv("AIRFLOW_CONN_SLACK_API_DEFAULT", "slack://:xoxb-real@")
    monkeypatch.setenv("AIRFLOW_HOME", "/somewhere")
    monkeypatch.delenv("SLACK_BOT_TOKEN", raising=False)
    environment = configuration.airflow_environment(stack)
    assert environment["AIRFLOW_HOME"] == str(stack.airflow_home)
    slack = json.loads(environment["AIRFLOW_CONN_SLACK_API_DEFAULT"])
    assert slack["extra"]["base_url"] == f"{stack.slack_url}/api/"
    assert slack["password"] == "xoxb-stand-in"


def test_a_real_token_goes_to_the_real_slack(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """With SLACK_BOT_TOKEN set, alerts go to the real Slack."""
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-from-the-environment")
    slack = json.loads(configuration.stack_environment(stack)["AIRFLOW_CONN_SLACK_API_DEFAULT"])
    assert slack == {"conn_type": "slack", "password": "xoxb-from-the-environment", "extra": {"timeout": 10}}


@pytest.mark.parametrize("cause", ["lifetime", "folder gone", "part ended"])
def test_the_supervisor_ends(cause: str, stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends all parts at the end of its lifetime, or when its folder is removed or a part ends."""
    command = {"part ended": ["true"]}.get(cause, ["sleep", "60"])
    started: list[int] = []

    def children(_: Stack) -> list[Child]:
        return [child(tmp_path, "sleep", "60"), child(tmp_path, *command)]

    def remember(part: Child, *, cwd: Path) -> "subprocess.Popen[bytes]":
        process = start(part, cwd=cwd)
        started.append(process.pid)
        if cause == "folder gone":
            (stack.folder / supervisor.PID_FILE).unlink(missing_ok=True)
        return process

    monkeypatch.setattr(supervisor, "POLL_EVERY_S", 0.01)
    monkeypatch.setattr(supervisor, "children_of", children)
    monkeypatch.setattr(supervisor, "start", remember)
    previous = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    try:
        code = supervisor.supervise(stack, lifetime_s=0.05 if cause == "lifetime" else 60)
    finally:
        for number, handler in zip((signal.SIGTERM, signal.SIGINT), previous, strict=True):
            signal.signal(number, handler)
    assert code == (1 if cause == "part ended" else 0)
    assert len(started) == 2
    assert not any(psutil.pid_exists(pid) for pid in started)
    assert not (stack.folder / supervisor.PID_FILE).exists()


def test_the_story_shows_a_task_once_and_numbers_re_runs() -> None:
    """Task groups are left out; a mapped re-run has a number."""
    output = io.StringIO()
    progress = TaskProgress(Console(file=output, width=80))
    progress.show({"plan": "success", "run_service.run_load[0]": "running", "alert": "none"})
    progress.show({"run_service.run_load[0]": "success", "rerun_service.run_load[1]": "running"})
    assert output.getvalue().splitlines() == ["  plan", "  run_load", "  re-run 2: run_load"]


def test_help_lists_the_commands_that_people_use(capsys: pytest.CaptureFixture[str]) -> None:
    """The internal command is not listed."""
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    assert "story" in shown
    assert "supervise" not in shown
    assert "SUPPRESS" not in shown

"""The worker agent: its settings, its sign of life, and its end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.distributed_loads import free_port
from tests.socket_servers import child

KEY = "e1f0a83c5b7d4926804fd3b61c97a25e48d0b19f7c3652ae8f04d97b16c5e32a"


def environment(folder: Path, **changes: str) -> dict[str, str]:
    """Return the environment of an agent whose master is not there."""
    given = {
        "BELLWETHER_LOCUST_MASTER": f"127.0.0.1:{free_port()}",
        "BELLWETHER_LOCUST_KEY": KEY,
        "TMPDIR": str(folder),
    }
    return os.environ | given | changes


def checked(folder: Path) -> int:
    """Return the exit code of a container's health check."""
    command = [sys.executable, "-m", "include.load.worker", "--check"]
    return subprocess.run(command, env=environment(folder), check=False, timeout=30).returncode


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"BELLWETHER_LOCUST_MASTER": ""}, "BELLWETHER_LOCUST_MASTER is not set; it names the machine that drives"),
        ({"BELLWETHER_LOCUST_MASTER": "host:x"}, "BELLWETHER_LOCUST_MASTER must be host or host:port, but is 'host:x'"),
        (
            {"BELLWETHER_LOCUST_KEY": "short"},
            "BELLWETHER_LOCUST_KEY must be 32 random bytes in hexadecimal or base64, the same",
        ),
    ],
)
def test_a_missing_setting_is_reported_at_once(tmp_path: Path, changes: dict[str, str], problem: str) -> None:
    """With exit code 2, and without the key."""
    command = [sys.executable, "-m", "include.load.worker"]
    done = subprocess.run(
        command, env=environment(tmp_path, **changes), check=False, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 2
    assert problem in done.stderr
    assert "short" not in done.stderr


@pytest.mark.parametrize("master", ["127.0.0.1", "no-such-host.invalid"], ids=["nothing listens", "no such name"])
def test_without_a_master_it_waits_silently_and_is_alive(tmp_path: Path, master: str) -> None:
    """One line in the log, and SIGTERM ends it at once."""
    changes = {"BELLWETHER_LOCUST_MASTER": f"{master}:{free_port()}"}
    command = [sys.executable, "-m", "include.load.worker"]
    assert checked(tmp_path) == 1
    with child(*command, env=environment(tmp_path, **changes), stderr=subprocess.PIPE) as agent:
        deadline = time.monotonic() + 60
        while checked(tmp_path) != 0 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert checked(tmp_path) == 0
        agent.send_signal(signal.SIGTERM)
        assert agent.wait(timeout=60) == 0
        assert agent.stderr is not None
        lines = agent.stderr.read().decode().splitlines()
    assert [line.partition("include.load.worker ")[2] for line in lines] == [
        f"waiting for a master at {changes['BELLWETHER_LOCUST_MASTER']}",
        "ended",
    ]
    assert list(tmp_path.iterdir()) == []


def test_a_link_in_place_of_its_file_is_not_followed(tmp_path: Path) -> None:
    """Anybody may write to the temporary directory; the worker goes on, and logs why its health check fails."""
    precious = tmp_path / "precious"
    precious.write_text("unchanged", encoding="utf-8")
    folder = tmp_path / "tmp"
    folder.mkdir()
    (folder / f"bellwether-worker-alive-{os.getuid()}").symlink_to(precious)
    with child(sys.executable, "-m", "include.load.worker", env=environment(folder), stderr=subprocess.PIPE) as agent:
        assert agent.stderr is not None
        lines = [agent.stderr.readline().decode() for _ in range(2)]
        agent.send_signal(signal.SIGTERM)
        assert agent.wait(timeout=60) == 0
    assert "cannot write" in lines[1]
    assert precious.read_text(encoding="utf-8") == "unchanged"


def test_an_agent_without_a_recent_sign_of_life_is_not_alive(tmp_path: Path) -> None:
    """It hangs, or its machine was restarted, and the monotonic clock began again."""
    for written_at in (time.monotonic() - 31, time.monotonic() + 1_000, "nonsense"):
        (tmp_path / f"bellwether-worker-alive-{os.getuid()}").write_text(str(written_at), encoding="ascii")
        assert checked(tmp_path) == 1
    (tmp_path / f"bellwether-worker-alive-{os.getuid()}").write_text(str(time.monotonic() - 5), encoding="ascii")
    assert checked(tmp_path) == 0

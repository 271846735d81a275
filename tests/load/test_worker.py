"""The agent on a machine of workers: what it needs, that it says it is alive, and that it ends when told to."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.distributed_loads import free_port
from tests.socket_servers import child

KEY = "a key that only master and workers have"


def environment(folder: Path, **changes: str) -> dict[str, str]:
    """Return the environment of an agent whose master is not there."""
    given = {
        "BELLWETHER_LOCUST_MASTER": f"127.0.0.1:{free_port()}",
        "BELLWETHER_LOCUST_KEY": KEY,
        "TMPDIR": str(folder),
    }
    return os.environ | given | changes


def checked(folder: Path) -> int:
    """Return what the health check of a container would say."""
    command = [sys.executable, "-m", "include.load.worker", "--check"]
    return subprocess.run(command, env=environment(folder), check=False, timeout=30).returncode


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"BELLWETHER_LOCUST_MASTER": ""}, "BELLWETHER_LOCUST_MASTER is not set; it names the machine that drives"),
        ({"BELLWETHER_LOCUST_MASTER": "host:x"}, "BELLWETHER_LOCUST_MASTER must be host or host:port, but is 'host:x'"),
        ({"BELLWETHER_LOCUST_KEY": "short"}, "BELLWETHER_LOCUST_KEY must have at least 16 characters"),
    ],
)
def test_what_is_missing_is_said_at_once(tmp_path: Path, changes: dict[str, str], problem: str) -> None:
    """With exit code 2, and without a word of a key."""
    command = [sys.executable, "-m", "include.load.worker"]
    done = subprocess.run(
        command, env=environment(tmp_path, **changes), check=False, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 2
    assert problem in done.stderr
    assert "short" not in done.stderr


@pytest.mark.parametrize("master", ["127.0.0.1", "no-such-host.invalid"], ids=["nobody listens", "no such name"])
def test_without_a_master_it_waits_in_silence_and_is_alive(tmp_path: Path, master: str) -> None:
    """One line for all the time, next to no processor time, and SIGTERM ends it at once."""
    changes = {"BELLWETHER_LOCUST_MASTER": f"{master}:{free_port()}"}
    command = [sys.executable, "-m", "include.load.worker"]
    assert checked(tmp_path) == 1
    with child(*command, env=environment(tmp_path, **changes), stderr=subprocess.PIPE) as agent:
        deadline = time.monotonic() + 20
        while checked(tmp_path) != 0 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert checked(tmp_path) == 0
        agent.send_signal(signal.SIGTERM)
        assert agent.wait(timeout=10) == 0
        assert agent.stderr is not None
        lines = agent.stderr.read().decode().splitlines()
    assert [line.partition("include.load.worker ")[2] for line in lines] == [
        f"waits for a master at {changes['BELLWETHER_LOCUST_MASTER']}",
        "ended",
    ]
    assert list(tmp_path.iterdir()) == []


def test_a_link_in_the_place_of_its_file_is_not_followed(tmp_path: Path) -> None:
    """Anybody may write to the temporary directory; the worker goes on, and says why its health cannot be told."""
    precious = tmp_path / "precious"
    precious.write_text("as it was", encoding="utf-8")
    folder = tmp_path / "tmp"
    folder.mkdir()
    (folder / f"bellwether-worker-alive-{os.getuid()}").symlink_to(precious)
    with child(sys.executable, "-m", "include.load.worker", env=environment(folder), stderr=subprocess.PIPE) as agent:
        assert agent.stderr is not None
        lines = [agent.stderr.readline().decode() for _ in range(2)]
        agent.send_signal(signal.SIGTERM)
        assert agent.wait(timeout=10) == 0
    assert "cannot say in" in lines[1]
    assert precious.read_text(encoding="utf-8") == "as it was"


def test_an_agent_that_says_nothing_any_more_is_not_alive(tmp_path: Path) -> None:
    """It hangs, or its machine was started anew, with a clock that began again."""
    for said_at in (time.monotonic() - 31, time.monotonic() + 1_000, "nonsense"):
        (tmp_path / f"bellwether-worker-alive-{os.getuid()}").write_text(str(said_at), encoding="ascii")
        assert checked(tmp_path) == 1
    (tmp_path / f"bellwether-worker-alive-{os.getuid()}").write_text(str(time.monotonic() - 5), encoding="ascii")
    assert checked(tmp_path) == 0

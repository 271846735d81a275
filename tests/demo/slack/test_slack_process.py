"""The stand-in in another process."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from demo.slack.__main__ import main
from demo.slack.server import bind

COMMAND = [sys.executable, "-m", "demo.slack", "--port", "0"]


def test_it_prints_its_address_and_ends_cleanly_on_sigterm():
    with subprocess.Popen([*COMMAND, "--channels", "ops=C0OPS00001"], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().removeprefix("stand-in Slack on ").strip()
            assert "#</span>ops</a>" in httpx.get(url, trust_env=False).text
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0


def test_a_port_in_use_is_reported(capsys):
    with bind("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        assert main(["--port", str(port)]) == 2
    assert capsys.readouterr().err == f"cannot listen on 127.0.0.1 port {port}: Address already in use\n"


@pytest.mark.parametrize(
    "options", [["--channels", "Perf Alerts"], ["--channels", "a=1"], ["--webhook-channel", "A b"]]
)
def test_an_invalid_channel_is_reported_at_once(capsys, options):
    assert main(["--port", "0", *options]) == 2
    assert "channel" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux only")
def test_it_ends_with_its_parent():
    parent = (
        "import subprocess, sys\n"
        f"child = subprocess.Popen({[*COMMAND, '--exit-with-parent']!r}, stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\n"
        "print(child.pid, flush=True)\n"
        "import os; os._exit(0)\n"
    )
    ended = subprocess.run([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True, timeout=30, check=True)
    pid = int(ended.stdout)
    deadline = time.monotonic() + 10
    while is_running(pid):
        assert time.monotonic() < deadline, f"process {pid} outlived its parent"
        time.sleep(0.05)


def is_running(pid):
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except FileNotFoundError:
        return False
    # an unreaped zombie has also ended
    return fields[0] != "Z"

"""The parent's end of the pipe for commands."""

import os
import subprocess
import sys

from include.perf.adapters.generator.load_process import LoadProcess
from tests.socket_servers import child


def test_heartbeats_never_block_and_leave_commands_whole() -> None:
    """A process that does not read fills its pipe after hours; the heartbeats then wait for nobody."""
    read, write = os.pipe()
    reports, reports_write = os.pipe()
    with child(sys.executable, "-c", "input()", stdin=subprocess.PIPE) as process:
        load = LoadProcess(process, commands=write, reports=reports)
        load.send_heartbeat()
        load.send({"stop": "enough"})
        load.send_heartbeat()
        assert os.read(read, 100) == b'\n{"stop": "enough"}\n\n'
        for _ in range(70_000):  # more than a pipe holds
            load.send_heartbeat()
        os.close(read)
        load.send_heartbeat()
        load.send({"stop": "enough"})
        load.close()
    os.close(reports_write)

"""A child process that answers every request at once, as a target for measuring the capacity of the load generators."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from include.perf.model.child_environment import child_environment
from include.perf.model.errors import LoadError
from include.perf.model.yaml_entries import PROJECT_ROOT

END_S = 3.0


class AnsweringServer:
    """The process, while it runs."""

    def __init__(self, process: "subprocess.Popen[bytes]", address: str) -> None:
        self._process = process
        self._address = address
        self._port = int(self._read()["port"])

    @property
    def url(self) -> str:
        """Its base URL."""
        host = f"[{self._address}]" if ":" in self._address else self._address
        return f"http://{host}:{self._port}"

    def wanted_cores(self) -> float | None:
        """Return how many cores it needed since the previous call."""
        if self._process.stdin is None:
            raise LoadError("the answering process has no standard input")
        try:
            self._process.stdin.write(b"\n")
            self._process.stdin.flush()
        except BrokenPipeError as err:
            raise LoadError("the answering process has ended") from err
        wanted: float | None = self._read()["wanted_cores"]
        return wanted

    def _read(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout else b""
        if not line:
            raise LoadError(f"the answering process could not listen at {self._address}")
        values: dict[str, Any] = json.loads(line)
        return values


@contextmanager
def answering(address: str) -> Iterator[AnsweringServer]:
    """Run a process that answers at an address of this machine until the block ends.

    Raises:
        LoadError: it cannot listen there.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "include.load.answering", address],
        cwd=PROJECT_ROOT,
        env=child_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    with process:
        try:
            yield AnsweringServer(process, address)
        finally:
            if process.stdin is not None:
                process.stdin.close()
            try:
                process.wait(timeout=END_S)
            except subprocess.TimeoutExpired:
                process.kill()

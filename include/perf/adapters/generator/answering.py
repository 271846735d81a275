"""A process of our own that answers whatever it is asked, for trying the load generators."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from include.perf.model.errors import LoadError
from include.perf.model.yaml_entries import PROJECT_ROOT

END_S = 3.0


class AnsweringServer:
    """The process, while it runs."""

    def __init__(self, process: "subprocess.Popen[bytes]", address: str) -> None:
        self._process = process
        self._address = address
        self._port = int(self._said()["port"])

    @property
    def url(self) -> str:
        """Where it answers."""
        host = f"[{self._address}]" if ":" in self._address else self._address
        return f"http://{host}:{self._port}"

    def wanted_cores(self) -> float | None:
        """Return how many cores it wanted since this was last asked."""
        if self._process.stdin is None:
            raise LoadError("the answering process has no standard input")
        try:
            self._process.stdin.write(b"\n")
            self._process.stdin.flush()
        except BrokenPipeError as err:
            raise LoadError("the answering process has ended") from err
        wanted: float | None = self._said()["wanted_cores"]
        return wanted

    def _said(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout else b""
        if not line:
            raise LoadError(f"the answering process could not listen at {self._address}")
        words: dict[str, Any] = json.loads(line)
        return words


@contextmanager
def answering(address: str) -> Iterator[AnsweringServer]:
    """Lend a process that answers at an address of this machine; it is gone when the block ends.

    Raises:
        LoadError: it cannot listen there.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "include.load.answering", address],
        cwd=PROJECT_ROOT,
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

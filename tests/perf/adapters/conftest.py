"""Fixtures for the tests of several adapters."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.real_loads import Target
from tests.socket_servers import python


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Target]]:
    """Starts targets that end with the test, even if they are stopped (SIGSTOP)."""
    open_blocks = []

    def begin(*options: str) -> Target:
        file = tmp_path / f"truth-{len(open_blocks)}.csv"
        block = python("-m", "tests.target_server", str(file), *options, stdout=subprocess.PIPE)
        process = block.__enter__()
        open_blocks.append(block)
        assert process.stdout is not None
        return Target(process, int(process.stdout.readline()), file)

    yield begin
    for block in open_blocks:
        block.__exit__(None, None, None)

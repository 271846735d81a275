"""The queue of the loads."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
QUEUES = "from bellwether import tasks; print(tasks.run_load.kwargs.get('queue'), tasks.scrape.kwargs.get('queue'))"


@pytest.mark.parametrize(("named", "expected"), [("load", "load None"), ("", "default None"), (None, "default None")])
def test_loads_go_to_the_configured_queue(named: str | None, expected: str) -> None:
    """Only loads do; by default they go to the queue of all tasks."""
    environment = {name: value for name, value in os.environ.items() if name != "BELLWETHER_LOAD_QUEUE"}
    environment |= {} if named is None else {"BELLWETHER_LOAD_QUEUE": named}
    environment["PYTHONPATH"] = f"{ROOT}{os.pathsep}{ROOT / 'plugins'}"

    found = subprocess.run(
        [sys.executable, "-c", QUEUES], env=environment, check=False, capture_output=True, text=True, timeout=120
    )

    assert found.returncode == 0, found.stderr
    assert found.stdout.strip().splitlines()[-1] == expected

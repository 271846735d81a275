"""`make compose-test` says why it cannot do what it was asked for."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ("dirname", "timeout", "sh", "env")


def asked(folder: Path, docker: str | None) -> "subprocess.CompletedProcess[str]":
    """Ask whether the stack can be tried, with a docker that behaves so, or without one."""
    for tool in TOOLS:
        (folder / tool).symlink_to(Path("/usr/bin") / tool)
    if docker is not None:
        (folder / "docker").write_text(f"#!/bin/sh\n{docker}\n", encoding="utf-8")
        (folder / "docker").chmod(0o755)
    environment = os.environ | {"PATH": str(folder)}
    return subprocess.run(
        [ROOT / "scripts/container-engine"], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("docker", "why"),
    [
        (None, "there is no docker on PATH"),
        ("exit 1", "docker has no compose"),
        ('[ "$1" = compose ]', "no engine answers"),
        ('[ "$1" = compose ] || [ "$1" = info ]', "the image apache/airflow:3.3.2 is not here and cannot be pulled"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, docker: str | None, why: str) -> None:
    """In one sentence, with an exit code that lets the rest of the checks go on."""
    done = asked(tmp_path, docker)

    assert done.returncode == 1
    assert why in done.stderr


def test_an_engine_with_the_images_will_do(tmp_path: Path) -> None:
    """Nothing is pulled that is there."""
    done = asked(tmp_path, '[ "$1" != pull ]')

    assert (done.returncode, done.stderr) == (0, "")

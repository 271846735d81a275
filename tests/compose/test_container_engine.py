"""`make compose-test` explains why it cannot run."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ("dirname", "timeout", "sh", "env")


def check(folder: Path, docker: str | None) -> "subprocess.CompletedProcess[str]":
    """Check whether the stack can run, with a docker of this behaviour, or without one."""
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
    ("docker", "reason"),
    [
        (None, "docker is not in PATH"),
        ("exit 1", "docker has no compose command"),
        ('[ "$1" = compose ]', "no container engine responds"),
        ('[ "$1" = compose ] || [ "$1" = info ]', "the image apache/airflow:3.3.2 is missing and cannot be pulled"),
    ],
)
def test_the_missing_part_is_named(tmp_path: Path, docker: str | None, reason: str) -> None:
    """The exit code is 1, and the message names the missing part."""
    done = check(tmp_path, docker)

    assert done.returncode == 1
    assert reason in done.stderr


def test_an_engine_with_all_images_is_enough(tmp_path: Path) -> None:
    """Existing images are not pulled."""
    done = check(tmp_path, '[ "$1" != pull ]')

    assert (done.returncode, done.stderr) == (0, "")

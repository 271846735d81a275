"""`make pin-images`: the digests of the images go into .env."""

import os
import re
import stat
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMES = ("AIRFLOW_IMAGE", "POSTGRES_IMAGE", "REDIS_IMAGE", "PROMETHEUS_IMAGE", "GRAFANA_IMAGE")
SECRET = "POSTGRES_PASSWORD=kept"

DOCKER = """#!/bin/sh
case "$1" in
pull) echo "$3" >>"$0.log" ;;
image) echo "example/any@sha256:$(printf %s "$5" | sha256sum | cut -d ' ' -f 1)" ;;
esac
"""
"""A docker that knows every image; the digest depends on the name."""


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    """Return an .env with a secret and an image of another registry."""
    path = tmp_path / ".env"
    path.write_text(f"{SECRET}\nREDIS_IMAGE=mirror.example:5000/redis:8@sha256:{'0' * 64}\n", encoding="utf-8")
    path.chmod(0o600)
    return path


def pin(env_file: Path, *, docker: str = DOCKER) -> "subprocess.CompletedProcess[str]":
    """Run the script with a docker of this behaviour."""
    program = env_file.parent / "docker"
    program.write_text(docker, encoding="utf-8")
    program.chmod(0o755)
    environment = os.environ | {"PATH": f"{program.parent}:{os.environ['PATH']}"}
    return subprocess.run(
        [ROOT / "scripts/pin-images", env_file],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_every_image_of_the_stack_is_pinned(env_file: Path) -> None:
    """By the digest of its tag, also one of a mirror; the rest of the file and its mode stay."""
    for _ in range(2):  # again: nothing is added twice, and an old digest does not stay
        done = pin(env_file)
        assert done.returncode == 0, done.stderr
        lines = env_file.read_text(encoding="utf-8").splitlines()
        assert lines[0] == SECRET
        pinned = dict(line.split("=", 1) for line in lines[1:])
        assert sorted(pinned) == sorted(NAMES)
        assert all(re.fullmatch(r".+:[\w.]+@sha256:[0-9a-f]{64}", image) for image in pinned.values())
        assert pinned["REDIS_IMAGE"].startswith("mirror.example:5000/redis:8@sha256:")
        assert "0" * 64 not in pinned["REDIS_IMAGE"]
        assert pinned["AIRFLOW_IMAGE"].startswith("apache/airflow:")
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o600
    assert "kept" not in done.stdout + done.stderr


def test_without_a_registry_nothing_changes(env_file: Path) -> None:
    """The message names the image; a stack that is half pinned would be neither."""
    before = env_file.read_text(encoding="utf-8")
    done = pin(env_file, docker='#!/bin/sh\n[ "$1" != pull ]\n')
    assert done.returncode == 1
    assert "apache/airflow:3.3.2 cannot be pulled" in done.stderr
    assert env_file.read_text(encoding="utf-8") == before


def test_without_settings_the_remedy_is_named(tmp_path: Path) -> None:
    """`make env` comes first."""
    done = pin(tmp_path / ".env")
    assert done.returncode == 1
    assert "does not exist; run make env first" in done.stderr

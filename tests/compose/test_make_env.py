"""`make env`: secrets for the compose stack."""

import stat
import subprocess
from pathlib import Path

from cryptography.fernet import Fernet

ROOT = Path(__file__).parents[2]
EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()


def make_env(target: Path) -> str:
    """Run it, and return what it said."""
    done = subprocess.run([ROOT / "scripts/make-env", target], check=True, capture_output=True, text=True, timeout=30)
    return done.stderr


def test_what_is_empty_in_the_example_gets_a_secret_of_its_own(tmp_path: Path) -> None:
    """32 random bytes each, in an alphabet that needs no quoting; every other line is as it was."""
    make_env(tmp_path / ".env")

    made = (tmp_path / ".env").read_text(encoding="utf-8").splitlines()
    secrets = [line.removeprefix(given) for given, line in zip(EXAMPLE, made, strict=True) if given != line]
    assert len(secrets) == len([line for line in EXAMPLE if line[-1:] == "=" and line[0] != "#"]) == 9
    assert len(set(secrets)) == len(secrets)
    for secret in secrets:
        assert Fernet(secret.encode("ascii"))


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    """Whatever the umask is."""
    make_env(tmp_path / ".env")

    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600


def test_secrets_that_are_there_are_left_alone(tmp_path: Path) -> None:
    """A new Fernet key would make every stored connection unreadable."""
    (tmp_path / ".env").write_text("AIRFLOW_FERNET_KEY=mine\n", encoding="utf-8")

    said = make_env(tmp_path / ".env")

    assert (tmp_path / ".env").read_text(encoding="utf-8") == "AIRFLOW_FERNET_KEY=mine\n"
    assert "is left as it is" in said


def test_it_says_nothing_secret(tmp_path: Path) -> None:
    """Its output may be kept in a log."""
    said = make_env(tmp_path / ".env")

    values = [line.partition("=")[2] for line in (tmp_path / ".env").read_text(encoding="utf-8").splitlines()]
    assert not [value for value in values if len(value) == 44 and value in said]

"""`make env`: secrets for the compose stack."""

import stat
import subprocess
from pathlib import Path

from cryptography.fernet import Fernet

ROOT = Path(__file__).parents[2]
EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()


def make_env(target: Path) -> str:
    """Run the script and return its output."""
    done = subprocess.run([ROOT / "scripts/make-env", target], check=True, capture_output=True, text=True, timeout=30)
    return done.stderr


def test_empty_values_become_random_secrets(tmp_path: Path) -> None:
    """A secret has 32 random bytes, in an alphabet without quoting; other lines do not change."""
    make_env(tmp_path / ".env")

    made = (tmp_path / ".env").read_text(encoding="utf-8").splitlines()
    secrets = [line.removeprefix(given) for given, line in zip(EXAMPLE, made, strict=True) if given != line]
    assert len(secrets) == len([line for line in EXAMPLE if line[-1:] == "=" and line[0] != "#"]) == 10
    assert len(set(secrets)) == len(secrets)
    for secret in secrets:
        assert Fernet(secret.encode("ascii"))


def test_only_the_owner_may_read_the_file(tmp_path: Path) -> None:
    """The mode is 600 whatever the umask."""
    make_env(tmp_path / ".env")

    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600


def test_an_existing_file_is_not_changed(tmp_path: Path) -> None:
    """A new Fernet key would make every stored connection unreadable."""
    (tmp_path / ".env").write_text("AIRFLOW_FERNET_KEY=mine\n", encoding="utf-8")

    output = make_env(tmp_path / ".env")

    assert (tmp_path / ".env").read_text(encoding="utf-8") == "AIRFLOW_FERNET_KEY=mine\n"
    assert "exists and is not changed" in output


def test_the_output_has_no_secrets(tmp_path: Path) -> None:
    """The output may end up in a log."""
    output = make_env(tmp_path / ".env")

    values = [line.partition("=")[2] for line in (tmp_path / ".env").read_text(encoding="utf-8").splitlines()]
    assert not [value for value in values if len(value) == 44 and value in output]

"""promtool, which reads rules as Prometheus does; it comes with Prometheus."""

import os
import subprocess
import tempfile
from pathlib import Path

from include.perf.errors import RulesError, RulesRefused

PROGRAM_SETTING = "BELLWETHER_PROMTOOL"
TIMEOUT_S = 300.0
TESTS_FILE = "tests.yaml"
MOST_LINES = 12


class Promtool:
    """Checks rules, and runs their tests, in a folder of its own.

    Args:
        program: its name on ``PATH``, or its path.
    """

    def __init__(self, program: str | None = None, *, timeout_s: float = TIMEOUT_S) -> None:
        self._program = program or os.environ.get(PROGRAM_SETTING) or "promtool"
        self._timeout_s = timeout_s

    def check(self, rules: bytes, tests: bytes, *, name: str) -> None:
        """Read rules as Prometheus would, and run their unit tests, which name the rules by ``name``.

        Raises:
            RulesRefused: they are wrong, or a test fails; says where.
            RulesError: promtool cannot be run, or takes too long.
        """
        with tempfile.TemporaryDirectory(prefix="bellwether-rules-") as given:
            folder = Path(given)
            (folder / name).write_bytes(rules)
            (folder / TESTS_FILE).write_bytes(tests)
            self._run(["check", "rules", "--lint-fatal", name], folder, failed="the rules are wrong")
            self._run(["test", "rules", TESTS_FILE], folder, failed="a test of the rules fails")

    def _run(self, arguments: list[str], folder: Path, *, failed: str) -> None:
        command = f"promtool {' '.join(arguments)}"
        try:
            done = subprocess.run(
                [self._program, *arguments],
                cwd=folder,
                env=os.environ | {"TMPDIR": str(folder)},  # one that is killed leaves its files
                capture_output=True,
                timeout=self._timeout_s,
                check=False,
            )
        except OSError as err:
            raise RulesError(
                f"cannot run {self._program} ({err.strerror}); install it, it comes with Prometheus, or set "
                f"{PROGRAM_SETTING} to where it is"
            ) from err
        except subprocess.TimeoutExpired as err:
            raise RulesError(f"{command} took more than {self._timeout_s:g} s; the rules before stay in place") from err
        if done.returncode != 0:
            told = (done.stdout + done.stderr).decode(errors="replace").splitlines()
            lines = [line.strip() for line in told if line.strip()][:MOST_LINES]
            raise RulesRefused(
                f"{failed}, and those before stay in place; {command} says: {' | '.join(lines)}. Correct what the "
                "catalogue says of it (queries, selectors), and look with python -m include.perf rules show --yaml"
            )

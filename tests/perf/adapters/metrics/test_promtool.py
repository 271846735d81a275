"""promtool as a program: its output is passed on, and failures to run it are reported."""

import stat
from pathlib import Path

import pytest

from include.perf.adapters.metrics.prometheus_rules import Promtool
from include.perf.model.errors import RulesError, RulesRefused

NOTES = 'for argument in "$@"; do echo "$argument"; done >> "$0.log"; pwd >> "$0.log"; ls >> "$0.log"\n'


def program(folder: Path, script: str) -> Promtool:
    """Return a promtool that is a shell script."""
    path = folder / "promtool"
    path.write_text(f"#!/bin/sh\n{script}", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return Promtool(str(path), timeout_s=5)


def check(promtool: Promtool) -> None:
    """Check some rules."""
    promtool.check(b"rules", b"tests", name="rules.yaml")


def test_rules_are_linted_and_tested_in_a_temporary_folder(tmp_path: Path) -> None:
    """Both files exist under their names, and the folder is removed afterwards."""
    check(program(tmp_path, NOTES))
    noted = (tmp_path / "promtool.log").read_text().splitlines()
    folder = noted[4]
    assert noted == [
        *("check", "rules", "--lint-fatal", "rules.yaml", folder, "rules.yaml", "tests.yaml"),
        *("test", "rules", "tests.yaml", folder, "rules.yaml", "tests.yaml"),
    ]
    assert not Path(folder).exists()


def test_invalid_rules_are_refused_with_the_output_of_promtool(tmp_path: Path) -> None:
    """The message has the place, the reason, and that nothing changed."""
    with pytest.raises(RulesRefused) as caught:
        check(program(tmp_path, 'echo "Checking rules.yaml"; echo "  FAILED: 12:5: parse error" >&2; exit 1\n'))
    assert str(caught.value).startswith(
        "the rules are invalid, and the previous rules stay in place; promtool check rules --lint-fatal rules.yaml "
        "reports: Checking rules.yaml | FAILED: 12:5: parse error."
    )


def test_a_failing_test(tmp_path: Path) -> None:
    """The rules are valid, but do not work as expected."""
    with pytest.raises(RulesRefused, match="a test of the rules fails, and the previous rules stay in place"):
        check(program(tmp_path, '[ "$1" = check ] || exit 1\n'))


def test_the_error_for_a_missing_promtool_has_the_remedy(tmp_path: Path) -> None:
    """It is not installed everywhere."""
    with pytest.raises(RulesError, match="a part of Prometheus, or set BELLWETHER_PROMTOOL to its path"):
        check(Promtool(str(tmp_path / "missing")))


def test_promtool_times_out(tmp_path: Path) -> None:
    """It is killed, and leaves no file behind."""
    promtool = program(tmp_path, 'mktemp > "$0.log"; exec sleep 60\n')
    with pytest.raises(RulesError, match=r"promtool check rules --lint-fatal rules.yaml took over 1 s"):
        Promtool(promtool._program, timeout_s=1).check(b"", b"", name="rules.yaml")
    left = Path((tmp_path / "promtool.log").read_text().strip())
    assert left.is_absolute()
    assert not left.exists()

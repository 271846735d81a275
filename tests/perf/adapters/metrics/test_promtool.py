"""promtool as a program: what it says is handed on, and what keeps it from saying anything is told."""

import stat
from pathlib import Path

import pytest

from include.perf.adapters.metrics.prometheus_rules import Promtool
from include.perf.model.errors import RulesError, RulesRefused

NOTES = 'for each in "$@"; do echo "$each"; done >> "$0.log"; pwd >> "$0.log"; ls >> "$0.log"\n'


def program(folder: Path, script: str) -> Promtool:
    """Return a promtool that is a shell script."""
    path = folder / "promtool"
    path.write_text(f"#!/bin/sh\n{script}", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return Promtool(str(path), timeout_s=5)


def check(promtool: Promtool) -> None:
    """Check some rules."""
    promtool.check(b"rules", b"tests", name="rules.yaml")


def test_rules_are_linted_and_tested_in_a_folder_of_their_own(tmp_path: Path) -> None:
    """Both files are there under their names, and the folder is gone afterwards."""
    check(program(tmp_path, NOTES))
    noted = (tmp_path / "promtool.log").read_text().splitlines()
    folder = noted[4]
    assert noted == [
        *("check", "rules", "--lint-fatal", "rules.yaml", folder, "rules.yaml", "tests.yaml"),
        *("test", "rules", "tests.yaml", folder, "rules.yaml", "tests.yaml"),
    ]
    assert not Path(folder).exists()


def test_wrong_rules_are_refused_with_what_promtool_says(tmp_path: Path) -> None:
    """Where, why, and that nothing changed."""
    with pytest.raises(RulesRefused) as caught:
        check(program(tmp_path, 'echo "Checking rules.yaml"; echo "  FAILED: 12:5: parse error" >&2; exit 1\n'))
    assert str(caught.value).startswith(
        "the rules are wrong, and those before stay in place; promtool check rules --lint-fatal rules.yaml says: "
        "Checking rules.yaml | FAILED: 12:5: parse error."
    )


def test_a_failing_test_is_told_as_one(tmp_path: Path) -> None:
    """The rules are well-formed and do something else than they should."""
    with pytest.raises(RulesRefused, match="a test of the rules fails, and those before stay in place"):
        check(program(tmp_path, '[ "$1" = check ] || exit 1\n'))


def test_without_promtool_it_is_said_where_it_comes_from(tmp_path: Path) -> None:
    """It is not on PATH everywhere."""
    with pytest.raises(RulesError, match="it comes with Prometheus, or set BELLWETHER_PROMTOOL to where it is"):
        check(Promtool(str(tmp_path / "missing")))


def test_it_may_not_take_for_ever(tmp_path: Path) -> None:
    """A task has other things to do; and what was killed leaves no file behind."""
    promtool = program(tmp_path, 'mktemp > "$0.log"; exec sleep 60\n')
    with pytest.raises(RulesError, match=r"promtool check rules --lint-fatal rules.yaml took more than 1 s"):
        Promtool(promtool._program, timeout_s=1).check(b"", b"", name="rules.yaml")
    left = Path((tmp_path / "promtool.log").read_text().strip())
    assert left.is_absolute()
    assert not left.exists()

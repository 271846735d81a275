"""The limits file: a round trip, and malformed files."""

from pathlib import Path

import pytest

from include.perf.model.errors import RulesError
from include.perf.monitoring.rule_limits import RuleLimits, format_limits, read_limits
from tests.perf.monitoring.rules_in_tests import cell_limits

LIMITS = RuleLimits(cells=(cell_limits(),), edges={"orders-service": (0.1, 0.5)})


def test_limits_survive_a_round_trip(tmp_path: Path) -> None:
    """All numbers and bucket bounds."""
    (tmp_path / "limits.json").write_bytes(format_limits(LIMITS))
    assert read_limits(tmp_path / "limits.json") == LIMITS


def test_without_a_file_there_are_no_limits(tmp_path: Path) -> None:
    """Before rules are written for the first time."""
    assert read_limits(tmp_path / "limits.json") is None


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "is not valid JSON"),
        ("[]", "must have schema_version 1, but has None"),
        ('{"schema_version": 2}', "must have schema_version 1, but has 2"),
        ('{"schema_version": 1, "cells": [{}]}', "is malformed (5 problems)"),
    ],
)
def test_a_broken_file_is_refused(tmp_path: Path, content: str, problem: str) -> None:
    """The error has the problem and the remedy."""
    path = tmp_path / "limits.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(RulesError) as caught:
        read_limits(path)
    assert problem in str(caught.value)
    assert str(caught.value).endswith("delete it, then run: python -m include.perf rules write")


def test_a_file_that_cannot_be_read_names_its_setting(tmp_path: Path) -> None:
    """There is a folder with that name."""
    with pytest.raises(RulesError, match=r"cannot read .*: Is a directory; check BELLWETHER_RULES"):
        read_limits(tmp_path)

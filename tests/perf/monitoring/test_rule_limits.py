"""The file of the limits in force: what is written comes back, and what is none is refused."""

from pathlib import Path

import pytest

from include.perf.model.errors import RulesError
from include.perf.monitoring.rule_limits import RuleLimits, format_limits, read_limits
from tests.perf.monitoring.rules_in_tests import cell_limits

LIMITS = RuleLimits(cells=(cell_limits(),), edges={"orders-service": (0.1, 0.5)})


def test_limits_come_back(tmp_path: Path) -> None:
    """Every number, and the bounds of the histogram."""
    (tmp_path / "limits.json").write_bytes(format_limits(LIMITS))
    assert read_limits(tmp_path / "limits.json") == LIMITS


def test_no_file_is_no_limits(tmp_path: Path) -> None:
    """Before the rules were ever written there are none."""
    assert read_limits(tmp_path / "limits.json") is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is not valid JSON"),
        ("[]", "must have schema_version 1, but has None"),
        ('{"schema_version": 2}', "must have schema_version 1, but has 2"),
        ('{"schema_version": 1, "cells": [{}]}', "holds no limits (5 problems)"),
    ],
)
def test_a_broken_file_is_refused(tmp_path: Path, content: str, said: str) -> None:
    """What is wrong with it, and how to have a new one."""
    path = tmp_path / "limits.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(RulesError) as caught:
        read_limits(path)
    assert said in str(caught.value)
    assert str(caught.value).endswith("remove it, and write it anew: python -m include.perf rules write")


def test_a_file_that_cannot_be_read_names_its_setting(tmp_path: Path) -> None:
    """A folder of that name."""
    with pytest.raises(RulesError, match=r"cannot read .*: Is a directory; check BELLWETHER_RULES"):
        read_limits(tmp_path)

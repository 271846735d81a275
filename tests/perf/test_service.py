"""A service's entry: where it tells its version, and what else makes its runs comparable."""

from typing import Any

import pytest
from pydantic import ValidationError

from include.perf.service import OWN_PARTS, DeployVersion
from tests.fakes import SELECTOR, small_service


def problem_of(**changes: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        small_service(**changes)
    return str(caught.value)


def test_a_version_at_a_path() -> None:
    """By default in the field ``version``."""
    found = small_service(deploy_version={"path": "/info", "field": "build.version"}).deploy_version
    assert found == DeployVersion(path="/info", field="build.version")
    assert DeployVersion(path="/info").field == "version"


def test_a_version_in_a_label() -> None:
    """By default in the label ``version``."""
    found = DeployVersion(query="build_info{$selector}")
    assert (found.path, found.label) == (None, "version")
    assert SELECTOR not in str(found.query)


def test_no_version_by_default() -> None:
    """Nobody has to tell one."""
    assert small_service().deploy_version is None


@pytest.mark.parametrize(
    ("where", "problem"),
    [
        ({}, "needs either path or query, to say where the version is told"),
        ({"path": "/v", "query": "build_info"}, "needs either path or query, to say where the version is told"),
        ({"path": "version"}, "should match pattern"),
        ({"path": "/a b"}, "should match pattern"),
        ({"path": "/v", "field": ""}, "should have at least 1 character"),
        ({"query": "", "label": "tag"}, "should have at least 1 character"),
        ({"query": "build_info", "label": "git-sha"}, "should match pattern"),
        ({"path": "/v", "header": "x"}, "Extra inputs are not permitted"),
    ],
)
def test_where_no_version_can_be_told(where: dict[str, str], problem: str) -> None:
    """One of the two, and of the right form."""
    assert problem in problem_of(deploy_version=where)


@pytest.mark.parametrize("name", OWN_PARTS)
def test_a_part_of_bellwethers_own_cannot_be_set(name: str) -> None:
    """It would hide what is found."""
    assert f"{name} is a part of every fingerprint already; give it another name" in problem_of(fingerprint={name: "x"})


@pytest.mark.parametrize(
    "parts",
    [{"": "x"}, {"Db": "x"}, {"1st": "x"}, {"a" * 41: "x"}, {"db": "x" * 101}, {"db": ""}, {"db": 16}, {"db": None}],
)
def test_parts_are_short_texts(parts: dict[str, Any]) -> None:
    """They are read in messages, side by side."""
    assert "fingerprint" in problem_of(fingerprint=parts)


def test_the_parts_of_a_service() -> None:
    """Nothing by default."""
    assert small_service().fingerprint == {}
    assert small_service(fingerprint={"test bed_2": "c6i.4xlarge"}).fingerprint == {"test bed_2": "c6i.4xlarge"}

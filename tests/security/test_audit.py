"""`make audit`: vulnerabilities are reported, an incomplete check fails, and exceptions expire."""

from datetime import date
from typing import Any

import pytest

from scripts.audit import Exemption, NotChecked, exemptions, expired, problems_in

TODAY = date(2026, 12, 1)
FINDING = {"id": "PYSEC-2026-7", "aliases": ["CVE-2026-1", "GHSA-a"], "fix_versions": ["3.1.5"], "description": "…"}
UNTIL_TODAY = Exemption(id="GHSA-a", reason="not reached", until=TODAY)


def report(*findings: dict[str, Any]) -> dict[str, Any]:
    """Return a report of one package."""
    return {"dependencies": [{"name": "jinja2", "version": "3.1.2", "vulns": list(findings)}], "fixes": []}


def test_a_vulnerability_is_reported_with_its_fix() -> None:
    """The report names package, version, vulnerability and fixed version."""
    assert list(problems_in(report(FINDING), (), today=TODAY)) == ["jinja2 3.1.2: PYSEC-2026-7, fixed in 3.1.5"]
    assert list(problems_in(report(), (), today=TODAY)) == []


def test_an_exception_applies_until_its_last_day() -> None:
    """It may use any alias of the vulnerability; after its last day, it is a problem itself."""
    assert list(problems_in(report(FINDING), [UNTIL_TODAY], today=TODAY)) == []
    assert list(expired([UNTIL_TODAY], today=TODAY)) == []
    later = date(2026, 12, 2)
    assert len(list(problems_in(report(FINDING), [UNTIL_TODAY], today=later))) == 1
    assert "the exception for GHSA-a expired on 2026-12-01" in next(expired([UNTIL_TODAY], today=later))


@pytest.mark.parametrize(
    "packages", [[], [{"name": "jinja2", "skip_reason": "Dependency not found on PyPI and could not be audited"}]]
)
def test_an_unchecked_package_is_an_error(packages: list[dict[str, str]]) -> None:
    """An index without advisories skips every package, and pip-audit then finds nothing."""
    with pytest.raises(NotChecked, match="packages were not checked"):
        list(problems_in({"dependencies": packages}, (), today=TODAY))


def test_an_exception_needs_a_reason_and_a_last_day() -> None:
    """An exception without one of them is refused."""
    entry = {"id": "GHSA-a", "reason": "not reached", "until": TODAY}
    document = {"tool": {"bellwether": {"audit": {"exceptions": [entry]}}}}
    assert exemptions(document) == (UNTIL_TODAY,)
    del entry["reason"]
    with pytest.raises(TypeError, match="reason"):
        exemptions(document)
    assert exemptions({}) == ()

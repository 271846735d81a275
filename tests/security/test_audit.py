"""What is made of pip-audit's report: a hole is told, silence is no good news, and no exception lasts for ever."""

from datetime import date
from typing import Any

import pytest

from scripts.audit import Exemption, NotChecked, exemptions, expired, problems_in

TODAY = date(2026, 12, 1)
HOLE = {"id": "PYSEC-2026-7", "aliases": ["CVE-2026-1", "GHSA-a"], "fix_versions": ["3.1.5"], "description": "…"}
UNTIL_TODAY = Exemption(id="GHSA-a", reason="not reached", until=TODAY)


def report(*holes: dict[str, Any]) -> dict[str, Any]:
    """Return a report of one package."""
    return {"dependencies": [{"name": "jinja2", "version": "3.1.2", "vulns": list(holes)}], "fixes": []}


def test_a_hole_is_told_with_what_mends_it() -> None:
    """Package, version, name of the hole, version to go to."""
    assert list(problems_in(report(HOLE), (), today=TODAY)) == ["jinja2 3.1.2: PYSEC-2026-7, mended in 3.1.5"]
    assert list(problems_in(report(), (), today=TODAY)) == []


def test_an_exception_holds_up_to_its_day() -> None:
    """By any of the names of a hole; from the next day on it is a problem itself."""
    assert list(problems_in(report(HOLE), [UNTIL_TODAY], today=TODAY)) == []
    assert list(expired([UNTIL_TODAY], today=TODAY)) == []
    later = date(2026, 12, 2)
    assert len(list(problems_in(report(HOLE), [UNTIL_TODAY], today=later))) == 1
    assert "the exception for GHSA-a ended on 2026-12-01" in next(expired([UNTIL_TODAY], today=later))


@pytest.mark.parametrize(
    "packages", [[], [{"name": "jinja2", "skip_reason": "Dependency not found on PyPI and could not be audited"}]]
)
def test_silence_is_no_good_news(packages: list[dict[str, str]]) -> None:
    """An index without advisories tells nothing of any package, and pip-audit then finds nothing."""
    with pytest.raises(NotChecked, match="nothing was told of"):
        list(problems_in({"dependencies": packages}, (), today=TODAY))


def test_an_exception_has_a_reason_and_a_day() -> None:
    """Or it is refused."""
    entry = {"id": "GHSA-a", "reason": "not reached", "until": TODAY}
    document = {"tool": {"bellwether": {"audit": {"exceptions": [entry]}}}}
    assert exemptions(document) == (UNTIL_TODAY,)
    del entry["reason"]
    with pytest.raises(TypeError, match="reason"):
        exemptions(document)
    assert exemptions({}) == ()

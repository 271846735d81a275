"""Check both locks for known holes with pip-audit, which asks PyPI's advisories: ``make audit``.

What is known and has to wait is named in ``pyproject.toml``, each with its reason and the day until which it may wait::

    [[tool.bellwether.audit.exceptions]]
    id = "GHSA-xxxx-xxxx-xxxx"
    reason = "only reached by a feature that is switched off; fixed in the next provider"
    until = 2027-01-31

Exit code: 0 nothing found; 1 something was found, or an exception has expired; 2 it could not be checked, which is no
good news: a package that the index told nothing of counts as not checked.
"""

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LOCKS = ("requirements.txt", "requirements-dev.txt")
PIP_AUDIT = "pip-audit==2.10.1"
TIMEOUT_S = 900.0


class NotChecked(Exception):
    """There is no answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exemption:
    """A hole that may stay for a while.

    Attributes:
        until: the last day.
    """

    id: str
    reason: str
    until: date


def exemptions(document: Mapping[str, Any]) -> tuple[Exemption, ...]:
    """Return the exceptions in a pyproject.

    Raises:
        TypeError: one lacks its id, its reason or its day.
    """
    audit = document.get("tool", {}).get("bellwether", {}).get("audit", {})
    return tuple(Exemption(**each) for each in audit.get("exceptions", []))


def problems_in(report: Mapping[str, Any], known: Sequence[Exemption], *, today: date) -> Iterator[str]:
    """Say of each hole in pip-audit's report which version mends it; those that may stay are left out.

    Raises:
        NotChecked: nothing is known of some of the packages.
    """
    packages = report["dependencies"]
    unknown = [each["name"] for each in packages if "skip_reason" in each]
    if unknown or not packages:
        raise NotChecked(f"nothing was told of {len(unknown)} of {len(packages)} packages: {', '.join(unknown[:5])} …")
    may_stay = {each.id for each in known if today <= each.until}
    for package in packages:
        for hole in package["vulns"]:
            if not may_stay & {hole["id"], *hole["aliases"]}:
                mended = ", ".join(hole["fix_versions"]) or "no version yet"
                yield f"{package['name']} {package['version']}: {hole['id']}, mended in {mended}"


def expired(known: Sequence[Exemption], *, today: date) -> Iterator[str]:
    """Say which exceptions hold no longer."""
    for each in known:
        if today > each.until:
            yield f"the exception for {each.id} ended on {each.until}; mend it, or say why it may wait longer"


def report_of(lock: Path) -> Mapping[str, Any]:
    """Return what pip-audit says of a lock; nothing of it is installed.

    Raises:
        NotChecked: it could not be run, or could not ask.
    """
    command = ["uv", "tool", "run", PIP_AUDIT, "--requirement", str(lock), "--disable-pip", "--require-hashes"]
    try:
        done = subprocess.run(
            [*command, "--format", "json", "--progress-spinner", "off"],
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
            text=True,
        )
        found: Mapping[str, Any] = json.loads(done.stdout)
    except (OSError, subprocess.TimeoutExpired) as err:
        raise NotChecked(f"pip-audit could not be run: {err}") from err
    except ValueError:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise NotChecked(f"pip-audit has no answer: {said[-1] if said else 'it says nothing'}") from None
    return found


def main() -> int:
    """Check, print what was found, and return the exit code."""
    today = datetime.now(UTC).date()
    known = exemptions(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8")))
    problems = list(expired(known, today=today))
    is_checked = True
    for lock in LOCKS:
        try:
            problems += problems_in(report_of(ROOT / lock), known, today=today)
        except NotChecked as err:
            is_checked = False
            sys.stderr.write(f"{lock} could NOT be checked: {err}\n")
    sys.stdout.write("".join(f"{each}\n" for each in dict.fromkeys(problems)))
    if problems:
        return 1
    if is_checked:
        sys.stdout.write(f"no known holes in {' and '.join(LOCKS)}\n")
    return 0 if is_checked else 2


if __name__ == "__main__":
    sys.exit(main())

"""Check both locks for known vulnerabilities with pip-audit, which queries PyPI's advisories: ``make audit``.

Exceptions stand in ``pyproject.toml``, with a reason and a last day::

    [[tool.bellwether.audit.exceptions]]
    id = "GHSA-xxxx-xxxx-xxxx"
    reason = "only reached by a feature that is switched off; fixed in the next provider"
    until = 2027-01-31

Exit code: 0 for no vulnerabilities; 1 for a vulnerability or an expired exception; 2 for an incomplete check. A package
that the index knows nothing about counts as not checked.
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
    """The check has no complete result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exemption:
    """A vulnerability that is accepted for a while.

    Attributes:
        until: the last day.
    """

    id: str
    reason: str
    until: date


def exemptions(document: Mapping[str, Any]) -> tuple[Exemption, ...]:
    """Return the exceptions in a pyproject.

    Raises:
        TypeError: an exception lacks its id, reason or last day.
    """
    audit = document.get("tool", {}).get("bellwether", {}).get("audit", {})
    return tuple(Exemption(**entry) for entry in audit.get("exceptions", []))


def problems_in(report: Mapping[str, Any], known: Sequence[Exemption], *, today: date) -> Iterator[str]:
    """Yield the vulnerabilities in pip-audit's report, with the fixed versions; accepted ones are left out.

    Raises:
        NotChecked: some packages are unknown to the index.
    """
    packages = report["dependencies"]
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    if unknown or not packages:
        raise NotChecked(f"{len(unknown)} of {len(packages)} packages were not checked: {', '.join(unknown[:5])} …")
    accepted = {exemption.id for exemption in known if today <= exemption.until}
    for package in packages:
        for finding in package["vulns"]:
            if not accepted & {finding["id"], *finding["aliases"]}:
                fixed = ", ".join(finding["fix_versions"]) or "no version yet"
                yield f"{package['name']} {package['version']}: {finding['id']}, fixed in {fixed}"


def expired(known: Sequence[Exemption], *, today: date) -> Iterator[str]:
    """Yield the exceptions that have expired."""
    for exemption in known:
        if today > exemption.until:
            yield f"the exception for {exemption.id} expired on {exemption.until}; upgrade the package or extend it"


def report_of(lock: Path) -> Mapping[str, Any]:
    """Return pip-audit's report on a lock; nothing is installed.

    Raises:
        NotChecked: pip-audit did not run, or could not reach the index.
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
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise NotChecked(f"pip-audit failed: {lines[-1] if lines else 'no output'}") from None
    return found


def main() -> int:
    """Check both locks, print the problems, and return the exit code."""
    today = datetime.now(UTC).date()
    known = exemptions(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8")))
    problems = list(expired(known, today=today))
    is_checked = True
    for lock in LOCKS:
        try:
            problems += problems_in(report_of(ROOT / lock), known, today=today)
        except NotChecked as err:
            is_checked = False
            sys.stderr.write(f"{lock} was NOT checked: {err}\n")
    sys.stdout.write("".join(f"{problem}\n" for problem in dict.fromkeys(problems)))
    if problems:
        return 1
    if is_checked:
        sys.stdout.write(f"no known vulnerabilities in {' and '.join(LOCKS)}\n")
    return 0 if is_checked else 2


if __name__ == "__main__":
    sys.exit(main())

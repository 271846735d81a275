"""What the panels ask Prometheus; ``$environment``, ``$scenario`` and ``$service`` are the dashboard's variables."""

from include.perf.exposition import names
from include.perf.run import Verdict

VARIABLES = ("environment", "scenario", "service")
CHOSEN = ", ".join(f'{name}=~"${name}"' for name in VARIABLES)
CELL = "{{service}} · {{scenario}}"
"""How a series of a cell is called."""

VERDICT_CODES = {verdict: code for code, verdict in enumerate(Verdict, start=1)}
"""A number for each verdict, since a panel colours numbers."""


def chosen(family: str, *matchers: str) -> str:
    """Return what is asked of a family: the cells that are chosen."""
    return f"{family}{{{', '.join((CHOSEN, *matchers))}}}"


def verdict_code() -> str:
    """Return each cell's verdict as its number: every verdict but one is 0."""
    codes = " or ".join(f"{code} * {_is(verdict)}" for verdict, code in VERDICT_CODES.items())
    return f"max by (service, scenario) ({codes})"


def _is(verdict: Verdict) -> str:
    return chosen(names.RUN_VERDICT, f'verdict="{verdict.value}"')


def age_of(family: str) -> str:
    """Return how many seconds ago the moment of a family was."""
    return f"time() - {chosen(family)}"

"""The whole rules file: what is recorded of the services, which limits hold now, and what is told.

How long a scenario rests between two runs when all is well, so that it is missed when it rests for longer.
"""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from include.perf.catalogue.catalogue import Catalogue
from include.perf.catalogue.scenario.market_hours import MarketHours
from include.perf.catalogue.scenario.schedule import Schedule
from include.perf.model.metric import METRICS, Direction
from include.perf.monitoring.live_figures import SHORT, live_figures
from include.perf.monitoring.names import NAMESPACE, family
from include.perf.monitoring.rule_alerts import LONGEST_PAUSE, alerts, applicable
from include.perf.monitoring.rule_yaml import Group, Recording, to_yaml

PATIENCE = timedelta(hours=2)
"""A service has its turn sooner in one night and later in another: so a nightly scenario is missed after 26 h."""

_LOOKED_AT = timedelta(days=373)
"""A year, and a week of the next one: around the turn of the year the market is closed the longest."""


def longest_pause(schedule: Schedule, hours: MarketHours, *, year: int) -> timedelta:
    """Return the longest time from a start to the next one in a year, by the wall clock, and some patience.

    Weekends and holidays are in it, so that nothing is missed on a day on which nothing is to run.
    """
    zone = ZoneInfo(schedule.zone(hours))
    begin = datetime(year, 1, 1, tzinfo=UTC)
    start = schedule.next_start(begin, hours)
    longest = timedelta()
    while start < begin + _LOOKED_AT:
        following = schedule.next_start(start, hours)
        shown = (moment.astimezone(zone).replace(tzinfo=None) for moment in (following, start))
        longest = max(longest, next(shown) - next(shown))
        start = following
    return longest + PATIENCE


RULES_FILE = "bellwether-rules.yaml"

HEAD = """\
Alert rules of Bellwether, written by `python -m include.perf rules write`; what is changed here is lost.
The limits themselves are gauges of its own metrics, and change with the baselines.
"""

DIGEST_RECORD = f"{NAMESPACE}:rules_info"
"""A series of value 1 whose label ``digest`` tells which version of the rules Prometheus has loaded."""

_CELL = "(service, scenario, environment)"

_EXPIRED = f"{NAMESPACE}_baseline_expiry_timestamp_seconds <= time()"

_LOADED = f"{NAMESPACE}_load_running == 1"


def rule_groups(catalogue: Catalogue, *, now: datetime) -> tuple[Group, ...]:
    """Return the groups of the rules; within a year the same catalogue gives the same ones."""
    return (
        Group(name="bellwether-figures", rules=tuple(live_figures(catalogue.services.values()))),
        Group(name="bellwether-limits", rules=(*_limits(), *_pauses(catalogue, now=now))),
        Group(name="bellwether-alerts", rules=tuple(alerts())),
    )


def rules_text(groups: tuple[Group, ...]) -> bytes:
    """Return the content of the rules file."""
    digest = Recording(record=DIGEST_RECORD, expr="vector(1)", labels={"digest": digest_of(groups)})
    whole = (*groups, Group(name="bellwether-rules", rules=(digest,)))
    return to_yaml({"groups": [group.document() for group in whole]}, head=HEAD)


def digest_of(groups: tuple[Group, ...]) -> str:
    """Return what tells these rules from others."""
    return hashlib.sha256(to_yaml([group.document() for group in groups])).hexdigest()[:12]


def in_force(metric: str) -> str:
    """Return the name of the recorded limits of each cell, of an expired baseline none that is critical."""
    return f"service_scenario_environment:{family('alert_limit', metric)}:in_force"


def _limits() -> Iterator[Recording]:
    for name, metric in METRICS.items():
        limit = family("alert_limit", name)
        yield Recording(
            record=in_force(name),
            expr=(
                f'max by (service, scenario, environment, severity) ({limit}{{severity="warning"}})\nor\n'
                f'max by (service, scenario, environment, severity) ({limit}{{severity="critical"}})\n'
                f"unless on {_CELL}\n({_EXPIRED})"
            ),
        )
        is_mirrored = metric.direction is Direction.HIGHER_IS_BETTER
        yield Recording(record=applicable(name), expr=_while_loaded(name) if is_mirrored else _always(name))


def _always(metric: str) -> str:
    """Return the limit of the scenario whose load runs; without a load the most lenient one.

    While the load of a scenario without limits runs, none holds: nobody knows what it should look like.
    """
    by = "max by (service, environment, severity)"
    return (
        f"{by} ({in_force(metric)} and on {_CELL} ({_LOADED}))\nor\n"
        f"{by} ({in_force(metric)} unless on (service, environment) ({_LOADED}))"
    )


def _while_loaded(metric: str) -> str:
    """Return the limit of the scenario whose load fills the window: how much is asked for at night is no trouble."""
    began = f"time() - {NAMESPACE}_load_start_timestamp_seconds >= {SHORT.seconds}"
    return (
        f"min by (service, environment, severity) (\n  {in_force(metric)}\n  and on {_CELL} ({_LOADED})\n"
        f"  and on {_CELL} ({began})\n)"
    )


def _pauses(catalogue: Catalogue, *, now: datetime) -> Iterator[Recording]:
    """Return how long each scenario that has a schedule may rest."""
    for scenario in catalogue.scenarios.values():
        if scenario.schedule is not None:
            pause = longest_pause(scenario.schedule, catalogue.market_hours, year=now.year)
            yield Recording(
                record=LONGEST_PAUSE, expr=f"vector({pause.total_seconds():.0f})", labels={"scenario": scenario.name}
            )

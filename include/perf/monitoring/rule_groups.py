"""The rules file: groups of recorded figures, applicable limits and alerts.

It also holds the longest pause between two scheduled runs of each scenario, after which `BellwetherNoRun` fires.
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

GRACE = timedelta(hours=2)
"""Added to the longest pause, because a service runs earlier in one night than in another: a nightly scenario is
missing after 26 h."""

_PERIOD = timedelta(days=373)
"""One year and a week, because the market has its longest pause around New Year."""


def longest_pause(schedule: Schedule, hours: MarketHours, *, year: int) -> timedelta:
    """Return the longest time between two scheduled starts in a year, by the wall clock, plus `GRACE`.

    It includes weekends and holidays, so that no run is missing on a day without a scheduled run.
    """
    zone = ZoneInfo(schedule.zone(hours))
    begin = datetime(year, 1, 1, tzinfo=UTC)
    start = schedule.next_start(begin, hours)
    longest = timedelta()
    while start < begin + _PERIOD:
        following = schedule.next_start(start, hours)
        shown = (moment.astimezone(zone).replace(tzinfo=None) for moment in (following, start))
        longest = max(longest, next(shown) - next(shown))
        start = following
    return longest + GRACE


RULES_FILE = "bellwether-rules.yaml"

HEAD = """\
Alert rules of Bellwether, written by `python -m include.perf rules write`; changes to this file are lost.
The limits are gauges among Bellwether's metrics and change with the baselines.
"""

DIGEST_RECORD = f"{NAMESPACE}:rules_info"
"""A series of value 1 whose label ``digest`` identifies the version of the loaded rules."""

_CELL = "(service, scenario, environment)"

_EXPIRED = f"{NAMESPACE}_baseline_expiry_timestamp_seconds <= time()"

_LOADED = f"{NAMESPACE}_load_running == 1"


def rule_groups(catalogue: Catalogue, *, now: datetime) -> tuple[Group, ...]:
    """Return the groups of rules; they depend only on the catalogue and the year."""
    return (
        Group(name="bellwether-figures", rules=tuple(live_figures(catalogue.services.values()))),
        Group(name="bellwether-limits", rules=(*_limits(), *_pauses(catalogue, now=now))),
        Group(name="bellwether-alerts", rules=tuple(alerts())),
    )


def rules_text(groups: tuple[Group, ...]) -> bytes:
    """Return the content of the rules file."""
    digest = Recording(record=DIGEST_RECORD, expr="vector(1)", labels={"digest": digest_of(groups)})
    complete = (*groups, Group(name="bellwether-rules", rules=(digest,)))
    return to_yaml({"groups": [group.document() for group in complete]}, head=HEAD)


def digest_of(groups: tuple[Group, ...]) -> str:
    """Return the digest that identifies a version of the rules."""
    return hashlib.sha256(to_yaml([group.document() for group in groups])).hexdigest()[:12]


def in_force(metric: str) -> str:
    """Return the name of the recorded limits of each cell; expired baselines have no critical ones."""
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
        is_higher_better = metric.direction is Direction.HIGHER_IS_BETTER
        yield Recording(record=applicable(name), expr=_while_loaded(name) if is_higher_better else _always(name))


def _always(metric: str) -> str:
    """Return the limit of the scenario whose load is running, else the most lenient one.

    While a load without limits is running, no limit applies, because the expected values are unknown.
    """
    by = "max by (service, environment, severity)"
    return (
        f"{by} ({in_force(metric)} and on {_CELL} ({_LOADED}))\nor\n"
        f"{by} ({in_force(metric)} unless on (service, environment) ({_LOADED}))"
    )


def _while_loaded(metric: str) -> str:
    """Return the limit of the scenario whose load fills the window; less traffic at other times is no problem."""
    began = f"time() - {NAMESPACE}_load_start_timestamp_seconds >= {SHORT.seconds}"
    return (
        f"min by (service, environment, severity) (\n  {in_force(metric)}\n  and on {_CELL} ({_LOADED})\n"
        f"  and on {_CELL} ({began})\n)"
    )


def _pauses(catalogue: Catalogue, *, now: datetime) -> Iterator[Recording]:
    """Return the longest pause of each scheduled scenario."""
    for scenario in catalogue.scenarios.values():
        if scenario.schedule is not None:
            pause = longest_pause(scenario.schedule, catalogue.market_hours, year=now.year)
            yield Recording(
                record=LONGEST_PAUSE, expr=f"vector({pause.total_seconds():.0f})", labels={"scenario": scenario.name}
            )

"""The rules file: groups of recorded figures, applicable limits and alerts.

It also has the longest pause between two scheduled runs of each scenario, after which `BellwetherNoRun` fires.
"""

import hashlib
from collections.abc import Iterator
from datetime import datetime

from include.perf.catalogue.catalogue import Catalogue
from include.perf.model.metric import METRICS, Direction
from include.perf.monitoring.live_figures import SHORT, live_figures
from include.perf.monitoring.names import NAMESPACE, family
from include.perf.monitoring.pauses import longest_pause
from include.perf.monitoring.rule_alerts import LONGEST_PAUSE, alerts, applicable
from include.perf.monitoring.rule_yaml import Group, Recording, to_yaml

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

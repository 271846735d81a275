"""Unit tests of the rules for ``promtool test rules``, generated with the limits in force.

They are part of each publication, because ``promtool check rules`` only parses: a rule whose labels match no limit
passes that check and never fires, so that missing alerts would look like a healthy service. Names, environments and
schedules come from the catalogue, and limits from the baselines, so tests with fixed values cannot cover them.

The tests check that each service is quiet at each of its baselines; that each alert fires beyond its limit, after its
pending time and not before; and that it is quiet if only the last minutes are beyond a critical limit, and in an
environment without limits. Time starts at 0. Recorded figures are given as input, without the catalogue's queries
behind them. All services are tested together, because the cost of an evaluation depends on the number of rules.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, zip_longest
from operator import attrgetter
from typing import Any

from include.perf.baselines.entry import REVIEW_AFTER
from include.perf.model.metric import METRICS, Direction
from include.perf.monitoring.live_figures import LONG, SHORT, live
from include.perf.monitoring.names import NAMESPACE, STATE_TIMESTAMP, family
from include.perf.monitoring.rule_alerts import CRITICAL, LONGEST_PAUSE, WARNING, alert_name
from include.perf.monitoring.rule_limits import CellLimits, Limit
from include.perf.monitoring.rule_yaml import Group, Recording, to_yaml

MINUTES = 70
SETTLED = 16
"""Minutes after which all expected alerts about figures fire; the slowest one takes ten."""

BEYOND_RATIO = 1.001
ELSEWHERE = "elsewhere"

_Alerts = frozenset[tuple[str, ...]]
_Series = dict[str, str]
_Values = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Firing:
    """Alerts that must fire at a minute, and no others, given by the values of ``labels``."""

    minute: int
    alerts: _Alerts = frozenset()
    labels: tuple[str, ...] = ("alertname", "severity", "service")

    def document(self) -> dict[str, Any]:
        samples = [
            {"labels": _matchers(dict(zip(self.labels, alert, strict=True))), "value": 1}
            for alert in sorted(self.alerts)
        ]
        expr = f'count by ({", ".join(self.labels)}) (ALERTS{{alertstate="firing"}})'
        return {"expr": expr, "eval_time": f"{self.minute}m", "exp_samples": samples}


def rule_tests(rules_file: str, cells: Sequence[CellLimits], groups: Iterable[Group]) -> bytes:
    """Return the tests of a rules file.

    They include a fictitious service with all limits, so that each alert is tested.
    """
    tests = [*_of_figures((*cells, _MADE_UP)), _of_age_and_pauses(groups), _of_absence(), _of_state()]
    return to_yaml({"rule_files": [rules_file], "evaluation_interval": "1m", "tests": tests})


_MADE_UP = CellLimits(
    service="made-up",
    scenario="made_up",
    environment="staging",
    baseline_version=1,
    metrics={
        name: Limit(centre=0.5, warning=0.4, critical=0.3)
        if metric.direction is Direction.HIGHER_IS_BETTER
        else Limit(centre=0.1, warning=0.2, critical=0.3)
        for name, metric in METRICS.items()
    },
)


# Figures against limits


def _of_figures(cells: Sequence[CellLimits]) -> Iterator[dict[str, Any]]:
    services = [tuple(of_service) for _, of_service in groupby(cells, key=attrgetter("service"))]
    rounds = [tuple(cell for cell in cells if cell is not None) for cells in zip_longest(*services)]
    for loaded, idle in zip(rounds, (*rounds[1:], rounds[0]), strict=True):
        scenarios = ", ".join(dict.fromkeys(cell.scenario for cell in loaded))
        # the limits of only one idle scenario, because those of all would multiply the size of the file
        limits = _united(map(_limits, (*loaded, *idle)))
        yield _Case(name=f"at the baselines of {scenarios}", cells=loaded).test(limits)
    fullest = tuple(max(of_service, key=lambda cell: len(_limits(cell))) for of_service in services)
    elsewhere = tuple(replace(cell, environment=ELSEWHERE) for cell in fullest)
    limits = _united(map(_limits, (*fullest, *rounds[-1])))
    yield _Case(name="beyond the warning limits", cells=fullest, short=WARNING).test(limits)
    yield _Case(name="beyond the critical limits", cells=fullest, short=CRITICAL, long=CRITICAL).test(limits)
    yield _Case(name="beyond the critical limits for minutes only", cells=fullest, short=CRITICAL).test(limits)
    yield _Case(name="in another environment", cells=elsewhere, short=CRITICAL, long=CRITICAL).test(limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """Services under load, with figures at their centres or just beyond their limits.

    Attributes:
        short, long: severity of the limits that the figures over 5 and 30 minutes exceed; ``None`` for the centres.
    """

    name: str
    cells: tuple[CellLimits, ...]
    short: str | None = None
    long: str | None = None

    def test(self, limits: Mapping[str, str]) -> dict[str, Any]:
        """Return the test: no alert at first, then critical ones, finally all."""
        fired = frozenset(alert for cell in self.cells if cell.environment != ELSEWHERE for alert in self._fired(cell))
        critical = frozenset(alert for alert in fired if CRITICAL in alert)
        expected = [
            _Firing(minute=1),
            _Firing(minute=9, alerts=critical),
            _Firing(minute=SETTLED, alerts=fired),
        ]
        return _test(self.name, {**limits, **_united(map(self._series, self.cells))}, expected)

    def _fired(self, cell: CellLimits) -> Iterator[tuple[str, ...]]:
        """Return the expected alerts; a centre may be beyond a hard limit."""
        short, long = _figures(cell, self.short), _figures(cell, self.long)
        for name, limits in cell.metrics.items():
            for severity, limit in limits.by_severity.items():
                uses_short_only = severity == WARNING or _is_higher_better(name)
                figures = (short[name],) if uses_short_only else (short[name], long[name])
                if all(figure < limit if _is_higher_better(name) else figure > limit for figure in figures):
                    yield alert_name(METRICS[name]), severity, cell.service

    def _series(self, cell: CellLimits) -> _Series:
        """Return the figures of a service whose load started ten minutes before time 0."""
        of_load = {"load_running": 1.0, "load_start_timestamp_seconds": -600.0}
        series = {
            _name(f"{NAMESPACE}_{name}", cell, scenario=cell.scenario): _constant(value)
            for name, value in of_load.items()
        }
        for window, severity in ((SHORT, self.short), (LONG, self.long)):
            figures = _figures(cell, severity)
            series |= {_name(live(name, window), cell): _constant(value) for name, value in figures.items()}
        return series


def _figures(cell: CellLimits, severity: str | None) -> _Values:
    """Return the centres, or figures just beyond the limits of a severity (of the warning if it has no other)."""
    if severity is None:
        return {name: limit.centre for name, limit in cell.metrics.items()}
    limits = {name: limit.by_severity.get(severity, limit.warning) for name, limit in cell.metrics.items()}
    return {name: limit * BEYOND_RATIO ** (-1 if _is_higher_better(name) else 1) for name, limit in limits.items()}


def _limits(cell: CellLimits) -> _Series:
    return {
        _name(family("alert_limit", name), cell, scenario=cell.scenario, severity=severity): _constant(value)
        for name, limit in cell.metrics.items()
        for severity, value in limit.by_severity.items()
    }


# Baselines, runs and absent limits


def _of_age_and_pauses(groups: Iterable[Group]) -> dict[str, Any]:
    """Return a test with one baseline and run that are too old, and one of each that is just recent enough."""
    old = REVIEW_AFTER.total_seconds()
    ages = {"old": -old - 60, "young": 3600.0 * 2 - old}
    series = {_of(f"{NAMESPACE}_baseline_timestamp_seconds", name): _constant(age) for name, age in ages.items()}
    missed: list[tuple[str, ...]] = []
    for scenario, pause in _pauses(groups).items():
        ends = {"missed": -pause - 60, "resting": 3600.0 * 2 - pause}
        for name, ended in ends.items():
            series[_of(f"{NAMESPACE}_run_timestamp_seconds", name, scenario=scenario)] = _constant(ended)
        missed.append(("BellwetherNoRun", "missed", scenario))
    labels = ("alertname", "service", "scenario")
    stale = ("BellwetherBaselineTooOld", "old", _MADE_UP.scenario)
    expected = [
        _Firing(minute=4),
        _Firing(minute=50, alerts=frozenset(missed), labels=labels),
        _Firing(minute=61, alerts=frozenset([*missed, stale]), labels=labels),
    ]
    return _test("baselines and runs that are too old", series, expected)


def _pauses(groups: Iterable[Group]) -> dict[str, float]:
    rules = [rule for group in groups for rule in group.rules if isinstance(rule, Recording)]
    return {
        rule.labels["scenario"]: float(rule.expr.removeprefix("vector(").removesuffix(")"))
        for rule in rules
        if rule.record == LONGEST_PAUSE
    }


def _of_absence() -> dict[str, Any]:
    """Return a test of limits that exist for ten minutes; Prometheus sees them for another five."""
    absent = frozenset({("BellwetherLimitsAbsent", WARNING, _MADE_UP.service)})
    series = dict.fromkeys(_limits(_MADE_UP), "1+0x10")
    return _test("limits that are gone", series, [_Firing(minute=28), _Firing(minute=32, alerts=absent)])


def _of_state() -> dict[str, Any]:
    """Return a test of a state that was read at the start and never again; it is old after ten minutes."""
    old = frozenset({("BellwetherStateOld", WARNING)})
    expected = [_Firing(minute=14, labels=_OF_US), _Firing(minute=17, alerts=old, labels=_OF_US)]
    return _test("a state that is not read again", {STATE_TIMESTAMP: _constant(0.0)}, expected)


_OF_US = ("alertname", "severity")
"""Labels of an alert about Bellwether itself."""


# Series in promtool's notation


def _test(name: str, series: Mapping[str, str], expected: list[_Firing]) -> dict[str, Any]:
    return {
        "name": name,
        "interval": "1m",
        "input_series": [{"series": metric, "values": values} for metric, values in series.items()],
        "promql_expr_test": [firing.document() for firing in expected],
    }


def _name(family_name: str, cell: CellLimits, **labels: str) -> str:
    return family_name + _matchers({"service": cell.service, "environment": cell.environment} | labels)


def _of(family_name: str, service: str, *, scenario: str = _MADE_UP.scenario) -> str:
    return _name(family_name, replace(_MADE_UP, service=service), scenario=scenario)


def _matchers(labels: Mapping[str, str]) -> str:
    return "{" + ", ".join(f'{label}="{value}"' for label, value in labels.items()) + "}"


def _constant(value: float) -> str:
    return f"{value!r}+0x{MINUTES}"


def _united(parts: Iterable[_Series]) -> _Series:
    return {name: values for part in parts for name, values in part.items()}


def _is_higher_better(metric: str) -> bool:
    return METRICS[metric].direction is Direction.HIGHER_IS_BETTER

"""Unit tests of the rules for ``promtool test rules``, made with the limits that are really in force.

Every service is quiet at each of its baselines; every alert fires beyond its limit, after its time and not before; it
is quiet where only the last minutes are beyond a critical limit, and in an environment that has no limits. Time begins
at 0, and recorded figures are given instead of what they are made of, which is asked in the catalogue's own words. All
services are tested at once: what an evaluation costs is the number of rules.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, zip_longest
from operator import attrgetter
from typing import Any

from include.perf.baselines.entry import REVIEW_AFTER
from include.perf.model.metric import METRICS, Direction
from include.perf.monitoring.live_figures import LONG, SHORT, live
from include.perf.monitoring.names import NAMESPACE, family
from include.perf.monitoring.rule_alerts import CRITICAL, LONGEST_PAUSE, WARNING, alert_name
from include.perf.monitoring.rule_limits import CellLimits, Limit
from include.perf.monitoring.rule_yaml import Group, Recording, to_yaml

MINUTES = 70
SETTLED = 16
"""After so many minutes everything fires that ever will: the slowest alert about a figure takes ten."""

BEYOND_RATIO = 1.001
ELSEWHERE = "elsewhere"

_Alerts = frozenset[tuple[str, ...]]
_Series = dict[str, str]
_Values = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Firing:
    """What must be firing at a minute, and nothing else, by name, severity, service and further labels."""

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
    """Return the tests of the rules in a file beside them.

    A made-up service is among those in them: it has every limit, so that every alert is tested.
    """
    tests = [*_of_figures((*cells, _MADE_UP)), _of_age_and_pauses(groups), _of_absence()]
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
    turns = [tuple(cell for cell in turn if cell is not None) for turn in zip_longest(*services)]
    for loaded, beside in zip(turns, (*turns[1:], turns[0]), strict=True):
        scenarios = ", ".join(dict.fromkeys(cell.scenario for cell in loaded))
        # With the limits of one scenario that does not run: those of all would be in the file once for each of them.
        limits = _united(map(_limits, (*loaded, *beside)))
        yield _Case(name=f"at the baselines of {scenarios}", cells=loaded).test(limits)
    fullest = tuple(max(of_service, key=lambda cell: len(_limits(cell))) for of_service in services)
    elsewhere = tuple(replace(cell, environment=ELSEWHERE) for cell in fullest)
    limits = _united(map(_limits, (*fullest, *turns[-1])))
    yield _Case(name="beyond the warning limits", cells=fullest, short=WARNING).test(limits)
    yield _Case(name="beyond the critical limits", cells=fullest, short=CRITICAL, long=CRITICAL).test(limits)
    yield _Case(name="beyond the critical limits for minutes only", cells=fullest, short=CRITICAL).test(limits)
    yield _Case(name="in another environment", cells=elsewhere, short=CRITICAL, long=CRITICAL).test(limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """Services whose load runs, with figures at their centres or just beyond their limits.

    Attributes:
        short, long: the severity of the limits that figures over 5 and 30 minutes are beyond; ``None`` at the centres.
    """

    name: str
    cells: tuple[CellLimits, ...]
    short: str | None = None
    long: str | None = None

    def test(self, limits: Mapping[str, str]) -> dict[str, Any]:
        """Return the test: nothing at once, what is critical before what is not, and all of it in the end."""
        fired = frozenset(alert for cell in self.cells if cell.environment != ELSEWHERE for alert in self._fired(cell))
        critical = frozenset(alert for alert in fired if CRITICAL in alert)
        expected = [
            _Firing(minute=1),
            _Firing(minute=9, alerts=critical),
            _Firing(minute=SETTLED, alerts=fired),
        ]
        return _test(self.name, {**limits, **_united(map(self._series, self.cells))}, expected)

    def _fired(self, cell: CellLimits) -> Iterator[tuple[str, ...]]:
        """Return the alerts that the figures lead to; a centre may lie beyond a hard limit."""
        short, long = _figures(cell, self.short), _figures(cell, self.long)
        for name, limits in cell.metrics.items():
            for severity, limit in limits.by_severity.items():
                is_short_alone = severity == WARNING or _is_mirrored(name)
                figures = (short[name],) if is_short_alone else (short[name], long[name])
                if all(figure < limit if _is_mirrored(name) else figure > limit for figure in figures):
                    yield alert_name(METRICS[name]), severity, cell.service

    def _series(self, cell: CellLimits) -> _Series:
        """Return the figures of a service, and that its load began ten minutes before the time does."""
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
    """Return the centres, or figures just beyond the limits of a severity; of the warning where there is no other."""
    if severity is None:
        return {name: limit.centre for name, limit in cell.metrics.items()}
    limits = {name: limit.by_severity.get(severity, limit.warning) for name, limit in cell.metrics.items()}
    return {name: limit * BEYOND_RATIO ** (-1 if _is_mirrored(name) else 1) for name, limit in limits.items()}


def _limits(cell: CellLimits) -> _Series:
    return {
        _name(family("alert_limit", name), cell, scenario=cell.scenario, severity=severity): _constant(value)
        for name, limit in cell.metrics.items()
        for severity, value in limit.by_severity.items()
    }


# What the limits rest on


def _of_age_and_pauses(groups: Iterable[Group]) -> dict[str, Any]:
    """Return a test with one of each that is too old, and one that is just young enough."""
    old = REVIEW_AFTER.total_seconds()
    ages = {"old": -old - 60, "young": 3600.0 * 2 - old}
    series = {_of(f"{NAMESPACE}_baseline_timestamp_seconds", name): _constant(age) for name, age in ages.items()}
    told: list[tuple[str, ...]] = []
    for scenario, pause in _pauses(groups).items():
        ends = {"missed": -pause - 60, "resting": 3600.0 * 2 - pause}
        for name, ended in ends.items():
            series[_of(f"{NAMESPACE}_run_timestamp_seconds", name, scenario=scenario)] = _constant(ended)
        told.append(("BellwetherNoRun", "missed", scenario))
    labels = ("alertname", "service", "scenario")
    stale = ("BellwetherBaselineTooOld", "old", _MADE_UP.scenario)
    expected = [
        _Firing(minute=4),
        _Firing(minute=50, alerts=frozenset(told), labels=labels),
        _Firing(minute=61, alerts=frozenset([*told, stale]), labels=labels),
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
    """Return a test of limits that are there for ten minutes; for another five Prometheus still takes them to be."""
    told = frozenset({("BellwetherLimitsAbsent", WARNING, _MADE_UP.service)})
    series = dict.fromkeys(_limits(_MADE_UP), "1+0x10")
    return _test("limits that are gone", series, [_Firing(minute=28), _Firing(minute=32, alerts=told)])


# Series as promtool reads them


def _test(name: str, series: Mapping[str, str], expected: list[_Firing]) -> dict[str, Any]:
    return {
        "name": name,
        "interval": "1m",
        "input_series": [{"series": each, "values": values} for each, values in series.items()],
        "promql_expr_test": [each.document() for each in expected],
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


def _is_mirrored(metric: str) -> bool:
    return METRICS[metric].direction is Direction.HIGHER_IS_BETTER

"""The alerting rules and their annotations. Routing and inhibition are up to the Alertmanager."""

from collections.abc import Iterator

from include.perf.baselines.entry import REVIEW_AFTER
from include.perf.model.metric import METRICS, Direction, Metric, Unit
from include.perf.monitoring.live_figures import LONG, SHORT, RateWindow, live
from include.perf.monitoring.names import NAMESPACE, STATE_TIMESTAMP, family
from include.perf.monitoring.rule_yaml import Alert

WARNING, CRITICAL = "warning", "critical"

WARNING_FOR = "10m"
CRITICAL_FOR = "2m"
"""Short, because a critical alert also needs half an hour beyond the limit; it only filters single evaluations."""

THROUGHPUT_FOR = "5m"
"""A critical throughput alert needs only five minutes beyond the limit, because few loads last half an hour."""

LIMITS_REMEMBERED = "2d"
STATE_OLD_S = 600
LONGEST_PAUSE = f"scenario:{NAMESPACE}_longest_pause_seconds"

_HUMAN = {
    Unit.SECONDS: "{{{{ {0} | humanizeDuration }}}}",
    Unit.RATIO: "{{{{ {0} | humanizePercentage }}}}",
    Unit.BYTES: "{{{{ {0} | humanize1024 }}}}B",
    Unit.CORES: '{{{{ {0} | printf "%.2f" }}}} cores',
    Unit.REQUESTS_PER_SECOND: '{{{{ {0} | printf "%.1f" }}}}/s',
}
"""Templates of Prometheus that format a value with its unit."""

_SERVICE = "{{ $labels.service }} ({{ $labels.environment }})"
_CELL = "{{ $labels.service }} under {{ $labels.scenario }} ({{ $labels.environment }})"


def applicable(metric: str) -> str:
    """Return the name of the recorded limit that applies now, by service, environment and severity."""
    return f"service_environment:{family('alert_limit', metric)}:applicable"


def alert_name(metric: Metric) -> str:
    """Return the name of the alerts about a metric: ``BellwetherLatencyP95High``."""
    words = "".join(word.capitalize() for word in metric.name.split("_"))
    return f"Bellwether{words}{'Low' if _is_higher_better(metric) else 'High'}"


def alerts() -> Iterator[Alert]:
    """Return all alerts: two for each metric, then those about baselines, runs, limits and old metrics."""
    for metric in METRICS.values():
        yield _warning(metric)
        yield _critical(metric)
    yield _baseline_too_old()
    yield _no_run()
    yield _limits_absent()
    yield _state_old()


def _warning(metric: Metric) -> Alert:
    return _beyond(metric, WARNING, windows=(SHORT,), pending_for=WARNING_FOR)


def _critical(metric: Metric) -> Alert:
    if _is_higher_better(metric):
        return _beyond(metric, CRITICAL, windows=(SHORT,), pending_for=THROUGHPUT_FOR)
    return _beyond(metric, CRITICAL, windows=(SHORT, LONG), pending_for=CRITICAL_FOR)


def _beyond(metric: Metric, severity: str, *, windows: tuple[RateWindow, ...], pending_for: str) -> Alert:
    sign, side = ("<", "below") if _is_higher_better(metric) else (">", "above")
    limit = f'{applicable(metric.name)}{{severity="{severity}"}}'
    over = [f"(\n  {live(metric.name, window)}\n  {sign} on (service, environment)\n  {limit}\n)" for window in windows]
    spans = " and ".join(window.name for window in windows)
    human = _HUMAN[metric.unit]
    return Alert(
        name=alert_name(metric),
        expr="\nand on (service, environment)\n".join(over),
        pending_for=pending_for,
        labels={"severity": severity},
        annotations={
            "summary": f"{metric.title} of {_SERVICE} is {human.format('$value')}",
            "description": (
                f"It is {side} its {severity} limit of {_limit_now(metric, severity)} over the last {spans}. This is "
                "the limit of the scenario whose load is running, else the most lenient limit of all scenarios."
            ),
            "runbook": (
                "Check recent deployments and changes of traffic. If the new level is intended, promote a run that "
                "shows it (python -m include.perf baselines promote); the limit then follows."
            ),
        },
    )


def _limit_now(metric: Metric, severity: str) -> str:
    """Return the template that queries the applicable limit by the labels of the alert."""
    query = f'printf "{applicable(metric.name)}{{service=%q,environment=%q,severity=\\"{severity}\\"}}"'
    value = _HUMAN[metric.unit].format("value (first .)")
    return f"{{{{ with {query} $labels.service $labels.environment | query }}}}{value}{{{{ end }}}}"


def _baseline_too_old() -> Alert:
    days = REVIEW_AFTER.days
    return Alert(
        name="BellwetherBaselineTooOld",
        expr=(
            f"time() - max by (service, scenario, environment) ({NAMESPACE}_baseline_timestamp_seconds)"
            f" > {REVIEW_AFTER.total_seconds():.0f}"
        ),
        pending_for="1h",
        labels={"severity": WARNING},
        annotations={
            "summary": f"The baseline of {_CELL} is {{{{ $value | humanizeDuration }}}} old",
            "description": f"Its limits describe the service as it was then. A baseline is reviewed after {days} days.",
            "runbook": "Run python -m include.perf baselines review, and promote a recent run if it is as expected.",
        },
    )


def _no_run() -> Alert:
    return Alert(
        name="BellwetherNoRun",
        expr=(
            f"time() - max by (service, scenario, environment) ({NAMESPACE}_run_timestamp_seconds)\n"
            f"> on (scenario) group_left ()\n{LONGEST_PAUSE}"
        ),
        pending_for="5m",
        labels={"severity": WARNING},
        annotations={
            "summary": f"No run of {_CELL} for {{{{ $value | humanizeDuration }}}}",
            "description": (
                "This is longer than the longest pause in its schedule. There are no results of the service under this "
                "scenario since then."
            ),
            "runbook": "Is the DAG paused, or the scheduler down? Airflow shows the latest runs of the DAG.",
        },
    )


def _limits_absent() -> Alert:
    limits = f'{{__name__=~"{NAMESPACE}_alert_limit_.+"}}'
    return Alert(
        name="BellwetherLimitsAbsent",
        expr=(
            f"count by (service, environment) (last_over_time({limits}[{LIMITS_REMEMBERED}]))\n"
            f"unless on (service, environment)\ncount by (service, environment) ({limits})"
        ),
        pending_for="15m",
        labels={"severity": WARNING},
        annotations={
            "summary": f"The limits of {_SERVICE} are missing",
            "description": (
                "Without them no alert about the service can fire. This alert ends "
                f"{LIMITS_REMEMBERED} after the limits were last seen."
            ),
            "runbook": (
                "Does Prometheus still scrape Bellwether's metrics (see 'up' of that job)? If the service was removed "
                "from the catalogue, no action is needed."
            ),
        },
    )


def _state_old() -> Alert:
    return Alert(
        name="BellwetherStateOld",
        expr=f"time() - min({STATE_TIMESTAMP}) > {STATE_OLD_S}",
        pending_for="5m",
        labels={"severity": WARNING},
        annotations={
            "summary": "Bellwether's metrics show a state that is {{ $value | humanizeDuration }} old",
            "description": (
                "A store behind the metrics does not answer, so they have their last known values: limits, runs and "
                "open problems may be out of date."
            ),
            "runbook": (
                "The page Performance in Airflow names the store that does not answer. Are the results store and the "
                "files of baselines and alerts reachable from the API server?"
            ),
        },
    )


def _is_higher_better(metric: Metric) -> bool:
    return metric.direction is Direction.HIGHER_IS_BETTER

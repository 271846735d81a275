"""The alerts and their words. Whom they reach, and which of them hides which, is the Alertmanager's business."""

from collections.abc import Iterator

from include.perf.baselines.entry import REVIEW_AFTER
from include.perf.model.metric import METRICS, Direction, Metric, Unit
from include.perf.monitoring.live_figures import LONG, SHORT, RateWindow, live
from include.perf.monitoring.names import NAMESPACE, family
from include.perf.monitoring.rule_yaml import Alert

WARNING, CRITICAL = "warning", "critical"

WARNING_HELD_FOR = "10m"
CRITICAL_HELD_FOR = "2m"
"""It is beyond the limit over half an hour as well; this only keeps one odd evaluation from waking anybody."""

THROUGHPUT_HELD_FOR = "5m"
"""A critical throughput is told by five minutes alone: few loads last for the half hour that it would take."""

LIMITS_REMEMBERED = "2d"
LONGEST_PAUSE = f"scenario:{NAMESPACE}_longest_pause_seconds"

_HUMAN = {
    Unit.SECONDS: "{{{{ {0} | humanizeDuration }}}}",
    Unit.RATIO: "{{{{ {0} | humanizePercentage }}}}",
    Unit.BYTES: "{{{{ {0} | humanize1024 }}}}B",
    Unit.CORES: '{{{{ {0} | printf "%.2f" }}}} cores',
    Unit.REQUESTS_PER_SECOND: '{{{{ {0} | printf "%.1f" }}}}/s',
}
"""How Prometheus' templates write a value for people."""

_SERVICE = "{{ $labels.service }} ({{ $labels.environment }})"
_CELL = "{{ $labels.service }} in {{ $labels.scenario }} ({{ $labels.environment }})"


def applicable(metric: str) -> str:
    """Return the name of the recorded limit that holds now, by service, environment and severity."""
    return f"service_environment:{family('alert_limit', metric)}:applicable"


def alert_name(metric: Metric) -> str:
    """Return what the alerts about a metric are called: ``BellwetherLatencyP95High``."""
    words = "".join(word.capitalize() for word in metric.name.split("_"))
    return f"Bellwether{words}{'Low' if _is_mirrored(metric) else 'High'}"


def alerts() -> Iterator[Alert]:
    """Return every alert: two for each metric, then those about what the limits rest on."""
    for metric in METRICS.values():
        yield _warning(metric)
        yield _critical(metric)
    yield _baseline_too_old()
    yield _no_run()
    yield _limits_absent()


def _warning(metric: Metric) -> Alert:
    return _beyond(metric, WARNING, windows=(SHORT,), held_for=WARNING_HELD_FOR)


def _critical(metric: Metric) -> Alert:
    if _is_mirrored(metric):
        return _beyond(metric, CRITICAL, windows=(SHORT,), held_for=THROUGHPUT_HELD_FOR)
    return _beyond(metric, CRITICAL, windows=(SHORT, LONG), held_for=CRITICAL_HELD_FOR)


def _beyond(metric: Metric, severity: str, *, windows: tuple[RateWindow, ...], held_for: str) -> Alert:
    sign, side = ("<", "below") if _is_mirrored(metric) else (">", "above")
    limit = f'{applicable(metric.name)}{{severity="{severity}"}}'
    over = [f"(\n  {live(metric.name, window)}\n  {sign} on (service, environment)\n  {limit}\n)" for window in windows]
    spans = " and ".join(window.name for window in windows)
    human = _HUMAN[metric.unit]
    return Alert(
        name=alert_name(metric),
        expr="\nand on (service, environment)\n".join(over),
        held_for=held_for,
        labels={"severity": severity},
        annotations={
            "summary": f"{metric.title} of {_SERVICE} is {human.format('$value')}",
            "description": (
                f"It is {side} its {severity} limit of {_limit_now(metric, severity)} over the last {spans}. That is "
                "the limit of the scenario whose load runs on the service now, else the most lenient of its scenarios."
            ),
            "runbook": (
                "Look at what was deployed or has more traffic since it began. Where this is the level from now on, "
                "promote a run that shows it (python -m include.perf baselines promote), and the limit follows."
            ),
        },
    )


def _limit_now(metric: Metric, severity: str) -> str:
    """Return the template of the limit that holds; a template knows the labels of an alert and may ask again."""
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
        held_for="1h",
        labels={"severity": WARNING},
        annotations={
            "summary": f"The baseline of {_CELL} is {{{{ $value | humanizeDuration }}}} old",
            "description": f"Its limits hold what the service was like then; after {days} days somebody looks at it.",
            "runbook": "See python -m include.perf baselines review, and promote a run of these days where it agrees.",
        },
    )


def _no_run() -> Alert:
    return Alert(
        name="BellwetherNoRun",
        expr=(
            f"time() - max by (service, scenario, environment) ({NAMESPACE}_run_timestamp_seconds)\n"
            f"> on (scenario) group_left ()\n{LONGEST_PAUSE}"
        ),
        held_for="5m",
        labels={"severity": WARNING},
        annotations={
            "summary": f"No run of {_CELL} for {{{{ $value | humanizeDuration }}}}",
            "description": (
                "That is longer than its schedule ever rests, and nothing is known of the service in this scenario "
                "since then."
            ),
            "runbook": "Is the DAG paused, or the scheduler down? Airflow shows the last runs of the DAG.",
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
        held_for="15m",
        labels={"severity": WARNING},
        annotations={
            "summary": f"The limits of {_SERVICE} are gone",
            "description": (
                "Without them no figure of the service is watched. It is told for as long as they are remembered: "
                f"{LIMITS_REMEMBERED}."
            ),
            "runbook": (
                "Does Prometheus still scrape Bellwether's own metrics (up of that job)? Where the service has left "
                "the catalogue, this ends by itself."
            ),
        },
    )


def _is_mirrored(metric: Metric) -> bool:
    return metric.direction is Direction.HIGHER_IS_BETTER

"""The dashboard "Bellwether": how every service stands, what its runs measured, and how the measuring itself fares.

Loads as marks in every panel, out of the metric: nothing has to be set up for them.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import (
    AnnotationQuery,
    Dashboard,
    DashboardCursorSync,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from include.perf.baselines.entry import EXPIRES_AFTER, REVIEW_AFTER
from include.perf.measure.validity import MAX_SCHEDULE_LAG_S, MAX_WANTED_CORES
from include.perf.model.metric import METRICS, Direction, Metric, Unit
from include.perf.monitoring import names
from include.perf.monitoring.dashboards.panels import (
    DATASOURCE,
    NONE,
    VERDICT_CODES,
    PanelBuilder,
    PanelLook,
    age_of,
    bars,
    chosen,
    figure,
    matrix,
    over_time,
    states,
    verdict_code,
)
from include.perf.runs.record import Verdict


class LoadsAnnotation(Builder[AnnotationQuery]):
    """A region from the beginning to the end of each load."""

    def build(self) -> AnnotationQuery:
        """Return the query."""
        return _PrometheusAnnotation(
            name="Loads",
            datasource=DATASOURCE,
            icon_color="blue",
            expr=f"{chosen(names.LOAD_RUNNING)} == 1",
        )


class _PrometheusAnnotation(AnnotationQuery):
    """With what Grafana's Prometheus data source knows beside what the SDK does."""

    def to_json(self) -> dict[str, object]:
        """Return it as Grafana stores it."""
        return {
            **super().to_json(),
            "titleFormat": "Load test",
            "textFormat": "{{scenario}} on {{service}} ({{environment}})",
            "tagKeys": "service,scenario,environment",
            "step": "15s",
            "useValueForTime": False,
        }


UID = "bellwether"

TAG = "performance"

NIGHTLY = timedelta(hours=26).total_seconds()
"""A scenario that runs every night is late after so long."""

UNITS = {
    Unit.SECONDS: "s",
    Unit.REQUESTS_PER_SECOND: "reqps",
    Unit.RATIO: "percentunit",
    Unit.CORES: "short",
    Unit.BYTES: "bytes",
}

COLOURS = {
    Verdict.PASS: "green",
    Verdict.REGRESSION: "red",
    Verdict.IMPROVEMENT: "blue",
    Verdict.NO_BASELINE: "purple",
    Verdict.NOT_COMPARABLE: "yellow",
    Verdict.INVALID: "orange",
    Verdict.SKIPPED: "gray",
}

STATES = {0: ("–", NONE)} | {code: (verdict.value, COLOURS[verdict]) for verdict, code in VERDICT_CODES.items()}

LIMITS = ("warning", "critical")

DAY_S = timedelta(days=1).total_seconds()


def bellwether_dashboard() -> Dashboard:
    """Return the dashboard."""
    board = (
        dashboard.Dashboard("Bellwether")
        .uid(UID)
        .tags([TAG])
        .description("Performance baselines of the platform: verdicts, shifts, baselines, and loads that run.")
        .time("now-30d", "now")
        .refresh("1m")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .annotation(LoadsAnnotation())
    )
    board.with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    _add_choices(board)
    number = 0
    for title, panels in _rows():
        number += 1
        board.with_row(dashboard.Row(title).id(number))
        for panel in panels:
            number += 1
            board.with_panel(panel.id(number))
    return board.build()


def _rows() -> Iterator[tuple[str, list[PanelBuilder]]]:
    yield "Now", [_verdicts(), _problems(), _running(), _since_last_run()]
    shifted = ("latency_p95", "throughput", "cpu_usage")
    yield "Shift of the latest run against its baseline", [_shift(METRICS[name]) for name in shifted]
    shown = ("latency_p95", "throughput", "error_rate")
    yield "Runs, with what they are held to", [_values(METRICS[name]) for name in shown]
    yield "Over time", [_verdicts_over_time(), _loads_over_time()]
    yield "Baselines, and the measuring itself", [_baseline_age(), _lag(), _saturation()]


def _add_choices(board: dashboard.Dashboard) -> None:
    """Add the variables that choose cells; each offers what is left by those before it."""
    matchers: list[str] = []
    for name in ("environment", "scenario", "service"):
        query = f"label_values({names.LOAD_RUNNING}{{{', '.join(matchers)}}}, {name})"
        board.with_variable(
            dashboard.QueryVariable(name)
            .label(name.capitalize())
            .datasource(DATASOURCE)
            .query({"query": query, "refId": "A"})
            .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(VariableSort.ALPHABETICAL_ASC)
            .multi(True)  # noqa: FBT003 - as the builder wants it
            .include_all(True)  # noqa: FBT003
            .all_value(".*")
            .current(VariableOption(text="All", value="$__all", selected=True))
        )
        matchers.append(f'{name}=~"${name}"')


def _verdicts() -> PanelBuilder:
    text = "The verdict of the latest run of each service in each scenario."
    return matrix(PanelLook(title="Verdicts", text=text, states=STATES, width=12), verdict_code())


def _problems() -> PanelBuilder:
    look = PanelLook(
        title="Open problems",
        text="The most that one service has open in one scenario; Airflow lists them, under Performance.",
        steps={None: "green", 1: "orange"},
        width=3,
    )
    return figure(look, f"max(sum by (service, scenario) ({chosen(names.OPEN_PROBLEMS)}))")


def _running() -> PanelBuilder:
    text = "Loads of ours that go out now: a spike of such a service is made by us."
    look = PanelLook(title="Loads that run", text=text, steps={None: "text", 1: "blue"}, width=3)
    return figure(look, f"sum(max by (service, scenario) ({chosen(names.LOAD_RUNNING)}))")


def _since_last_run() -> PanelBuilder:
    look = PanelLook(
        title="Time since the last run",
        text="Of any verdict; orange after 26 h, which is late for what runs every night, and red after eight days.",
        unit="s",
        steps={None: "green", NIGHTLY: "orange", 8 * DAY_S: "red"},
        width=6,
    )
    return bars(look, age_of(names.RUN_TIMESTAMP))


def _shift(metric: Metric) -> PanelBuilder:
    is_lower_better = metric.direction is Direction.LOWER_IS_BETTER
    below, above = ("green", "orange") if is_lower_better else ("orange", "green")
    look = PanelLook(
        title=metric.title,
        text=f"By how much the latest measured run differs; coloured from {metric.min_effect_ratio:.0%} on, the "
        "smallest change that is told. The verdict knows more: how far runs differ anyway.",
        unit="percentunit",
        steps={None: below, -metric.min_effect_ratio: NONE, metric.min_effect_ratio: above},
    )
    return matrix(look, chosen(names.RUN_SHIFT, f'metric="{metric.name}"'))


def _values(metric: Metric) -> PanelBuilder:
    limits: Mapping[str, str] = {
        f"{severity} limit": chosen(names.family(names.ALERT_LIMIT, metric.name), f'severity="{severity}"')
        for severity in LIMITS
    }
    look = PanelLook(
        title=metric.title,
        text="Of the latest measured run, dashed its baseline and the limits of the alert rules. Choose one service.",
        unit=UNITS[metric.unit],
        height=10,
    )
    held_to = {"baseline": chosen(names.family(names.BASELINE, metric.name)), **limits}
    return over_time(look, {"": chosen(names.family(names.RUN, metric.name)), **held_to}, dashed=list(held_to))


def _verdicts_over_time() -> PanelBuilder:
    text = "The verdict of the latest run at each moment."
    return states(PanelLook(title="Verdicts", text=text, states=STATES, width=12, height=12), verdict_code())


def _loads_over_time() -> PanelBuilder:
    look = PanelLook(
        title="Loads",
        text="When loads of ours went out; they are marked in the other panels, too.",
        states={0: ("none", NONE), 1: ("load", "blue")},
        width=12,
        height=12,
    )
    return states(look, chosen(names.LOAD_RUNNING))


def _baseline_age() -> PanelBuilder:
    look = PanelLook(
        title="Age of the baselines",
        text=f"Since somebody changed it; to be looked at after {REVIEW_AFTER.days} days, and stale after "
        f"{EXPIRES_AFTER.days}: then it alarms nobody.",
        unit="s",
        steps={None: "green", REVIEW_AFTER.total_seconds(): "orange", EXPIRES_AFTER.total_seconds(): "red"},
        height=12,
    )
    return bars(look, age_of(names.BASELINE_TIMESTAMP))


def _lag() -> PanelBuilder:
    look = PanelLook(
        title="Lateness of the generator",
        text="How late arrivals were released, 99th percentile; beyond the line a run is invalid.",
        unit="s",
        steps={None: "green", MAX_SCHEDULE_LAG_S: "red"},
        height=12,
    )
    return over_time(look, {"": chosen(names.GENERATOR_LAG)})


def _saturation() -> PanelBuilder:
    look = PanelLook(
        title="Saturation of the generator",
        text="Share of a core that its busiest worker wanted; beyond the line a run is invalid.",
        unit="percentunit",
        steps={None: "green", MAX_WANTED_CORES: "red"},
        height=12,
    )
    return over_time(look, {"": chosen(names.GENERATOR_SATURATION)})

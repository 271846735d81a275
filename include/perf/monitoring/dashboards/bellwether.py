"""The dashboard "Bellwether": the status of all services, figures of runs, baselines, and the load generator.

Loads are annotated in each panel, by a query on the metric ``bellwether_load_running``.
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
    """A region from the start to the end of each load."""

    def build(self) -> AnnotationQuery:
        """Return the query."""
        return _PrometheusAnnotation(
            name="Loads",
            datasource=DATASOURCE,
            icon_color="blue",
            expr=f"{chosen(names.LOAD_RUNNING)} == 1",
        )


class _PrometheusAnnotation(AnnotationQuery):
    """An annotation with fields of Grafana's Prometheus data source that the SDK lacks."""

    def to_json(self) -> dict[str, object]:
        """Return the annotation as Grafana stores it."""
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
    Verdict.OVER_LIMIT: "dark-red",
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
        .description("Performance baselines of the platform: verdicts, shifts, baselines and running loads.")
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
    yield "Shift of the latest run from its baseline", [_shift(METRICS[name]) for name in shifted]
    shown = ("latency_p95", "throughput", "error_rate")
    yield "Runs and their baselines", [_values(METRICS[name]) for name in shown]
    yield "Over time", [_verdicts_over_time(), _loads_over_time()]
    yield "Baselines and load generator", [_baseline_age(), _lag(), _saturation()]


def _add_choices(board: dashboard.Dashboard) -> None:
    """Add the variables that select cells; each offers only values that match the previous ones."""
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
            .multi(True)  # noqa: FBT003 - signature of the builder
            .include_all(True)  # noqa: FBT003 - signature of the builder
            .all_value(".*")
            .current(VariableOption(text="All", value="$__all", selected=True))
        )
        matchers.append(f'{name}=~"${name}"')


def _verdicts() -> PanelBuilder:
    text = "Verdict of the latest run of each service under each scenario."
    return matrix(PanelLook(title="Verdicts", text=text, states=STATES, width=12), verdict_code())


def _problems() -> PanelBuilder:
    look = PanelLook(
        title="Open problems",
        text="Largest number of open problems of one service under one scenario. Airflow lists them under Performance.",
        steps={None: "green", 1: "orange"},
        width=3,
    )
    return figure(look, f"max(sum by (service, scenario) ({chosen(names.OPEN_PROBLEMS)}))")


def _running() -> PanelBuilder:
    text = "Load tests that are running now. They may cause spikes in the metrics of these services."
    look = PanelLook(title="Running loads", text=text, steps={None: "text", 1: "blue"}, width=3)
    return figure(look, f"sum(max by (service, scenario) ({chosen(names.LOAD_RUNNING)}))")


def _since_last_run() -> PanelBuilder:
    look = PanelLook(
        title="Time since the last run",
        text="Any verdict counts. Orange: more than 26 h, too long for a nightly scenario. Red: more than eight days.",
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
        text=f"Change of the latest measured run from its baseline. Coloured from the minimum effect of "
        f"{metric.min_effect_ratio:.0%} on; the verdict also considers how much runs differ.",
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
        text="Latest measured run; dashed: its baseline and the limits of the alert rules. Select one service.",
        unit=UNITS[metric.unit],
        height=10,
    )
    references = {"baseline": chosen(names.family(names.BASELINE, metric.name)), **limits}
    return over_time(look, {"": chosen(names.family(names.RUN, metric.name)), **references}, dashed=list(references))


def _verdicts_over_time() -> PanelBuilder:
    text = "Verdict of the latest run over time."
    return states(PanelLook(title="Verdicts", text=text, states=STATES, width=12, height=12), verdict_code())


def _loads_over_time() -> PanelBuilder:
    look = PanelLook(
        title="Loads",
        text="Times of load tests, which are also annotated in the other panels.",
        states={0: ("none", NONE), 1: ("load", "blue")},
        width=12,
        height=12,
    )
    return states(look, chosen(names.LOAD_RUNNING))


def _baseline_age() -> PanelBuilder:
    look = PanelLook(
        title="Age of the baselines",
        text=f"Time since the last change by a person. Due for review after {REVIEW_AFTER.days} days; stale after "
        f"{EXPIRES_AFTER.days} days, when it raises no critical alert.",
        unit="s",
        steps={None: "green", REVIEW_AFTER.total_seconds(): "orange", EXPIRES_AFTER.total_seconds(): "red"},
        height=12,
    )
    return bars(look, age_of(names.BASELINE_TIMESTAMP))


def _lag() -> PanelBuilder:
    look = PanelLook(
        title="Schedule lag of the generator",
        text="Delay of due requests within the load generator, 99th percentile. Above the line a run is invalid.",
        unit="s",
        steps={None: "green", MAX_SCHEDULE_LAG_S: "red"},
        height=12,
    )
    return over_time(look, {"": chosen(names.GENERATOR_LAG)})


def _saturation() -> PanelBuilder:
    look = PanelLook(
        title="Saturation of the generator",
        text="Share of a core that its busiest worker needed. Above the line a run is invalid.",
        unit="percentunit",
        steps={None: "green", MAX_WANTED_CORES: "red"},
        height=12,
    )
    return over_time(look, {"": chosen(names.GENERATOR_SATURATION)})

"""Loads as marks in every panel, out of the metric: nothing has to be set up for them."""

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import AnnotationQuery

from include.perf.dashboards.panels import DATASOURCE
from include.perf.dashboards.queries import chosen
from include.perf.exposition import names


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

"""The kinds of panels: tables of cells, single figures, ages as bars, and what changes over time.

What the panels ask Prometheus; ``$environment``, ``$scenario`` and ``$service`` are the dashboard's variables.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from grafana_foundation_sdk.builders import bargauge, common, prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.models import common as shapes
from grafana_foundation_sdk.models.dashboard import (
    DashboardSpecialValueMapOptions,
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    SpecialValueMap,
    SpecialValueMatch,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from include.perf.monitoring import names
from include.perf.runs.record import Verdict

VARIABLES = ("environment", "scenario", "service")

CHOSEN = ", ".join(f'{name}=~"${name}"' for name in VARIABLES)

CELL = "{{service}} · {{scenario}}"
"""How a series of a cell is called."""

VERDICT_CODES = {verdict: code for code, verdict in enumerate(Verdict, start=1)}
"""A number for each verdict, since a panel colours numbers."""


def chosen(family: str, *matchers: str) -> str:
    """Return what is asked of a family: the cells that are chosen."""
    return f"{family}{{{', '.join((CHOSEN, *matchers))}}}"


def verdict_code() -> str:
    """Return each cell's verdict as its number: every verdict but one is 0."""
    codes = " or ".join(f"{code} * {_is(verdict)}" for verdict, code in VERDICT_CODES.items())
    return f"max by (service, scenario) ({codes})"


def _is(verdict: Verdict) -> str:
    return chosen(names.RUN_VERDICT, f'verdict="{verdict.value}"')


def age_of(family: str) -> str:
    """Return how many seconds ago the moment of a family was."""
    return f"time() - {chosen(family)}"


DATASOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")

HEIGHT = 8

REF_IDS = "ABCDEFGH"

NONE = "transparent"

PLAIN: Mapping[float | None, str] = {None: "text"}

PanelBuilder = bargauge.Panel | stat.Panel | statetimeline.Panel | table.Panel | timeseries.Panel

AnyPanel = TypeVar("AnyPanel", bargauge.Panel, stat.Panel, statetimeline.Panel, table.Panel, timeseries.Panel)


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelLook:
    """What every kind of panel has.

    Attributes:
        text: what is to be seen, for who points at the panel.
        unit: Grafana's name of it.
        steps: colours, by the value from which on they hold; ``None`` is from the beginning.
        states: text and colour of single values.
    """

    title: str
    text: str
    unit: str = "none"
    width: int = 8
    height: int = HEIGHT
    steps: Mapping[float | None, str] = field(default_factory=lambda: PLAIN)
    states: Mapping[int, tuple[str, str]] = field(default_factory=dict)


def matrix(look: PanelLook, query: str) -> table.Panel:
    """Return a table of services by scenarios, coloured."""
    grouping = {"rowField": "service", "columnField": "scenario", "valueField": "Value", "emptyValue": "null"}
    return (
        _dressed(table.Panel(), look)
        .with_target(_query(query, "").instant().format(PromQueryFormat.TABLE))
        .with_transformation(DataTransformerConfig(id_val="groupingToMatrix", options=grouping))
        .cell_options(shapes.TableColoredBackgroundCellOptions(mode=shapes.TableCellBackgroundDisplayMode.BASIC))
        .override_by_field_type("string", [DynamicConfigValue(id_val="custom.cellOptions", value={"type": "auto"})])
    )


def figure(look: PanelLook, query: str) -> stat.Panel:
    """Return one figure, coloured."""
    return (
        _dressed(stat.Panel(), look)
        .with_target(_query(query, "").instant())
        .color_mode(shapes.BigValueColorMode.VALUE)
        .graph_mode(shapes.BigValueGraphMode.NONE)
    )


def bars(look: PanelLook, query: str) -> bargauge.Panel:
    """Return a bar for each cell."""
    return (
        _dressed(bargauge.Panel(), look)
        .with_target(_query(query, CELL).instant())
        .orientation(shapes.VizOrientation.HORIZONTAL)
        .display_mode(shapes.BarGaugeDisplayMode.BASIC)
        .min(0)
    )


def states(look: PanelLook, query: str) -> statetimeline.Panel:
    """Return a row for each cell, coloured by what it was when."""
    return (
        _dressed(statetimeline.Panel(), look)
        .with_target(_query(query, CELL))
        .show_value(shapes.VisibilityMode.NEVER)
        .merge_values(True)  # noqa: FBT003 - as the builder wants it
        .row_height(0.8)
    )


def over_time(look: PanelLook, queries: Mapping[str, str], *, dashed: Sequence[str] = ()) -> timeseries.Panel:
    """Return lines over time.

    Args:
        queries: by what is put after the name of each cell.
        dashed: those of them that are no measurements, but what these are held to.
    """
    panel = (
        _dressed(timeseries.Panel(), look)
        .legend(_legend())
        .show_points(shapes.VisibilityMode.NEVER)
        .span_nulls(True)  # noqa: FBT003 - as the builder wants it
        .thresholds_style(common.GraphThresholdsStyleConfig().mode(_style(look)))
    )
    for ref_id, (suffix, query) in zip(REF_IDS, queries.items(), strict=False):
        panel.with_target(_query(query, f"{CELL} {suffix}".strip(), ref_id=ref_id))
    for suffix in dashed:
        line = {"fill": "dash", "dash": [8, 8]}
        panel.override_by_regexp(f"/ {suffix}$/", [DynamicConfigValue(id_val="custom.lineStyle", value=line)])
    return panel


def _dressed(panel: AnyPanel, look: PanelLook) -> AnyPanel:
    colours = ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE)
    steps = [Threshold(value=value, color=colour) for value, colour in look.steps.items()]
    dressed = panel.title(look.title).description(look.text).datasource(DATASOURCE).unit(look.unit)
    dressed = dressed.span(look.width).height(look.height).thresholds(colours.steps(steps))
    return dressed.mappings(_mappings(look))


def _mappings(look: PanelLook) -> list[ValueMapping]:
    """Return the texts and colours of single values; what is not there has none."""
    nothing = DashboardSpecialValueMapOptions(
        match=SpecialValueMatch.NULL_AND_NAN, result=ValueMappingResult(text="–", color=NONE)
    )
    names = {
        str(value): ValueMappingResult(text=text, color=colour, index=index)
        for index, (value, (text, colour)) in enumerate(look.states.items())
    }
    own: list[ValueMapping] = [ValueMap(options=names)] if names else []
    return [*own, SpecialValueMap(options=nothing)]


def _query(query: str, name: str, *, ref_id: str = "A") -> prometheus.Dataquery:
    return prometheus.Dataquery().datasource(DATASOURCE).expr(query).legend_format(name).ref_id(ref_id)


def _legend() -> common.VizLegendOptions:
    return (
        common.VizLegendOptions()
        .show_legend(True)  # noqa: FBT003 - as the builder wants it
        .display_mode(shapes.LegendDisplayMode.LIST)
        .placement(shapes.LegendPlacement.BOTTOM)
    )


def _style(look: PanelLook) -> shapes.GraphThresholdsStyleMode:
    """Return how the colours of a time series are shown: as lines, where there are any."""
    is_plain = look.steps == PLAIN
    return shapes.GraphThresholdsStyleMode.OFF if is_plain else shapes.GraphThresholdsStyleMode.DASHED

"""Panels and their queries: tables of cells, single figures, bars, states and lines over time.

``$environment``, ``$scenario`` and ``$service`` are variables of the dashboard.
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
"""Legend of a cell's series."""

VERDICT_CODES = {verdict: code for code, verdict in enumerate(Verdict, start=1)}
"""A number for each verdict, because panels colour numbers."""


def chosen(family: str, *matchers: str) -> str:
    """Return the query of a family for the selected cells."""
    return f"{family}{{{', '.join((CHOSEN, *matchers))}}}"


def verdict_code() -> str:
    """Return the query of each cell's verdict code; the terms of all other verdicts are 0."""
    codes = " or ".join(f"{code} * {_is(verdict)}" for verdict, code in VERDICT_CODES.items())
    return f"max by (service, scenario) ({codes})"


def _is(verdict: Verdict) -> str:
    return chosen(names.RUN_VERDICT, f'verdict="{verdict.value}"')


def age_of(family: str) -> str:
    """Return the query of the age in seconds of a family of timestamps."""
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
    """Options of all kinds of panels.

    Attributes:
        text: the description, shown as tooltip.
        unit: Grafana's name of the unit.
        steps: colours by the value from which they apply; ``None`` for the base colour.
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
    """Return a coloured table of services and scenarios."""
    grouping = {"rowField": "service", "columnField": "scenario", "valueField": "Value", "emptyValue": "null"}
    return (
        _styled(table.Panel(), look)
        .with_target(_query(query, "").instant().format(PromQueryFormat.TABLE))
        .with_transformation(DataTransformerConfig(id_val="groupingToMatrix", options=grouping))
        .cell_options(shapes.TableColoredBackgroundCellOptions(mode=shapes.TableCellBackgroundDisplayMode.BASIC))
        .override_by_field_type("string", [DynamicConfigValue(id_val="custom.cellOptions", value={"type": "auto"})])
    )


def figure(look: PanelLook, query: str) -> stat.Panel:
    """Return a single coloured figure."""
    return (
        _styled(stat.Panel(), look)
        .with_target(_query(query, "").instant())
        .color_mode(shapes.BigValueColorMode.VALUE)
        .graph_mode(shapes.BigValueGraphMode.NONE)
    )


def bars(look: PanelLook, query: str) -> bargauge.Panel:
    """Return a bar for each cell."""
    return (
        _styled(bargauge.Panel(), look)
        .with_target(_query(query, CELL).instant())
        .orientation(shapes.VizOrientation.HORIZONTAL)
        .display_mode(shapes.BarGaugeDisplayMode.BASIC)
        .min(0)
    )


def states(look: PanelLook, query: str) -> statetimeline.Panel:
    """Return a state timeline with a row for each cell."""
    return (
        _styled(statetimeline.Panel(), look)
        .with_target(_query(query, CELL))
        .show_value(shapes.VisibilityMode.NEVER)
        .merge_values(True)  # noqa: FBT003 - signature of the builder
        .row_height(0.8)
    )


def over_time(look: PanelLook, queries: Mapping[str, str], *, dashed: Sequence[str] = ()) -> timeseries.Panel:
    """Return lines over time.

    Args:
        queries: queries by the suffix of the legend.
        dashed: suffixes of the reference lines, which are dashed.
    """
    panel = (
        _styled(timeseries.Panel(), look)
        .legend(_legend())
        .show_points(shapes.VisibilityMode.NEVER)
        .span_nulls(True)  # noqa: FBT003 - signature of the builder
        .thresholds_style(common.GraphThresholdsStyleConfig().mode(_style(look)))
    )
    for ref_id, (suffix, query) in zip(REF_IDS, queries.items(), strict=False):
        panel.with_target(_query(query, f"{CELL} {suffix}".strip(), ref_id=ref_id))
    for suffix in dashed:
        line = {"fill": "dash", "dash": [8, 8]}
        panel.override_by_regexp(f"/ {suffix}$/", [DynamicConfigValue(id_val="custom.lineStyle", value=line)])
    return panel


def _styled(panel: AnyPanel, look: PanelLook) -> AnyPanel:
    colours = ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE)
    steps = [Threshold(value=value, color=colour) for value, colour in look.steps.items()]
    styled = panel.title(look.title).description(look.text).datasource(DATASOURCE).unit(look.unit)
    styled = styled.span(look.width).height(look.height).thresholds(colours.steps(steps))
    return styled.mappings(_mappings(look))


def _mappings(look: PanelLook) -> list[ValueMapping]:
    """Return the texts and colours of single values; missing values are dashes."""
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
        .show_legend(True)  # noqa: FBT003 - signature of the builder
        .display_mode(shapes.LegendDisplayMode.LIST)
        .placement(shapes.LegendPlacement.BOTTOM)
    )


def _style(look: PanelLook) -> shapes.GraphThresholdsStyleMode:
    """Return the style of a time series' thresholds: dashed lines, if there are any."""
    is_plain = look.steps == PLAIN
    return shapes.GraphThresholdsStyleMode.OFF if is_plain else shapes.GraphThresholdsStyleMode.DASHED

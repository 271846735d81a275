"""Charts as SVG: safe to embed into light and dark pages."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from matplotlib.figure import Figure

from include.perf.catalogue.scenario.arrival_rate import CurvePoint, Shape
from include.perf.reporting.charts import style
from include.perf.reporting.charts.charts import MatplotlibCharts
from include.perf.reporting.charts.svg import DARK, LIGHT, THEMES, drawn_as_svg
from include.perf.runs.figures import Stall
from tests.records import load_summary, regressed_record, run_record, timeseries_rows, write_timeseries
from tests.run_files import baseline_runs, write_distribution, write_server_series

CHARTS = ("comparison", "latency", "distribution", "throughput", "resources")
MAX_BYTES = 80_000
HOSTILE = "</title></svg><script>alert(1)</script><img src=x onerror=alert(1)> \"'&$"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Charts of one hour with all features: a varying rate, stalls, failures in every bin, a baseline."""
    folder = tmp_path_factory.mktemp("run")
    failures = dict.fromkeys(range(0, 3660, 7), 12)
    write_timeseries(folder, timeseries_rows(duration_s=3600, failures=failures, slow=(range(600, 900), 80.0)))
    write_distribution(folder)
    write_server_series(folder, total_s=3660)
    curve = (CurvePoint(at_s=0, rate_rps=500), CurvePoint(at_s=1800, rate_rps=1500, by=Shape.STEP))
    stalls = tuple(Stall(start_s=100.0 * number, duration_s=1.5) for number in range(36))
    record = regressed_record(stalls=stalls, load=load_summary(requested_curve=curve))
    MatplotlibCharts().render(replace(record, service=HOSTILE), folder, baseline=baseline_runs())
    return folder


def svgs(folder: Path) -> Iterator[tuple[str, bytes]]:
    for name in CHARTS:
        for theme in THEMES:
            path = folder / "charts" / f"{name}{theme.suffix}"
            yield path.name, path.read_bytes()


def test_every_chart_has_both_themes(folder: Path) -> None:
    """As .svg and .dark.svg, each small enough for a page with five charts."""
    sizes = {name: len(content) for name, content in svgs(folder)}
    assert len(sizes) == 10
    assert max(sizes.values()) <= MAX_BYTES, sizes


def test_it_does_not_affect_the_page(folder: Path) -> None:
    """It has no style sheet, script, event handler, external address or style attribute."""
    for name, content in svgs(folder):
        root = ElementTree.fromstring(content)  # noqa: S314 - our own file
        tags = {element.tag.rpartition("}")[2] for element in root.iter()}
        assert tags <= {"svg", "title", "g", "path", "defs", "use", "text", "tspan", "clipPath", "rect"}, name
        attributes = {key for element in root.iter() for key in element.attrib}
        assert not {key for key in attributes if key.startswith("on") or key == "style"}, name
        assert all(element.get("href", "#").startswith("#") for element in root.iter())
        assert content.startswith(b"<svg ")


def test_hostile_names_are_escaped(folder: Path) -> None:
    """They are only drawn."""
    content = (folder / "charts" / "latency.svg").read_text(encoding="utf-8")
    assert "<script" not in content
    assert "&lt;/title&gt;&lt;/svg&gt;&lt;script&gt;" in content


def test_ids_are_unique(folder: Path) -> None:
    """All ten charts can be in one page: each reference finds its own id."""
    seen: set[str] = set()
    for _, content in svgs(folder):
        text = content.decode()
        ids = re.findall(r' id="([^"]+)"', text)
        assert len(ids) == len(set(ids))
        assert set(re.findall(r'(?:url\(|href=")#([^)"]+)', text)) == set(ids)
        assert seen.isdisjoint(ids)
        seen.update(ids)


def test_the_page_sets_the_size(folder: Path) -> None:
    """The chart has only an aspect ratio; its title is accessible."""
    root = ElementTree.fromstring((folder / "charts" / "latency.svg").read_bytes())  # noqa: S314 - our own file
    assert {"width", "height"}.isdisjoint(root.attrib)
    assert root.attrib["viewBox"] == "0 0 864 486"
    assert root.attrib["role"] == "img"
    assert root[0].text == "p95 rose to 61.2 ms, 45 % above baseline"


def test_text_is_text(folder: Path) -> None:
    """It can be searched and read aloud."""
    root = ElementTree.fromstring((folder / "charts" / "latency.dark.svg").read_bytes())  # noqa: S314 - our own file
    words = [element.text for element in root.iter() if element.tag.endswith("text")]
    assert {"p95 61.2 ms", "baseline p95 42.1 ms", "▮ 36 stalls ≤ 1.5 s"} <= set(words)


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour (WCAG 2.2)."""
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
@pytest.mark.parametrize(
    "colour", [style.BLUE, style.GREEN, style.PURPLE, style.VERMILLION, style.ORANGE, style.INK, style.GREY]
)
def test_text_has_enough_contrast(theme: object, colour: str) -> None:
    """At least 4 : 1 for large text, and 4.5 : 1 for small text, which is dark or grey."""
    colours = theme.colours  # type: ignore[attr-defined]
    text = colours[style.as_text(colour) if colour not in (style.INK, style.GREY) else colour.lower()]
    page = colours[style.WHITE.lower()]
    lighter, darker = sorted((luminance(text), luminance(page)), reverse=True)
    least = 4.5 if colour in (style.INK, style.GREY) else 4.0
    assert (lighter + 0.05) / (darker + 0.05) >= least


def test_the_themes_differ_only_in_colours(folder: Path) -> None:
    """Shapes and places are the same."""
    light, dark = (
        (folder / "charts" / f"throughput{theme.suffix}").read_text(encoding="utf-8") for theme in (LIGHT, DARK)
    )
    colours = re.compile("#[0-9a-fA-F]{6}|throughput-(light|dark)")
    assert light != dark
    assert colours.sub("", light) == colours.sub("", dark)
    assert style.SKY in light
    assert style.SKY not in dark


def test_a_colour_without_a_dark_replacement_is_an_error() -> None:
    """Otherwise it would be unreadable on dark pages."""
    figure = Figure()
    figure.text(0, 0, "title", color="#123456")
    with pytest.raises(KeyError, match="#123456"):
        drawn_as_svg(figure, name="x")


def test_a_run_without_files(tmp_path: Path) -> None:
    """It has only the comparison, in both themes."""
    MatplotlibCharts().render(run_record(), tmp_path)
    names = {path.name for path in (tmp_path / "charts").iterdir()}
    assert names == {"comparison.png", "comparison.svg", "comparison.dark.svg"}

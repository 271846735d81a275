"""Charts as SVG: parts of a page that can do it no harm, on a light and on a dark one."""

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
    """The charts of an hour with everything in it: a curve, stalls, failures in every bin, a baseline."""
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


def test_every_chart_is_there_for_both_pages(folder: Path) -> None:
    """Beside the PNG, as .svg and .dark.svg, each small enough for a page that holds five."""
    sizes = {name: len(content) for name, content in svgs(folder)}
    assert len(sizes) == 10
    assert max(sizes.values()) <= MAX_BYTES, sizes


def test_nothing_of_it_reaches_the_page_around_it(folder: Path) -> None:
    """No style sheet, script, event handler or address of elsewhere; nor a style that a content policy forbids."""
    for name, content in svgs(folder):
        root = ElementTree.fromstring(content)  # noqa: S314 - our own file
        tags = {element.tag.rpartition("}")[2] for element in root.iter()}
        assert tags <= {"svg", "title", "g", "path", "defs", "use", "text", "tspan", "clipPath", "rect"}, name
        attributes = {key for element in root.iter() for key in element.attrib}
        assert not {key for key in attributes if key.startswith("on") or key == "style"}, name
        assert all(element.get("href", "#").startswith("#") for element in root.iter())
        assert content.startswith(b"<svg ")


def test_hostile_names_are_text(folder: Path) -> None:
    """They are drawn, and nothing else."""
    content = (folder / "charts" / "latency.svg").read_text(encoding="utf-8")
    assert "<script" not in content
    assert "&lt;/title&gt;&lt;/svg&gt;&lt;script&gt;" in content


def test_ids_are_of_one_chart_only(folder: Path) -> None:
    """All ten may stand in one page: what refers to an id finds its own."""
    seen: set[str] = set()
    for _, content in svgs(folder):
        text = content.decode()
        ids = re.findall(r' id="([^"]+)"', text)
        assert len(ids) == len(set(ids))
        assert set(re.findall(r'(?:url\(|href=")#([^)"]+)', text)) == set(ids)
        assert seen.isdisjoint(ids)
        seen.update(ids)


def test_the_page_sets_the_size(folder: Path) -> None:
    """There is a shape only; a reader who cannot see it is told the title."""
    root = ElementTree.fromstring((folder / "charts" / "latency.svg").read_bytes())  # noqa: S314 - our own file
    assert {"width", "height"}.isdisjoint(root.attrib)
    assert root.attrib["viewBox"] == "0 0 864 486"
    assert root.attrib["role"] == "img"
    assert root[0].text == "p95 rose to 61.2 ms, 45 % above baseline"


def test_text_is_text(folder: Path) -> None:
    """It can be searched and read out."""
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
def test_text_is_told_from_its_page(theme: object, colour: str) -> None:
    """A contrast of 4 : 1 at least, of large type; 4.5 : 1 for what is small, ink and grey."""
    colours = theme.colours  # type: ignore[attr-defined]
    text = colours[style.as_text(colour) if colour not in (style.INK, style.GREY) else colour.lower()]
    page = colours[style.WHITE.lower()]
    lighter, darker = sorted((luminance(text), luminance(page)), reverse=True)
    least = 4.5 if colour in (style.INK, style.GREY) else 4.0
    assert (lighter + 0.05) / (darker + 0.05) >= least


def test_the_two_pages_differ_in_colours_only(folder: Path) -> None:
    """The same picture, at the same places."""
    light, dark = (
        (folder / "charts" / f"throughput{theme.suffix}").read_text(encoding="utf-8") for theme in (LIGHT, DARK)
    )
    colours = re.compile("#[0-9a-fA-F]{6}|throughput-(light|dark)")
    assert light != dark
    assert colours.sub("", light) == colours.sub("", dark)
    assert style.SKY in light
    assert style.SKY not in dark


def test_a_colour_without_a_dark_one_is_a_mistake() -> None:
    """It would be forgotten on one of the pages."""
    figure = Figure()
    figure.text(0, 0, "title", color="#123456")
    with pytest.raises(KeyError, match="#123456"):
        drawn_as_svg(figure, name="x")


def test_a_plain_run_needs_no_more(tmp_path: Path) -> None:
    """A run without files beside its record has its comparison in both."""
    MatplotlibCharts().render(run_record(), tmp_path)
    names = {path.name for path in (tmp_path / "charts").iterdir()}
    assert names == {"comparison.png", "comparison.svg", "comparison.dark.svg"}

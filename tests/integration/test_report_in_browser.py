"""The HTML report opened from disk: complete, no network requests, readable on a phone, in dark mode and on paper."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Request

from include.perf.reporting import html_page
from include.perf.reporting.charts.charts import MatplotlibCharts
from include.perf.reporting.report import run_document
from tests.records import regressed_record, timeseries_rows, write_timeseries

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

PHONE, DESK = {"width": 390, "height": 844}, {"width": 1400, "height": 900}
LONG_NAME = "a-service-of-" + "very-" * 40 + "long-name"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a regression with real charts and a very long name."""
    folder = tmp_path_factory.mktemp("report")
    write_timeseries(folder, timeseries_rows(duration_s=120))
    record = regressed_record(service=LONG_NAME)
    charts = MatplotlibCharts().render(record, folder)

    def read(path: str) -> bytes | None:
        return (folder / path).read_bytes() if (folder / path).is_file() else None

    document = run_document(record, charts=charts, history={"latency_p95": (0.041, 0.042, 0.043)})
    path = folder / "alone" / "report.html"
    path.parent.mkdir()
    path.write_text(html_page.page(document, image=html_page.embedded(read)), encoding="utf-8")
    return path


def opened(browser: Browser, report: Path, **context: object) -> Page:
    """Open the report; a console message or an external request fails the test."""
    page = browser.new_page(**context)  # type: ignore[arg-type]

    def refuse_external(request: Request) -> None:
        assert request.url.startswith(("file://", "data:image/")), request.url

    page.on("request", refuse_external)
    page.on("console", lambda message: pytest.fail(message.text))
    page.goto(report.as_uri())
    return page


@pytest.mark.parametrize("viewport", [PHONE, DESK])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_opens_from_disk(browser: Browser, report: Path, viewport: dict[str, int], scheme: str) -> None:
    """All charts are shown, and the page never scrolls sideways."""
    page = opened(browser, report, viewport=viewport, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == viewport["width"]
    shown = page.locator("figure img:visible")
    assert shown.count() == 3
    assert all(image.evaluate("image => image.complete && image.naturalWidth > 0") for image in shown.all())
    assert page.locator(f"figure .on-{scheme}:visible").count() == 3
    page.close()


@pytest.mark.parametrize(("scheme", "wanted"), [("dark", "light"), ("light", "dark")])
def test_a_page_may_choose_the_theme(browser: Browser, report: Path, scheme: str, wanted: str) -> None:
    """Colours and charts follow the page instead of the system."""
    page = opened(browser, report, viewport=DESK, color_scheme=scheme)
    page.evaluate("theme => { document.documentElement.dataset.theme = theme }", wanted)
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 26)"}[wanted]
    assert page.locator(f"figure .on-{wanted}:visible").count() == 3
    assert page.locator(f"figure .on-{scheme}:visible").count() == 0
    page.close()


def test_print_is_black_on_white(browser: Browser, report: Path) -> None:
    """This includes dark mode."""
    page = opened(browser, report, viewport=DESK, color_scheme="dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("figure .on-light:visible").count() == 3
    assert page.locator("figure .on-dark:visible").count() == 0
    page.close()


def test_on_a_phone_every_metric_is_a_card(browser: Browser, report: Path) -> None:
    """Every value fits the page and has a label; for a screen reader it stays a table."""
    page = opened(browser, report, viewport=PHONE)
    cell = page.locator("td[data-column=Judgement]").nth(1)
    assert cell.inner_text() == "worse, critical"
    assert cell.evaluate("cell => getComputedStyle(cell, '::before').content") == '"Judgement"'
    box = cell.bounding_box()
    assert box is not None
    assert box["x"] + box["width"] <= PHONE["width"]
    assert page.get_by_role("table", name="The eight metrics against their baseline").count() == 1
    assert page.get_by_role("rowheader", name="Latency p95").count() == 1
    page.close()


def test_everything_can_be_reached_by_keyboard(browser: Browser, report: Path) -> None:
    """Scrollable parts can be focused, and the focus is visible."""
    page = opened(browser, report, viewport=PHONE)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "FIGURE"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.close()

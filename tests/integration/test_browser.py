"""Airflow and Slack in a browser: the trigger form, the grid, the DAG documentation, and the Slack message.

With BELLWETHER_SCREENSHOTS set to a folder (docs/images), these tests renew the screenshots of the documentation.
"""

import os
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from demo.airflow_api import USER
from tests.integration.conftest import LOAD, PATIENCE_MS, SERVICE, SHORT_NAME, Platform, Run

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def page(browser: Browser, platform: Platform) -> Page:
    """A page where the admin is logged in with the generated password."""
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    page.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    page.goto(platform.stack.airflow_url)
    page.locator("input[name=username]").fill(USER)
    page.locator("input[name=password]").fill(platform.api.password())
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="User", exact=True)).to_be_visible()
    return page


@pytest.fixture(scope="module")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the screenshots."""
    folder = os.environ.get("BELLWETHER_SCREENSHOTS")
    return Path(folder) if folder else tmp_path_factory.mktemp("screenshots")


def check_screenshot(path: Path) -> None:
    """Check that a file is a PNG, 1200 px wide, of at most 300 kB."""
    content = path.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(content[16:20]) == 1200
    assert len(content) <= 300_000


def open_form(page: Page, platform: Platform) -> None:
    """Open the trigger form of market_open."""
    page.goto(f"{platform.stack.airflow_url}/dags/market_open")
    page.get_by_role("button", name="Trigger").first.click()
    expect(page.get_by_text("Run Parameters")).to_be_visible()


def widen_grid(page: Page) -> None:
    """Drag the border between grid and details to show more than one run."""
    page.mouse.move(299, 700)
    page.mouse.down()
    page.mouse.move(420, 700, steps=5)
    page.mouse.up()


def test_the_form_explains_every_parameter(page: Page, platform: Platform, screenshots: Path) -> None:
    """Every field has a title, a help text, and the scenario's load as its default."""
    open_form(page, platform)
    dialog = page.get_by_role("dialog")
    for title in ("Service", "Duration (s)", "Rate (requests/s)", "Update the baseline", "Reason"):
        expect(dialog.get_by_text(title, exact=False).first).to_be_visible()
    for help_text in ("All services, or one.", "Only runs of the same duration are compared.", "Needs a reason."):
        expect(dialog.get_by_text(help_text)).to_be_visible()
    expect(dialog.locator("input[name=element_duration]")).to_have_value("20")
    page.set_viewport_size({"width": 1200, "height": 1130})
    screenshot = screenshots / "trigger-form.png"
    page.screenshot(path=screenshot, animations="disabled")
    check_screenshot(screenshot)


def test_the_drop_down_offers_every_service(page: Page, platform: Platform) -> None:
    """It offers all services together, and every service by its name and its short name."""
    open_form(page, platform)
    page.get_by_role("dialog").get_by_role("combobox").first.click()
    offered = page.get_by_role("option").all_inner_texts()
    params = platform.api.call("GET", "/dags/market_open/details")["params"]
    assert offered == [
        params["service"]["schema"]["values_display"][name] for name in params["service"]["schema"]["enum"]
    ]
    assert {"all 6 services", SERVICE, f"{SHORT_NAME} (short name)", "strategy-execution-engine"} < set(offered)
    page.keyboard.press("Escape")


@pytest.mark.usefixtures("halted")
def test_a_run_triggered_in_the_form_appears_in_the_grid(page: Page, platform: Platform) -> None:
    """It runs with the chosen parameters, and mapped tasks are labelled with their service; load is halted."""
    known = {run["dag_run_id"] for run in platform.api.call("GET", "/dags/market_open/dagRuns")["dag_runs"]}
    open_form(page, platform)
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("combobox").first.click()
    page.get_by_role("option", name=SERVICE, exact=True).click()
    for name, value in LOAD.items():
        field = dialog.locator(f"input[name=element_{name}]")
        field.fill(str(value))
        field.blur()
    dialog.get_by_role("button", name="Trigger").click()
    expect(page.get_by_role("dialog")).to_be_hidden()

    runs = platform.api.call("GET", "/dags/market_open/dagRuns")["dag_runs"]
    (new,) = [run for run in runs if run["dag_run_id"] not in known]
    assert {name: new["conf"][name] for name in ("service", *LOAD)} == LOAD | {"service": SERVICE}
    run = platform.follow("market_open", new["dag_run_id"], earlier_messages=len(platform.messages()))
    assert run.record["verdict"] == "SKIPPED"
    assert (run.record["load"]["duration_s"], run.record["load"]["requested_rate_rps"]) == (10, 30)

    page.goto(f"{platform.stack.airflow_url}/dags/market_open/runs/{run.run_id}/tasks/group/run_service")
    expect(page.get_by_role("link", name="run_service.stage_data")).to_be_visible()
    # run_load and scrape were skipped, so they have no label
    expect(page.get_by_role("link", name=SERVICE)).to_have_count(2)
    page.goto(f"{platform.stack.airflow_url}/dags/market_open/runs/{run.run_id}/tasks/group/conclude")
    expect(page.get_by_role("link", name=SERVICE)).to_have_count(3)


def test_the_dag_documentation(page: Page, platform: Platform) -> None:
    """A button opens it, and it explains the load and the tasks."""
    page.goto(f"{platform.stack.airflow_url}/dags/market_open")
    page.get_by_role("button", name="Dag Docs").click()
    shown = page.get_by_role("dialog")
    expect(shown.get_by_role("heading", name="Market open")).to_be_visible()
    expect(shown.get_by_text("airflow dags trigger market_open --conf")).to_be_visible()
    last = shown.get_by_role("cell", name="fails if a service regressed, is over a limit or has no verdict")
    last.scroll_into_view_if_needed()
    expect(last).to_be_visible()
    page.keyboard.press("Escape")


def test_the_grid_shows_a_regression_in_red(page: Page, platform: Platform, slow_run: Run, screenshots: Path) -> None:
    """The run with a regression has failed; a screenshot shows it next to runs that passed."""
    page.goto(f"{platform.stack.airflow_url}/dags/market_open/runs/{slow_run.run_id}")
    expect(page.get_by_text("verdict").first).to_be_visible()
    page.get_by_role("button", name="Expand all task groups").click()
    expect(page.get_by_text("run_load").first).to_be_visible()
    expect(page.get_by_text("Failed").first).to_be_visible()
    widen_grid(page)
    screenshot = screenshots / "grid.png"
    page.screenshot(path=screenshot, animations="disabled")
    check_screenshot(screenshot)


def test_the_message_can_be_read_in_slack(
    browser: Browser, platform: Platform, slow_run: Run, screenshots: Path
) -> None:
    """The Slack stand-in shows the headline and the charts of a real regression."""
    page = browser.new_page(viewport={"width": 1200, "height": 1380})
    page.goto(platform.stack.slack_url)
    page.get_by_role("link", name="performance").first.click()
    headline = slow_run.messages[0]["text"].split(" ", 1)[1]
    expect(page.get_by_text(headline).first).to_be_visible()
    for chart in ("comparison", "latency"):
        expect(page.get_by_role("link", name=chart, exact=True)).to_be_visible()
    screenshot = screenshots / "slack-message.png"
    page.screenshot(path=screenshot, animations="disabled")
    check_screenshot(screenshot)

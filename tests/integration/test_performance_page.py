"""The page "Performance" in a real Airflow and a real browser: logins, content, permissions and changes."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
import requests
from playwright.sync_api import Browser, BrowserContext, FrameLocator, Page, expect

from demo.airflow_api import USER, VIEWER
from tests.integration.conftest import PATIENCE_MS, SERVICE, Platform, Run

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

TIMEOUT_S = 30.0
SCENARIO = "market_open"
CELL = f"{SERVICE} {SCENARIO}"
METRICS = 8
PHONE = {"width": 390, "height": 844}

Open = Callable[..., Page]


def token_of(platform: Platform, user: str) -> str:
    """Log in and return the token that Airflow's UI stores in its cookie."""
    credentials = {"username": user, "password": platform.api.password(user)}
    answer = requests.post(f"{platform.stack.airflow_url}/auth/token", json=credentials, timeout=TIMEOUT_S)
    return str(answer.json()["access_token"])


@pytest.fixture
def opened(browser: Browser, platform: Platform) -> Iterator[Open]:
    """Opens pages as a user; a script error or a blocked script fails the test."""
    contexts: list[BrowserContext] = []
    errors: list[str] = []

    def open_page(path: str, *, user: str = USER, **options: object) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1400, "height": 900}, **options})  # type: ignore[arg-type]
        contexts.append(context)
        context.add_cookies([{"name": "_token", "value": token_of(platform, user), "url": platform.stack.airflow_url}])
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if "Content Security" in message.text else None)
        page.goto(f"{platform.stack.airflow_url}{path}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []


def take_screenshot(page: Page, name: str) -> None:
    """Take a screenshot where BELLWETHER_SCREENSHOTS names a folder."""
    folder = os.environ.get("BELLWETHER_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png", animations="disabled")


def run_path(run: Run) -> str:
    """Return the path of a run's page."""
    return f"/bellwether/runs/{SERVICE}/{SCENARIO}/{run.record['run_id']}"


def test_nothing_without_a_login(browser: Browser, platform: Platform) -> None:
    """A browser is redirected to Airflow's login and back to the page; a program is refused."""
    url = f"{platform.stack.airflow_url}/bellwether/baselines"
    assert requests.get(url, timeout=TIMEOUT_S, allow_redirects=False).status_code == 401
    context = browser.new_context()
    page = context.new_page()
    page.goto(url)
    page.locator("input[name=username]").fill(USER)
    page.locator("input[name=password]").fill(platform.api.password())
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Baselines")).to_be_visible(timeout=PATIENCE_MS)
    assert page.url == url
    context.close()


def test_a_forged_login_is_refused(platform: Platform) -> None:
    """A cookie that Airflow did not sign is not a login."""
    url = f"{platform.stack.airflow_url}/bellwether/"
    assert requests.get(url, cookies={"_token": "a.b.c"}, timeout=TIMEOUT_S).status_code == 401


def test_navigating_from_airflow_to_a_report(opened: Open, slow_run: Run) -> None:
    """Clicks lead from the navigation to the matrix, the history, the run, and the DAG run in Airflow."""
    page = opened("/")
    page.get_by_role("link", name="Performance").click()
    frame: FrameLocator = page.frame_locator("iframe")
    expect(frame.get_by_role("heading", level=1)).to_contain_text("open problem")
    take_screenshot(page, "performance")
    frame.get_by_role("table").get_by_role("link", name=CELL).click()
    expect(frame.locator("canvas")).to_have_count(METRICS)
    frame.get_by_role("rowheader").locator(f"a[href$='{slow_run.record['run_id']}']").click()
    expect(frame.get_by_role("heading", name="Metrics", exact=True)).to_be_visible()
    images = frame.locator("figure img").filter(visible=True)
    expect(images.first).to_be_visible()
    assert images.evaluate_all("images => images.every(image => image.decode().then(() => image.naturalWidth > 0))")
    take_screenshot(page, "performance-run")
    frame.get_by_role("link", name="DAG run in Airflow").click()
    page.wait_for_url(lambda url: unquote(url).endswith(f"/dags/{SCENARIO}/runs/{slow_run.run_id}"))


def test_the_tab_of_a_dag_run(opened: Open, slow_run: Run) -> None:
    """It shows the summary of this DAG run."""
    page = opened(f"/dags/{SCENARIO}/runs/{slow_run.run_id}")
    menu_and_tab = page.get_by_role("link", name="Performance")
    menu_and_tab.and_(page.locator("a[href*='/runs/']")).click()
    frame = page.frame_locator("iframe")
    expect(frame.get_by_role("heading", level=1)).to_contain_text("1 REGRESSION")
    frame.get_by_role("rowheader", name=SERVICE).get_by_role("link").click()
    expect(frame.get_by_role("heading", name="Metrics", exact=True)).to_be_visible()


def test_the_history_under_the_cursor(opened: Open, slow_run: Run) -> None:
    """All charts show the run under the cursor, and a click opens it."""
    page = opened(f"/bellwether/cells/{SERVICE}/{SCENARIO}")
    chart = page.locator(".u-over").first
    box = chart.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + box["height"] / 2)
    readouts = page.locator("figcaption span")
    expect(readouts.first).to_contain_text("regression")
    assert sum("regression" in text for text in readouts.all_inner_texts()) == METRICS
    page.mouse.click(box["x"] + box["width"] - 2, box["y"] + box["height"] / 2)
    page.wait_for_url(f"**{run_path(slow_run)}")


def test_two_runs_side_by_side(opened: Open, first_run: Run, slow_run: Run) -> None:
    """Two runs are chosen in the table; the doubled latency is marked as worse, and the charts show both runs."""
    page = opened(f"/bellwether/cells/{SERVICE}/{SCENARIO}?range=all")
    for run in (first_run, slow_run):
        page.locator(f"input[value='{run.record['run_id']}']").check()
    page.get_by_role("button", name="Compare chosen runs").click()
    expect(page.get_by_role("heading", name="Two runs side by side")).to_be_visible()
    expect(page.get_by_role("row", name="Latency p95").first).to_contain_text("better")  # the newer one is A
    page.get_by_role("link", name="Swap A and B").click()
    expect(page.get_by_role("row", name="Latency p95").first).to_contain_text("worse")
    expect(page.locator("canvas").first).to_be_visible()
    take_screenshot(page, "performance-compare")


def test_promoting_and_rolling_back(opened: Open, platform: Platform, slow_run: Run) -> None:
    """A regression needs force and a reason; the user is recorded; a rollback restores the previous version."""
    page = opened(run_path(slow_run))
    page.get_by_label("Reason").fill("the new release is like this")
    page.get_by_role("button", name="Promote").click()
    expect(page.get_by_label("Start a new baseline")).to_be_focused()  # the browser requires it
    page.get_by_label("Start a new baseline").check()
    page.get_by_role("button", name="Promote").click()
    expect(page.get_by_role("status")).to_contain_text("The baseline is now version")
    expect(page.get_by_text(f"created by {USER} on")).to_contain_text("the new release is like this")
    page.get_by_label("Reason").fill("it was a mistake")
    page.get_by_role("button", name="Roll back").click()
    expect(page.get_by_role("status")).to_contain_text("Rolled back")
    assert "it was a mistake" in (platform.stack.baselines).read_text(encoding="utf-8")


def test_acknowledging_and_silencing(opened: Open, slow_run: Run) -> None:
    """The open problem of the slow run is acknowledged, and its silence is lifted."""
    page = opened("/bellwether/problems")
    problems = page.get_by_role("listitem").filter(has_text=SERVICE).filter(has_text=SCENARIO)
    form = problems.filter(has=page.get_by_role("button", name="Acknowledge", include_hidden=True)).first
    form.get_by_text("Acknowledge").first.click()
    form.get_by_label("Reason").fill("incident 4711")
    form.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_role("status")).to_contain_text("Acknowledged")
    expect(page.get_by_role("row").filter(has_text="incident 4711").first).to_be_visible()
    while page.get_by_role("button", name="Lift").count():
        page.get_by_role("button", name="Lift").first.click()
        expect(page.get_by_role("status")).to_contain_text("Silence lifted")


def test_a_viewer_changes_nothing(opened: Open, platform: Platform, slow_run: Run) -> None:
    """The page has no form, and a request without the form is refused."""
    page = opened(run_path(slow_run), user=VIEWER)
    expect(page.get_by_role("heading", name="Metrics", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Promote")).to_have_count(0)
    before = (platform.stack.baselines).read_bytes()
    answer = page.request.post(f"{platform.stack.airflow_url}{run_path(slow_run)}/promote", form={"reason": "x"})
    assert answer.status == 403
    assert (platform.stack.baselines).read_bytes() == before


def test_the_theme_follows_airflow(opened: Open, platform: Platform, slow_run: Run) -> None:
    """The preference of the system does not count, and a change applies at once."""
    page = opened("/bellwether/", color_scheme="light")
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.evaluate("localStorage.setItem('theme', 'dark')")
    page.reload()
    dark = page.evaluate(background)
    assert light != dark
    other = page.context.new_page()
    other.goto(f"{platform.stack.airflow_url}/bellwether/problems")
    other.evaluate("localStorage.setItem('theme', 'light')")
    page.wait_for_function(f"{background} === '{light}'")


def test_by_keyboard_alone(opened: Open, slow_run: Run) -> None:
    """The first tab stop skips to the content, the focus is always visible, and Enter opens a cell."""
    page = opened("/bellwether/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    for _ in range(60):
        page.keyboard.press("Tab")
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        if CELL in page.evaluate("document.activeElement.innerText").replace("\n", " "):
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**/cells/**")


@pytest.mark.parametrize("path", ["", f"cells/{SERVICE}/{SCENARIO}", "run", "baselines", "problems", "compare"])
def test_on_a_phone(opened: Open, first_run: Run, slow_run: Run, path: str) -> None:
    """No page is wider than the screen."""
    paths = {
        "run": run_path(slow_run),
        "compare": f"/bellwether/compare?run={first_run.record['run_id']}&run={slow_run.record['run_id']}",
    }
    page = opened(paths.get(path, f"/bellwether/{path}"), viewport=PHONE)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_without_scripts(opened: Open, slow_run: Run) -> None:
    """Only the charts are missing; the table lists the same runs."""
    page = opened(f"/bellwether/cells/{SERVICE}/{SCENARIO}", java_script_enabled=False)
    expect(page.get_by_text("The charts need JavaScript")).to_be_visible()
    expect(page.locator(f"a[href$='{slow_run.record['run_id']}']")).to_be_visible()


def test_nothing_is_loaded_from_other_sites(opened: Open, platform: Platform, slow_run: Run) -> None:
    """Every request of every page goes to this Airflow."""
    page = opened("/bellwether/")
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    for path in (f"/bellwether/cells/{SERVICE}/{SCENARIO}", run_path(slow_run), "/bellwether/problems"):
        page.goto(f"{platform.stack.airflow_url}{path}")
        page.wait_for_load_state("networkidle")
    assert requested
    assert [url for url in requested if not url.startswith((platform.stack.airflow_url, "data:"))] == []

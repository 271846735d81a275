"""Pages as HTML: data stays text, whatever it contains."""

from html.parser import HTMLParser
from typing import Any

import pytest

from include.perf.alerts.book import AlertBook, Silence
from include.perf.baselines.baselines import Baselines
from include.perf.model.cell import CellName
from include.perf.pages.addresses import Addresses
from include.perf.pages.baselines_page import baseline_page, baselines_page
from include.perf.pages.compare_page import ComparedRun, compare_page
from include.perf.pages.history_page import history_page
from include.perf.pages.matrix_page import matrix_page
from include.perf.pages.problems_page import problems_page
from include.perf.pages.rendering import Frame, MessagePage, render, static_files, static_version
from include.perf.pages.run_page import run_page
from include.perf.pages.undelivered import SetAsideMessage, Undelivered
from include.perf.runs.run_index import RunEntry, entry_of
from tests.baselines import approval
from tests.entries import NOW
from tests.perf.pages.problems import problem
from tests.records import run_record

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'{{7*7}}\u202e\x07"
CELL = CellName(HOSTILE, HOSTILE)
RECORD = run_record(service=HOSTILE, scenario=HOSTILE, run_id=HOSTILE, environment=HOSTILE, deploy_version=HOSTILE)
ENTRY = entry_of(RECORD, "memory://run")
BOOK = AlertBook(
    problems=[problem(id=HOSTILE, cells=(CELL,), title=HOSTILE)],
    silences=[Silence(id=HOSTILE, by=HOSTILE, reason=HOSTILE, created_at=NOW, until=NOW.replace(year=2030))],
)
FRAME = Frame(addresses=Addresses(), user=HOSTILE, version="1", token="t", notice=HOSTILE)


def anything(_: str) -> bool:
    """Allow all."""
    return True


UNDELIVERED = Undelivered(
    messages=(SetAsideMessage(id=HOSTILE, what=HOSTILE, text=HOSTILE, since="now", reason=HOSTILE),) * 11,
    unreadable=(HOSTILE,) * 11,
)


def baselines() -> Baselines:
    """Return a baseline of the hostile cell with a previous version."""
    made = Baselines()
    for number in (1, 2):
        made.promote(
            run_record(service=HOSTILE, scenario=HOSTILE, run_id=f"{HOSTILE}{number}"),
            approval=approval(by=HOSTILE, reason=HOSTILE),
        )
    return made


def pages() -> dict[str, Any]:
    """Return every page by its template, filled with hostile names."""
    entry = baselines().get(HOSTILE, HOSTILE)
    assert entry is not None
    side = ComparedRun(entry=ENTRY, record=RECORD, series=None, spread=None)
    runs: tuple[RunEntry, ...] = (ENTRY,)
    return {
        "matrix": matrix_page((CELL,), {CELL: runs}, book=BOOK, now=NOW, left_out=[HOSTILE] * 11, undelivered=2),
        "history": history_page(
            CELL, runs, baseline=entry, book=BOOK, chosen="all", page=1, now=NOW, left_out=[HOSTILE]
        ),
        "run": run_page(RECORD, ENTRY, history=runs, baseline=entry, files=("run.json",), may_change=True),
        "compare": compare_page(side, side),
        "baselines": baselines_page(baselines(), (CELL,), now=NOW),
        "baseline": baseline_page(CELL, entry, may_change=True, now=NOW),
        "problems": problems_page(
            BOOK,
            (CELL,),
            all_scenarios=(HOSTILE,),
            may_read=anything,
            may_change=anything,
            now=NOW,
            undelivered=UNDELIVERED,
        ),
        "message": MessagePage(title=HOSTILE, lines=(HOSTILE,), back=HOSTILE),
    }


class ParsedPage(HTMLParser):
    """Collects the elements, attributes and scripts of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.scripts: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag == "script":
            self.scripts.append(dict(attrs))


def parsed(html: str) -> ParsedPage:
    """Return the elements that a browser would find in a page."""
    found = ParsedPage()
    found.feed(html)
    return found


@pytest.mark.parametrize("name", pages())
def test_hostile_names_stay_text(name: str) -> None:
    """Data never adds an element, event handler, inline style or script, on any page."""
    found = parsed(render(name, FRAME, pages()[name]))
    assert "img" not in found.tags
    assert not [attribute for attribute, _ in found.attributes if attribute.startswith("on") or attribute == "style"]
    assert all(script.get("type") == "application/json" or script["src"] for script in found.scripts)


@pytest.mark.parametrize("name", pages())
def test_no_page_carries_control_characters(name: str) -> None:
    """Neither a bell nor a change of text direction."""
    html = render(name, FRAME, pages()[name])
    assert not {"\u202e", "\x07"} & set(html)


@pytest.mark.parametrize("name", pages())
def test_every_link_stays_on_this_site(name: str) -> None:
    """Styles, scripts and links start with one of our paths, or stay on the page."""
    found = parsed(render(name, FRAME, pages()[name]))
    addresses = [value or "" for attribute, value in found.attributes if attribute in ("src", "href", "action")]
    assert [
        address for address in addresses if not address.startswith(("/bellwether", "/dags/", "#", HOSTILE[:5]))
    ] == []


@pytest.mark.parametrize("name", [name for name in pages() if name in ("run", "baseline", "problems")])
def test_every_form_that_changes_something_has_the_token(name: str) -> None:
    """Without the token it would be refused."""
    html = render(name, FRAME, pages()[name])
    assert html.count('<form method="post"') == html.count('name="csrf_token" value="t"') > 0


def test_every_page_has_one_heading_and_one_main_part() -> None:
    """Screen readers and keyboard users rely on them."""
    for name, page in pages().items():
        tags = parsed(render(name, FRAME, page)).tags
        assert (tags.count("h1"), tags.count("main"), tags.count("title")) == (1, 1, 1), name


def test_static_files_share_one_version() -> None:
    """It is part of their URLs, so that browsers may cache them."""
    assert {"style.css", "page.css", "theme.js", "uPlot.iife.min.js", "history.js"} <= set(static_files())
    assert len(static_version()) == 12

"""Sources that hang or are slow: pages show the last known state with its age, and no threads pile up."""

import html
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta

import httpx
import pytest
from bellwether.web import isolation, sources

from tests.fakes.hanging import Hanging
from tests.plugins.web.conftest import Pages
from tests.waiting import until

TOKEN = "a-long-random-token"
MATRIX, CELL, RUN = "/", "/cells/engine/calm?range=all", "/runs/engine/calm/run-1"
DAG_RUN, METRICS = "/dag-runs/market_open/scheduled__2026-03-02T06:30:00+00:00", "/metrics"
COMPARED, BASELINES, PROBLEMS = "/compare?run=run-1&run=run-2", "/baselines", "/problems"
PATIENCE_S = sources.PATIENCE_S

HUNG_AT_MOST = 3
"""Calls of one source that hang at once: two reads, and the search for new runs."""
RUNNING_AT_MOST = 20
"""More threads than this never exist, whatever hangs: 8 for requests and 10 for their sources."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The sources of the pages, each of which can hang."""

    store: Hanging
    index: Hanging
    baselines: Hanging
    alerts: Hanging
    catalogue: Hanging
    loads: Hanging
    limits: Hanging
    set_patience: Callable[[float], None]

    def hang(self, *calls: tuple[str, str]) -> None:
        """Let calls of sources hang, and shorten how long responses wait for them."""
        self.set_patience(0.5)
        for source in dict(calls):
            getattr(self, source).hang(*(method for name, method in calls if name == source))

    def release(self) -> None:
        """Let all calls continue."""
        self.set_patience(PATIENCE_S)
        for source in self.all():
            source.release()

    def hung(self) -> int:
        """Return how many calls hang."""
        return sum(source.hung for source in self.all())

    def all(self) -> tuple[Hanging, ...]:
        """Return all of them."""
        return (self.store, self.index, self.baselines, self.alerts, self.catalogue, self.loads, self.limits)


CALLS = {
    ("store", "cells"): (MATRIX, "results store"),
    ("store", "latest"): (DAG_RUN, "results store"),
    ("store", "read"): (COMPARED, "results store"),
    ("store", "names"): (RUN, "results store"),
    ("index", "sync"): (METRICS, "results store"),
    ("index", "cells"): (BASELINES, "index of runs"),
    ("index", "latest"): (MATRIX, "index of runs"),
    ("index", "left_out"): (MATRIX, "index of runs"),
    ("index", "history"): (CELL, "index of runs"),
    ("index", "find"): (RUN, "index of runs"),
    ("index", "of_dag_run"): (DAG_RUN, "index of runs"),
    ("baselines", "read"): (BASELINES, "baseline store"),
    ("alerts", "read"): (PROBLEMS, "alert book"),
    ("catalogue", "__call__"): (PROBLEMS, "catalogue"),
    ("limits", "__call__"): (METRICS, "folder of the alert rules"),
    ("loads", "latest"): (METRICS, "load log"),
}
"""Every call that pages and metrics make, a page that makes it, and the name of its source."""

STORE_CALLS = tuple(call for call in CALLS if call[0] == "store")


@pytest.fixture
def hanging(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sources]:
    """The sources of the pages, with two runs; responses wait for them for half a second only."""
    pages.tokens["metrics"] = TOKEN
    pages.add_run(run_id="run-1")
    pages.add_run(run_id="run-2")
    site, metrics = pages.site, pages.site.metrics
    store = Hanging(site.store, named="store")
    monkeypatch.setattr(site.index, "_store", store)
    made = Sources(
        store=store,
        index=Hanging(site.index, named="index"),
        baselines=Hanging(site.baselines, named="baselines"),
        alerts=Hanging(site.alerts, named="alerts"),
        catalogue=Hanging(site.catalogue, named="catalogue"),
        loads=Hanging(metrics.loads, named="loads"),
        limits=Hanging(metrics.limits, named="limits"),
        set_patience=lambda seconds: monkeypatch.setattr(sources, "PATIENCE_S", seconds),
    )
    shared = {name: getattr(made, name) for name in ("index", "baselines", "alerts", "catalogue")}
    pages.use(store=store, metrics=replace(metrics, **shared, loads=made.loads, limits=made.limits), **shared)
    yield made
    made.release()


def own_threads() -> list[threading.Thread]:
    """Return the threads of the pages."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("bellwether ")]


def get(pages: Pages, path: str) -> httpx.Response:
    """Request a page, or the metrics as Prometheus does."""
    if path == "/metrics":
        return pages.get(path, user=None, headers={"Authorization": f"Bearer {TOKEN}", "Accept": "text/plain"})
    return pages.get(path)


def notices(answer: httpx.Response) -> list[str]:
    """Return the sentences about an earlier state on a page."""
    found = re.search(r"This page shows an earlier state.*?</ul>", answer.text, re.DOTALL)
    return (
        [html.unescape(item).replace("\N{NO-BREAK SPACE}", " ") for item in re.findall(r"<li>(.*?)</li>", found[0])]
        if found
        else []
    )


def state_at(answer: httpx.Response) -> float:
    """Return the time of the state behind metrics."""
    found = re.search(r"^bellwether_state_timestamp_seconds (\S+)$", answer.text, re.MULTILINE)
    assert found is not None
    return float(found[1])


def is_current(pages: Pages, path: str) -> bool:
    """Return whether a page shows the current state."""
    answer = get(pages, path)
    assert answer.status_code == 200, answer.text
    if path == "/metrics":
        return state_at(answer) == pages.clock.now.timestamp()
    return notices(answer) == []


@pytest.mark.parametrize("call", CALLS)
def test_whatever_hangs_its_page_shows_the_last_known_state(
    pages: Pages, hanging: Sources, call: tuple[str, str]
) -> None:
    """With its age; once the call returns, the page is current again without a restart."""
    path, name = CALLS[call]
    assert is_current(pages, path)
    was_read_at = pages.clock.now
    pages.clock.now += timedelta(minutes=4)
    hanging.hang(call)
    for _ in range(3):
        answer = get(pages, path)
        assert answer.status_code == 200
        if path == METRICS:
            assert state_at(answer) == was_read_at.timestamp()
        else:
            assert f"As of {was_read_at:%Y-%m-%d %H:%M} UTC, 4 min ago: the {name} does not answer" in notices(answer)
    assert 1 <= hanging.hung() <= HUNG_AT_MOST
    assert len(own_threads()) <= RUNNING_AT_MOST
    hanging.release()
    until(lambda: is_current(pages, path), within_s=60, what=f"{path} is current")
    assert hanging.hung() == 0


@pytest.mark.parametrize("call", CALLS)
def test_without_an_earlier_state_the_answer_says_so(pages: Pages, hanging: Sources, call: tuple[str, str]) -> None:
    """With 503, when to try again, and a sentence that names the source."""
    path, name = CALLS[call]
    hanging.set_patience(2.0)
    getattr(hanging, call[0]).hang(call[1])
    answer = get(pages, path)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert f"The {name} does not answer; there is no earlier state to show" in html.unescape(answer.text)
    hanging.release()
    until(lambda: get(pages, path).status_code == 200, within_s=60, what=f"{path} is shown")


def test_unknown_locks_do_not_fail_a_scrape(pages: Pages, hanging: Sources) -> None:
    """A load then counts as running until its planned end; its lock is never remembered."""
    assert is_current(pages, METRICS)
    hanging.hang(("loads", "held"))
    assert is_current(pages, METRICS)


def test_metrics_have_the_time_of_their_state(pages: Pages, hanging: Sources) -> None:
    """It stands still while a source does not answer, and a load is not running for ever."""
    current = get(pages, METRICS)
    was_read_at = pages.clock.now
    assert state_at(current) == was_read_at.timestamp()
    hanging.hang(*CALLS)
    pages.clock.now += timedelta(minutes=30)
    stale = get(pages, METRICS)
    assert (stale.status_code, state_at(stale)) == (200, was_read_at.timestamp())
    samples = re.compile(r"^bellwether_run_.*$", re.MULTILINE)
    assert samples.findall(stale.text) == samples.findall(current.text) != []


def test_an_index_that_was_never_complete_is_no_state(pages: Pages, hanging: Sources) -> None:
    """An empty matrix would look like a platform without runs."""
    hanging.hang(("store", "cells"))
    answer = get(pages, MATRIX)
    assert answer.status_code == 503
    assert "The results store does not answer; there is no earlier state to show" in answer.text


def test_another_process_sees_the_last_known_runs(pages: Pages, hanging: Sources) -> None:
    """The index is a file: after a restart of the API server, it is the last known state."""
    assert get(pages, MATRIX).status_code == 200
    synced_at = pages.clock.now
    pages.use()  # another process: nothing is kept
    pages.clock.now += timedelta(hours=2)
    hanging.hang(*STORE_CALLS)
    answer = get(pages, CELL)
    assert answer.status_code == 200
    assert "run-2" in answer.text
    assert notices(answer) == [f"As of {synced_at:%Y-%m-%d %H:%M} UTC, 2 h ago: the results store does not answer"]


def test_a_store_that_fails_is_like_one_that_hangs(pages: Pages, hanging: Sources) -> None:
    """The sentence is the store's own."""
    assert get(pages, MATRIX).status_code == 200
    pages.clock.now += timedelta(minutes=4)
    (pages.store.root.parent / "alerts.json").write_text("{", encoding="utf-8")
    (sentence,) = notices(get(pages, MATRIX))
    assert re.match(r"As of .*, 4 min ago: .*alerts\.json is not an alert book; repair it", sentence)


@pytest.mark.parametrize("path", ["/runs/engine/calm/run-9", "/compare?run=run-1&run=run-9", "/dag-runs/x/y"])
def test_what_an_old_state_does_not_have_may_exist(pages: Pages, hanging: Sources, path: str) -> None:
    """While the results store is gone, "no such run" would be wrong for one that finished since."""
    assert get(pages, path).status_code == 404
    pages.clock.now += timedelta(minutes=4)
    pages.store.root.rename(pages.store.root.with_name("away"))
    for page in (MATRIX, CELL, METRICS):
        assert get(pages, page).status_code == 200
    (sentence,) = notices(get(pages, MATRIX))
    assert re.match(r"As of .*, 4 min ago: the results store .* is gone; is its file system mounted\?", sentence)
    assert state_at(get(pages, METRICS)) == pages.clock.now.timestamp() - 240
    answer = get(pages, path)
    assert answer.status_code == 503
    assert "this is unknown now, because the results store" in answer.text
    pages.store.root.with_name("away").rename(pages.store.root)
    pages.clock.now += timedelta(minutes=4)
    assert get(pages, path).status_code == 404


def in_parallel(count: int, request: Callable[[int], httpx.Response]) -> list[httpx.Response]:
    """Send requests at the same time."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(request, range(count)))


def test_reloads_share_one_read(pages: Pages, hanging: Sources) -> None:
    """45 reloads of a page that hangs cost one hung call, and all show the same."""
    assert get(pages, MATRIX).status_code == 200
    pages.clock.now += timedelta(minutes=4)
    hanging.hang(("store", "cells"))
    answers = in_parallel(45, lambda _: pages.get(MATRIX))
    assert {answer.status_code for answer in answers} == {200}
    assert hanging.store.hung == 1
    assert len({tuple(notices(answer)) for answer in answers}) == 1


def test_different_requests_keep_to_their_limits(
    pages: Pages, hanging: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond threads and queue a request is refused at once, with a sentence."""
    monkeypatch.setattr(isolation, "PAGE_WAIT_S", 60.0)
    hanging.hang(*CALLS)
    answers = in_parallel(90, lambda number: pages.get(f"/cells/engine/calm?page={number}"))
    assert {answer.status_code for answer in answers} == {503}
    assert len(own_threads()) <= RUNNING_AT_MOST
    assert any("too many requests are waiting" in answer.text.lower() for answer in answers)
    hanging.release()
    until(lambda: get(pages, MATRIX).status_code == 200, within_s=60, what="the matrix is shown")
    until(lambda: not own_threads(), within_s=60, what="no thread is left")


def test_a_silence_is_added_while_the_results_store_hangs(pages: Pages, hanging: Sources) -> None:
    """On-call can act; only the page that follows shows an earlier state."""
    hanging.hang(*STORE_CALLS)
    answer = pages.post("/silences", service="engine", scenario="calm", days="1", reason="known")
    assert answer.status_code == 303
    assert len(pages.site.alerts.read().silences) == 1


def test_a_change_never_starts_from_an_earlier_state(
    pages: Pages, hanging: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run whose record cannot be read now is not promoted, although its page is shown."""
    monkeypatch.setattr(isolation, "CHANGE_WAIT_S", 0.5)
    assert get(pages, RUN).status_code == 200
    hanging.hang(*STORE_CALLS)
    assert get(pages, RUN).status_code == 200
    answer = pages.post("/runs/engine/calm/run-1/promote", reason="good", force="1")
    assert answer.status_code == 503
    assert "It is unknown whether the change was made, so look before you make it again" in answer.text.replace(
        "it is unknown", "It is unknown"
    )
    assert pages.site.baselines.read().get("engine", "calm") is None


def test_a_change_that_had_to_wait_is_not_made_later(
    pages: Pages, hanging: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its user was told that nothing was done. Two changes run at once, and hang; the third waits."""
    monkeypatch.setattr(isolation, "CHANGE_WAIT_S", 0.5)
    hanging.hang(("alerts", "update"))
    reasons = ("first", "second", "third")
    answers = [pages.post("/silences", scenario="calm", days="1", reason=reason) for reason in reasons]
    assert [answer.status_code for answer in answers] == [503, 503, 503]
    assert ["unknown whether" in answer.text for answer in answers] == [True, True, False]
    assert "nothing was done" in answers[2].text
    hanging.release()
    until(lambda: not own_threads(), within_s=60, what="the changes are over")
    assert sorted(silence.reason for silence in pages.site.alerts.read().silences) == ["first", "second"]

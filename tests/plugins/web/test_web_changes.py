"""Changes: by whom they may be made, from where, and what is kept of them."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from bellwether.web.csrf import VALID_S, Tokens
from itsdangerous import TimestampSigner

from include.perf.alerts.book import Silence
from include.perf.model.cell import CellName
from include.perf.runs.record import Verdict
from tests.perf.pages.problems import problem
from tests.plugins.web.conftest import BASE, HOST, Pages

RUN = "/runs/engine/calm/run-1"
CHANGES = (
    f"{RUN}/promote",
    "/baselines/engine/calm/roll-back",
    "/silences",
    "/silences/a1/lift",
    "/problems/p1/acknowledge",
)
FIELDS = {"reason": "known", "days": "2", "scenario": "calm", "version": "1"}


def add_problem(pages: Pages, **changes: Any) -> None:
    """Keep an open problem of the engine in calm."""
    made = problem(**{"id": "p1", "cells": (CellName("engine", "calm"),), **changes})
    pages.site.alerts.update(lambda book: book.put(made))


def add_silence(pages: Pages, **changes: Any) -> None:
    """Keep a silence that holds now."""
    now = pages.site.clock()
    made: dict[str, Any] = {"id": "a1", "by": "mara", "reason": "known", "scenario": "calm"}
    silence = Silence(**{**made, "created_at": now - timedelta(hours=1), "until": now + timedelta(days=1), **changes})
    pages.site.alerts.update(lambda book: book.silences.append(silence))


def everything(pages: Pages) -> None:
    """Keep a run, a baseline with a version before it, a problem and a silence."""
    for number in (2, 3):
        pages.keep(run_id=f"run-{number}", verdict=Verdict.NO_BASELINE, baseline=None)
        pages.post(f"/runs/engine/calm/run-{number}/promote", reason="first", over=str(number - 2), force="yes")
    pages.keep()
    add_problem(pages)
    add_silence(pages)


def state(pages: Pages) -> object:
    """Return all that can be changed."""
    return pages.site.baselines.read(), pages.site.alerts.read()


def notice(pages: Pages, answer: httpx.Response) -> str:
    """Follow to the page that says what was done."""
    assert answer.status_code == 303, answer.text
    return pages.get(answer.headers["location"].removeprefix(BASE)).text


def test_every_change_is_known_here(pages: Pages) -> None:
    """A new one must be added above, so that all of these hold for it too."""
    posts = [route for route in pages.app.routes if "POST" in getattr(route, "methods", ())]
    assert len(posts) == len(CHANGES)


@pytest.mark.parametrize("path", CHANGES)
def test_a_viewer_changes_nothing(pages: Pages, path: str) -> None:
    """Not even with a form of theirs: it takes the right to trigger runs of the DAG."""
    everything(pages)
    before = state(pages)
    answer = pages.post(path, user="viewer", **FIELDS)
    assert answer.status_code == 403
    assert "right to trigger runs" in answer.text
    assert state(pages) == before


@pytest.mark.parametrize("path", CHANGES)
@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ({}, None),
        ({}, "forged"),
        ({}, Tokens(secret="another").token_for("id of editor")),
        ({}, Tokens(secret="secret").token_for("id of viewer")),
        ({"Origin": "http://evil.example"}, Tokens(secret="secret").token_for("id of editor")),
        ({"Origin": "null"}, Tokens(secret="secret").token_for("id of editor")),
        ({"Sec-Fetch-Site": "cross-site"}, Tokens(secret="secret").token_for("id of editor")),
        ({"Sec-Fetch-Site": "same-site"}, Tokens(secret="secret").token_for("id of editor")),
    ],
    ids=["no token", "forged", "other secret", "other user", "elsewhere", "sandbox", "cross-site", "same-site"],
)
def test_another_site_changes_nothing(pages: Pages, path: str, headers: dict[str, str], token: str | None) -> None:
    """Neither without a token, nor with one of others, nor from elsewhere with a right one."""
    everything(pages)
    before = state(pages)
    data = {**FIELDS, **({} if token is None else {"csrf_token": token})}
    answer = pages.request("POST", path, data=data, headers=headers)
    assert answer.status_code == 403
    assert "Not done" in answer.text
    assert state(pages) == before


def test_an_old_form_is_refused(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    """After half a day the page is opened again."""
    token = pages.site.tokens.token_for("id of editor")
    made_at = TimestampSigner("x").get_timestamp()
    monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda _: made_at + VALID_S + 1)
    add_problem(pages)
    answer = pages.request("POST", "/problems/p1/acknowledge", data={**FIELDS, "csrf_token": token})
    assert answer.status_code == 403
    assert "too old" in answer.text


def test_our_own_page_behind_a_proxy(pages: Pages) -> None:
    """The host that browsers know may be another than the one that the proxy asks for."""
    add_problem(pages)
    token = pages.site.tokens.token_for("id of editor")
    data = {**FIELDS, "csrf_token": token}
    ours = pages.request("POST", "/problems/p1/acknowledge", data=data, headers={"Origin": f"http://{HOST}"})
    assert ours.status_code == 303


def test_a_promotion_is_kept_with_its_name(pages: Pages) -> None:
    """Who, when and why stand in the baselines file."""
    pages.keep(verdict=Verdict.NO_BASELINE, baseline=None)
    answer = pages.post(f"{RUN}/promote", reason="release 12", over="0")
    assert "The baseline is version 1 now." in notice(pages, answer)
    entry = pages.site.baselines.read().get("engine", "calm")
    assert (entry.approval.by, entry.approval.reason, entry.approval.at) == ("editor", "release 12", pages.site.clock())


def test_a_reason_is_asked_for(pages: Pages) -> None:
    """A baseline is changed for a reason; the answer leads back to the form."""
    pages.keep(verdict=Verdict.NO_BASELINE, baseline=None)
    referrer = {"Referer": f"http://{HOST}{BASE}{RUN}?x=1"}
    token = pages.site.tokens.token_for("id of editor")
    answer = pages.request("POST", f"{RUN}/promote", data={"csrf_token": token, "reason": " "}, headers=referrer)
    assert answer.status_code == 409
    assert "is changed for a reason" in answer.text
    assert f'href="{BASE}{RUN}"' in answer.text
    assert pages.site.baselines.read().get("engine", "calm") is None


def test_a_regression_takes_force(pages: Pages) -> None:
    """By itself it is refused; by force it begins a new level."""
    everything(pages)
    pages.keep(run_id="worse", verdict=Verdict.REGRESSION)
    path = "/runs/engine/calm/worse/promote"
    assert pages.post(path, reason="it is so now", over="2").status_code == 409
    assert pages.post(path, reason="it is so now", over="2", force="yes").status_code == 303
    assert pages.site.baselines.read().get("engine", "calm").version == 3


def test_a_baseline_that_changed_meanwhile(pages: Pages) -> None:
    """What was decided about version 1 does not happen to version 2."""
    everything(pages)
    for path, fields in ((f"{RUN}/promote", {"force": "yes"}), ("/baselines/engine/calm/roll-back", {"version": "1"})):
        answer = pages.post(path, reason="late", over="1", **fields)
        assert answer.status_code == 409
        assert "is version 2 by now" in answer.text


def test_rolling_back(pages: Pages) -> None:
    """The earlier level holds again as a new version, and the one before is kept."""
    everything(pages)
    answer = pages.post("/baselines/engine/calm/roll-back", version="1", over="2", reason="that deploy is gone")
    assert "The level of version 1 holds again, as version 3." in notice(pages, answer)
    entry = pages.site.baselines.read().get("engine", "calm")
    assert [run.run_id for run in entry.runs] == ["run-2"]
    assert entry.approval.by == "editor"


def test_a_silence_and_its_end(pages: Pages) -> None:
    """It is kept with name and reason, and lifted before its time."""
    answer = pages.post("/silences", service="engine", metric="latency_p95", days="2", reason="release", scenario="")
    assert "Silenced: engine, every scenario, latency_p95." in notice(pages, answer)
    (silence,) = pages.site.alerts.read().silences
    assert (silence.by, silence.reason, silence.until - silence.created_at) == ("editor", "release", timedelta(days=2))
    notice(pages, pages.post(f"/silences/{silence.id}/lift"))
    assert pages.site.alerts.read().silences == []


def test_a_silence_over_every_scenario_takes_every_right(pages: Pages) -> None:
    """Who may change one of two scenarios silences that one only, and lifts no wider one."""
    assert pages.post("/silences", user="half", metric="latency_p95", days="1", reason="x").status_code == 403
    assert pages.post("/silences", user="half", scenario="calm", days="1", reason="x").status_code == 303
    add_silence(pages, scenario=None, metric="disk_usage")
    assert pages.post("/silences/a1/lift", user="half").status_code == 403


def test_everything_wrong_with_a_silence_is_said_at_once(pages: Pages) -> None:
    """About nothing, for too long, for no reason."""
    answer = pages.post("/silences", days="1000", reason="")
    assert answer.status_code == 409
    for told in ("name at least one of them", "at most 90", "needs a reason"):
        assert told in answer.text


def test_a_number_that_is_none(pages: Pages) -> None:
    """It is explained, not shown as a program's error."""
    answer = pages.post("/silences", days="many", reason="x")
    assert answer.status_code == 422
    assert "Days: Input should be a valid number" in answer.text


def test_acknowledging_a_problem(pages: Pages) -> None:
    """All of it is silenced, and its thread is told once."""
    add_problem(pages, worst={"latency_p95": 0.4, "latency_p50": 0.3})
    notice(pages, pages.post("/problems/p1/acknowledge", days="3", reason="incident 4711"))
    book = pages.site.alerts.read()
    assert [(each.service, each.scenario, each.metric) for each in book.silences] == [
        ("engine", "calm", "latency_p95"),
        ("engine", "calm", "latency_p50"),
    ]
    assert [(each.problem_id, each.message.text) for each in book.outbox] == [("p1", "editor knows: incident 4711")]


def test_a_problem_that_is_over(pages: Pages) -> None:
    """There is nothing to know any more."""
    add_problem(pages, closed_at=pages.site.clock())
    assert pages.post("/problems/p1/acknowledge", days="3", reason="x").status_code == 404


def test_a_notice_cannot_be_made_up(pages: Pages) -> None:
    """What an address says that we did not write is not shown."""
    assert "All is lost" not in pages.get("/?notice=All+is+lost").text


def test_forms_are_for_those_who_may_use_them(pages: Pages) -> None:
    """A viewer sees no button that would be refused."""
    everything(pages)
    for path in (RUN, "/baselines/engine/calm", "/problems"):
        assert 'method="post"' in pages.get(path).text, path
        assert 'method="post"' not in pages.get(path, user="viewer").text, path

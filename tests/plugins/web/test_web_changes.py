"""Changes: who may make them, from which origin, and what is recorded."""

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
    """Store an open problem of the engine under calm."""
    added = problem(**{"id": "p1", "cells": (CellName("engine", "calm"),), **changes})
    pages.site.alerts.update(lambda book: book.put(added))


def add_silence(pages: Pages, **changes: Any) -> None:
    """Store an active silence."""
    now = pages.site.clock()
    fields: dict[str, Any] = {"id": "a1", "by": "mara", "reason": "known", "scenario": "calm"}
    silence = Silence(**{**fields, "created_at": now - timedelta(hours=1), "until": now + timedelta(days=1), **changes})
    pages.site.alerts.update(lambda book: book.silences.append(silence))


def fill(pages: Pages) -> None:
    """Store runs, a baseline with a previous version, a problem and a silence."""
    for number in (2, 3):
        pages.add_run(run_id=f"run-{number}", verdict=Verdict.NO_BASELINE, baseline=None)
        pages.post(f"/runs/engine/calm/run-{number}/promote", reason="first", over=str(number - 2), force="yes")
    pages.add_run()
    add_problem(pages)
    add_silence(pages)


def state(pages: Pages) -> object:
    """Return everything that can be changed."""
    return pages.site.baselines.read(), pages.site.alerts.read()


def notice(pages: Pages, answer: httpx.Response) -> str:
    """Follow the redirect and return the page with the notice."""
    assert answer.status_code == 303, answer.text
    return pages.get(answer.headers["location"].removeprefix(BASE)).text


def test_every_change_is_listed_here(pages: Pages) -> None:
    """A new route must be added to CHANGES, so that these tests cover it."""
    posts = [route for route in pages.app.routes if "POST" in getattr(route, "methods", ())]
    assert len(posts) == len(CHANGES)


@pytest.mark.parametrize("path", CHANGES)
def test_a_viewer_changes_nothing(pages: Pages, path: str) -> None:
    """Not even with a valid form: it takes permission to trigger the DAG."""
    fill(pages)
    before = state(pages)
    answer = pages.post(path, user="viewer", **FIELDS)
    assert answer.status_code == 403
    assert "permission to trigger" in answer.text
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
    """Neither without a token, nor with another user's token, nor from another origin with a valid one."""
    fill(pages)
    before = state(pages)
    data = {**FIELDS, **({} if token is None else {"csrf_token": token})}
    answer = pages.request("POST", path, data=data, headers=headers)
    assert answer.status_code == 403
    assert "Change rejected" in answer.text
    assert state(pages) == before


def test_an_expired_form_is_refused(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    """A form is valid for twelve hours."""
    token = pages.site.tokens.token_for("id of editor")
    signed_at = TimestampSigner("x").get_timestamp()
    monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda _: signed_at + VALID_S + 1)
    add_problem(pages)
    answer = pages.request("POST", "/problems/p1/acknowledge", data={**FIELDS, "csrf_token": token})
    assert answer.status_code == 403
    assert "has expired" in answer.text


def test_our_own_page_behind_a_proxy(pages: Pages) -> None:
    """The host that browsers know may differ from the host that the proxy requests."""
    add_problem(pages)
    token = pages.site.tokens.token_for("id of editor")
    data = {**FIELDS, "csrf_token": token}
    answer = pages.request("POST", "/problems/p1/acknowledge", data=data, headers={"Origin": f"http://{HOST}"})
    assert answer.status_code == 303


def test_a_promotion_is_recorded(pages: Pages) -> None:
    """Who, when and why are stored in the baselines file."""
    pages.add_run(verdict=Verdict.NO_BASELINE, baseline=None)
    answer = pages.post(f"{RUN}/promote", reason="release 12", over="0")
    assert "The baseline is now version 1." in notice(pages, answer)
    entry = pages.site.baselines.read().get("engine", "calm")
    assert (entry.approval.by, entry.approval.reason, entry.approval.at) == ("editor", "release 12", pages.site.clock())


def test_a_promotion_needs_a_reason(pages: Pages) -> None:
    """The error page links back to the form."""
    pages.add_run(verdict=Verdict.NO_BASELINE, baseline=None)
    referrer = {"Referer": f"http://{HOST}{BASE}{RUN}?x=1"}
    token = pages.site.tokens.token_for("id of editor")
    answer = pages.request("POST", f"{RUN}/promote", data={"csrf_token": token, "reason": " "}, headers=referrer)
    assert answer.status_code == 409
    assert "needs a reason" in answer.text
    assert f'href="{BASE}{RUN}"' in answer.text
    assert pages.site.baselines.read().get("engine", "calm") is None


def test_promoting_a_regression_takes_force(pages: Pages) -> None:
    """Without force it is refused; with force it starts a new baseline."""
    fill(pages)
    pages.add_run(run_id="worse", verdict=Verdict.REGRESSION)
    path = "/runs/engine/calm/worse/promote"
    assert pages.post(path, reason="accepted", over="2").status_code == 409
    assert pages.post(path, reason="accepted", over="2", force="yes").status_code == 303
    assert pages.site.baselines.read().get("engine", "calm").version == 3


def test_a_baseline_that_changed_in_the_meantime(pages: Pages) -> None:
    """A form for version 1 does not change version 2."""
    fill(pages)
    for path, fields in ((f"{RUN}/promote", {"force": "yes"}), ("/baselines/engine/calm/roll-back", {"version": "1"})):
        answer = pages.post(path, reason="late", over="1", **fields)
        assert answer.status_code == 409
        assert "is now version 2" in answer.text


def test_rolling_back(pages: Pages) -> None:
    """The earlier version is restored as a new version; the current one stays in the list."""
    fill(pages)
    answer = pages.post("/baselines/engine/calm/roll-back", version="1", over="2", reason="that deploy is gone")
    assert "Rolled back: version 3 restores version 1." in notice(pages, answer)
    entry = pages.site.baselines.read().get("engine", "calm")
    assert [run.run_id for run in entry.runs] == ["run-2"]
    assert entry.approval.by == "editor"


def test_adding_and_lifting_a_silence(pages: Pages) -> None:
    """It is stored with name and reason, and lifted early."""
    answer = pages.post("/silences", service="engine", metric="latency_p95", days="2", reason="release", scenario="")
    assert "Silenced: engine, every scenario, latency_p95." in notice(pages, answer)
    (silence,) = pages.site.alerts.read().silences
    assert (silence.by, silence.reason, silence.until - silence.created_at) == ("editor", "release", timedelta(days=2))
    notice(pages, pages.post(f"/silences/{silence.id}/lift"))
    assert pages.site.alerts.read().silences == []


def test_a_silence_of_every_scenario_takes_all_permissions(pages: Pages) -> None:
    """A user who may change one of two scenarios can silence only that one, and lift no wider silence."""
    assert pages.post("/silences", user="half", metric="latency_p95", days="1", reason="x").status_code == 403
    assert pages.post("/silences", user="half", scenario="calm", days="1", reason="x").status_code == 303
    add_silence(pages, scenario=None, metric="disk_usage")
    assert pages.post("/silences/a1/lift", user="half").status_code == 403


def test_all_problems_of_a_silence_are_reported_at_once(pages: Pages) -> None:
    """No scope, too many days, no reason."""
    answer = pages.post("/silences", days="1000", reason="")
    assert answer.status_code == 409
    for problem_text in ("name at least one of them", "at most 90", "needs a reason"):
        assert problem_text in answer.text


def test_invalid_form_fields(pages: Pages) -> None:
    """They are reported in plain words."""
    answer = pages.post("/silences", days="many", reason="x" * 501)
    assert answer.status_code == 422
    assert "Days must be a number, but is &#39;many&#39;" in answer.text
    assert "Reason must have at most 500 characters" in answer.text


def test_acknowledging_a_problem(pages: Pages) -> None:
    """All its metrics are silenced, and its thread gets one message."""
    add_problem(pages, worst={"latency_p95": 0.4, "latency_p50": 0.3})
    notice(pages, pages.post("/problems/p1/acknowledge", days="3", reason="incident 4711"))
    book = pages.site.alerts.read()
    assert [(silence.service, silence.scenario, silence.metric) for silence in book.silences] == [
        ("engine", "calm", "latency_p95"),
        ("engine", "calm", "latency_p50"),
    ]
    assert [(pending.problem_id, pending.message.text) for pending in book.outbox] == [
        ("p1", "editor knows: incident 4711")
    ]


def test_a_resolved_problem_cannot_be_acknowledged(pages: Pages) -> None:
    """It is not found."""
    add_problem(pages, closed_at=pages.site.clock())
    assert pages.post("/problems/p1/acknowledge", days="3", reason="x").status_code == 404


def test_a_forged_notice_is_not_shown(pages: Pages) -> None:
    """Only notices that the app signed appear on a page."""
    assert "All is lost" not in pages.get("/?notice=All+is+lost").text


def test_forms_are_shown_only_with_permission(pages: Pages) -> None:
    """A viewer sees no button that would be refused."""
    fill(pages)
    for path in (RUN, "/baselines/engine/calm", "/problems"):
        assert 'method="post"' in pages.get(path).text, path
        assert 'method="post"' not in pages.get(path, user="viewer").text, path

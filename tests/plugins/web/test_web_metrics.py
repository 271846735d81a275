"""Bellwether's own metrics over HTTP: for Prometheus with a token, and for people with a login."""

from typing import Any

import httpx
import pytest

from tests.perf.monitoring.cell_statuses import samples_in
from tests.plugins.web.conftest import Pages

TOKEN = "a-long-random-token"
SCRAPE = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3"


def scrape(pages: Pages, token: str | None = TOKEN, *, path: str = "/metrics", **options: Any) -> httpx.Response:
    """Send a scrape as Prometheus does."""
    headers = {"Accept": SCRAPE, **({"Authorization": f"Bearer {token}".encode()} if token is not None else {})}
    return pages.get(path, user=options.pop("user", None), headers=headers | options)


@pytest.fixture
def opened(pages: Pages) -> Pages:
    """The app with a token for Prometheus and two runs."""
    pages.tokens["metrics"] = TOKEN
    pages.add_run()
    pages.add_run(scenario="storm", run_id="run-2")
    return pages


def test_prometheus_gets_every_cell_with_its_token(opened: Pages) -> None:
    """In the requested format, and not cached."""
    answer = scrape(opened)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.headers["cache-control"] == "no-store"
    plain = scrape(opened, Accept="text/plain;version=0.0.4")
    assert plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    samples = samples_in(plain.text)["bellwether_run_latency_p95_seconds"]
    assert {dict(labels)["scenario"]: value for labels, value in samples.items()} == {"calm": 0.0424, "storm": 0.0424}


@pytest.mark.parametrize("token", [None, "", "wrong", TOKEN[:-1], f"{TOKEN}x", "ü"])
def test_a_wrong_token_is_refused(opened: Pages, token: str | None) -> None:
    """So is a missing one."""
    answer = scrape(opened, token)
    assert (answer.status_code, answer.json()) == (401, {"detail": "Not authenticated"})


@pytest.mark.parametrize("authorization", [f"Basic {TOKEN}", TOKEN, f"Bearer{TOKEN}"])
def test_only_a_bearer_token_is_accepted(opened: Pages, authorization: str) -> None:
    """Its scheme is case-insensitive."""
    assert scrape(opened, None, Authorization=authorization).status_code == 401
    assert scrape(opened, None, Authorization=f"bearer {TOKEN}").status_code == 200


@pytest.mark.parametrize("path", ["/", "/baselines", "/metrics/", "/static/page.css", "/runs/engine/calm/run-1", "/x"])
def test_the_token_opens_only_the_metrics(opened: Pages, path: str) -> None:
    """With it, nobody can view a page or change anything."""
    assert scrape(opened, path=path).status_code == 401
    posted = opened.request("POST", "/silences", user=None, headers={"Authorization": f"Bearer {TOKEN}", "Accept": "*"})
    assert posted.status_code == 401


def test_without_a_token_the_answer_says_how_to_set_one(pages: Pages) -> None:
    """Nothing is open by default, and an empty token opens nothing."""
    for token in (TOKEN, "", None):
        answer = scrape(pages, token)
        assert answer.status_code == 403
        assert "there is no connection bellwether_metrics with a password; add one" in answer.json()["detail"]
    pages.tokens["metrics"] = TOKEN
    assert scrape(pages).status_code == 200


def test_people_see_only_permitted_cells(opened: Pages) -> None:
    """With Airflow's login: the cells of the scenarios whose DAG they may read."""
    assert 'scenario="storm"' in opened.get("/metrics", user="viewer").text
    half = opened.get("/metrics", user="half").text
    assert 'scenario="calm"' in half
    assert "storm" not in half
    assert opened.get("/metrics", user=None).status_code == 302


def test_unreadable_data_fails_the_scrape(opened: Pages) -> None:
    """Prometheus then reports the target as down instead of showing old values."""
    (opened.store.root.parent / "alerts.json").write_text("{", encoding="utf-8")
    assert scrape(opened).status_code == 503

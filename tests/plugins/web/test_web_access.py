"""Who gets in, and what they see: nothing without a login, no scenario whose DAG they may not read."""

import re
from collections.abc import Iterator

import pytest
from bellwether.web.csrf import Tokens
from fastapi.routing import APIRoute
from starlette.routing import Route

from include.perf.runs.record import Verdict
from tests.plugins.web.conftest import BASE, Pages

RUN = "/runs/engine/calm/run-1"
SECRET = "/runs/engine/storm/run-2"


def routes_of(pages: Pages) -> Iterator[tuple[str, str]]:
    """Yield the method and the path of every route there is, so that none can be forgotten."""
    for route in pages.app.routes:
        assert isinstance(route, APIRoute | Route), f"{route} must be looked at: who may get there?"
        for method in sorted(route.methods or ()):
            yield method, re.sub(r"{\w+}", "x", route.path)


def test_every_route_needs_a_login(pages: Pages) -> None:
    """A page leads to Airflow's login, anything else is refused; and so is what is not there."""
    found = [*routes_of(pages), ("GET", "/not/there"), ("DELETE", "/")]
    assert len(found) > 12
    for method, path in found:
        answer = pages.request(method, path, user=None)
        assert answer.status_code == (302 if method == "GET" else 401), (method, path)


def test_the_login_leads_back(pages: Pages) -> None:
    """With all that was asked for, below the path where Airflow is deployed."""
    answer = pages.get("/cells/engine/calm?range=year", user=None)
    assert answer.headers["location"] == (
        "/deployed/api/v2/auth/login?next=%2Fdeployed%2Fbellwether%2Fcells%2Fengine%2Fcalm%3Frange%3Dyear"
    )


def test_a_program_is_told_that_it_needs_a_login(pages: Pages) -> None:
    """It could do nothing with a login page."""
    answer = pages.get("/", user=None, headers={"Accept": "application/json"})
    assert (answer.status_code, answer.json()) == (401, {"detail": "Not authenticated"})


def test_only_cells_that_may_be_read(pages: Pages) -> None:
    """In the matrix, in the baselines, among the choices for a silence."""
    pages.keep()
    pages.keep(scenario="storm", run_id="run-2")
    for path in ("/", "/baselines", "/problems", "/cells/engine/calm", RUN):
        assert pages.get(path).status_code == 200, path
        answer = pages.get(path, user="half")
        assert answer.status_code == 200, path
        assert "storm" not in answer.text, path
    assert "storm" in pages.get("/").text


@pytest.mark.parametrize(
    "path",
    [
        "/cells/engine/storm",
        SECRET,
        f"{SECRET}/files/run.json",
        f"{SECRET}/charts/latency.png",
        "/baselines/engine/storm",
        "/compare?run=run-1&run=run-2",
        "/dag-runs/market_open/scheduled__2026-03-02T06:30:00+00:00",
    ],
)
def test_what_may_not_be_read_is_not_there(pages: Pages, path: str) -> None:
    """It answers as a name that never was."""
    pages.keep()
    pages.keep(scenario="storm", run_id="run-2")
    assert pages.get(path).status_code in (200, 404)
    answer = pages.get(path, user="nobody")
    assert answer.status_code == 404
    assert "REGRESSION" not in answer.text


def test_a_run_is_found_in_its_own_cell_only(pages: Pages) -> None:
    """The names of a readable cell do not open the run of another one."""
    pages.keep(scenario="storm", run_id="run-2")
    assert pages.get("/runs/engine/calm/run-2", user="half").status_code == 404
    assert pages.get("/runs/engine/calm/run-2").status_code == 404


def test_a_dag_run_shows_what_may_be_read(pages: Pages) -> None:
    """Of a run of all scenarios, those that the visitor may see."""
    provenance = pages.keep().provenance
    pages.keep(scenario="storm", run_id="run-2")
    path = f"/dag-runs/{provenance.dag_id}/{provenance.dag_run_id}"
    assert "storm" in pages.get(path).text
    assert "storm" not in pages.get(path, user="half").text


@pytest.mark.parametrize(
    "path",
    ["/cells/..%2F..%2Fetc/passwd", "/cells/engine/nothing", "/runs/engine/calm/..%2F..%2Frun-1", "/baselines/x/y"],
)
def test_names_that_are_not_there(pages: Pages, path: str) -> None:
    """They are looked up and never used as paths; the page says so and can be left."""
    answer = pages.get(path)
    assert answer.status_code == 404
    assert f'href="{BASE}/"' in answer.text


def test_every_answer_says_what_a_page_may_do(pages: Pages) -> None:
    """Pages, refusals, redirects, files: only what is ours runs, and nothing is kept by browsers."""
    pages.keep()
    for answer in (pages.get("/"), pages.get("/", user=None), pages.get("/x"), pages.get(f"{RUN}/files/run.json")):
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"


def test_empty_pages_say_what_to_do(pages: Pages) -> None:
    """Before the first run, and without any right."""
    assert "Trigger the DAG of a scenario" in pages.get("/").text
    assert "no baselines yet" in pages.get("/baselines").text
    assert "Show all there is" in pages.get("/cells/engine/calm").text
    assert "Ask for the right to read the DAGs" in pages.get("/", user="nobody").text


def test_one_verdict_of_the_matrix(pages: Pages) -> None:
    """A verdict in the address chooses; a word that is none chooses nothing."""
    pages.keep(verdict=Verdict.INVALID)
    assert "1 invalid" in pages.get("/?verdict=INVALID").text
    assert pages.get("/?verdict=<script>").status_code == 200


def test_two_runs_are_chosen_to_compare(pages: Pages) -> None:
    """One or three are asked for again, in words."""
    pages.keep()
    pages.keep(run_id="run-0")
    assert "Two runs side by side" in pages.get("/compare?run=run-0&run=run-1").text
    assert "Two runs are compared, but 1 were chosen" in pages.get("/compare?run=run-0").text


def test_tokens_keep_their_secret() -> None:
    """It is not shown where the object is printed."""
    assert "hush" not in repr(Tokens(secret="hush"))

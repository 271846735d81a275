"""Access: nothing without a login, and no scenario whose DAG the viewer may not read."""

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
    """Yield the method and path of every route, so that none is forgotten."""
    for route in pages.app.routes:
        assert isinstance(route, APIRoute | Route), f"{route} needs a test of its permissions"
        for method in sorted(route.methods or ()):
            yield method, re.sub(r"{\w+}", "x", route.path)


def test_every_route_needs_a_login(pages: Pages) -> None:
    """A page redirects to Airflow's login; everything else is refused, also unknown paths."""
    routes = [*routes_of(pages), ("GET", "/not/there"), ("DELETE", "/")]
    assert len(routes) > 12
    for method, path in routes:
        answer = pages.request(method, path, user=None)
        assert answer.status_code == (302 if method == "GET" else 401), (method, path)


def test_the_login_redirects_back(pages: Pages) -> None:
    """To the requested URL, below the path where Airflow is deployed."""
    answer = pages.get("/cells/engine/calm?range=year", user=None)
    assert answer.headers["location"] == (
        "/deployed/api/v2/auth/login?next=%2Fdeployed%2Fbellwether%2Fcells%2Fengine%2Fcalm%3Frange%3Dyear"
    )


def test_a_program_gets_401_without_a_login(pages: Pages) -> None:
    """A redirect to a login page would not help it."""
    answer = pages.get("/", user=None, headers={"Accept": "application/json"})
    assert (answer.status_code, answer.json()) == (401, {"detail": "Not authenticated"})


def test_only_permitted_cells_are_shown(pages: Pages) -> None:
    """In the matrix, in the baselines, and in the form for a silence."""
    pages.add_run()
    pages.add_run(scenario="storm", run_id="run-2")
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
def test_a_forbidden_page_is_not_found(pages: Pages, path: str) -> None:
    """It answers like a name that does not exist."""
    pages.add_run()
    pages.add_run(scenario="storm", run_id="run-2")
    assert pages.get(path).status_code in (200, 404)
    answer = pages.get(path, user="nobody")
    assert answer.status_code == 404
    assert "REGRESSION" not in answer.text


def test_a_run_is_found_only_in_its_own_cell(pages: Pages) -> None:
    """The URL of a readable cell does not open a run of another cell."""
    pages.add_run(scenario="storm", run_id="run-2")
    assert pages.get("/runs/engine/calm/run-2", user="half").status_code == 404
    assert pages.get("/runs/engine/calm/run-2").status_code == 404


def test_a_dag_run_shows_only_permitted_runs(pages: Pages) -> None:
    """Of a run of all scenarios, those that the viewer may see."""
    provenance = pages.add_run().provenance
    pages.add_run(scenario="storm", run_id="run-2")
    path = f"/dag-runs/{provenance.dag_id}/{provenance.dag_run_id}"
    assert "storm" in pages.get(path).text
    assert "storm" not in pages.get(path, user="half").text


@pytest.mark.parametrize(
    "path",
    ["/cells/..%2F..%2Fetc/passwd", "/cells/engine/nothing", "/runs/engine/calm/..%2F..%2Frun-1", "/baselines/x/y"],
)
def test_unknown_names(pages: Pages, path: str) -> None:
    """They are looked up and never used as paths; the error page links to the matrix."""
    answer = pages.get(path)
    assert answer.status_code == 404
    assert f'href="{BASE}/"' in answer.text


def test_every_response_has_security_headers(pages: Pages) -> None:
    """Pages, refusals, redirects and files: only our scripts run, and browsers cache nothing."""
    pages.add_run()
    for answer in (pages.get("/"), pages.get("/", user=None), pages.get("/x"), pages.get(f"{RUN}/files/run.json")):
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"


def test_empty_pages_say_what_to_do(pages: Pages) -> None:
    """Before the first run, and without any permission."""
    assert "Trigger the DAG of a scenario" in pages.get("/").text
    assert "No baselines yet" in pages.get("/baselines").text
    assert "Show all runs" in pages.get("/cells/engine/calm").text
    assert "read access to the DAGs" in pages.get("/", user="nobody").text


def test_the_matrix_can_be_filtered_by_verdict(pages: Pages) -> None:
    """An unknown verdict in the URL is ignored."""
    pages.add_run(verdict=Verdict.INVALID)
    assert "1 invalid" in pages.get("/?verdict=INVALID").text
    assert pages.get("/?verdict=<script>").status_code == 200


def test_exactly_two_runs_are_compared(pages: Pages) -> None:
    """With another number, the page says what to do."""
    pages.add_run()
    pages.add_run(run_id="run-0")
    assert "Two runs side by side" in pages.get("/compare?run=run-0&run=run-1").text
    assert "Choose exactly two runs" in pages.get("/compare?run=run-0").text


def test_tokens_do_not_print_their_secret() -> None:
    """It is left out of the repr."""
    assert "hush" not in repr(Tokens(secret="hush"))

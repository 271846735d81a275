"""Rules for every route, including routes that are added later."""

import re
from pathlib import Path

from bellwether.web.changes import from_our_form
from fastapi.routing import APIRoute

from tests.plugins.web.conftest import Pages
from tests.plugins.web.test_web_changes import fill

NAMES = {
    "service": "engine",
    "scenario": "calm",
    "run_id": "run-1",
    "name": "run.json",
    "dag_id": "market_open",
    "dag_run_id": "manual",
}


def routes_of(pages: Pages) -> list[APIRoute]:
    """Return every route; a mount or a WebSocket would escape these tests."""
    routes = [route for route in pages.app.routes if isinstance(route, APIRoute)]
    assert len(routes) == len(pages.app.routes)
    return routes


def written(folder: Path) -> dict[str, bytes]:
    """Return every file except the index, a cache that any request may update."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and "index" not in path.name}


def test_a_route_either_reads_or_changes(pages: Pages) -> None:
    """Reads are GET; changes are POST with one of our forms. There is no other kind of route."""
    for route in routes_of(pages):
        takes_form = any(dependency.call is from_our_form for dependency in route.dependant.dependencies)
        assert (route.methods, takes_form) in (({"GET"}, False), ({"POST"}, True)), route.path


def test_reading_changes_nothing(pages: Pages, tmp_path: Path) -> None:
    """Other sites can make a browser send GET requests with the viewer's login."""
    fill(pages)
    before, answered = written(tmp_path), 0
    for route in routes_of(pages):
        if route.methods == {"GET"}:
            path = re.sub(r"{(\w+)}", lambda name: NAMES[name[1]], route.path)
            answered += pages.get(path, user="editor").status_code == 200
    assert answered >= 7
    assert written(tmp_path) == before


def test_only_the_exact_token_opens_only_the_metrics(pages: Pages) -> None:
    """A prefix, an empty token and a longer one are refused; the right token opens no other route."""
    pages.tokens["metrics"] = "long-random-token"
    for token in ("", "long-random", "long-random-token-and-more"):
        answer = pages.get("/metrics", user=None, headers={"Accept": "*/*", "Authorization": f"Bearer {token}"})
        assert answer.status_code == 401, token
    for route in routes_of(pages):
        if "/metrics" not in route.path:
            path = re.sub(r"{\w+}", "x", route.path)
            headers = {"Accept": "*/*", "Authorization": "Bearer long-random-token"}
            (method,) = route.methods
            assert pages.request(method, path, user=None, headers=headers).status_code == 401, path

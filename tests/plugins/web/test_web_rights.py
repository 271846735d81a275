"""What holds for every route there is, and so for one that is added tomorrow."""

import re
from pathlib import Path

from bellwether.web.changes import from_our_form
from fastapi.routing import APIRoute

from tests.plugins.web.conftest import Pages
from tests.plugins.web.test_web_changes import everything

NAMES = {
    "service": "engine",
    "scenario": "calm",
    "run_id": "run-1",
    "name": "run.json",
    "dag_id": "market_open",
    "dag_run_id": "manual",
}


def routes_of(pages: Pages) -> list[APIRoute]:
    """Return every route; anything else, such as a mount or a WebSocket, would go past what is tested here."""
    routes = [route for route in pages.app.routes if isinstance(route, APIRoute)]
    assert len(routes) == len(pages.app.routes)
    return routes


def written(folder: Path) -> dict[str, bytes]:
    """Return every file, the index left out: it is a cache that any look may renew."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and "index" not in path.name}


def test_a_route_looks_or_changes(pages: Pages) -> None:
    """Changes are made by POST with a form of ours; there is no third way, whose rights nobody looked at."""
    for route in routes_of(pages):
        asks_for_form = any(each.call is from_our_form for each in route.dependant.dependencies)
        assert (route.methods, asks_for_form) in (({"GET"}, False), ({"POST"}, True)), route.path


def test_looking_changes_nothing(pages: Pages, tmp_path: Path) -> None:
    """A link in a message, or an image on another site, is opened with the rights of whoever looks."""
    everything(pages)
    before, looked_at = written(tmp_path), 0
    for route in routes_of(pages):
        if route.methods == {"GET"}:
            path = re.sub(r"{(\w+)}", lambda name: NAMES[name[1]], route.path)
            looked_at += pages.get(path, user="editor").status_code == 200
    assert looked_at >= 7
    assert written(tmp_path) == before


def test_a_prefix_of_the_token_opens_nothing(pages: Pages) -> None:
    """Nor does an empty one, or the token of Prometheus at any other route."""
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

"""Grafana's files: as the code makes them, and as Grafana can use them."""

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from include.perf.monitoring.dashboards import __main__ as command
from include.perf.monitoring.dashboards.__main__ import grafana_files
from include.perf.monitoring.dashboards.panels import REF_IDS
from include.perf.monitoring.families import GAUGES

COLUMNS = 24
FILES = grafana_files()
BOARD: dict[str, Any] = json.loads(FILES["dashboards/bellwether.json"])
PANELS: list[dict[str, Any]] = BOARD["panels"]
SHOWN = [panel for panel in PANELS if panel["type"] != "row"]
CHOICES = {"environment", "scenario", "service"}


@pytest.mark.parametrize("name", FILES)
def test_the_files_are_as_the_code_makes_them(name: str) -> None:
    """What is committed is what `make dashboards` writes."""
    assert (command.FOLDER / name).read_text(encoding="utf-8") == FILES[name], "run: make dashboards"


def test_grafanas_own_schema_knows_all_of_it() -> None:
    """What it would drop as unknown does nothing; the annotation has more, by Grafana's Prometheus data source."""
    annotation_only = {"titleFormat", "textFormat", "tagKeys", "step", "useValueForTime"}
    board = json.loads(json.dumps(BOARD))
    for annotation in board["annotations"]["list"]:
        for name in annotation_only:
            del annotation[name]
    assert json.loads(JSONEncoder().encode(Dashboard.from_json(board))) == board


def test_every_panel_is_told_apart() -> None:
    """By its id, and every query by its letter."""
    ids = [panel["id"] for panel in PANELS]
    assert len(set(ids)) == len(ids)
    for panel in SHOWN:
        letters = [target["refId"] for target in panel["targets"]]
        assert letters == list(REF_IDS[: len(letters)]), panel["title"]


def cells_of(panel: dict[str, Any]) -> set[tuple[int, int]]:
    """Return the cells of the grid that a panel covers."""
    at = panel["gridPos"]
    return {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}


def test_panels_lie_side_by_side() -> None:
    """None over another one, none beyond the edge, and no row of them with a gap."""
    for one, other in combinations(PANELS, 2):
        assert not cells_of(one) & cells_of(other), (one["title"], other["title"])
    covered = set().union(*map(cells_of, PANELS))
    height = max(y for _, y in covered) + 1
    assert covered == {(x, y) for x in range(COLUMNS) for y in range(height)}


@pytest.mark.parametrize("panel", SHOWN, ids=lambda panel: f"{panel['id']} {panel['title']}")
def test_a_panel_says_what_it_shows(panel: dict[str, Any]) -> None:
    """With a title, a text, a unit, and queries to the chosen Prometheus about the chosen cells."""
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["targets"]
    for target in panel["targets"]:
        assert target["datasource"] == panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert all(f'{name}=~"${name}"' in target["expr"] for name in CHOICES)


def test_only_metrics_that_there_are_are_asked_for() -> None:
    """A name that was changed would leave a panel empty."""
    names = {gauge.name for gauge in GAUGES}
    queries = [target["expr"] for panel in SHOWN for target in panel["targets"]]
    queries += [annotation["expr"] for annotation in BOARD["annotations"]["list"]]
    for query in queries:
        asked = set(re.findall(r"(\w+){", query))
        assert asked, query
        assert asked <= names, query


def test_what_is_chosen() -> None:
    """A Prometheus, and cells by environment, scenario and service: all of them at first."""
    variables = {each["name"]: each for each in BOARD["templating"]["list"]}
    assert variables.keys() == {"datasource"} | CHOICES
    assert (variables["datasource"]["type"], variables["datasource"]["query"]) == ("datasource", "prometheus")
    for name in CHOICES:
        found = variables[name]
        assert (found["multi"], found["includeAll"], found["allValue"]) == (True, True, ".*")
        assert found["current"]["value"] == "$__all"
        assert found["query"]["query"].endswith(f"}}, {name})")


def test_grafana_finds_the_dashboard_and_prometheus() -> None:
    """The folder and the address come from its environment."""
    (provider,) = yaml.safe_load(FILES["provisioning/dashboards/bellwether.yaml"])["providers"]
    assert (provider["type"], provider["options"]["path"]) == ("file", "${BELLWETHER_DASHBOARDS}")
    (source,) = yaml.safe_load(FILES["provisioning/datasources/prometheus.yaml"])["datasources"]
    assert (source["type"], source["url"]) == ("prometheus", "${PROMETHEUS_URL}")


def test_writing_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them, into a folder that is not there yet."""
    monkeypatch.setattr("sys.argv", ["dashboards", "--folder", str(tmp_path / "grafana")])
    command.main()
    written = {str(path.relative_to(tmp_path / "grafana")) for path in tmp_path.rglob("*.*")}
    assert written == FILES.keys()

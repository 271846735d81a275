"""The last usable catalogue is kept beside the results, and stands in while a file is broken."""

from collections.abc import Callable
from pathlib import Path

import pytest

from include.perf.adapters.wiring.environment import build_outside, catalogue_of
from include.perf.adapters.wiring.last_catalogue import keep_catalogue, usable_catalogue
from include.perf.adapters.wiring.storage import Storage
from include.perf.model.errors import CatalogueError
from tests.catalogues import SCENARIOS, SERVICES, catalogue_folder
from tests.fakes.metrics import FakeMetrics

Edit = Callable[..., None]


@pytest.fixture
def edit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Edit:
    """Writes the files of the catalogue."""
    (tmp_path / "results").mkdir()
    monkeypatch.setenv("BELLWETHER_RESULTS_URI", str(tmp_path / "results"))
    monkeypatch.setenv("BELLWETHER_CATALOGUE", str(tmp_path))

    def write(*, services: str = SERVICES, scenarios: str = SCENARIOS, hours: str | None = None) -> None:
        catalogue_folder(tmp_path, services=services, scenarios=scenarios)
        (tmp_path / "market_hours.yaml").unlink(missing_ok=True)
        if hours is not None:
            (tmp_path / "market_hours.yaml").write_text(hours, encoding="utf-8")

    write()
    return write


BROKEN = [
    ({"services": "services: ["}, "services.yaml: not valid YAML"),
    ({"services": "schema_version: 2\nservices: {}"}, "services.yaml: schema_version must be 1, but is 2"),
    ({"scenarios": "a: b: c"}, r"scenarios.yaml: not valid YAML: .* \(line 1, column 5\); correct it, or restore"),
    ({"hours": "week: ["}, "market_hours.yaml: not valid YAML"),
]


@pytest.mark.parametrize(("change", "problem"), BROKEN)
def test_the_kept_catalogue_stands_in(edit: Edit, change: dict[str, str], problem: str) -> None:
    """It has the same entries, and the problems of the broken file; no run can be planned meanwhile."""
    good = usable_catalogue(Storage)
    keep_catalogue(Storage)
    edit(**change)
    stand_in = usable_catalogue(Storage)
    assert (stand_in.services, stand_in.scenarios) == (good.services, good.scenarios)
    assert (good.broken, stand_in.problems) == ((), stand_in.broken)
    assert "no new load starts" in stand_in.broken[-1]
    with pytest.raises(CatalogueError, match=problem):
        catalogue_of([], Storage().results())
    with pytest.raises(CatalogueError, match=problem):
        build_outside(FakeMetrics({}), storage=Storage())
    edit()
    assert usable_catalogue(Storage).broken == ()


@pytest.mark.parametrize(("change", "problem"), BROKEN)
def test_a_broken_catalogue_is_not_kept(edit: Edit, change: dict[str, str], problem: str) -> None:
    """Without a good one before it there is nothing to stand in."""
    edit(**change)
    keep_catalogue(Storage)
    with pytest.raises(CatalogueError, match=problem):
        usable_catalogue(Storage)


def test_a_damaged_kept_catalogue_is_not_used(edit: Edit, tmp_path: Path) -> None:
    """The error is still that of the broken file."""
    keep_catalogue(Storage)
    for content in ("{", '{"files": {"services.yaml": "x"}}', "[]"):
        (tmp_path / "results" / ".catalogue.json").write_text(content, encoding="utf-8")
        edit(services="services: [")
        with pytest.raises(CatalogueError, match=r"^services.yaml: not valid YAML"):
            usable_catalogue(Storage)


def test_it_is_written_only_when_it_changed(edit: Edit, tmp_path: Path) -> None:
    """The DAG processor looks every few seconds."""
    keep_catalogue(Storage)
    kept = tmp_path / "results" / ".catalogue.json"
    before = kept.stat().st_ino
    keep_catalogue(Storage)
    assert kept.stat().st_ino == before
    edit(scenarios=SCENARIOS.replace("rate_rps: 10,", "rate_rps: 20,"))
    keep_catalogue(Storage)
    edit(services="services: [")
    assert usable_catalogue(Storage).scenarios["calm"].load.rate_rps == 20


def test_a_wrong_default_is_named_once(edit: Edit) -> None:
    """Not once for each entry that has it; an entry's own mistake still names the entry."""
    edit(
        services=SERVICES.replace("scrape_interval_s: 5", "scrape_interval_s: -5").replace("$price", "$prise"),
    )
    problems = usable_catalogue(Storage).problems
    assert [problem.split(": ")[1].split(" ")[0] for problem in problems] == [
        "defaults.prometheus.scrape_interval_s",
        "orders-service.endpoints[0]",
    ]

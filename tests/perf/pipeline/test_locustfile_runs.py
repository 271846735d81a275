"""Runs of a service with a locustfile: what is staged, kept, compared and shown."""

import base64
from dataclasses import replace
from pathlib import Path

import pytest

from include.perf.catalogue.locustfile import Locustfile
from include.perf.load.locustfile_bundle import LocustfileBundle
from include.perf.load.service_secrets import ServiceSecrets
from include.perf.model.errors import ConfigurationError, DataError
from include.perf.model.json_files import from_json
from include.perf.pipeline.planning.request import RunRequest
from include.perf.pipeline.previews import loads_in_words, preview
from include.perf.pipeline.smoke import smoke
from include.perf.pipeline.wire_preview import problems_of_requests, wire_examples
from include.perf.runs.record import Verdict
from include.perf.runs.results_store import LOCUSTFILE_FILE
from tests.fakes.small_platform import Platform

CODE = "from locust import HttpUser, task\n"


@pytest.fixture
def locustfile(platform: Platform, tmp_path: Path) -> Path:
    """The locustfile that the platform's only service has instead of endpoints."""
    path = tmp_path / "locustfiles" / "quotes.py"
    path.parent.mkdir()
    path.write_text(CODE, encoding="utf-8")
    service = platform.catalogue.service("orders-service")
    changed = service.model_copy(update={"endpoints": (), "locustfile": Locustfile(file=path)})
    platform.catalogue = replace(platform.catalogue, services={changed.name: changed})
    return path


def bundle_in(platform: Platform, uri: str) -> LocustfileBundle:
    """Return the files that are kept with a run."""
    kept = platform.store.read(uri, LOCUSTFILE_FILE)
    assert kept is not None
    return from_json(LocustfileBundle, kept, where="the store")


def test_a_change_between_staging_and_load_changes_nothing(platform: Platform, locustfile: Path) -> None:
    """What was staged is what runs, and what the fingerprint stands for."""
    uri = platform.plan()
    platform.run_stages.stage_data(uri)
    locustfile.write_text("changed", encoding="utf-8")
    platform.run_stages.preflight(uri)
    platform.run_stages.run_load(uri)
    assert base64.b64decode(bundle_in(platform, uri).files["quotes.py"]).decode() == CODE


def test_the_files_stay_with_the_finished_run(platform: Platform, locustfile: Path) -> None:
    """Unlike the feed; market data and endpoints are no part of its fingerprint."""
    uri = platform.plan()
    (record,) = platform.execute_planned(uri)
    bundle = bundle_in(platform, uri)
    assert (bundle.entry, list(bundle.files)) == ("quotes.py", ["quotes.py"])
    assert record.fingerprint["locustfile"].startswith("quotes.py sha256:")
    assert not {"data", "endpoints"} & set(record.fingerprint)


def test_the_load_is_ordered_with_the_locustfile(platform: Platform, locustfile: Path) -> None:
    """Nothing is prepared for it."""
    platform.loaded()
    (order,) = platform.generator.orders
    assert order.service.locustfile == Locustfile(file=locustfile)


def test_a_change_of_the_file_begins_a_new_baseline(platform: Platform, locustfile: Path) -> None:
    """It is another load."""
    platform.with_baseline()
    assert platform.execute().verdict is Verdict.PASS
    platform.clock.move(60)
    locustfile.write_text(CODE + "# changed\n", encoding="utf-8")
    record = platform.execute()
    assert record.verdict is Verdict.NOT_COMPARABLE
    assert "locustfile" in " ".join(record.reasons)


def test_a_file_that_cannot_be_bundled_ends_the_run_before_any_load(platform: Platform, locustfile: Path) -> None:
    """With the reason."""
    locustfile.unlink()
    with pytest.raises(DataError, match=r"there is no file .*quotes\.py; put the locustfile there"):
        platform.run_stages.stage_data(platform.plan())
    assert platform.generator.loads == []


def test_notes_of_the_generator_are_in_the_record(platform: Platform, locustfile: Path) -> None:
    """Each with its number."""
    note = "{count} iterations of the locustfile reported no request"
    platform.generator.log_changes = {"rows": 600, "measured_arrivals": 400, "notes": {note: 1234}}
    record = platform.execute()
    assert "1,234 iterations of the locustfile reported no request" in record.notes
    assert record.validity == ()


def test_smoke_only_asks_whether_the_service_is_healthy(platform: Platform, locustfile: Path) -> None:
    """The code runs only in a load."""
    (result,) = smoke("orders-service", platform.outside)
    assert (result.is_good, result.path, result.sent) == (True, "GET /healthz", 1)
    platform.target.problem = "orders-service is down"
    (result,) = smoke("orders-service", platform.outside)
    assert (result.is_good, result.problem) == (False, "orders-service is down")
    assert platform.target.sent == []


def test_a_dry_run_names_the_file(platform: Platform, locustfile: Path) -> None:
    """How many requests it sends, only its code knows."""
    text = loads_in_words(preview([RunRequest(scenario="brief")], platform.outside))
    assert f": iterations of the tasks in {locustfile}" in text


def test_there_is_no_request_to_preview(platform: Platform, locustfile: Path) -> None:
    """And nothing to prepare for a check."""
    catalogue = platform.catalogue
    service, scenario = catalogue.service("orders-service"), catalogue.scenario("brief")
    examples = wire_examples(service, scenario, data=catalogue.data_path(scenario), secrets=ServiceSecrets())
    with pytest.raises(ConfigurationError, match="only its code knows its requests"):
        list(examples)
    assert problems_of_requests(catalogue, warn=pytest.fail) == []
    locustfile.unlink()
    (problem,) = problems_of_requests(catalogue, warn=pytest.fail)
    assert "put the locustfile there" in problem

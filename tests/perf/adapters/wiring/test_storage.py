"""The stores that the environment names: in folders, or in an object store."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from include.perf.adapters.files.load_locks import LoadLocks
from include.perf.adapters.s3.client import client_in, client_of
from include.perf.adapters.wiring.environment import build_outside, metrics_sources
from include.perf.adapters.wiring.prometheus_access import prometheus_at
from include.perf.adapters.wiring.rules import rule_writer
from include.perf.adapters.wiring.storage import Storage
from include.perf.model.errors import ConfigurationError
from include.perf.model.json_files import to_json
from include.perf.runs.results_store import RECORD_FILE
from tests.baselines import approval, run
from tests.fakes.metrics import FakeMetrics
from tests.loads import sent_load
from tests.object_stores import ObjectStore, files_in
from tests.records import run_record
from tests.stages import BESIDE

NAMES = ("ALERTS", "BASELINES", "CATALOGUE", "INDEX", "LOAD_LOCKS", "RESULTS_URI", "RULES")


@pytest.fixture(autouse=True)
def _nothing_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide the machine's own settings from the tests."""
    for name in NAMES:
        monkeypatch.delenv(f"BELLWETHER_{name}", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))


@pytest.fixture
def storage(s3: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Storage:
    """Everything in one bucket; boto3 takes the credentials from the environment, as on the command line."""
    bucket, login = s3.bucket(), s3.login
    for name, value in {
        "BELLWETHER_RESULTS_URI": f"s3://{bucket}/perf/results",
        "BELLWETHER_BASELINES": f"s3://{bucket}/perf/baselines.json",
        "AWS_ENDPOINT_URL_S3": login.endpoint_url,
        "AWS_ACCESS_KEY_ID": login.access_key_id,
        "AWS_SECRET_ACCESS_KEY": login.secret_access_key,
        "AWS_DEFAULT_REGION": login.region_name,
    }.items():
        monkeypatch.setenv(name, str(value))
    client_in.cache_clear()
    return Storage()


def keys_in(s3: ObjectStore, storage: Storage) -> list[str]:
    """Return the keys of all objects in the bucket of the results."""
    bucket = storage.results().uri_of(service="a", scenario="b", run_id="c").split("/")[2]
    return [entry["Key"] for entry in client_of(s3.login).list_objects_v2(Bucket=bucket).get("Contents", [])]


def test_the_default_is_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Those of the project, or the configured ones."""
    assert Storage().results().root_uri.startswith("file://")
    monkeypatch.setenv("BELLWETHER_RESULTS_URI", (tmp_path / "results").as_uri())
    with Storage().load_locks().reserve(BESIDE, capacity_rps=600):
        Storage().alerts().update(lambda _: None)
        names = [".alerts.json", ".alerts.json.lock", ".loads/.lock", ".loads/r0.json"]
        assert files_in(tmp_path) == [f"results/{name}" for name in names]


def test_everything_is_in_the_bucket(s3: ObjectStore, storage: Storage) -> None:
    """Each in its place; nothing is on this machine."""
    storage.results().create(service="a", scenario="b", run_id="r1")
    storage.baselines().update(lambda baselines: baselines.promote(run("r1"), approval=approval()))
    storage.load_log().load_began(sent_load())
    with storage.alerts().delivering(), storage.load_locks().reserve(BESIDE, capacity_rps=600):
        storage.alerts().update(lambda _: None)
        assert storage.load_log().held() == {BESIDE.run_id}
    assert keys_in(s3, storage) == [
        "perf/.conditions",
        "perf/baselines.json",
        "perf/results/.alerts.json",
        "perf/results/.bellwether-store",
        "perf/results/.conditions",
        "perf/results/.delivering.json",
        "perf/results/.load-log.json",
        "perf/results/.loads.json",
        "perf/results/a/b/r1/.created",
    ]
    assert [(cell.service, cell.scenario) for cell in storage.results().cells()] == [("a", "b")]


def test_single_stores_can_be_in_folders(storage: Storage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """For an object store without conditional writes: it then holds only results."""
    monkeypatch.setenv("BELLWETHER_LOAD_LOCKS", str(tmp_path / "locks"))
    monkeypatch.setenv("BELLWETHER_ALERTS", str(tmp_path / "alerts.json"))
    monkeypatch.setenv("BELLWETHER_BASELINES", str(tmp_path / "baselines.json"))
    storage.alerts().update(lambda _: None)
    storage.baselines().update(lambda _: None)
    assert isinstance(storage.load_locks(), LoadLocks)
    assert storage.results().root_uri.startswith("s3://")
    assert {"alerts.json", "baselines.json"} <= set(files_in(tmp_path))


def test_an_object_store_is_not_called_before_it_is_needed(storage: Storage, s3: ObjectStore) -> None:
    """Building the adapters needs no network and no credentials."""
    s3.requests()
    outside = build_outside(FakeMetrics({}), storage=storage)
    metrics_sources(storage)
    assert outside.stores.results.uri_of(service="a", scenario="b", run_id="c").startswith("s3://")
    assert s3.requests() == []


def test_the_index_is_a_cache_of_this_machine(storage: Storage, s3: ObjectStore, tmp_path: Path) -> None:
    """A second look reads no record: 1 list of services + 6 of scenarios + 24 of runs + the marker = 32 requests."""
    store = storage.results()
    now = datetime.now(UTC)
    services = [f"s{number}" for number in range(6)]
    scenarios = [f"c{number}" for number in range(4)]
    for service in services:
        for scenario in scenarios:
            run_id = f"{now:%Y%m%dT%H%M%SZ}-{service}{scenario}"
            uri = store.create(service=service, scenario=scenario, run_id=run_id)
            record = run_record(service=service, scenario=scenario, run_id=run_id, started_at=now)
            store.write(uri, RECORD_FILE, to_json(record))
    storage.run_index().sync()
    s3.requests()
    index = storage.run_index()
    index.sync()
    requests = s3.requests()
    assert (len(requests), {request.partition(" ")[0] for request in requests}) == (32, {"GET"})
    assert not [request for request in requests if RECORD_FILE in request]
    assert len(index.latest(runs=1)) == 24
    index.sync()
    assert s3.requests() == [], "within ten seconds it is shared"
    (name,) = [name for name in files_in(tmp_path / "caches" / "bellwether") if name.startswith("runs-")]
    assert re.fullmatch(r"runs-[0-9a-f]{16}-v\d+\.sqlite", name)


def test_rules_need_a_folder(storage: Storage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Prometheus reads files; without a folder there are no limits, and the metrics still work."""
    assert storage.rules_folder() is None
    assert metrics_sources(storage).limits() is None
    with pytest.raises(ConfigurationError, match=r"^BELLWETHER_RULES must name the folder for the alert rules where"):
        rule_writer(prometheus_at("http://127.0.0.1:1"), storage=storage, must_reload=False)
    monkeypatch.setenv("BELLWETHER_RULES", str(tmp_path / "rules"))
    assert storage.rules_folder() == tmp_path / "rules"


@pytest.mark.parametrize("uri", ["s3://bucket", "s3://bucket/"])
def test_baselines_need_the_name_of_an_object(monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    """A bucket alone is a place for results."""
    monkeypatch.setenv("BELLWETHER_BASELINES", uri)
    said = f"^BELLWETHER_BASELINES must be s3://bucket/name, but '{uri}' has no name of an object$"
    with pytest.raises(ConfigurationError, match=said):
        Storage().baselines()


@pytest.mark.parametrize("name", ["RESULTS_URI", "BASELINES"])
def test_a_wrong_uri_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The message names the variable."""
    monkeypatch.setenv(f"BELLWETHER_{name}", "s3://Not_A_Bucket/x")
    with pytest.raises(ConfigurationError, match=f"^BELLWETHER_{name} must be s3://bucket/prefix"):
        (Storage().results if name == "RESULTS_URI" else Storage().baselines)()

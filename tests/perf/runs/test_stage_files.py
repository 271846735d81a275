"""The JSON files that stages leave for later stages."""

import json

import pytest

from include.perf.catalogue.scenario.schedule import Deadline
from include.perf.model.errors import StoreError
from include.perf.runs.stage_files import (
    NOT_DEPLOYED,
    ConcurrentLoads,
    Deployed,
    FingerprintParts,
    Reruns,
    StageFiles,
)
from tests.fakes.clock import START
from tests.fakes.results_store import MemoryStore
from tests.records import run_record
from tests.stages import BESIDE, DOWN, FIGURES, SCRAPED, SPEC, planned

STAGE_FILES = (
    "stage-spec.json",
    "stage-catalogue.json",
    "stage-fingerprint.json",
    "stage-ended.json",
    "stage-load.json",
    "stage-server.json",
    "stage-draft.json",
    "stage-reruns.json",
    "stage-version.json",
    "stage-beside.json",
    "stage-tries.json",
)


@pytest.fixture
def files() -> StageFiles:
    """A run that is only planned."""
    return planned()


def test_all_content_is_read_back_unchanged(files: StageFiles) -> None:
    """Figures keep every digit, times keep their zone, and enums keep their type."""
    record = run_record(run_id="r1", service="orders-service", scenario="brief")
    files.fingerprint.write(FingerprintParts(parts={"data": "sha256:1"}))
    files.end.write(DOWN)
    files.load.write(FIGURES)
    files.server.write(SCRAPED)
    files.reruns.write(Reruns(uris=("memory://a", "memory://b")))
    files.deployed.write(Deployed(before="2.4.0", after="2.4.1"))
    files.concurrent.write(ConcurrentLoads(loads=(BESIDE,)))
    files.draft.write(record)
    assert files.read_spec() == SPEC
    assert files.fingerprint.read_or(FingerprintParts(parts={})).parts == {"data": "sha256:1"}
    assert (files.end.read(), files.load.read(), files.server.read()) == (DOWN, FIGURES, SCRAPED)
    assert files.reruns.read() == Reruns(uris=("memory://a", "memory://b"), refused=None)
    assert files.deployed.read_or(NOT_DEPLOYED) == Deployed(before="2.4.0", after="2.4.1")
    assert files.concurrent.read_or(ConcurrentLoads()) == ConcurrentLoads(loads=(BESIDE,))
    assert files.read_draft() == record
    assert not files.is_finished
    files.record.write(record)
    assert files.is_finished
    assert files.read_record() == record


def test_a_missing_file_has_no_content(files: StageFiles) -> None:
    """A stage that was not reached leaves no file; this is not an error."""
    assert (files.end.read(), files.load.read(), files.server.read()) == (None, None, None)
    assert files.fingerprint.read_or(FingerprintParts(parts={})).parts == {}
    assert files.reruns.read() is None
    assert files.deployed.read_or(NOT_DEPLOYED) == Deployed(before=None, after=None)
    assert files.concurrent.read_or(ConcurrentLoads()) == ConcurrentLoads(loads=())


def test_refused_reruns_are_a_decision(files: StageFiles) -> None:
    """A refusal is stored with its reason, and differs from no decision."""
    files.reruns.write(Reruns(refused="no time"))
    assert files.reruns.read() == Reruns(uris=(), refused="no time")


def test_only_the_same_stage_removes_its_reason(files: StageFiles) -> None:
    """A second attempt at a later stage keeps the reason of an earlier one."""
    files.end.write(DOWN)
    files.forget_end(stage="scrape")
    assert files.end.read() == DOWN
    files.forget_end(stage="preflight")
    assert files.end.read() is None
    files.forget_end(stage="preflight")


def test_a_new_load_removes_old_figures(files: StageFiles) -> None:
    """This includes client and server figures, the deploy version and the concurrent loads."""
    files.load.write(FIGURES)
    files.server.write(SCRAPED)
    files.deployed.write(Deployed(before="2.4.0", after="2.4.1"))
    files.concurrent.write(ConcurrentLoads(loads=(BESIDE,)))
    files.forget_figures()
    assert (files.load.read(), files.server.read()) == (None, None)
    assert files.deployed.read_or(NOT_DEPLOYED) == Deployed(before=None, after=None)
    assert files.concurrent.read_or(ConcurrentLoads()) == ConcurrentLoads()


def test_a_deadline_is_stored_with_its_occasion() -> None:
    """It keeps its time and zone; the plan of an earlier version has no deadline."""
    deadline = Deadline(at=START.replace(hour=7, minute=0), occasion="its schedule ends at 07:00 UTC")
    assert planned(deadline=deadline).read_spec().deadline == deadline
    store = MemoryStore()
    earlier = planned(store)
    plan = json.loads(store.runs_by_uri[earlier.uri]["stage-spec.json"])
    del plan["deadline"]
    store.write(earlier.uri, "stage-spec.json", json.dumps(plan).encode())
    assert earlier.read_spec() == SPEC


def test_removing_stages_leaves_the_record() -> None:
    """All stage files are removed, and the record stays."""
    store = MemoryStore()
    files = StageFiles(store, store.create(service="s", scenario="c", run_id="r"))
    for name in STAGE_FILES:
        store.write(files.uri, name, b"{}")
    files.record.write(run_record())
    files.remove_stages()
    assert list(store.runs_by_uri[files.uri]) == ["run.json"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "it is not valid JSON (EOF while parsing a value at line 1 column 0)"),
        (b'{"stage": "x", "verdict": "FINE", "reason": ""}', "verdict should be 'PASS', 'REGRESSION'"),
        (b"[]", "the document should be an object, but is []"),
        (b'{"stage": "x", "verdict": "INVALID"}', "reason is missing"),
    ],
)
def test_the_error_names_a_damaged_file(content: bytes, problem: str) -> None:
    """The message contains the file, the field and the problem."""
    store = MemoryStore()
    uri = store.create(service="s", scenario="c", run_id="r")
    store.write(uri, "stage-ended.json", content)
    with pytest.raises(StoreError) as caught:
        StageFiles(store, uri).end.read()
    assert str(caught.value).startswith(f"{uri}/stage-ended.json cannot be read: {problem}")

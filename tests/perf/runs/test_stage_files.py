"""The files that stages leave for one another."""

import json

import pytest

from include.perf.catalogue.scenario.schedule import Deadline
from include.perf.model.errors import StoreError
from include.perf.runs.stage_files import STAGE_FILES, ConcurrentLoads, Deployed, Reruns, StageFiles
from tests.fakes.clock import START
from tests.fakes.results_store import MemoryStore
from tests.records import run_record
from tests.stages import BESIDE, DOWN, FIGURES, SCRAPED, SPEC, planned


@pytest.fixture
def files() -> StageFiles:
    """A run with nothing but its plan."""
    return planned()


def test_everything_comes_back_as_it_was(files: StageFiles) -> None:
    """Figures keep every digit, times their zone, and enums their kind."""
    record = run_record()
    files.write_fingerprint({"data": "sha256:1"})
    files.write_end(DOWN)
    files.write_load(FIGURES)
    files.write_server(SCRAPED)
    files.write_reruns(Reruns(uris=("memory://a", "memory://b")))
    files.write_deployed(Deployed(before="2.4.0", after="2.4.1"))
    files.write_beside(ConcurrentLoads(loads=(BESIDE,)))
    files.write_draft(record)
    assert files.read_spec() == SPEC
    assert files.read_fingerprint() == {"data": "sha256:1"}
    assert (files.read_end(), files.read_load(), files.read_server()) == (DOWN, FIGURES, SCRAPED)
    assert files.read_reruns() == Reruns(uris=("memory://a", "memory://b"), refused=None)
    assert files.read_deployed() == Deployed(before="2.4.0", after="2.4.1")
    assert files.read_beside() == ConcurrentLoads(loads=(BESIDE,))
    assert files.read_draft() == record
    assert not files.is_finished
    files.write_record(record)
    assert files.is_finished
    assert files.read_record() == record


def test_what_is_not_there(files: StageFiles) -> None:
    """A stage that was not reached left nothing, which is no error by itself."""
    assert (files.read_end(), files.read_load(), files.read_server()) == (None, None, None)
    assert files.read_fingerprint() == {}
    assert files.read_reruns() is None
    assert files.read_deployed() == Deployed(before=None, after=None)
    assert files.read_beside() == ConcurrentLoads(loads=())


def test_nobody_decided_is_not_decided_against(files: StageFiles) -> None:
    """That a run gets no re-runs is a decision with a reason, and stands."""
    files.write_reruns(Reruns(refused="no time"))
    assert files.read_reruns() == Reruns(uris=(), refused="no time")


def test_only_the_same_stage_forgets_its_reason(files: StageFiles) -> None:
    """A second try of a later stage does not excuse an earlier one."""
    files.write_end(DOWN)
    files.forget_end(stage="scrape")
    assert files.read_end() == DOWN
    files.forget_end(stage="preflight")
    assert files.read_end() is None
    files.forget_end(stage="preflight")


def test_a_new_load_forgets_old_figures(files: StageFiles) -> None:
    """Those of the client and of the server, which version was measured, and what ran beside it."""
    files.write_load(FIGURES)
    files.write_server(SCRAPED)
    files.write_deployed(Deployed(before="2.4.0", after="2.4.1"))
    files.write_beside(ConcurrentLoads(loads=(BESIDE,)))
    files.forget_figures()
    assert (files.read_load(), files.read_server()) == (None, None)
    assert files.read_deployed() == Deployed(before=None, after=None)
    assert files.read_beside() == ConcurrentLoads()


def test_a_deadline_is_kept_with_its_occasion() -> None:
    """To the second and in its zone; the plan of an earlier version has none."""
    deadline = Deadline(at=START.replace(hour=7, minute=0), occasion="its schedule ends at 07:00 UTC")
    assert planned(deadline=deadline).read_spec().deadline == deadline
    store = MemoryStore()
    earlier = planned(store)
    plan = json.loads(store.runs_by_uri[earlier.uri]["stage-spec.json"])
    del plan["deadline"]
    store.write(earlier.uri, "stage-spec.json", json.dumps(plan).encode())
    assert earlier.read_spec() == SPEC


def test_removing_stages_leaves_the_record() -> None:
    """Only what the record says by now is removed, and all of it."""
    store = MemoryStore()
    files = StageFiles(store, store.create(service="s", scenario="c", run_id="r"))
    for name in STAGE_FILES:
        store.write(files.uri, name, b"{}")
    files.write_record(run_record())
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
def test_a_damaged_file_is_named(content: bytes, problem: str) -> None:
    """Which file, which field, what is wrong."""
    store = MemoryStore()
    uri = store.create(service="s", scenario="c", run_id="r")
    store.write(uri, "stage-ended.json", content)
    with pytest.raises(StoreError) as caught:
        StageFiles(store, uri).read_end()
    assert str(caught.value).startswith(f"{uri}/stage-ended.json cannot be read: {problem}")

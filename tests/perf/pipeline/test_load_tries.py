"""What a later try of a load does with what an earlier try left: no load runs twice at once, and nothing is lost."""

from datetime import timedelta

import pytest

from include.perf.load.announcing import SentLoad
from include.perf.model.errors import LoadError, RunSkipped
from include.perf.runs.record import Verdict
from include.perf.runs.results_store import REQUESTS_FILE
from include.perf.runs.stage_files import StageFiles, Tries
from tests.fakes.clock import START
from tests.fakes.small_platform import Platform

RUN_S = 15


def files_of(platform: Platform, uri: str) -> StageFiles:
    """Return the stage files of a run."""
    return StageFiles(platform.store, uri)


def killed(platform: Platform) -> str:
    """Return a run whose load was killed: it has rows, no summary, and an open try."""
    platform.generator.is_killed = True
    uri = platform.plan()
    platform.run_stages.stage_data(uri)
    with pytest.raises(LoadError):
        platform.run_stages.run_load(uri)
    platform.generator.is_killed = False
    files_of(platform, uri).tries.write(Tries(open_since=START))
    return uri


def unmeasured(platform: Platform, **changes: object) -> str:
    """Return a run whose task was killed between the end of its load and its figures."""
    uri = platform.plan()
    platform.run_stages.stage_data(uri)
    platform.generator.log_changes = dict(changes)
    platform.run_stages.run_load(uri)
    platform.generator.log_changes = {}
    StageFiles(platform.store, uri).load.remove()
    files_of(platform, uri).tries.write(Tries(open_since=START))
    return uri


def record_of(platform: Platform, uri: str) -> tuple[Verdict, tuple[str, ...]]:
    """Judge a run, and return its verdict and notes."""
    platform.run_stages.scrape(uri)
    platform.night_stages.compare([uri])
    record = platform.night_stages.report(uri)
    return record.verdict, record.notes


def test_a_completed_load_leaves_no_open_try(platform: Platform) -> None:
    """A second one was requested, so the load is sent again."""
    uri = platform.loaded()
    assert files_of(platform, uri).tries.read_or(Tries()) == Tries()
    platform.run_stages.run_load(uri)
    assert len(platform.generator.loads) == 2


def test_a_failed_load_leaves_no_open_try(platform: Platform) -> None:
    """It has reported its error."""
    platform.generator.problem = LoadError("no record")
    with pytest.raises(LoadError):
        platform.loaded()
    (uri,) = platform.store.runs_by_uri
    assert files_of(platform, uri).tries.read_or(Tries()) == Tries()


class Looking:
    """Records the tries of a run when its load begins and when it ends."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self.seen: list[Tries] = []

    def load_began(self, _: SentLoad) -> None:
        """Record the tries."""
        (uri,) = self._platform.store.runs_by_uri
        self.seen.append(files_of(self._platform, uri).tries.read_or(Tries()))

    load_ended = load_began


def test_a_try_is_open_while_its_load_is_sent(platform: Platform) -> None:
    """A killed load leaves it open."""
    looking = Looking(platform)
    platform.observers = (looking,)
    platform.loaded()
    assert looking.seen == [Tries(open_since=START)] * 2


class Ending:
    """Ends the task of a load as its last request is sent: Airflow gave it up, or cannot be asked."""

    def __init__(self, *, is_unknown: bool) -> None:
        self._is_unknown = is_unknown
        self._has_ended = False

    def load_began(self, _: SentLoad) -> None:
        """Do nothing."""

    def load_ended(self, _: SentLoad) -> None:
        """End the task."""
        self._has_ended = True

    def reason(self) -> str | None:
        """Return why the load has to stop."""
        if not self._has_ended:
            return None
        if self._is_unknown:
            raise ConnectionError("Airflow cannot be reached")
        return "Airflow ended its task, which is up_for_retry"


@pytest.mark.parametrize("is_unknown", [False, True])
def test_a_complete_load_whose_task_was_given_up_is_not_sent_again(platform: Platform, is_unknown: bool) -> None:
    """The try ends normally after Airflow gave it up; the retry uses its figures."""
    ending = Ending(is_unknown=is_unknown)
    platform.observers, platform.halted = (ending,), ending.reason
    uri = platform.loaded()
    assert files_of(platform, uri).tries.read_or(Tries()) == Tries(open_since=START)
    platform.observers, platform.halted = (), lambda: None
    platform.run_stages.run_load(uri)
    assert len(platform.generator.loads) == 1
    assert files_of(platform, uri).tries.read_or(Tries()) == Tries()
    assert record_of(platform, uri) == (Verdict.NO_BASELINE, ())


def test_a_killed_try_is_marked_as_aborted_and_the_load_starts_again(platform: Platform) -> None:
    """The record mentions it, and its rows are kept."""
    uri = killed(platform)
    first_rows = platform.store.runs_by_uri[uri][REQUESTS_FILE]
    platform.clock.move(60)
    platform.run_stages.run_load(uri)
    assert len(platform.generator.loads) == 2
    assert files_of(platform, uri).tries.read_or(Tries()) == Tries(aborted=(START,))
    assert platform.store.runs_by_uri[uri]["aborted-1.requests.csv.gz"] == first_rows
    assert record_of(platform, uri) == (
        Verdict.NO_BASELINE,
        (
            "try 1 of this load, started at 2026-03-02 06:30:00 UTC, was killed or stopped; the load was sent again, "
            "and only the last try counts",
        ),
    )


def test_a_stopped_try_is_also_set_aside(platform: Platform) -> None:
    """Its task measured a part of the load; the second try does not mix with it."""
    platform.generator.log_changes = {"ended": "stopped: the process that supervises its task is gone"}
    uri = platform.loaded()
    platform.generator.log_changes = {}
    first_rows = platform.store.runs_by_uri[uri][REQUESTS_FILE]
    platform.clock.move(60)
    platform.run_stages.run_load(uri)
    assert len(files_of(platform, uri).tries.read_or(Tries()).aborted) == 1
    assert platform.store.runs_by_uri[uri]["aborted-1.requests.csv.gz"] == first_rows
    verdict, notes = record_of(platform, uri)
    assert (verdict, len(notes)) == (Verdict.NO_BASELINE, 1)


def test_a_stopped_try_is_set_aside_once(platform: Platform) -> None:
    """Later tries that send nothing do not repeat it."""
    platform.generator.log_changes = {"ended": "stopped: the process that supervises its task is gone"}
    uri = platform.loaded()
    platform.halt_reason = "load is halted by ana"
    for _ in range(2):
        with pytest.raises(RunSkipped):
            platform.run_stages.run_load(uri)
    assert len(files_of(platform, uri).tries.read_or(Tries()).aborted) == 1


def test_a_load_whose_second_try_was_killed_is_not_sent_again(platform: Platform) -> None:
    """It may be what kills the task; Airflow has more tries because some never run."""
    uri = killed(platform)
    later = START + timedelta(minutes=5)
    files_of(platform, uri).tries.write(Tries(aborted=(START,), open_since=later))
    platform.clock.move(600)
    for _ in range(2):
        with pytest.raises(LoadError, match=r"^2 tries of this load were killed or stopped \(begun at 2026-03-02 "):
            platform.run_stages.run_load(uri)
    assert len(platform.generator.loads) == 1
    assert files_of(platform, uri).tries.read_or(Tries()).aborted == (START, later)
    assert platform.night_stages.compare([uri]) == {uri: Verdict.INVALID}


def test_a_completed_load_is_used_if_its_task_was_killed_before_measuring(platform: Platform) -> None:
    """All of its rows exist, so it is not sent again."""
    uri = unmeasured(platform)
    platform.run_stages.run_load(uri)
    assert len(platform.generator.loads) == 1
    figures = files_of(platform, uri).load.read()
    assert figures is not None
    assert (figures.due, figures.finished) == (400, 400)
    assert record_of(platform, uri) == (Verdict.NO_BASELINE, ())


@pytest.mark.parametrize(
    "changes",
    [
        {"ended": "stopped by SIGTERM"},
        {"workers": 2, "lost_workers": (2,)},
        {"started_at": (START - timedelta(seconds=1)).timestamp()},
    ],
    ids=["stopped", "a worker lost", "of an earlier try"],
)
def test_an_incomplete_load_is_not_used(platform: Platform, changes: dict[str, object]) -> None:
    """The load is sent again."""
    uri = unmeasured(platform, **changes)
    platform.run_stages.run_load(uri)
    assert len(platform.generator.loads) == 2


def test_a_running_try_is_waited_for_and_used(platform: Platform) -> None:
    """Airflow gave up its task, but the load went on; its figures are those of the run."""
    uri = platform.loaded()
    files = files_of(platform, uri)
    figures = files.load.read()
    files.tries.write(Tries(open_since=START))
    platform.reservations.running = [frozenset({files.read_spec().run_id})] * 3
    before = platform.clock()
    platform.run_stages.run_load(uri)
    assert platform.clock() - before == timedelta(seconds=3)
    assert len(platform.generator.loads) == 1
    assert files.load.read() == figures
    assert files.tries.read_or(Tries()) == Tries()


def test_a_try_that_stops_while_it_is_waited_for_is_set_aside(platform: Platform) -> None:
    """Its figures are not those of a complete load, whenever that is found."""
    platform.generator.log_changes = {"ended": "stopped: the process that supervises its task is gone"}
    uri = platform.loaded()
    platform.generator.log_changes = {}
    files = files_of(platform, uri)
    files.tries.write(Tries(open_since=START))
    platform.reservations.running = [frozenset({files.read_spec().run_id})]
    platform.clock.move(60)
    platform.run_stages.run_load(uri)
    assert len(platform.generator.loads) == 2
    assert len(files.tries.read_or(Tries()).aborted) == 1
    assert record_of(platform, uri)[0] is Verdict.NO_BASELINE


def test_a_try_that_fails_while_it_is_waited_for_is_not_called_killed(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reported its error, and the load starts again."""
    uri = killed(platform)
    files = files_of(platform, uri)
    platform.reservations.running = [frozenset({files.read_spec().run_id})]
    move = platform.clock.wait
    monkeypatch.setattr(platform.clock, "wait", lambda seconds: (files.tries.write(Tries()), move(seconds)))
    platform.run_stages.run_load(uri)
    assert files.tries.read_or(Tries()) == Tries()
    assert len(platform.generator.loads) == 2


def test_a_try_that_never_ends_is_an_error(platform: Platform) -> None:
    """No other load is sent; the error says which processes to end."""
    uri = killed(platform)
    run_id = files_of(platform, uri).read_spec().run_id
    platform.reservations.running = [frozenset({run_id})] * 1000
    with pytest.raises(LoadError, match=f"still holds its lock, although .* end its processes .* run {run_id}"):
        platform.run_stages.run_load(uri)
    assert len(platform.generator.loads) == 1


def test_a_halt_ends_the_wait_for_an_earlier_try(platform: Platform) -> None:
    """The halt stops that try, too."""
    uri = killed(platform)
    platform.reservations.running = [frozenset({files_of(platform, uri).read_spec().run_id})] * 3
    platform.halt_reason = "load is halted by ana"
    with pytest.raises(RunSkipped, match="halted by ana"):
        platform.run_stages.run_load(uri)


@pytest.mark.parametrize("running", [None, frozenset({"another-run"})])
def test_a_try_without_a_reservation_is_dead(platform: Platform, running: frozenset[str] | None) -> None:
    """The reservations of other runs do not matter, and without any reservation nothing runs."""
    uri = killed(platform)
    platform.reservations.running = [running]
    platform.run_stages.run_load(uri)
    assert len(platform.generator.loads) == 2

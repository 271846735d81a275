"""Watching a load: every reason stops it, and a source that does not answer neither delays it nor is ignored."""

import logging
import threading
from collections.abc import Callable, Iterator

import pytest

from include.perf.catalogue.scenario.stop_criterion import StopCriterion
from include.perf.guards.load_limits import LoadLimits
from include.perf.guards.watch import PATIENCE_S, Inquiry, Watch, watching
from include.perf.load.generator import Progress
from include.perf.model.errors import StoreError
from tests.fakes.failing import raising
from tests.fakes.generator import progress, recent

WAIT_S = 20.0
"""Never reached unless the test fails."""

NO_PAUSE_S = 0.0


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Source:
    """A source that answers one poll at a time, when the test allows it."""

    def __init__(self) -> None:
        self.asked, self._may_answer = threading.Semaphore(0), threading.Semaphore(0)
        self.answer: str | None = None
        self.error: Exception | None = None
        self.threads: set[threading.Thread] = set()

    def __call__(self) -> str | None:
        self.threads.add(threading.current_thread())
        self.asked.release()
        assert self._may_answer.acquire(timeout=WAIT_S)
        if self.error is not None:
            raise self.error
        return self.answer

    def let_answer(self) -> None:
        """Let it answer the question that it was asked, and wait until it is asked the next one."""
        self._may_answer.release()
        assert self.asked.acquire(timeout=WAIT_S)

    def let_go(self, inquiry: Inquiry) -> None:
        """Let it answer for the last time."""
        self._may_answer.release()
        inquiry._thread.join(timeout=WAIT_S)
        assert not inquiry._thread.is_alive()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def source() -> Iterator[Source]:
    """A source whose thread ends with the test."""
    made = Source()
    yield made
    for _ in range(1_000):
        made._may_answer.release()
    for thread in made.threads:
        thread.join(timeout=WAIT_S)
        assert not thread.is_alive()


@pytest.fixture
def inquiry(source: Source, clock: Clock) -> Inquiry:
    return Inquiry(source, name="the halt state", every_s=NO_PAUSE_S, clock=clock)


def test_an_inquiry_polls_until_there_is_a_reason(source: Source, inquiry: Inquiry) -> None:
    """It uses its own thread, which then ends."""
    with inquiry.asking():
        assert source.asked.acquire(timeout=WAIT_S)
        assert inquiry.reason() is None
        source.let_answer()
        source.let_answer()
        assert inquiry.reason() is None
        source.answer = "halted by alice"
        source.let_go(inquiry)
        assert inquiry.reason() == "halted by alice"
    assert source.threads == {inquiry._thread}
    assert inquiry.reason() == "halted by alice"


def test_an_inquiry_ends_with_its_block(source: Source, inquiry: Inquiry) -> None:
    """This includes a failed load; the thread is not awaited."""
    fail = raising(StoreError("elsewhere"))
    with pytest.raises(StoreError), inquiry.asking():
        fail(source.asked.acquire(timeout=WAIT_S))
    source.let_go(inquiry)
    assert inquiry.reason() is None


def test_a_hanging_inquiry_delays_nothing(source: Source, inquiry: Inquiry, clock: Clock) -> None:
    """It is polled once without an answer: the load continues for a minute, and then ends."""
    with inquiry.asking():
        assert source.asked.acquire(timeout=WAIT_S)
        clock.now += PATIENCE_S
        assert inquiry.reason() is None
        clock.now += 0.001
        assert inquiry.reason() == "the halt state could not be read for 60 s"
    assert not source.asked.acquire(blocking=False)
    assert inquiry._thread.daemon  # nor does it keep the process from its end


def test_a_source_that_fails_for_a_minute_ends_the_load(
    source: Source, inquiry: Inquiry, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Polling continues; the last error is the reason."""
    source.error = StoreError("no such bucket")
    with caplog.at_level(logging.WARNING), inquiry.asking():
        assert source.asked.acquire(timeout=WAIT_S)
        for _ in range(6):
            source.let_answer()
            assert inquiry.reason() is None
            clock.now += 10.0
        assert inquiry.reason() is None
        clock.now += 0.5
        assert inquiry.reason() == "the halt state could not be read for 60 s (no such bucket)"
    assert {record.getMessage() for record in caplog.records} == {"the halt state cannot be read: no such bucket"}


def test_one_result_in_between_is_enough(source: Source, inquiry: Inquiry, clock: Clock) -> None:
    """The minute starts again with each result."""
    source.error = StoreError("no such bucket")
    with inquiry.asking():
        assert source.asked.acquire(timeout=WAIT_S)
        source.let_answer()
        clock.now += 59.0
        source.error = None
        source.let_answer()
        source.error = StoreError("gone again")
        source.let_answer()
        clock.now += 59.0
        assert inquiry.reason() is None
        clock.now += 2.0
        assert inquiry.reason() == "the halt state could not be read for 60 s (gone again)"


@pytest.mark.parametrize("error", [StoreError("x"), ValueError("x"), KeyError("x")])
def test_polling_continues_after_any_error(error: Exception) -> None:
    """If the thread ended, nothing would read the halt state any more."""
    inquiry = Inquiry(raising(error), name="the halt state")
    inquiry.ask()
    inquiry.ask()
    assert inquiry.reason() is None


# The watch


def say_nothing(_: Progress) -> None:
    return


def limits() -> LoadLimits:
    return LoadLimits([StopCriterion(metric="error_ratio", above=0.5, window_s=1)])  # type: ignore[arg-type]


def test_the_watch_forwards_progress() -> None:
    """Both the listener and the limits receive it."""
    heard: list[Progress] = []
    watch = Watch(heard.append, limits=limits(), conditions=[])
    watch.take_in(progress(elapsed_s=1.0))
    assert watch.reason_to_stop() is None
    watch.take_in(progress(elapsed_s=2.0, interval=recent(finished=0, failed=500)))
    assert watch.reason_to_stop() == "error ratio 1 over the last 1 s is above 0.5 (stop_when)"
    assert [progress.elapsed_s for progress in heard] == [1.0, 2.0]


def test_the_first_reason_is_returned() -> None:
    """Conditions come in order; limits come last."""
    reasons: list[str | None] = [None, "the second", "the third"]
    conditions: list[Callable[[], str | None]] = [lambda: reasons[0], lambda: reasons[1], lambda: reasons[2]]
    watch = Watch(say_nothing, limits=limits(), conditions=conditions)
    watch.take_in(progress(elapsed_s=1.0, interval=recent(finished=0, failed=500)))
    assert watch.reason_to_stop() == "the second"
    reasons[0] = "the first"
    assert watch.reason_to_stop() == "the first"
    reasons[:] = [None, None, None]
    assert str(watch.reason_to_stop()).startswith("error ratio 1")


def test_inquiries_are_polled_until_the_block_ends(source: Source, inquiry: Inquiry) -> None:
    """Conditions and inquiries both count."""
    with watching(say_nothing, limits=LoadLimits(), conditions=[lambda: None], inquiries=[inquiry]) as watch:
        assert source.asked.acquire(timeout=WAIT_S)
        assert watch.reason_to_stop() is None
        source.answer = "halted by alice"
        source.let_go(inquiry)
        assert watch.reason_to_stop() == "halted by alice"
    assert not inquiry._thread.is_alive()

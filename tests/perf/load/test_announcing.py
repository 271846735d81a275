"""Observers are notified of a load, and cannot disturb it."""

from datetime import timedelta
from pathlib import Path

import pytest

from include.perf.load.announcing import SentLoad, announced
from include.perf.model.errors import DeliveryError, StoreError
from tests.fakes.clock import START, FixedClock
from tests.fakes.small_platform import Platform
from tests.loads import sent_load


class Listener:
    """Records its notifications, or raises an error."""

    def __init__(self, problem: Exception | None = None) -> None:
        self.problem = problem
        self.began: list[SentLoad] = []
        self.ended: list[SentLoad] = []

    def load_began(self, load: SentLoad) -> None:
        """Record the begin."""
        if self.problem:
            raise self.problem
        self.began.append(load)

    def load_ended(self, load: SentLoad) -> None:
        """Record the end."""
        if self.problem:
            raise self.problem
        self.ended.append(load)


def test_a_run_announces_its_load(tmp_path: Path) -> None:
    """The announcement has its begin, its latest end, and its actual end."""
    platform = Platform(tmp_path)
    listener = Listener()
    platform.observers = (listener,)
    record = platform.execute()
    (began,), (ended,) = listener.began, listener.ended
    assert (began.run_id, began.service, began.scenario) == (record.run_id, "orders-service", "brief")
    assert (began.environment, began.rate_rps, began.ended_at) == ("staging", 40.0, None)
    # 5 s of warm-up, 10 s measured, and the service's time-out
    longest = platform.catalogue.scenario("brief").load.longest_s(platform.catalogue.service("orders").timeout_s)
    assert began.ends_by - began.started_at == timedelta(seconds=longest)
    assert ended.ended_at is not None
    assert record.window is not None
    assert began.started_at <= record.started_at
    assert record.window.end <= ended.ended_at <= began.ends_by


def test_an_interrupted_load_is_announced_as_over() -> None:
    """An exception does not suppress the announcement."""
    listener, clock = Listener(), FixedClock(START)

    def interrupted() -> None:
        with announced(sent_load(), [listener], clock=clock):
            clock.move(5)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [load.ended_at for load in listener.ended] == [START + timedelta(seconds=5)]


@pytest.mark.parametrize("problem", [StoreError("no room"), DeliveryError("grafana answered 500")])
def test_a_failing_observer_stops_nothing(problem: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """The load is sent, the other observers are notified, and the log has the error."""
    failing, listener = Listener(problem), Listener()
    with announced(sent_load(), [failing, listener], clock=FixedClock(START)):
        pass
    assert (len(listener.began), len(listener.ended)) == (1, 1)
    assert caplog.messages[0] == (
        f"analysis-engine-service market_open 20260302T063000Z-aaaaaa: its load was not announced: {problem}"
    )

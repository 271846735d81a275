"""Others hear of a load, and the load does not care."""

from datetime import timedelta
from pathlib import Path

import pytest

from include.perf.load.announcing import SentLoad, announced
from include.perf.model.errors import DeliveryError, StoreError
from tests.fakes.clock import START, FixedClock
from tests.fakes.small_platform import Platform
from tests.loads import sent_load


class Listener:
    """Notes what it is told, or cannot."""

    def __init__(self, problem: Exception | None = None) -> None:
        self.problem = problem
        self.began: list[SentLoad] = []
        self.ended: list[SentLoad] = []

    def load_began(self, load: SentLoad) -> None:
        """Hear of it."""
        if self.problem:
            raise self.problem
        self.began.append(load)

    def load_ended(self, load: SentLoad) -> None:
        """Hear of its end."""
        if self.problem:
            raise self.problem
        self.ended.append(load)


def test_a_run_announces_its_load(tmp_path: Path) -> None:
    """From when on, until when at the latest, and when it was over."""
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


def test_a_load_that_broke_is_over_as_well() -> None:
    """However it ended."""
    listener, clock = Listener(), FixedClock(START)

    def interrupted() -> None:
        with announced(sent_load(), [listener], clock=clock):
            clock.move(5)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [load.ended_at for load in listener.ended] == [START + timedelta(seconds=5)]


@pytest.mark.parametrize("problem", [StoreError("no room"), DeliveryError("grafana answered 500")])
def test_who_cannot_be_told_stops_nothing(problem: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """The load goes out, the others hear of it, and the log says why one did not."""
    deaf, listener = Listener(problem), Listener()
    with announced(sent_load(), [deaf, listener], clock=FixedClock(START)):
        pass
    assert (len(listener.began), len(listener.ended)) == (1, 1)
    assert caplog.messages[0] == (
        f"analysis-engine-service market_open 20260302T063000Z-aaaaaa: others were not told of its load: {problem}"
    )

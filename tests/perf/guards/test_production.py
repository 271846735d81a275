"""Production: when load on it must be over."""

from datetime import UTC, datetime

import pytest

from include.perf.catalogue.scenario.market_hours import OWN_FILE, MarketHours, load_market_hours
from include.perf.guards.guard import production_ends
from include.perf.model.errors import RunSkipped
from tests.fakes.small_catalogue import small_service

LIVE = small_service(environment="live", allow_production=True, max_rate_rps=50)


@pytest.fixture(scope="module")
def hours() -> MarketHours:
    """The project's own market hours: from Sunday to Friday 17:00 New York."""
    return load_market_hours(OWN_FILE)


@pytest.mark.parametrize(
    ("now", "opening"),
    [
        ("2026-03-06 22:00", "2026-03-08 21:00"),  # Friday's close, to the second; on Sunday the clocks have changed
        ("2026-03-07 12:00", "2026-03-08 21:00"),
        ("2026-03-08 20:59", "2026-03-08 21:00"),
        ("2029-12-24 22:00", "2029-12-25 22:00"),  # Christmas is a Tuesday: the market opens in the middle of a week
        ("2026-01-01 10:00", "2026-01-01 22:00"),
    ],
)
def test_load_must_be_over_when_the_market_opens(hours: MarketHours, now: str, opening: str) -> None:
    """This is the next opening, which may be in the middle of a week, after a holiday."""
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert production_ends(LIVE, hours, moment) == datetime.fromisoformat(opening).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "closes"),
    [
        ("2026-03-08 21:00", "2026-03-13 21:00:00 UTC"),
        ("2026-03-04 02:00", "2026-03-06 22:00:00 UTC"),
        ("2029-12-24 21:59", "2029-12-24 22:00:00 UTC"),
    ],
)
def test_no_load_while_the_market_is_open(hours: MarketHours, now: str, closes: str) -> None:
    """The run is skipped; the message contains when it may start."""
    with pytest.raises(RunSkipped) as caught:
        production_ends(LIVE, hours, datetime.fromisoformat(now).replace(tzinfo=UTC))
    assert str(caught.value) == (
        "orders-service is live, which is loaded only while the market is closed; the market is open until "
        f"{closes}, so start the run after that"
    )

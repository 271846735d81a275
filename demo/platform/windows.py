"""The time window of a request, and its bars.

A window is an instrument, a timeframe and the half-open interval [start_time, end_time). Its bars are aligned to the
timeframe and cover the window. Too many bars for one response are merged: an M1 window of a day, 1,440 bars, becomes
240 bars of 6 minutes. Too few bars for an indicator are extended into the past.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Self

from pydantic import AwareDatetime, BaseModel, Field, model_validator

from demo.platform.instruments import (
    INSTRUMENTS,
    TIMEFRAME_SECONDS,
    Instrument,
    InstrumentName,
    Timeframe,
)
from demo.platform.prices import Bars, bars

LEAST_BARS = 60
MOST_BARS = 240
MAX_WINDOW = timedelta(days=366)
_EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
_LATEST = datetime(2100, 1, 1, tzinfo=UTC)

InstrumentField = Annotated[InstrumentName, Field(description="Currency pair, base_quote")]
TimeframeField = Annotated[Timeframe, Field(description="Length of a bar")]
StartField = Annotated[AwareDatetime, Field(description="RFC 3339 with offset, from 1990; the first moment")]
EndField = Annotated[AwareDatetime, Field(description="RFC 3339 with offset, to 2100; after start_time")]


class RequestWindow(BaseModel):
    """A window in a request body; every field but the timeframe is required."""

    instrument: InstrumentField
    timeframe: TimeframeField = Timeframe.M5
    start_time: StartField
    end_time: EndField

    @model_validator(mode="after")
    def _check_times(self) -> Self:
        check_times(self.start_time, self.end_time)
        return self

    def pair(self) -> Instrument:
        """Return the instrument."""
        return INSTRUMENTS[self.instrument]

    def bars(self, *, least: int = LEAST_BARS) -> Bars:
        """Compute the window's bars, from `least` to `MOST_BARS` of them."""
        return window_bars(
            self.pair(), self.timeframe, start=self.start_time, end=self.end_time, least=least, most=MOST_BARS
        )


class WindowQuery(BaseModel):
    """A window in a query; missing fields get defaults around the present."""

    instrument: InstrumentField | None = None
    timeframe: TimeframeField = Timeframe.M5
    start_time: StartField | None = None
    end_time: EndField | None = None

    @model_validator(mode="after")
    def _check_times(self) -> Self:
        start, end = self.start_time, self.end_time
        if start is not None and end is not None:
            check_times(start, end)
        elif (given := start or end) is not None:
            check_era(given, given)
        return self

    def pair(self) -> Instrument:
        """Return the instrument, EUR_USD unless one is given."""
        return INSTRUMENTS[self.instrument or InstrumentName.EUR_USD]

    def bars(self, *, now_s: float, least: int = LEAST_BARS, most: int = MOST_BARS) -> Bars:
        """Compute the window's bars.

        Args:
            now_s: the present, seconds since 1970-01-01 UTC; the end unless a time is given.
            least: a window without a start has this many bars, and none has fewer.
            most: bars are merged beyond this many.
        """
        unit_s = TIMEFRAME_SECONDS[self.timeframe]
        span = timedelta(seconds=unit_s * least)
        if self.end_time is not None:
            end = self.end_time
        elif self.start_time is not None:
            end = self.start_time + span
        else:
            # the last closed bar: there is no data from the future
            end = datetime.fromtimestamp(now_s // unit_s * unit_s, UTC)
        start = self.start_time if self.start_time is not None else end - span
        return window_bars(self.pair(), self.timeframe, start=start, end=end, least=least, most=most)


def check_times(start: datetime, end: datetime) -> None:
    """Refuse times that are not a window.

    Raises:
        ValueError: end_time is not after start_time, the window is too long, or lies too far away.
    """
    check_era(start, end)
    if end <= start:
        raise ValueError(f"end_time {end.isoformat()} must be after start_time {start.isoformat()}")
    if end - start > MAX_WINDOW:
        raise ValueError(
            f"a window may last {MAX_WINDOW.days} days, but start_time to end_time is {end - start}; ask for less"
        )


def check_era(start: datetime, end: datetime) -> None:
    """Refuse times before 1990 or after 2100.

    Raises:
        ValueError: start or end lies outside.
    """
    if start < _EARLIEST or end > _LATEST:
        raise ValueError(f"start_time and end_time must lie between {_EARLIEST.date()} and {_LATEST.date()}")


def window_bars(
    pair: Instrument, timeframe: Timeframe, *, start: datetime, end: datetime, least: int, most: int
) -> Bars:
    """Compute `least` to `most` bars that end with the window and cover it."""
    unit_s = TIMEFRAME_SECONDS[timeframe]
    first_s = int(start.timestamp()) // unit_s * unit_s
    last_s = -(-int(end.timestamp()) // unit_s) * unit_s
    wanted = max(1, (last_s - first_s) // unit_s)
    merged = -(-wanted // most)
    step_s = unit_s * merged
    number = min(most, max(least, -(-wanted // merged)))
    return bars(pair, first_s=last_s - number * step_s, step_s=step_s, count=number)

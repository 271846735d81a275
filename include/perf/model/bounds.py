"""What a stored value may be. The bounds apply when JSON is parsed, so that only values inside them are computed with.

They are far beyond what a load can produce, and far from what overflows a float, a date or a chart.
"""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AwareDatetime, Field

MAX_COUNT = 10**12
MAX_AMOUNT = 1e18
MAX_CHANGE = 1e100
"""A change may be relative to a very small value."""
MAX_SECONDS = 366 * 86_400.0
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
MAX_NAME = 1_000
MAX_TEXT = 1_000_000
MAX_ITEMS = 100_000

Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]
Amount = Annotated[float, Field(ge=0, le=MAX_AMOUNT, allow_inf_nan=False)]
"""A quantity that cannot be negative, such as a latency or a rate."""
Change = Annotated[float, Field(ge=-MAX_CHANGE, le=MAX_CHANGE, allow_inf_nan=False)]
"""A difference or a correction, which may be negative."""
Seconds = Annotated[float, Field(ge=0, le=MAX_SECONDS, allow_inf_nan=False)]
Moment = Annotated[AwareDatetime, Field(ge=EARLIEST, lt=LATEST)]
"""A time with its time zone."""
Name = Annotated[str, Field(max_length=MAX_NAME)]
Text = Annotated[str, Field(max_length=MAX_TEXT)]

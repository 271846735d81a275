"""A trading scenario: which load, from which data, when.

The models are the entries of ``scenarios.yaml``.
"""

from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from include.perf.service import Entry, Name

MIN_DURATION_S = 10
MAX_DURATION_S = 4 * 3600
MIN_RATE_RPS = 0.1
MAX_RATE_RPS = 3000
"""What one Locust process on one core holds honestly (measured: p99 within 10 % of the truth)."""

Rate = Annotated[float, Field(ge=MIN_RATE_RPS, le=MAX_RATE_RPS)]
Duration = Annotated[int, Field(ge=MIN_DURATION_S, le=MAX_DURATION_S)]


class LoadProfile(Entry):
    """The load of one run, as requested.

    Attributes:
        rate_rps: arrivals per second, whatever the target does (open model).
        duration_s: length of the measured part.
        warmup_s: the part before it at the same rate; recorded, but left out of the figures.
        arrivals: ``constant`` spacing, or ``poisson`` (exponential gaps, seeded).
        max_concurrency: most requests in flight; arrivals beyond wait, timed from when they were due.
        drain_s: how long after the last arrival answers are still waited for; by default the service's
            request time-out.
    """

    rate_rps: Rate
    duration_s: Duration
    warmup_s: Annotated[int, Field(ge=0, le=3600)] = 60
    arrivals: Literal["constant", "poisson"] = "constant"
    max_concurrency: Annotated[int, Field(ge=1, le=5000)] = 1000
    drain_s: Annotated[float, Field(ge=0, le=300)] | None = None
    seed: int = 20260101


class Schedule(Entry):
    """When a scenario runs by itself: a cron expression in a time zone, so that DST is followed."""

    cron: Annotated[str, Field(pattern=r"^(\S+\s+){4}\S+$")]
    timezone: str = "UTC"

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, timezone: str) -> str:
        try:
            ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, ValueError) as err:
            raise ValueError(f"{timezone!r} is not an IANA time zone such as Europe/London") from err
        return timezone


class Scenario(Entry):
    """A trading scenario.

    Attributes:
        data: CSV of market data; a relative path starts at the catalogue's folder.
        services: which services it loads; empty means every one of the catalogue.
        schedule: when it runs by itself; ``None`` means only when triggered.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=63)]
    title: str
    description: str = ""
    load: LoadProfile
    data: Path
    services: tuple[Name, ...] = ()
    schedule: Schedule | None = None

    @model_validator(mode="after")
    def _data_is_csv(self) -> Self:
        if self.data.suffix != ".csv":
            raise ValueError(f"data must be a CSV file, but is {str(self.data)!r}")
        return self

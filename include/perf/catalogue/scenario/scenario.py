"""A trading scenario: its load, data and schedule. The model is an entry of ``scenarios.yaml``."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from include.perf.catalogue.scenario.load_profile import LoadProfile
from include.perf.catalogue.scenario.production_hours import OptionalProductionHours
from include.perf.catalogue.scenario.schedule import OptionalSchedule
from include.perf.catalogue.scenario.stop_criterion import StopCriteria
from include.perf.model.yaml_entries import Entry, ExtraParts, Name, matching

ScenarioName = Annotated[
    str,
    Field(max_length=63),
    matching(r"[a-z][a-z0-9_]*", "must have lower-case letters, digits and _, and start with a letter"),
]


class Scenario(Entry):
    """A trading scenario.

    Attributes:
        data: CSV file with market data, relative to the catalogue's folder.
        services: the services to load; by default all.
        schedule: when it starts automatically; ``None`` for manual runs only.
        parallel: maximum number of services under load at the same time; they must not affect one another.
        pause_after: the schedule pauses after so many scheduled runs in a row that measured nothing; 0 for never.
        stop_when: stop criteria, instead of the default ones.
        reruns: maximum number of suspicious services per night that are re-run, twice each.
        fingerprint: further conditions for comparing runs, such as ``{dataset: 2026-Q4}``.
        production_hours: the hours of production that it represents; ``None`` for no comparison with production.
    """

    name: ScenarioName
    title: str
    description: str = ""
    load: LoadProfile
    data: Path
    services: tuple[Name, ...] = ()
    schedule: OptionalSchedule = None
    parallel: Annotated[int, Field(ge=1, le=20)] = 1
    pause_after: Annotated[int, Field(ge=0, le=100)] = 3
    stop_when: StopCriteria = ()
    reruns: Annotated[int, Field(ge=0, le=100)] = 4
    fingerprint: ExtraParts = Field(default_factory=dict)
    production_hours: OptionalProductionHours = None

    @model_validator(mode="after")
    def _data_is_csv(self) -> Self:
        if self.data.suffix != ".csv":
            raise ValueError(f"data must be a CSV file, but is {str(self.data)!r}")
        return self

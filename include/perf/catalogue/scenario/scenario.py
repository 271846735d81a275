"""A trading scenario: which load, from which data, when.

The models are the entries of ``scenarios.yaml``.
"""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from include.perf.catalogue.scenario.load_profile import LoadProfile
from include.perf.catalogue.scenario.production_hours import OptionalProductionHours
from include.perf.catalogue.scenario.schedule import OptionalSchedule
from include.perf.catalogue.scenario.stop_criterion import StopCriteria
from include.perf.model.yaml_entries import Entry, ExtraParts, Name


class Scenario(Entry):
    """A trading scenario.

    Attributes:
        data: CSV of market data; a relative path starts at the catalogue's folder.
        services: which services it loads; empty means every one of the catalogue.
        schedule: when it runs by itself; ``None`` means only when triggered.
        parallel: so many of its services may be under load at once; they must not disturb one another.
        stop_when: what ends its load early; a list of its own takes the place of the defaults'.
        reruns: so many services a night are measured twice more when they look suspicious; 0 for none.
        fingerprint: what else makes its runs comparable, such as ``{dataset: 2026-Q4}``.
        production_hours: the hours of production that it stands for; ``None`` compares its runs with none.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=63)]
    title: str
    description: str = ""
    load: LoadProfile
    data: Path
    services: tuple[Name, ...] = ()
    schedule: OptionalSchedule = None
    parallel: Annotated[int, Field(ge=1, le=20)] = 1
    stop_when: StopCriteria = ()
    reruns: Annotated[int, Field(ge=0, le=100)] = 4
    fingerprint: ExtraParts = Field(default_factory=dict)
    production_hours: OptionalProductionHours = None

    @model_validator(mode="after")
    def _data_is_csv(self) -> Self:
        if self.data.suffix != ".csv":
            raise ValueError(f"data must be a CSV file, but is {str(self.data)!r}")
        return self

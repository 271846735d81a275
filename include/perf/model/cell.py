"""One service under one scenario: a cell of the matrix."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class CellName:
    """A service in a scenario; of a problem of the pipeline itself the service may be empty."""

    service: str
    scenario: str

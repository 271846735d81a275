"""The names of a cell (one service under one scenario) and of a run in it."""

from dataclasses import dataclass
from typing import Self
from urllib.parse import quote, unquote

from include.perf.model.errors import ItemError


@dataclass(frozen=True, slots=True, order=True)
class CellName:
    """One service under one scenario; a problem of the pipeline itself has an empty service."""

    service: str
    scenario: str


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class RunAddress:
    """Where a run lies in the results store: the last three parts of its URI.

    Names are percent-encoded in a URI and plain in a path.
    """

    service: str
    scenario: str
    run_id: str

    @classmethod
    def from_uri(cls, uri: str) -> Self:
        """Return the address of the run with this URI.

        Raises:
            ItemError: the URI does not end with a service, a scenario and a run id.
        """
        parts = uri.rstrip("/").split("/")[-3:]
        if len(parts) != 3 or not all(parts):
            raise ItemError(f"{uri} is not the address of a run: it must end with <service>/<scenario>/<run id>")
        service, scenario, run_id = (unquote(part) for part in parts)
        return cls(service=service, scenario=scenario, run_id=run_id)

    @property
    def cell(self) -> CellName:
        """The service and the scenario."""
        return CellName(self.service, self.scenario)

    @property
    def path(self) -> str:
        """The path below the root of the results store."""
        return f"{self.service}/{self.scenario}/{self.run_id}"

    def uri_below(self, root: str) -> str:
        """Return the URI of the run in the results store with the URI ``root``."""
        return f"{root.rstrip('/')}/{quote(self.path, errors='surrogateescape')}"

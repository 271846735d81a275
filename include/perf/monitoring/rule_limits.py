"""The limits in force: from where on a live figure is told, in base units.

The file of the limits in force, ``limits.json`` in the folder of the rules.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from include.perf.model.cell import CellName
from include.perf.model.errors import RulesError


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What a metric is held to; for throughput the limits lie below the centre.

    Attributes:
        centre: the baseline's level.
        critical: ``None`` where the baseline bears no more than a warning.
        hard: the service's hard limit, where it has one; neither limit is beyond it.
    """

    centre: float
    warning: float
    critical: float | None = None
    hard: float | None = None

    @property
    def by_severity(self) -> dict[str, float]:
        """The limits that there are, by the severity of what is beyond them."""
        found = {"warning": self.warning, "critical": self.critical}
        return {severity: value for severity, value in found.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class CellLimits:
    """The limits of a service in a scenario.

    Attributes:
        baseline_version: that they are of.
        metrics: by name of the metric; one that has none is left out.
    """

    service: str
    scenario: str
    environment: str
    baseline_version: int
    metrics: Mapping[str, Limit]

    @property
    def cell(self) -> CellName:
        """The service and the scenario."""
        return CellName(self.service, self.scenario)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleLimits:
    """All limits in force.

    Attributes:
        cells: in alphabetical order.
        edges: by service, the upper bounds in seconds of its latency histogram, ascending, as they were last known.
    """

    cells: tuple[CellLimits, ...] = ()
    edges: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def of(self, cell: CellName) -> CellLimits | None:
        """Return the limits of a cell, if it has any."""
        return next((each for each in self.cells if each.cell == cell), None)


LIMITS_FILE = "limits.json"

SCHEMA_VERSION = 1

VERSION_KEY = "schema_version"

_LIMITS: TypeAdapter[RuleLimits] = TypeAdapter(RuleLimits)


def read_limits(path: Path) -> RuleLimits | None:
    """Return the limits in a file; ``None`` when it is not there yet.

    Raises:
        RulesError: it cannot be read, or is not what it should be.
    """
    remedy = "remove it, and write it anew: python -m include.perf rules write"
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as err:
        raise RulesError(f"cannot read {path}: {err.strerror}; check BELLWETHER_RULES") from err
    except ValueError as err:
        raise RulesError(f"{path} is not valid JSON ({err}); {remedy}") from err
    version = document.pop(VERSION_KEY, None) if isinstance(document, dict) else None
    if version != SCHEMA_VERSION:
        raise RulesError(f"{path} must have {VERSION_KEY} {SCHEMA_VERSION}, but has {version!r}; {remedy}")
    try:
        return _LIMITS.validate_python(document)
    except ValidationError as err:
        raise RulesError(f"{path} holds no limits ({err.error_count()} problems); {remedy}") from err


def format_limits(limits: RuleLimits) -> bytes:
    """Write limits as they stand in the file."""
    document = {VERSION_KEY: SCHEMA_VERSION, **_LIMITS.dump_python(limits, mode="json")}
    return f"{json.dumps(document, indent=2)}\n".encode()

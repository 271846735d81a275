"""Limits beyond which the alert rules fire, in base units, and the file ``limits.json`` that holds those in force."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from include.perf.model.cell import CellName
from include.perf.model.errors import RulesError


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """The limits of a metric; those of throughput are below the centre.

    Attributes:
        centre: value of the baseline.
        critical: ``None`` if the baseline allows only warnings.
        hard: the service's hard limit, if any, which caps both limits.
    """

    centre: float
    warning: float
    critical: float | None = None
    hard: float | None = None

    @property
    def by_severity(self) -> dict[str, float]:
        """The existing limits by severity."""
        found = {"warning": self.warning, "critical": self.critical}
        return {severity: value for severity, value in found.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class CellLimits:
    """The limits of a cell: a service under a scenario.

    Attributes:
        baseline_version: version of the baseline that the limits are derived from.
        metrics: limits by metric name; metrics without a limit are omitted.
    """

    service: str
    scenario: str
    environment: str
    baseline_version: int
    metrics: Mapping[str, Limit]

    @property
    def cell(self) -> CellName:
        """Service and scenario."""
        return CellName(self.service, self.scenario)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleLimits:
    """All limits in force.

    Attributes:
        cells: in alphabetical order.
        edges: last known upper bounds of each service's latency histogram, in seconds, ascending.
    """

    cells: tuple[CellLimits, ...] = ()
    edges: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def of(self, cell: CellName) -> CellLimits | None:
        """Return the limits of a cell; ``None`` without limits."""
        return next((limits for limits in self.cells if limits.cell == cell), None)


LIMITS_FILE = "limits.json"

SCHEMA_VERSION = 1

VERSION_KEY = "schema_version"

_LIMITS: TypeAdapter[RuleLimits] = TypeAdapter(RuleLimits)


def read_limits(path: Path) -> RuleLimits | None:
    """Return the limits of a file; ``None`` if it does not exist yet.

    Raises:
        RulesError: the file cannot be read or is malformed.
    """
    remedy = "delete it, then run: python -m include.perf rules write"
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
        raise RulesError(f"{path} is malformed ({err.error_count()} problems); {remedy}") from err


def format_limits(limits: RuleLimits) -> bytes:
    """Return the content of the limits file."""
    document = {VERSION_KEY: SCHEMA_VERSION, **_LIMITS.dump_python(limits, mode="json")}
    return f"{json.dumps(document, indent=2)}\n".encode()

"""How a service stands in a scenario: everything that the metrics of a cell are made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from include.perf.alert import CellName
from include.perf.alert_rules.limits import CellLimits
from include.perf.baseline_entry import Baseline
from include.perf.load_announcement.sent_load import SentLoad
from include.perf.run import Severity
from include.perf.run_index import RunEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A cell as it stands now.

    Attributes:
        environment: of the service, as the catalogue says.
        latest: the latest finished run, whatever its verdict.
        measured: the latest run whose figures can be trusted.
        load: the latest load, which may still go out.
        limits: of the alert rules in force.
        problems: how many are open that have to do with the cell, by severity.
    """

    cell: CellName
    environment: str
    now: datetime
    latest: RunEntry | None = None
    measured: RunEntry | None = None
    baseline: Baseline | None = None
    load: SentLoad | None = None
    is_loaded: bool = False
    limits: CellLimits | None = None
    problems: Mapping[Severity, int] = field(default_factory=dict)

    @property
    def loaded(self) -> RunEntry | None:
        """The latest finished run that sent a load, as far as is known: a skipped one has sent none."""
        return next((run for run in (self.latest, self.measured) if run and run.window), None)

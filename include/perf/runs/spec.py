"""What a run is asked to do."""

import secrets
from dataclasses import dataclass
from datetime import datetime

from include.perf.catalogue.scenario.load_profile import LoadProfile
from include.perf.catalogue.scenario.schedule import Deadline


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """What a run was asked to be; fixed before anything is touched.

    Attributes:
        update_baseline: promote the run if it is valid; needs a ``reason``.
        triggered_by: the person or the schedule that asked.
        dag_id: the Airflow DAG, ``None`` from the command line.
        may_rerun: whether it is measured again when it looks suspicious.
        rerun_of: the run that looked suspicious and is judged together with this one.
        deadline: when its load must be over; ``None`` where nothing presses.
    """

    run_id: str
    service: str
    scenario: str
    environment: str
    load: LoadProfile
    created_at: datetime
    update_baseline: bool = False
    reason: str | None = None
    triggered_by: str = "unknown"
    dag_id: str | None = None
    dag_run_id: str | None = None
    may_rerun: bool = True
    rerun_of: str | None = None
    deadline: Deadline | None = None


def run_id_of(moment: datetime) -> str:
    """Return the id of a run that is planned at a moment; ids sort by time."""
    return f"{moment:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservationRequest:
    """What a load takes while it runs.

    Attributes:
        targets: where it goes, ``address:port`` each.
        rate_rps: its peak, out of what the generators can send together.
        since: when it was granted.
    """

    run_id: str
    service: str
    scenario: str
    targets: tuple[str, ...]
    rate_rps: float
    since: datetime

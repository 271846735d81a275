"""The request for a run."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from include.perf.catalogue.scenario.load_profile import LoadProfile
from include.perf.catalogue.scenario.schedule import Deadline
from include.perf.model.bounds import Amount, Moment, Name

ID_TIME = "%Y%m%dT%H%M%SZ"
"""How the id of a run begins: the time when it was planned, in UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """The request for a run; it never changes.

    Attributes:
        update_baseline: whether to promote the run if it is valid; needs a ``reason``.
        triggered_by: the person or schedule that requested the run.
        dag_id: the Airflow DAG; ``None`` on the command line.
        may_rerun: whether to re-run it if it looks suspicious.
        rerun_of: id of the suspicious run that this one repeats; both are judged together.
        deadline: when its load must be over; ``None`` if there is no deadline.
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
    """Return a new id for a run planned at this time; ids sort by time."""
    return f"{moment:{ID_TIME}}-{secrets.token_hex(3)}"


def planned_at_of(run_id: str) -> datetime | None:
    """Return when the run with an id was planned; ``None`` for an id that `run_id_of` did not make."""
    try:
        return datetime.strptime(run_id.partition("-")[0], ID_TIME).replace(tzinfo=UTC)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservationRequest:
    """The targets and the rate that a load reserves while it runs.

    Attributes:
        targets: as ``address:port``.
        rate_rps: its peak rate, which counts towards the capacity of the generators.
        since: when the reservation was granted.
    """

    run_id: Name
    service: Name
    scenario: Name
    targets: tuple[Name, ...]
    rate_rps: Amount
    since: Moment

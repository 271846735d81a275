"""What holds for all scenarios together; the outermost settings of ``scenarios.yaml``.

The most that may be sent: by the load generators together, and to a service.

The pool of Airflow that holds what the load generators can send together; a slot is one request per second.
"""

import math
from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from include.perf.catalogue.scenario.load_profile import MAX_RATE_RPS, MIN_RATE_RPS, LoadProfile
from include.perf.catalogue.service import Service
from include.perf.model.yaml_entries import Entry

Days = Annotated[int, Field(ge=1, le=3650)]

Channel = Annotated[str, Field(min_length=1, max_length=81)]


class Operations(Entry):
    """How the pipeline itself is run.

    Attributes:
        capacity_rps: what all load generators together can send, in requests per second; loads that would need more
            wait for one another.
        ops_channel: where failures of the pipeline itself are told, which say nothing of a service.
        digest_channel: where improvements and suspicions are told; ``None`` for nowhere.
        quiet_summary: tell there of nights without anything, too.
        critical_mention: the ID of the Slack user group that a critical regression calls.
        reload_rules: let Prometheus load the alert rules whenever they were written; it must be started with
            ``--web.enable-lifecycle``.
        keep_requests_days: after which the raw requests of a run are removed, unless a baseline refers to it.
        keep_unfinished_days: after which a run that was never finished is removed, if nothing of it changed.
    """

    capacity_rps: Annotated[float, Field(ge=MIN_RATE_RPS, le=MAX_RATE_RPS)] = 600
    ops_channel: Channel = "#performance-ops"
    digest_channel: Channel | None = "#performance-digest"
    quiet_summary: bool = False
    critical_mention: Annotated[str, Field(pattern=r"^S[A-Z0-9]{2,20}$")] | None = None
    reload_rules: bool = False
    keep_requests_days: Days = 30
    keep_unfinished_days: Days = 7


def problems_of_capacity(load: LoadProfile, operations: Operations) -> Iterator[str]:
    """Say when a load is more than the load generators can send."""
    peak = load.peak_rate_rps
    if peak > operations.capacity_rps:
        yield (
            f"the peak rate of {peak:g}/s is more than the {operations.capacity_rps:g}/s that the load generators send "
            "together; lower it, or raise capacity_rps in scenarios.yaml where the machines can send that much"
        )


def problems_of_ceiling(load: LoadProfile, service: Service) -> Iterator[str]:
    """Say when a load is more than a service may get."""
    peak = load.peak_rate_rps
    if service.max_rate_rps is not None and peak > service.max_rate_rps:
        yield (
            f"the peak rate of {peak:g}/s is more than {service.name} may get, {service.max_rate_rps:g}/s; lower it, "
            "or leave the service out of the scenario's services (max_rate_rps in services.yaml)"
        )


LOAD_POOL = "bellwether_load"

LOAD_POOL_DESCRIPTION = "Bellwether's load generators: one slot a request per second, capacity_rps in scenarios.yaml"


def slots_of(rate_rps: float) -> int:
    """Return how many slots a rate takes."""
    return max(1, math.ceil(rate_rps))

"""Settings for all scenarios (the top level of ``scenarios.yaml``), and the rate limits that follow from them.

The capacity of the load generators is an Airflow pool: a slot is one request per second.
"""

import math
from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from include.perf.catalogue.scenario.load_profile import MAX_RATE_RPS, MIN_RATE_RPS, LoadProfile
from include.perf.catalogue.service import Service
from include.perf.model.yaml_entries import Entry, matching

LOAD_POOL = "bellwether_load"
LOAD_POOL_DESCRIPTION = "Bellwether's load generators: one slot a request per second, capacity_rps in scenarios.yaml"

Days = Annotated[int, Field(ge=1, le=3650)]
Channel = Annotated[str, Field(min_length=1, max_length=81)]
UserGroup = Annotated[str, matching(r"S[A-Z0-9]{2,20}", "must be the ID of a user group, such as S0123ABCD")]


class Operations(Entry):
    """Settings of the pipeline itself.

    Attributes:
        capacity_rps: maximum rate of all load generators together, in requests per second; loads that need more wait
            for one another.
        ops_channel: the channel for failures of the pipeline itself.
        digest_channel: the channel for improvements and suspicions; ``None`` for no digest.
        quiet_summary: whether the digest also reports nights without findings.
        critical_mention: the ID of the Slack user group to mention for a critical regression.
        reload_rules: whether to wait until Prometheus has loaded changed alert rules; it is asked to reload, if it
            takes such requests (``--web.enable-lifecycle``).
        keep_requests_days: after this time the raw requests of a run are removed, unless a baseline refers to it.
        keep_unfinished_days: after this time without changes an unfinished run is removed.
    """

    capacity_rps: Annotated[float, Field(ge=MIN_RATE_RPS, le=MAX_RATE_RPS)] = 600
    ops_channel: Channel = "#performance-ops"
    digest_channel: Channel | None = "#performance-digest"
    quiet_summary: bool = False
    critical_mention: UserGroup | None = None
    reload_rules: bool = False
    keep_requests_days: Days = 30
    keep_unfinished_days: Days = 7


def problems_of_capacity(load: LoadProfile, operations: Operations) -> Iterator[str]:
    """Return a problem if a load exceeds the capacity of the load generators."""
    peak = load.peak_rate_rps
    if peak > operations.capacity_rps:
        yield (
            f"the peak rate of {peak:g}/s is more than the {operations.capacity_rps:g}/s that the load generators send "
            "together; lower it, or raise capacity_rps in scenarios.yaml if the machines can send that much"
        )


def problems_of_ceiling(load: LoadProfile, service: Service) -> Iterator[str]:
    """Return a problem if a load may exceed the maximum rate of a service, with all tries of its journeys."""
    several = service.most_requests_per_arrival
    peak = load.peak_rate_rps * several
    shown = f"{peak:g}/s"
    if several > 1:
        shown += f" ({load.peak_rate_rps:g}/s, with journeys of up to {several:g} requests)"
    if service.max_rate_rps is not None and peak > service.max_rate_rps:
        yield (
            f"the peak rate of {shown} exceeds the {service.max_rate_rps:g}/s that {service.name} may receive; "
            "lower it, or leave the service out of the scenario's services (max_rate_rps in services.yaml)"
        )


def slots_of(rate_rps: float) -> int:
    """Return the number of pool slots for a rate."""
    return max(1, math.ceil(rate_rps))

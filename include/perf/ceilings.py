"""The most that may be sent: by the load generators together, and to a service."""

from collections.abc import Iterator

from include.perf.load_profile import LoadProfile
from include.perf.operations import Operations
from include.perf.service import Service


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

"""How many requests per second one load process holds, by the way in which it calls a service.

A request over a connection of its own costs more than one over a kept connection, and a TLS handshake costs most. The
defaults are the rates at which a worker uses 0.65 cores (docs/benchmarks.md, section "ways"): above that, its p99 is
inflated long before it is late. Another machine, or long answers, need another figure; ``capacity --one-worker
--service NAME`` measures it, and ``worker_rps`` of the service sets it.

A journey is one arrival and several requests, so its rate counts that many times.
"""

import math
from collections.abc import Iterator
from enum import Enum
from urllib.parse import urlsplit

from include.perf.catalogue.locustfile import has_fast_clients
from include.perf.catalogue.scenario.load_profile import MAX_WORKERS, LoadProfile
from include.perf.catalogue.service import Service

HEADROOM = 0.7
"""Share of its rate that a worker is planned for: machines are busier on other nights, and a run at the limit would
sometimes be invalid."""


class CallWay(Enum):
    """How a service is called; the value is its text and what a worker holds, in requests per second."""

    HTTP = ("HTTP with keep-alive", 8000.0)
    HTTPS = ("HTTPS with keep-alive", 4000.0)
    HTTP_UNKEPT = ("HTTP with a connection for each request", 2000.0)
    HTTPS_UNKEPT = ("HTTPS with a connection for each request", 320.0)
    FAST_LOCUSTFILE = ("a locustfile with FastHttpUser, one request an iteration", 1000.0)
    LOCUSTFILE = ("a locustfile, one request an iteration", 350.0)

    def __init__(self, text: str, rate_rps: float) -> None:
        self.text = text
        self.rate_rps = rate_rps


def call_way_of(service: Service, *, keep_alive: bool) -> CallWay:
    """Return how a service is called, with or without keep-alive."""
    if service.locustfile is not None:
        return CallWay.FAST_LOCUSTFILE if has_fast_clients(service.locustfile.file) else CallWay.LOCUSTFILE
    if urlsplit(service.base_url).scheme == "https":
        return CallWay.HTTPS if keep_alive else CallWay.HTTPS_UNKEPT
    return CallWay.HTTP if keep_alive else CallWay.HTTP_UNKEPT


def worker_rate_of(service: Service) -> float:
    """Return how many requests per second one worker holds with a service."""
    return service.worker_rps or call_way_of(service, keep_alive=service.keep_alive).rate_rps


def least_workers(load: LoadProfile, service: Service) -> int:
    """Return the fewest workers that hold the peak of a load, on any machines."""
    return _count(load, service, rate_rps=worker_rate_of(service))


def workers_for(load: LoadProfile, service: Service) -> int:
    """Return the number of load processes on this machine: those of the load, or as many as its peak needs."""
    return load.workers or min(MAX_WORKERS, _count(load, service, rate_rps=worker_rate_of(service) * HEADROOM))


def problems_of_workers(load: LoadProfile, service: Service) -> Iterator[str]:
    """Return a problem if the workers of a load cannot hold it."""
    needed = least_workers(load, service)
    count = workers_for(load, service)
    if needed <= count:
        return
    way = call_way_of(service, keep_alive=service.keep_alive)
    source = "worker_rps" if service.worker_rps else way.text
    remedies = [] if needed > MAX_WORKERS else [f"set workers to {needed}"]
    remedies.append("lower rate_rps or profile")
    if service.locustfile is not None and service.worker_rps is None:
        remedies.append(f"set worker_rps of {service.name} to what capacity --one-worker measures")
    if not service.keep_alive and service.worker_rps is None:
        kept = call_way_of(service, keep_alive=True)
        remedies.append(f"set keep_alive: true for {service.name} ({kept.rate_rps:g}/s per worker)")
    several = service.requests_per_arrival
    peak = f"{load.peak_rate_rps:.12g}/s"
    if several > 1:
        peak += f" ({load.peak_rate_rps * several:.12g} requests/s, because journeys have several)"
    yield (
        f"the peak rate of {peak} is too much for {count} worker{'' if count == 1 else 's'} "
        f"calling {service.name}, each holds {worker_rate_of(service):g}/s ({source}); {', or '.join(remedies)}"
    )


def problems_of_concurrency(load: LoadProfile, service: Service) -> Iterator[str]:
    """Return a problem if the users of journeys think for so long that there are too few users for the arrivals.

    By Little's law, the mean number of busy users is the arrival rate times the mean time for which one is busy. Time
    spent waiting for answers adds to the pauses that count here.
    """
    busy = load.peak_rate_rps * service.mean_pause_s
    if busy <= load.max_concurrency:
        return
    yield (
        f"max_concurrency {load.max_concurrency} is too low for {service.name}: at {load.peak_rate_rps:.12g}/s its "
        f"journeys keep {busy:,.0f} users busy by think_s alone; set it higher, or lower rate_rps or think_s"
    )


def _count(load: LoadProfile, service: Service, *, rate_rps: float) -> int:
    return max(1, math.ceil(load.peak_rate_rps * service.requests_per_arrival / rate_rps))

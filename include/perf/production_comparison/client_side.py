"""A service that tells Prometheus nothing of its latencies: what the client saw of it, in production's terms.

A percentile over single requests and one out of buckets differ by more than most regressions, and not even always in
one direction; so the run's latencies are counted in production's own buckets first.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from include.perf.measurement import counts_for_latency
from include.perf.production_comparison.buckets import Buckets
from include.perf.request_rows import read_requests
from include.perf.run import EndpointFigures
from include.perf.service import Service


def client_buckets(requests: Path, bounds: Collection[float]) -> Buckets:
    """Count the latencies of a run's measured requests by upper bound, as a histogram in the service would.

    Raises:
        LoadError: the file is missing, or is no record of requests.
    """
    rows = read_requests(requests, ("phase", "latency_s", "error"))
    latencies = np.sort(rows.loc[(rows["phase"] == "measured") & counts_for_latency(rows), "latency_s"].to_numpy())
    finite = sorted(bounds)
    counts = np.searchsorted(latencies, finite, side="right")
    return Buckets((*finite, float("inf")), (*map(float, counts), float(len(latencies))))


def client_mix(service: Service, endpoints: Sequence[EndpointFigures], kinds: Collection[str]) -> Mapping[str, float]:
    """Return the share of each endpoint of a run, by the name that production has for it where one is to be found.

    Args:
        kinds: production's names, the values of its labels in a row: ``POST /api/v1/orders``.
    """
    total = sum(each.due for each in endpoints)
    names = {endpoint.name: (endpoint.method, endpoint.path, endpoint.name) for endpoint in service.endpoints}
    return {_kind_of(names.get(each.name, (each.name,)), kinds): each.due / total for each in endpoints if each.due}


def _kind_of(names: Sequence[str], kinds: Collection[str]) -> str:
    """Return what production calls an endpoint: the most telling kind that is made of its names only."""
    known = [kind for kind in kinds if set(kind.split()) <= set(names)]
    return max(known, key=len, default=names[-1])

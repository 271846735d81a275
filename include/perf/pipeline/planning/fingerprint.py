"""The fingerprint of a run, part by part: only runs with the same fingerprint are compared.

A setting with its default value is not part of the fingerprint, so a new setting in Bellwether does not invalidate the
baselines of services that do not use it. Headers are part of it, because they may select a version, a tenant or a
cache. Credentials are not, because they are renewed while the service stays the same.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from include.perf.catalogue.endpoint import Endpoint
from include.perf.catalogue.expectation import Expectation
from include.perf.catalogue.journey import Journey
from include.perf.catalogue.scenario.arrival_rate import Shape
from include.perf.catalogue.scenario.load_profile import LoadProfile, RatePoint
from include.perf.catalogue.service import Service
from include.perf.catalogue.worker_rates import workers_for
from include.perf.load.load_plan import GENERATOR_VERSION

LATER_SETTINGS = ("headers", "form", "text", "content_type", "sign")
"""Settings that are in the digest only if an endpoint has them, because the digests of stored baselines lack them."""


def fingerprint(
    service: Service,
    load: LoadProfile,
    *,
    data: str,
    data_files: str | None = None,
    locustfile: str | None = None,
    extra: Mapping[str, str] | None = None,
    is_distributed: bool = False,
) -> dict[str, str]:
    """Return the parts by name, each short enough for a message.

    Args:
        data: the fingerprint of the market data from `include.perf.load.market_data.data_fingerprint`.
        data_files: the fingerprint of the service's data files; ``None`` without any.
        locustfile: that of its locustfile, which neither market data nor endpoints belong to; ``None`` without one.
        extra: parts that the scenario adds; those of the service come after them.
        is_distributed: whether other machines send the load, over another network. Their number does not matter.
    """
    parts = {
        "load": _load(load),
        "limits": _limits(service, load),
        "data": data[:19],
        "endpoints": _digest([_requests_of(endpoint) for endpoint in service.endpoints]),
        "generator": f"version {GENERATOR_VERSION}, seed {load.seed}{_workers(service, load)}",
        "environment": service.environment,
    }
    if service.prometheus.kind != "process":
        parts["figures of"] = service.prometheus.kind
    if locustfile is not None:
        parts = {name: part for name, part in parts.items() if name not in ("data", "endpoints")}
        parts["locustfile"] = locustfile
    if data_files is not None:
        parts["data files"] = data_files[:19]
    if is_distributed:
        parts["generators"] = "distributed"
    if service.signing is not None:
        parts["signing"] = _digest(service.signing.model_dump(mode="json", exclude_defaults=True))
    headers = {"headers": _headers(service.headers)} if service.headers else {}
    return parts | headers | dict(extra or {}) | service.fingerprint


def describe_load(load: LoadProfile) -> str:
    """Describe a load profile for people.

    ``500/s for 900 s after 60 s of warm-up``, or with all settings ``500/s with Poisson arrivals, profile 3 → 1 by
    decay in 300 s, for 900 s after 60 s of warm-up with a ramp of 30 s``.
    """
    return _words(load, arrivals="" if load.arrivals == "constant" else " with Poisson arrivals")


def _load(load: LoadProfile) -> str:
    """Return the part of the fingerprint; stored baselines contain it, so it must never change."""
    return _words(load, arrivals=f" {load.arrivals}")


def _words(load: LoadProfile, *, arrivals: str) -> str:
    profile = f", profile {_profile(load.profile)}," if load.profile else ""
    ramp = f" with a ramp of {load.ramp_s} s" if load.ramp_s else ""
    rate = f"{load.rate_rps:.12g}/s{arrivals}"
    return f"{rate}{profile} for {load.duration_s} s after {load.warmup_s} s of warm-up{ramp}"


def _profile(points: Sequence[RatePoint]) -> str:
    words = f"{points[0].factor:.12g}"
    for before, point in pairwise(points):
        when = "after" if point.by is Shape.STEP else "in"
        words += f" → {point.factor:.12g} by {point.by} {when} {point.at_s - before.at_s} s"
    return words


def _workers(service: Service, load: LoadProfile) -> str:
    count = workers_for(load, service)
    return f", {count} workers" if count > 1 else ""


def _limits(service: Service, load: LoadProfile) -> str:
    limits = [f"{load.max_concurrency} in flight", f"time-out {service.timeout_s:g} s"]
    if service.connect_timeout_s is not None:
        limits.append(f"{service.connect_timeout_s:g} s to connect")
    if not service.keep_alive:
        limits.append("a connection for each request")
    if service.cookies:
        limits.append("cookies kept")
    if service.max_requests_per_connection is not None:
        limits.append(f"{service.max_requests_per_connection} requests per connection")
    if service.max_connection_age_s is not None:
        limits.append(f"connections of {service.max_connection_age_s:g} s")
    if service.idle_timeout_s is not None:
        limits.append(f"idle connections of {service.idle_timeout_s:g} s")
    return ", ".join(limits)


def _requests_of(endpoint: Endpoint | Journey) -> dict[str, Any]:
    if isinstance(endpoint, Journey):
        without_limits = {"__all__": {"hard_limits"}}
        left_out: dict[str, Any] = {"data_files": True, "steps": without_limits, "finally_steps": without_limits}
        return endpoint.model_dump(mode="json", exclude=left_out, exclude_defaults=True)
    requests = endpoint.model_dump(mode="json", exclude={"expect", "data_files", "hard_limits", *LATER_SETTINGS})
    requests |= endpoint.model_dump(mode="json", include=set(LATER_SETTINGS), exclude_defaults=True)
    if endpoint.expect is not None and endpoint.expect != Expectation():
        requests["expect"] = endpoint.expect.model_dump(mode="json", exclude_defaults=True)
    return requests


def _headers(headers: Mapping[str, str]) -> str:
    """Return the names of headers, which are case-insensitive, and a digest of their values."""
    values = {name.lower(): value for name, value in headers.items()}
    return f"{', '.join(sorted(values))} {_digest(values)}"


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True).encode()
    return "sha256:" + hashlib.sha256(text).hexdigest()[:12]

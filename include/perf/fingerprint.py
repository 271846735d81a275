"""What a run was made of, part by part: only runs with the same parts are compared."""

import hashlib
import json

from include.perf.load_plan import GENERATOR_VERSION
from include.perf.scenario import LoadProfile
from include.perf.service import Service


def fingerprint(service: Service, load: LoadProfile, *, data: str) -> dict[str, str]:
    """Return the parts by name, each short enough to be read in a message.

    Args:
        data: fingerprint of the market data, as `include.perf.market_data.data_fingerprint` gives it.
    """
    endpoints = [endpoint.model_dump(mode="json") for endpoint in service.endpoints]
    return {
        "load": describe_load(load),
        "limits": f"{load.max_concurrency} in flight, time-out {service.timeout_s:g} s",
        "data": data[:19],
        "endpoints": _digest(endpoints),
        "generator": f"version {GENERATOR_VERSION}, seed {load.seed}",
        "environment": service.environment,
    }


def describe_load(load: LoadProfile) -> str:
    """Write a load profile in words: ``500/s constant for 900 s after 60 s of warm-up``."""
    return f"{load.rate_rps:.12g}/s {load.arrivals} for {load.duration_s} s after {load.warmup_s} s of warm-up"


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True).encode()
    return "sha256:" + hashlib.sha256(text).hexdigest()[:12]

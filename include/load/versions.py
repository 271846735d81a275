"""The versions that a master and its workers must share, so that all of them send the same load."""

import importlib.metadata
import sys
from collections.abc import Mapping

from include.perf.load.load_plan import GENERATOR_VERSION


def own_versions() -> dict[str, str]:
    """Return the versions of this process."""
    return {
        "generator": GENERATOR_VERSION,
        "locust": importlib.metadata.version("locust"),
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
    }


def difference(worker: Mapping[str, str], master: Mapping[str, str]) -> str | None:
    """Describe how a worker's versions differ from the master's; ``None`` when they are the same."""
    differing = [
        f"{name} {worker.get(name, 'unknown')} where the master has {version}"
        for name, version in master.items()
        if worker.get(name) != version
    ]
    return ", ".join(differing) or None

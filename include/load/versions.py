"""What has to be the same in the master and in its workers, so that all of a load is one load."""

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
    """Say in what a worker differs from the master, ``None`` where it does not."""
    differing = [
        f"{name} {worker.get(name, 'unknown')} where the master has {version}"
        for name, version in master.items()
        if worker.get(name) != version
    ]
    return ", ".join(differing) or None

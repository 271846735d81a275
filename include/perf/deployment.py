"""Which version of a service is deployed, as the service tells it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from include.perf.errors import TargetError
from include.perf.phrase import one_line
from include.perf.ports import MetricsSource, Target
from include.perf.service import Service

MAX_VERSION = 80
"""A version is read in messages; longer ones are cut."""


def read_deploy_version(
    service: Service, addresses: Sequence[str], target: Target, metrics: MetricsSource, *, at: datetime
) -> str | None:
    """Return the version, ``None`` for a service whose entry does not say where it is told.

    Args:
        addresses: of the service's host; no other is asked.

    Raises:
        TargetError, PrometheusError: it could not be had.
    """
    where = service.deploy_version
    if where is None:
        return None
    if where.query is not None:
        query = where.query.replace("$selector", service.prometheus.selector)
        return _shortened(metrics.label(query, where.label, at=at))
    assert where.path is not None  # noqa: S101 - an entry has one of the two
    return _shortened(_field(service, target.json(service, where.path, addresses), where.field))


def _field(service: Service, document: Any, path: str) -> str:
    found = document
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    if isinstance(found, bool) or not isinstance(found, (str, int, float)) or not one_line(str(found)):
        raise TargetError(f"{service.name} tells no version: there is no text at {path!r} in what it answers")
    return str(found)


def _shortened(version: str) -> str:
    return one_line(version)[:MAX_VERSION]

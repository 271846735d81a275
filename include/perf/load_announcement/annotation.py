"""A load as an annotation of dashboards, in the shape of Grafana's HTTP API.

Source: Grafana documentation, "Annotations HTTP API": ``POST /api/annotations``, ``PATCH /api/annotations/:id``.
"""

from collections.abc import Mapping
from datetime import datetime

from include.perf.load_announcement.sent_load import SentLoad
from include.perf.metric import Unit, format_value

Annotation = Mapping[str, int | str | list[str]]

TAG = "bellwether"


def annotation_of(load: SentLoad) -> Annotation:
    """Return the annotation of a load: a moment while it goes out, a region once it is over."""
    peak = format_value(load.rate_rps, Unit.REQUESTS_PER_SECOND)
    annotation: dict[str, int | str | list[str]] = {
        "time": _milliseconds(load.started_at),
        "tags": [TAG, load.service, load.scenario, load.environment],
        "text": f"Load test {load.scenario} on {load.service} ({load.environment}), up to {peak}: run {load.run_id}",
    }
    return annotation if load.ended_at is None else annotation | {"timeEnd": _milliseconds(load.ended_at)}


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)

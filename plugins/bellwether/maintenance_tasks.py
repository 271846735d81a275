"""The task that removes what is too old to be kept."""

import logging
from datetime import timedelta
from typing import Any

from airflow.sdk import task

from bellwether.failures import told_to_airflow

log = logging.getLogger(__name__)


@task(execution_timeout=timedelta(hours=2))
def prune() -> dict[str, Any]:
    """Remove raw requests and unfinished runs that are too old, and return what was removed and what was kept."""
    from datetime import UTC, datetime

    from bellwether.wiring import storage
    from include.perf.baselines.promotion import referenced_runs
    from include.perf.catalogue.reading import load_catalogue
    from include.perf.runs.retention import clear, retention_of

    kept = storage()
    with told_to_airflow():
        clearance = clear(
            kept.results(),
            retention=retention_of(load_catalogue().operations),
            referenced=referenced_runs(kept.baselines().read()),
            now=datetime.now(UTC),
        )
    for removal in clearance.removed:
        log.info("Removed %s", removal.describe())
    log.info("Removed %s", clearance.describe())
    return clearance.summary()

"""The latency distributions of the runs that a record's baseline is made of, as far as they are kept."""

import logging

from include.perf.baseline import Baselines
from include.perf.baseline_entry import BaselineRun
from include.perf.distribution import Distribution, read_distribution
from include.perf.errors import BellwetherError, StoreError
from include.perf.phrase import is_compared
from include.perf.ports import DISTRIBUTION_FILE, BaselineStore, ResultsStore
from include.perf.run import RunRecord

log = logging.getLogger(__name__)


def baseline_distributions(
    record: RunRecord, *, store: ResultsStore, baselines: BaselineStore
) -> tuple[Distribution, ...]:
    """Return them, oldest run first; none where nothing was compared.

    They are only drawn: what of them cannot be read is told in the log.
    """
    if not is_compared(record):
        return ()
    try:
        runs = _runs_behind(record, baselines.read())
    except BellwetherError as err:
        log.warning("the baseline of %s in %s could not be read: %s", record.service, record.scenario, err)
        return ()
    found = (_distribution(record, run, store) for run in runs if run.run_id != record.run_id)
    return tuple(each for each in found if each is not None)


def _runs_behind(record: RunRecord, baselines: Baselines) -> tuple[BaselineRun, ...]:
    """Return the runs of the very version that the record was held to."""
    current = baselines.get(record.service, record.scenario)
    if current is None or record.baseline is None:
        return ()
    versions = (current, *current.previous)
    return next((each.runs for each in versions if each.version == record.baseline.version), ())


def _distribution(record: RunRecord, run: BaselineRun, store: ResultsStore) -> Distribution | None:
    try:
        uri = store.uri_of(service=record.service, scenario=record.scenario, run_id=run.run_id)
        content = store.read(uri, DISTRIBUTION_FILE)
        return None if content is None else read_distribution(content, where=f"{uri}/{DISTRIBUTION_FILE}")
    except StoreError as err:
        log.warning("run %s of the baseline is not drawn: %s", run.run_id, err)
        return None

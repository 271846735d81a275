"""A night without Airflow: every stage of every run, one after another, in the order of the DAG."""

import logging
from collections.abc import Sequence

from include.perf.load.generator import ProgressListener
from include.perf.model.errors import BellwetherError
from include.perf.pipeline.night_stages import NightStages
from include.perf.pipeline.outside import Outside
from include.perf.pipeline.run_stages import RunStages, ignore_progress
from include.perf.runs.record import RunRecord

log = logging.getLogger(__name__)


def execute(
    uris: Sequence[str], outside: Outside, *, on_progress: ProgressListener = ignore_progress
) -> tuple[RunRecord, ...]:
    """Measure planned runs and their re-runs, judge them, and return the records of the runs.

    A run that fails is judged as well: its record says why.
    """
    run_stages, night_stages = RunStages(outside), NightStages(outside.stores)
    for uri in uris:
        measure(uri, run_stages, on_progress=on_progress)
    for uri in night_stages.plan_reruns(uris):
        measure(uri, run_stages, on_progress=on_progress)
    night_stages.compare(uris)
    return tuple(night_stages.report(uri) for uri in uris)


def measure(uri: str, stages: RunStages, *, on_progress: ProgressListener = ignore_progress) -> None:
    """Execute the stages of one run up to the first that fails; the failure is logged and stands in the folder."""
    try:
        stages.stage_data(uri)
        stages.preflight(uri)
        stages.run_load(uri, on_progress=on_progress)
        stages.scrape(uri)
    except BellwetherError as err:
        log.warning("%s", err)

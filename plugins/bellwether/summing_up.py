"""The end of a DAG run: its summary is kept, whatever came of it, and only then it is red or green."""

import logging
from collections.abc import Sequence

from airflow.sdk.exceptions import AirflowFailException

from bellwether.context import task_context
from bellwether.failures import told_to_airflow
from include.perf.runs.dag_run import DagRunResults

log = logging.getLogger(__name__)


def keep_summary(uris: Sequence[str]) -> DagRunResults:
    """Read what came of the runs, and keep the summary of this DAG run beside their results."""
    from bellwether.wiring import storage
    from include.perf.reporting.summary import write_summary
    from include.perf.runs.dag_run import results_of

    context = task_context()
    where = {"dag_id": context["dag"].dag_id, "dag_run_id": context["dag_run"].run_id}
    with told_to_airflow():
        store = storage().results()
        results = results_of(store, uris, **where)
        log.info("The summary is in %s", write_summary(store, results))
    return results


def fail_if_bad(results: DagRunResults) -> None:
    """Let no grid be green by mistake.

    Raises:
        AirflowFailException: a run regressed, could not be judged, or has no record; with the headline of each.
    """
    if results.problems:
        raise AirflowFailException("\n".join(results.problems))

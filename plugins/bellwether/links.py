"""The paths of Bellwether's pages in Airflow's UI, and the button from a DAG run's last task to its summary."""

from typing import Any
from urllib.parse import quote, urlsplit

from airflow.configuration import conf
from airflow.sdk import BaseOperatorLink

URL_PREFIX = "/bellwether"


def pages_path() -> str:
    """Return the path of the pages on this Airflow, including the path at which its UI is mounted."""
    return urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/") + URL_PREFIX


def dag_run_path(dag_id: str, dag_run_id: str) -> str:
    """Return the path of a DAG run's summary."""
    return f"{pages_path()}/dag-runs/{quote(dag_id, safe='')}/{quote(dag_run_id, safe='')}"


class SummaryLink(BaseOperatorLink):
    """The button "Summary" of the task that ends a DAG run."""

    name = "Summary"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the path of the summary of the task's DAG run."""
        return dag_run_path(ti_key.dag_id, ti_key.run_id)


def linked_to_summary(last: Any) -> Any:
    """Add the button to a task, and return the task.

    A link that is registered with the plugin would be on every Python task.
    """
    last.operator.operator_extra_links = (SummaryLink(),)
    return last

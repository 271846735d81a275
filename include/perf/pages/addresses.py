"""Where each page is."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from include.perf.model.cell import CellName
from include.perf.runs.run_index import RunEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Makes links; names from data are quoted, so that none leads elsewhere.

    Attributes:
        base: the path that all pages are below.
        airflow: the path that Airflow's own pages are below.
    """

    base: str = "/bellwether"
    airflow: str = ""

    def matrix(self, **query: str) -> str:
        """Return the page of all cells."""
        return self._at(query=query)

    def cell(self, cell: CellName, **query: str) -> str:
        """Return the history of a cell."""
        return self._at("cells", cell.service, cell.scenario, query=query)

    def runs(self, cell: CellName, *parts: str) -> str:
        """Return what the addresses of a cell's runs begin with, or one of them by its id."""
        return self._at("runs", cell.service, cell.scenario, *parts)

    def run(self, entry: RunEntry, *parts: str) -> str:
        """Return a run, or what belongs to it, such as a file."""
        return self.runs(entry.cell, entry.run_id, *parts)

    def compare(self, *run_ids: str) -> str:
        """Return two runs side by side."""
        return f"{self._at('compare')}?{urlencode([('run', run_id) for run_id in run_ids])}"

    def baselines(self) -> str:
        """Return the page of all baselines."""
        return self._at("baselines")

    def baseline(self, cell: CellName, *parts: str) -> str:
        """Return the baseline of a cell with its versions, or what changes it."""
        return self._at("baselines", cell.service, cell.scenario, *parts)

    def problems(self, *parts: str) -> str:
        """Return the page of open problems and silences, or what changes one of them."""
        return self._at("problems", *parts)

    def silences(self, *parts: str) -> str:
        """Return where a silence is added, or what changes one."""
        return self._at("silences", *parts)

    def dag_run(self, dag_id: str, dag_run_id: str) -> str:
        """Return the summary of a run of a DAG."""
        return self._at("dag-runs", dag_id, dag_run_id)

    def airflow_run(self, entry: RunEntry) -> str | None:
        """Return the run of the DAG in Airflow's own pages; ``None`` for a run of the command line."""
        if entry.dag_id is None or entry.dag_run_id is None:
            return None
        return f"{self.airflow}/dags/{_quoted(entry.dag_id)}/runs/{_quoted(entry.dag_run_id)}"

    def static(self, name: str) -> str:
        """Return a style sheet or a script."""
        return f"{self.base}/static/{name}"

    def _at(self, *parts: str, query: Mapping[str, str] | None = None) -> str:
        path = "/".join([self.base, *map(_quoted, parts)]) if parts else f"{self.base}/"
        return f"{path}?{urlencode(query)}" if query else path


def _quoted(part: str) -> str:
    return quote(part, safe="")

"""The URLs of the pages."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from include.perf.model.cell import CellName
from include.perf.runs.run_index import RunEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Builds links. Names from data are quoted, so a name cannot change where a link leads.

    Attributes:
        base: path prefix of all pages.
        airflow: path prefix of Airflow's own pages.
    """

    base: str = "/bellwether"
    airflow: str = ""

    def matrix(self, **query: str) -> str:
        """Return the URL of the matrix."""
        return self._at(query=query)

    def cell(self, cell: CellName, **query: str) -> str:
        """Return the URL of a cell's history."""
        return self._at("cells", cell.service, cell.scenario, query=query)

    def runs(self, cell: CellName, *parts: str) -> str:
        """Return the URL prefix of a cell's runs, or the URL of one run by its id."""
        return self._at("runs", cell.service, cell.scenario, *parts)

    def run(self, entry: RunEntry, *parts: str) -> str:
        """Return the URL of a run, or of something below it, such as a file."""
        return self.runs(entry.cell, entry.run_id, *parts)

    def compare(self, *run_ids: str) -> str:
        """Return the URL of a comparison of two runs."""
        return f"{self._at('compare')}?{urlencode([('run', run_id) for run_id in run_ids])}"

    def baselines(self) -> str:
        """Return the URL of the list of baselines."""
        return self._at("baselines")

    def baseline(self, cell: CellName, *parts: str) -> str:
        """Return the URL of a cell's baseline, or of an action on it."""
        return self._at("baselines", cell.service, cell.scenario, *parts)

    def problems(self, *parts: str) -> str:
        """Return the URL of open problems and silences, or of an action on a problem."""
        return self._at("problems", *parts)

    def silences(self, *parts: str) -> str:
        """Return the URL that adds a silence, or an action on one."""
        return self._at("silences", *parts)

    def dag_run(self, dag_id: str, dag_run_id: str) -> str:
        """Return the URL of a DAG run's summary."""
        return self._at("dag-runs", dag_id, dag_run_id)

    def airflow_run(self, entry: RunEntry) -> str | None:
        """Return the URL of the DAG run in Airflow's UI; ``None`` for a run started on the command line."""
        if entry.dag_id is None or entry.dag_run_id is None:
            return None
        return f"{self.airflow}/dags/{_quoted(entry.dag_id)}/runs/{_quoted(entry.dag_run_id)}"

    def static(self, name: str) -> str:
        """Return the URL of a stylesheet or script."""
        return f"{self.base}/static/{name}"

    def _at(self, *parts: str, query: Mapping[str, str] | None = None) -> str:
        path = "/".join([self.base, *map(_quoted, parts)]) if parts else f"{self.base}/"
        return f"{path}?{urlencode(query)}" if query else path


def _quoted(part: str) -> str:
    return quote(part, safe="")

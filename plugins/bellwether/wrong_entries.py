"""The scenarios whose entries are wrong: their DAGs stay, so that their runs in flight go on, and refuse new runs."""

from pathlib import Path

from airflow.sdk import DAG
from pydantic import ValidationError

from include.perf.catalogue.catalogue import Catalogue
from include.perf.catalogue.scenario.load_profile import LoadProfile
from include.perf.catalogue.scenario.scenario import Scenario
from include.perf.model.errors import CatalogueError


def wrong_scenarios(catalogue: Catalogue) -> list[Scenario]:
    """Return a stand-in for each wrong scenario, without a schedule.

    Its DAG has the same tasks. A run that was planned before its entry became wrong goes on with the catalogue in its
    folder; the task ``plan`` of a new run fails with the problems of the entry.
    """
    found = (_stand_in(name, catalogue) for name in catalogue.left_out_scenarios)
    return [scenario for scenario in found if scenario is not None]


def _stand_in(name: str, catalogue: Catalogue) -> Scenario | None:
    """Return the stand-in, or ``None`` for a name that no DAG can have."""
    load = LoadProfile(rate_rps=catalogue.operations.capacity_rps, duration_s=60)  # takes the whole pool: one at a time
    try:
        return Scenario(
            name=name,
            title=name,
            description="The entry of this scenario is wrong, so it does not start.",
            load=load,
            data=Path("none.csv"),
        )
    except ValidationError:
        return None


class WrongEntries(DAG):
    """A DAG that only exists to be refused: Airflow then shows the problems as an import error without a traceback."""

    def validate(self) -> None:
        """Refuse the DAG.

        Raises:
            CatalogueError: always, with the problems that are in its documentation.
        """
        raise CatalogueError((self.doc_md or "").splitlines())

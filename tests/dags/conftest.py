"""The DAGs as Airflow parses them, from the project's own catalogue."""

import warnings
from pathlib import Path

import pytest
from airflow.sdk import DAG

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def dags() -> dict[str, DAG]:
    """All DAGs of dags/ by id, parsed as Airflow's DAG processor does."""
    from airflow.dag_processing.dagbag import DagBag

    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.delenv("BELLWETHER_CATALOGUE", raising=False)
        # Airflow 3.3.2 itself uses a class of pathspec's that is deprecated.
        warnings.filterwarnings("ignore", message="GitWildMatchPattern", category=DeprecationWarning)
        bag = DagBag(ROOT / "dags", safe_mode=True)
    assert bag.import_errors == {}
    return bag.dags

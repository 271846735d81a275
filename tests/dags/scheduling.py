"""Lets Airflow's scheduler decide about DAG runs whose tasks end as a case says, without running any task.

Reads cases as JSON from standard input and prints the outcomes. Runs in a process of its own, because it needs a
database of its own. Everything that decides is Airflow's: the serialized DAG, the trigger rules, the expansion of
mapped tasks, the state of the run, and the listeners of the plugin.
"""

import json
import os
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
from airflow.models.dag import DagModel  # noqa: TID251
from airflow.models.dagbag import DBDagBag  # noqa: TID251
from airflow.models.dagbundle import DagBundleModel  # noqa: TID251
from airflow.models.taskmap import TaskMap  # noqa: TID251
from airflow.utils.db import initdb
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, State, TaskInstanceState
from airflow.utils.types import DagRunTriggeredByType, DagRunType

MAX_DECISIONS = 500


def main(dag_file: Path) -> None:
    """Print the outcome of each case."""
    initdb()
    bag = DagBag(dag_file, bundle_path=dag_file.parent, bundle_name="tests", load_op_links=False)
    with create_session() as session:
        session.add(DagBundleModel(name="tests"))
        session.commit()
        sync_bag_to_db(bag, "tests", None, session=session)
        session.commit()
        found = [decide(case, number, session) for number, case in enumerate(json.load(sys.stdin))]
    sys.stdout.write("\n" + json.dumps(found))


def decide(case: dict[str, Any], number: int, session: Any) -> dict[str, Any]:
    """Return the states of the tasks and of the run, and whether the DAG is paused then.

    Args:
        case: ``dag``; ``lengths``: what a mapped task expands over, by the task that returns it; ``ends``: the state in
            which a task ends, by its name or by name and index, success by default.
    """
    dag = DBDagBag().get_latest_version_of_dag(case["dag"], session=session)
    assert dag is not None
    session.query(DagModel).filter_by(dag_id=dag.dag_id).update({"is_paused": False})
    run = dag.create_dagrun(
        run_id=f"case_{number}",
        run_after=datetime.now(UTC),
        run_type=DagRunType.MANUAL,
        triggered_by=DagRunTriggeredByType.TEST,
        state=DagRunState.RUNNING,
        session=session,
    )
    run.dag = dag
    for _ in range(MAX_DECISIONS):
        ready, _ = run.update_state(session=session, execute_callbacks=False)
        session.flush()
        if run.state in State.finished_dr_states:
            break
        for task in ready:
            end(task, case, session)
    tasks = run.get_task_instances(session=session)
    paused = session.query(DagModel.is_paused).filter_by(dag_id=dag.dag_id).scalar()
    states = {task_id: dict(Counter(str(t.state) for t in tasks if t.task_id == task_id)) for task_id in dag.task_ids}
    return {"state": str(run.state), "is_paused": paused, "tasks": states}


def end(task: Any, case: dict[str, Any], session: Any) -> None:
    """End a task as the case says."""
    state = case["ends"].get(f"{task.task_id}[{task.map_index}]") or case["ends"].get(task.task_id) or "success"
    task.state, task.try_number = TaskInstanceState(state), 1
    task.start_date = task.end_date = datetime.now(UTC)
    if state == "success" and task.task_id in case["lengths"]:
        length = case["lengths"][task.task_id]
        session.add(
            TaskMap(
                dag_id=task.dag_id, task_id=task.task_id, run_id=task.run_id, map_index=-1, length=length, keys=None
            )
        )
    session.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    sys.stdout.flush()
    os._exit(0)  # a thread of Airflow's keeps the process alive otherwise

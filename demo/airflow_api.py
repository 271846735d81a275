"""A client of Airflow's REST API, for the demo and the tests."""

import json
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import requests

PASSWORDS_FILE = "simple_auth_manager_passwords.json.generated"
USER = "admin"
VIEWER = "viewer"
"""May see everything and change nothing."""
TIMEOUT_S = 30.0
TRIES = 3
DATABASE_ERROR = "Database error"
"""Airflow's reason for a 500 when SQLite stayed locked. The transaction was rolled back, so a retry is safe."""
POLL_EVERY_S = 1.5
FINISHED = ("success", "failed")


class AirflowApi:
    """A client of one Airflow, as its admin."""

    def __init__(self, url: str, *, airflow_home: Path) -> None:
        self._url = url
        self._home = airflow_home
        self._session = requests.Session()

    def password(self, user: str = USER) -> str:
        """Return a user's password, which Airflow generated at its first start."""
        passwords: dict[str, str] = json.loads((self._home / PASSWORDS_FILE).read_text(encoding="utf-8"))
        return passwords[user]

    def is_healthy(self) -> bool:
        """Whether scheduler, DAG processor and metadata database are up."""
        try:
            answer = self._session.get(f"{self._url}/api/v2/monitor/health", timeout=TIMEOUT_S)
            parts: dict[str, Any] = answer.json()
        except (requests.RequestException, ValueError):
            return False
        wanted = ("metadatabase", "scheduler", "dag_processor")
        return all((parts.get(part) or {}).get("status") == "healthy" for part in wanted)

    def log_in(self) -> None:
        """Get a token for later calls."""
        answer = self._session.post(
            f"{self._url}/auth/token", json={"username": USER, "password": self.password()}, timeout=TIMEOUT_S
        )
        answer.raise_for_status()
        self._session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Call ``/api/v2<path>`` and return the answer's document; retry while the database is locked.

        Raises:
            requests.HTTPError: Airflow refused; the message holds its answer.
        """
        for _ in range(TRIES):
            answer = self._session.request(method, f"{self._url}/api/v2{path}", json=body, timeout=TIMEOUT_S)
            if not _is_database_error(answer):
                break
        if not answer.ok:
            raise requests.HTTPError(f"{method} {path}: {answer.status_code} {answer.text[:500]}", response=answer)
        return answer.json() if answer.content else None

    def dags(self) -> dict[str, Any]:
        """Return every DAG by its id."""
        return {dag["dag_id"]: dag for dag in self.call("GET", "/dags?limit=100")["dags"]}

    def import_errors(self) -> list[str]:
        """Return the stack traces of DAG files that cannot be imported."""
        return [error["stack_trace"] for error in self.call("GET", "/importErrors")["import_errors"]]

    def trigger(self, dag_id: str, conf: Mapping[str, Any]) -> str:
        """Start a run of a DAG and return its id."""
        run = self.call("POST", f"/dags/{dag_id}/dagRuns", {"logical_date": None, "conf": dict(conf)})
        run_id: str = run["dag_run_id"]
        return run_id

    def tasks(self, dag_id: str, run_id: str) -> dict[str, str]:
        """Return the state of each task instance; mapped ones as ``task[index]``."""
        listed = self.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances?limit=200")
        return {
            task["task_id"] + (f"[{task['map_index']}]" if task["map_index"] >= 0 else ""): task["state"] or "none"
            for task in listed["task_instances"]
        }

    def wait_for(
        self, dag_id: str, run_id: str, *, timeout_s: float, on_states: Callable[[dict[str, str]], None]
    ) -> str:
        """Wait until a DAG run has finished, and return its state.

        Args:
            on_states: gets the states of the tasks at every poll.

        Raises:
            TimeoutError: it has not finished in time.
        """
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            on_states(self.tasks(dag_id, run_id))
            state: str = self.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}")["state"]
            if state in FINISHED:
                return state
            time.sleep(POLL_EVERY_S)
        raise TimeoutError(
            f"run {run_id} of {dag_id} did not finish within {timeout_s:g} s: {self.tasks(dag_id, run_id)}"
        )

    def log(self, dag_id: str, run_id: str, task_id: str, *, map_index: int = -1, try_number: int = 1) -> str:
        """Return a task's log as text."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{try_number}?map_index={map_index}"
        content = self.call("GET", path)["content"]
        return "\n".join(_log_text(line) for line in content)


def _is_database_error(answer: requests.Response) -> bool:
    return answer.status_code == HTTPStatus.INTERNAL_SERVER_ERROR and DATABASE_ERROR in answer.text


def _log_text(line: Any) -> str:
    """Return the text of a log line, with the exceptions that it holds."""
    if not isinstance(line, dict):
        return str(line)
    errors = [f"{error['exc_type']}: {error['exc_value']}" for error in line.get("error_detail") or ()]
    return "\n".join([str(line.get("event", line)), *errors])

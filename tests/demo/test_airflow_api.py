"""The client of Airflow's REST API."""

from pathlib import Path

import pytest
import requests

from demo.airflow_api import TRIES, AirflowApi
from tests.socket_servers import Serve, Talk, answer

LOCKED = answer(b'{"detail": {"reason": "Database error"}}', status="500 Internal Server Error")
BROKEN = answer(b'{"detail": "boom"}', status="500 Internal Server Error")
CREATED = answer(b'{"dag_run_id": "manual"}')


@pytest.mark.parametrize(
    ("answers", "sent"),
    [([LOCKED, CREATED], 2), ([LOCKED] * 9, TRIES), ([BROKEN] * 9, 1)],
    ids=["locked once", "locked for good", "another error"],
)
def test_a_call_is_repeated_while_the_database_is_locked(serve: Serve, answers: list[bytes], sent: int) -> None:
    """Other errors are raised at once, and so is the last one of a locked database."""
    requested: list[bytes] = []

    def script(talk: Talk) -> None:
        while (request := talk.read_request()) is not None:
            requested.append(request)
            talk.send(answers[len(requested) - 1])

    api = AirflowApi(serve(script).url, airflow_home=Path())
    if CREATED in answers:
        assert api.trigger("market_open", {}) == "manual"
    else:
        with pytest.raises(requests.HTTPError, match="500"):
            api.trigger("market_open", {})
    assert len(requested) == sent

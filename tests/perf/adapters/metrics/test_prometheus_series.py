"""Prometheus asked for one number over time: a false server says what can be answered, and what can go wrong."""

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from urllib3.util import Retry

from include.perf.adapters.metrics.prometheus_metrics import Prometheus
from include.perf.measure.metrics_source import Sample
from include.perf.model.errors import NoData, PrometheusUnavailable, QueryRejected
from tests.socket_servers import Serve, Talk, answer, free_port

START = datetime(2026, 1, 7, 12, 0, 0, 125_000, tzinfo=UTC)
END = START + timedelta(seconds=60)
UNIX_S = 1_767_787_200.125


def matrix(*series: list[list[object]], status: str = "200 OK") -> bytes:
    """Return an answer of so many series, each with its values."""
    result = [{"metric": {"n": str(number)}, "values": values} for number, values in enumerate(series)]
    return as_json({"status": "success", "data": {"resultType": "matrix", "result": result}}, status=status)


def as_json(document: object, *, status: str = "200 OK") -> bytes:
    return answer(json.dumps(document).encode(), status=status, headers="Content-Type: application/json\r\n")


def asked(serve: Serve, *answers: bytes, seen: list[bytes] | None = None, retries: int = 0) -> tuple[Sample, ...]:
    left = list(answers)

    def script(talk: Talk) -> None:
        while (request := talk.read_request()) is not None:
            if seen is not None:
                seen.append(request)
            talk.send(left.pop(0) if len(left) > 1 else left[0])

    again = Retry(total=retries, backoff_factor=0.0, status_forcelist=(503,), allowed_methods=None)
    source = Prometheus(serve(script).url, timeout_s=5.0, retries=again)
    return source.series("up", start=START, end=END, step_s=5)


def test_the_range_is_asked_for_to_the_millisecond(serve: Serve) -> None:
    """The client would round both ends to whole seconds."""
    seen: list[bytes] = []
    found = asked(serve, matrix([[UNIX_S, "1.5"], [UNIX_S + 5, "2"]]), seen=seen)
    assert found == (Sample(at=START, value=1.5), Sample(at=START + timedelta(seconds=5), value=2.0))
    method, target, _ = seen[0].split(b"\r\n")[0].decode().split(" ")
    assert (method, urlsplit(target).path) == ("GET", "/api/v1/query_range")
    assert parse_qs(urlsplit(target).query) == {
        "query": ["up"],
        "start": ["1767787200.125"],
        "end": ["1767787260.125"],
        "step": ["5"],
    }


def test_values_that_are_none_are_left_out(serve: Serve) -> None:
    """A rate of nothing is NaN, a division by zero infinite."""
    values = [[UNIX_S, "NaN"], [UNIX_S + 5, "0.5"], [UNIX_S + 10, "+Inf"]]
    assert asked(serve, matrix(values)) == (Sample(at=START + timedelta(seconds=5), value=0.5),)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (matrix(), "^no data for up$"),
        (matrix([[UNIX_S, "1"]], [[UNIX_S, "2"]]), "^2 series instead of one for up$"),
        (matrix([[UNIX_S, "NaN"]]), "^no value of up is finite$"),
    ],
)
def test_no_single_series_is_no_data(serve: Serve, data: bytes, message: str) -> None:
    """No data is never zero."""
    with pytest.raises(NoData, match=message):
        asked(serve, data)


@pytest.mark.parametrize(
    "data",
    [
        answer(b"oops", status="500 Oops"),
        answer(b"<html>Login</html>", headers="Content-Type: text/html\r\n"),
        answer(b"no", status="401 Unauthorized"),
        as_json({"status": "error", "error": "boom"}),
        as_json({"status": "success", "data": None}),
        b"SSH-2.0\r\n",
    ],
    ids=["500", "html", "401", "status", "no data", "not http"],
)
def test_a_server_that_talks_nonsense_is_unavailable(serve: Serve, data: bytes) -> None:
    """The same errors as for a single value."""
    with pytest.raises(PrometheusUnavailable):
        asked(serve, data)


def test_a_bad_query_is_rejected(serve: Serve) -> None:
    """With what Prometheus said of it; and a list without values is no answer to it."""
    document = {"status": "error", "errorType": "bad_data", "error": "exceeded maximum resolution"}
    with pytest.raises(QueryRejected, match="exceeded maximum resolution"):
        asked(serve, as_json(document, status="400 Bad Request"))
    with pytest.raises(QueryRejected, match="does not return a vector"):
        asked(serve, as_json({"status": "success", "data": {"result": [{"metric": {}, "value": [1, "1"]}]}}))


def test_a_server_that_is_down_is_unavailable() -> None:
    """The message says where its address is set."""
    source = Prometheus(f"http://127.0.0.1:{free_port()}", timeout_s=5.0, retries=Retry(total=0))
    with pytest.raises(PrometheusUnavailable, match=r"cannot be asked \(Connection refused\)"):
        source.series("up", start=START, end=END, step_s=5)


def test_a_server_that_recovers_is_asked_again(serve: Serve) -> None:
    """503 twice, then an answer."""
    busy, seen = answer(b"", status="503 Service Unavailable"), list[bytes]()
    assert asked(serve, busy, busy, matrix([[UNIX_S, "1"]]), seen=seen, retries=2) == (Sample(at=START, value=1.0),)
    assert len(seen) == 3

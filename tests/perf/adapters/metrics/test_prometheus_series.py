"""Range queries to a fake Prometheus, including everything that can go wrong."""

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
    """Return a response with one series for every list of values."""
    result = [{"metric": {"n": str(number)}, "values": values} for number, values in enumerate(series)]
    return as_json({"status": "success", "data": {"resultType": "matrix", "result": result}}, status=status)


def as_json(document: object, *, status: str = "200 OK") -> bytes:
    return answer(json.dumps(document).encode(), status=status, headers="Content-Type: application/json\r\n")


def series_of(serve: Serve, *answers: bytes, seen: list[bytes] | None = None, retries: int = 0) -> tuple[Sample, ...]:
    remaining = list(answers)

    def script(talk: Talk) -> None:
        while (request := talk.read_request()) is not None:
            if seen is not None:
                seen.append(request)
            talk.send(remaining.pop(0) if len(remaining) > 1 else remaining[0])

    retry = Retry(total=retries, backoff_factor=0.0, status_forcelist=(503,), allowed_methods=None)
    source = Prometheus(serve(script).url, timeout_s=5.0, retries=retry)
    return source.series("up", start=START, end=END, step_s=5)


def test_the_range_has_milliseconds(serve: Serve) -> None:
    """The client alone would round both ends to whole seconds."""
    seen: list[bytes] = []
    found = series_of(serve, matrix([[UNIX_S, "1.5"], [UNIX_S + 5, "2"]]), seen=seen)
    assert found == (Sample(at=START, value=1.5), Sample(at=START + timedelta(seconds=5), value=2.0))
    method, target, _ = seen[0].split(b"\r\n")[0].decode().split(" ")
    assert (method, urlsplit(target).path) == ("GET", "/api/v1/query_range")
    assert parse_qs(urlsplit(target).query) == {
        "query": ["up"],
        "start": ["1767787200.125"],
        "end": ["1767787260.125"],
        "step": ["5"],
    }


def test_values_that_are_not_finite_are_left_out(serve: Serve) -> None:
    """A division by zero is NaN or infinite."""
    values = [[UNIX_S, "NaN"], [UNIX_S + 5, "0.5"], [UNIX_S + 10, "+Inf"]]
    assert series_of(serve, matrix(values)) == (Sample(at=START + timedelta(seconds=5), value=0.5),)


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
        series_of(serve, data)


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
def test_an_invalid_response_means_unavailable(serve: Serve, data: bytes) -> None:
    """The errors are those of a single value."""
    with pytest.raises(PrometheusUnavailable):
        series_of(serve, data)


def test_an_invalid_query_is_rejected(serve: Serve) -> None:
    """With the error of Prometheus; a series without values is invalid too."""
    document = {"status": "error", "errorType": "bad_data", "error": "exceeded maximum resolution"}
    with pytest.raises(QueryRejected, match="exceeded maximum resolution"):
        series_of(serve, as_json(document, status="400 Bad Request"))
    with pytest.raises(QueryRejected, match="does not return a vector"):
        series_of(serve, as_json({"status": "success", "data": {"result": [{"metric": {}, "value": [1, "1"]}]}}))


def test_a_server_that_is_down_is_unavailable() -> None:
    """The message has the reason."""
    source = Prometheus(f"http://127.0.0.1:{free_port()}", timeout_s=5.0, retries=Retry(total=0))
    with pytest.raises(PrometheusUnavailable, match=r"cannot be queried: connection refused"):
        source.series("up", start=START, end=END, step_s=5)


def test_a_failed_request_is_retried(serve: Serve) -> None:
    """Twice 503, then a result."""
    busy, seen = answer(b"", status="503 Service Unavailable"), list[bytes]()
    assert series_of(serve, busy, busy, matrix([[UNIX_S, "1"]]), seen=seen, retries=2) == (Sample(at=START, value=1.0),)
    assert len(seen) == 3

"""Every kind of response from a fake Prometheus, including everything that can go wrong."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from urllib3.util import Retry

from include.perf.adapters.metrics.prometheus_metrics import RETRIES, Prometheus
from include.perf.model.errors import NoData, PartialAnswer, PrometheusUnavailable, QueryRejected
from tests.certificates import Authority
from tests.socket_servers import SocketServer, Talk, always, answer, free_port

AT = datetime(2026, 1, 7, 12, 0, 0, 125_000, tzinfo=UTC)
SECRET = "s3cr3t-4711"

VECTOR = {
    "status": "success",
    "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1767787200, "0.25"]}]},
}


@pytest.fixture
def fake_server() -> Iterator[Callable[..., SocketServer]]:
    """Servers that return fixed responses and record their requests."""
    servers: list[SocketServer] = []

    def start(*answers: bytes, seen: list[bytes] | None = None) -> SocketServer:
        left = list(answers)
        lock = threading.Lock()

        def script(talk: Talk) -> None:
            while (request := talk.read_request()) is not None:
                if seen is not None:
                    seen.append(request)
                with lock:
                    data = left.pop(0) if len(left) > 1 else left[0]
                talk.send(data)

        servers.append(SocketServer(script))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def as_json(document: object, *, status: str = "200 OK") -> bytes:
    return answer(json.dumps(document).encode(), status=status, headers="Content-Type: application/json\r\n")


def value_at(url: str, **options: object) -> float:
    settings = {"timeout_s": 5.0, "retries": Retry(total=0)} | options
    return Prometheus(url, **settings).value("up", at=AT)  # type: ignore[arg-type]


def test_the_query_time_has_milliseconds(fake_server: Callable[..., SocketServer]) -> None:
    """The end of the window is not rounded to seconds: the rate would be that of another window."""
    seen: list[bytes] = []
    assert value_at(fake_server(as_json(VECTOR), seen=seen).url) == 0.25
    method, target, _ = seen[0].split(b"\r\n")[0].decode().split(" ")
    assert (method, urlsplit(target).path) == ("GET", "/api/v1/query")
    assert parse_qs(urlsplit(target).query) == {"query": ["up"], "time": ["1767787200.125"]}


def series(*labels: dict[str, str]) -> bytes:
    """Return a response with one series of value 1 for every set of labels."""
    result = [{"metric": metric, "value": [1767787200, "1"]} for metric in labels]
    return as_json({"status": "success", "data": {"resultType": "vector", "result": result}})


def label(server: SocketServer, name: str = "version") -> str:
    return Prometheus(server.url, timeout_s=5.0, retries=Retry(total=0)).label("build_info", name, at=AT)


def test_a_label_of_the_single_series(fake_server: Callable[..., SocketServer]) -> None:
    """It is queried like a value, whatever that value is."""
    seen: list[bytes] = []
    assert label(fake_server(series({"version": "2.4.1", "job": "x"}), seen=seen)) == "2.4.1"
    query = parse_qs(urlsplit(seen[0].split(b" ")[1].decode()).query)
    assert query == {"query": ["build_info"], "time": ["1767787200.125"]}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (series(), "^no data for build_info$"),
        (series({"version": "1"}, {"version": "2"}), "^2 series instead of one for build_info$"),
        (series({"job": "x", "a": "y"}), "^the series of build_info has no label 'version'; it has a, job$"),
        (series({}), "^the series of build_info has no label 'version'; it has none$"),
        (series({"version": ""}), "has no label 'version'"),
    ],
)
def test_no_single_label_is_no_data(fake_server: Callable[..., SocketServer], data: bytes, message: str) -> None:
    """Two different versions are not a version."""
    with pytest.raises(NoData, match=message):
        label(fake_server(data))


def test_a_label_from_an_invalid_response(fake_server: Callable[..., SocketServer]) -> None:
    """The errors are those of a value."""
    with pytest.raises(PrometheusUnavailable):
        label(fake_server(answer(b"no", status="401 Unauthorized")))
    with pytest.raises(QueryRejected):
        label(fake_server(as_json({"status": "error", "error": "parse error"}, status="400 Bad Request")))


def test_credentials_and_headers_are_sent(fake_server: Callable[..., SocketServer]) -> None:
    """A token and a tenant."""
    seen: list[bytes] = []
    server = fake_server(as_json(VECTOR), seen=seen)
    assert value_at(server.url, headers={"Authorization": f"Bearer {SECRET}", "X-Scope-OrgID": "fx"}) == 0.25
    assert f"Authorization: Bearer {SECRET}\r\n".encode() in seen[0]
    assert b"X-Scope-OrgID: fx\r\n" in seen[0]


def test_a_netrc_does_not_replace_the_credentials(
    fake_server: Callable[..., SocketServer], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The machine's ``.netrc`` is ignored."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login ann password other", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    seen: list[bytes] = []
    server = fake_server(as_json(VECTOR), seen=seen)
    value_at(server.url, headers={"Authorization": f"Bearer {SECRET}"})
    value_at(server.url)
    assert f"Authorization: Bearer {SECRET}\r\n".encode() in seen[0]
    assert b"Authorization" not in seen[1]


@pytest.mark.parametrize("prefix", ["/prometheus", "/prometheus/"])
def test_a_path_prefix_is_kept(fake_server: Callable[..., SocketServer], prefix: str) -> None:
    """Prometheus often runs below a path of a reverse proxy."""
    seen: list[bytes] = []
    assert value_at(fake_server(as_json(VECTOR), seen=seen).url + prefix) == 0.25
    assert seen[0].startswith(b"GET /prometheus/api/v1/query?")


CHECK = "; check that it runs and the URL in PROMETHEUS_URL"
UNAVAILABLE = [
    (answer(b"oops", status="500 Oops"), f"returned 500 Oops{CHECK}"),
    (answer(b"<html>", status="502 Bad Gateway"), f"returned 502 Bad Gateway{CHECK}"),  # from a proxy
    (answer(b"not here", status="404 Not Found"), f"returned 404 Not Found{CHECK}"),
    (
        answer(b"<html>Log in</html>", headers="Content-Type: text/html\r\n"),
        f"returned text/html that is not JSON{CHECK}",
    ),
    (answer(b"\xff" * 20), f"returned a response that is not JSON{CHECK}"),
    (answer(b"[" * 100_000), f"returned a response that is not JSON{CHECK}"),
    (as_json({"status": "error", "error": "boom\x1b[2J"}), "returned an error: boom [2J"),
    (as_json([1, 2]), "returned an error: 200 without a reason"),
    (as_json({"status": "success", "data": None}), f"returned no result{CHECK}"),
    (as_json({"status": "success", "data": {"result": "x"}}), f"returned no result{CHECK}"),
    (b"SSH-2.0\r\n", f"cannot be queried: the response is not valid HTTP{CHECK}"),
]


@pytest.mark.parametrize(("data", "message"), UNAVAILABLE, ids=[str(number) for number in range(len(UNAVAILABLE))])
def test_an_invalid_response_means_unavailable(
    fake_server: Callable[..., SocketServer], data: bytes, message: str
) -> None:
    """It is worth a retry, and never a value; the message has the URL and where it is set."""
    url = fake_server(data).url
    with pytest.raises(PrometheusUnavailable) as caught:
        value_at(url)
    assert str(caught.value) == f"Prometheus at {url} {message}"


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
@pytest.mark.parametrize("headers", [{}, {"Authorization": f"Bearer {SECRET}"}])
def test_the_error_for_rejected_credentials_names_the_setting(
    fake_server: Callable[..., SocketServer], status: str, headers: dict[str, str]
) -> None:
    """But no secret, even if the server repeats it."""
    url = fake_server(answer(SECRET.encode(), status=status)).url
    with pytest.raises(PrometheusUnavailable) as caught:
        value_at(url, headers=headers, set_in="the connection prometheus_default")
    assert str(caught.value) == (
        f"Prometheus at {url} rejected the credentials ({status[:3]}); correct them in the connection "
        "prometheus_default (docs/prometheus.md, Logging in)"
    )
    assert SECRET not in repr(caught.value.__cause__)


def test_a_redirect_is_not_followed(fake_server: Callable[..., SocketServer]) -> None:
    """The target would get the headers with the credentials; the message omits the query of its URL."""
    seen: list[bytes] = []
    target = fake_server(as_json(VECTOR), seen=seen)
    location = target.url.replace("http://", "http://ann:pw@") + "/login?state=abc"
    url = fake_server(answer(status="302 Found", headers=f"Location: {location}\r\n")).url
    with pytest.raises(PrometheusUnavailable) as caught:
        value_at(url, headers={"X-Api-Key": SECRET})
    assert str(caught.value) == (
        f"Prometheus at {url} redirects to {target.url}/login (302), and Bellwether follows no redirects; correct the "
        "URL in PROMETHEUS_URL, or set the credentials if this is a login page"
    )
    assert seen == []


@pytest.mark.parametrize(
    ("warnings", "message"),
    [
        (["store 10.0.0.7:10901 is not reachable"], "store 10.0.0.7:10901 is not reachable"),
        (["a\nb", "PromQL info: metric might not be a counter", "c"], "a b; c"),
        ("not a list", "not a list"),
        (["x" * 400], "x" * 300),
    ],
)
def test_an_incomplete_result_is_not_a_value(
    fake_server: Callable[..., SocketServer], warnings: object, message: str
) -> None:
    """Thanos, Mimir and remote read return status 200 with a warning if a store is unavailable."""
    url = fake_server(as_json(VECTOR | {"warnings": warnings})).url
    with pytest.raises(PartialAnswer) as caught:
        value_at(url)
    assert str(caught.value) == f"Prometheus returned an incomplete result for up: {message}"


@pytest.mark.parametrize(
    "remarks",
    [
        {"warnings": []},
        {"warnings": None},
        {"warnings": ["PromQL info: metric might not be a counter, name does not end in _total: x"]},
        {"infos": ["PromQL info: metric might not be a counter, name does not end in _total: x"]},
    ],
)
def test_an_info_about_the_query_is_not_a_warning(
    fake_server: Callable[..., SocketServer], remarks: dict[str, object]
) -> None:
    """Before Prometheus 3, infos were among the warnings; no data is missing."""
    assert value_at(fake_server(as_json(VECTOR | remarks)).url) == 0.25


@pytest.mark.parametrize("status", ["400 Bad Request", "422 Unprocessable Entity"])
def test_an_invalid_query_is_rejected(fake_server: Callable[..., SocketServer], status: str) -> None:
    """A retry cannot help; the message has the error of Prometheus."""
    document = {"status": "error", "errorType": "bad_data", "error": "parse error: unclosed left parenthesis"}
    with pytest.raises(QueryRejected, match=r"^Prometheus rejected up: parse error: unclosed left parenthesis$"):
        value_at(fake_server(as_json(document, status=status)).url)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ([], "no data for up"),
        ([{"metric": {}, "value": [1, "NaN"]}], "the value of up is nan"),
        ([{"metric": {}, "value": [1, "-Inf"]}], "the value of up is -inf"),
        (
            [{"metric": {"a": "1"}, "value": [1, "1"]}, {"metric": {"a": "2"}, "value": [1, "2"]}],
            "2 series instead of one",
        ),
    ],
)
def test_no_single_number_is_no_data(
    fake_server: Callable[..., SocketServer], result: list[object], message: str
) -> None:
    """No data is never zero."""
    document = {"status": "success", "data": {"resultType": "vector", "result": result}}
    with pytest.raises(NoData, match=message):
        value_at(fake_server(as_json(document)).url)


def test_a_server_that_is_down_is_unavailable() -> None:
    """The message has the reason and where the URL is set."""
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(PrometheusUnavailable) as caught:
        value_at(url, set_in="the connection prometheus_default")
    assert str(caught.value) == (
        f"Prometheus at {url} cannot be queried: connection refused; check that it runs and the URL in the "
        "connection prometheus_default"
    )


def test_a_slow_server_times_out() -> None:
    """The client library would wait forever; here there are three attempts."""
    talks: list[Talk] = []

    def never(talk: Talk) -> None:
        talks.append(talk)
        talk.read_request()
        talk.closing.wait()

    with SocketServer(never) as server:
        began = time.monotonic()
        with pytest.raises(PrometheusUnavailable, match=r"cannot be queried: no response within 0\.3 s; "):
            value_at(server.url, timeout_s=0.3, retries=RETRIES.new(backoff_factor=0.0))
        assert 0.89 <= time.monotonic() - began < 10
    assert len(talks) == 3


def test_a_failed_request_is_retried(fake_server: Callable[..., SocketServer]) -> None:
    """Twice 503, then a result; Retry-After is ignored."""
    busy = answer(b"", status="503 Service Unavailable", headers="Retry-After: 3600\r\n")
    seen: list[bytes] = []
    url = fake_server(busy, busy, as_json(VECTOR), seen=seen).url
    assert value_at(url, retries=RETRIES.new(backoff_factor=0.0)) == 0.25
    assert len(seen) == 3


def test_the_error_after_all_retries_has_the_last_response(
    fake_server: Callable[..., SocketServer],
) -> None:
    """Not just that there were too many retries."""
    url = fake_server(answer(b"", status="503 Service Unavailable")).url
    with pytest.raises(PrometheusUnavailable, match="returned 503 Service Unavailable; check that"):
        value_at(url, retries=RETRIES.new(backoff_factor=0.0))


# TLS


def test_a_certificate_of_a_private_authority_is_verified_with_its_bundle(tmp_path: Path) -> None:
    """Address, dates and signature are checked."""
    authority = Authority(tmp_path)
    with SocketServer(always(as_json(VECTOR)), tls=authority.server()) as server:
        assert value_at(server.url, ca_file=authority.bundle) == 0.25


@pytest.mark.parametrize(
    ("address", "valid_days", "is_known", "why"),
    [
        ("127.0.0.1", 1, False, "unable to get local issuer certificate"),
        ("127.0.0.2", 1, True, "IP address mismatch, certificate is not valid for '127.0.0.1'."),
        ("127.0.0.1", -1, True, "certificate has expired"),
    ],
)
def test_a_wrong_certificate_is_refused_with_the_reason(
    tmp_path: Path, address: str, valid_days: int, is_known: bool, why: str
) -> None:
    """Nothing is sent to a server that may be the wrong one."""
    authority = Authority(tmp_path)
    seen: list[bytes | None] = []

    def script(talk: Talk) -> None:
        seen.append(talk.read_request())

    with SocketServer(script, tls=authority.server(address, valid_days=valid_days)) as server:
        with pytest.raises(PrometheusUnavailable) as caught:
            value_at(server.url, ca_file=authority.bundle if is_known else None)
        assert str(caught.value) == (
            f"Prometheus at {server.url} cannot be queried: its certificate cannot be verified ({why}); set the CA "
            "bundle of its certificate (docs/prometheus.md, Logging in), or correct the URL in PROMETHEUS_URL"
        )
    assert seen == []


def test_verification_can_be_turned_off(tmp_path: Path) -> None:
    """Then any certificate is accepted."""
    tls = Authority(tmp_path).server("127.0.0.2")
    unverified = pytest.warns(Warning, match="Unverified HTTPS request")
    with SocketServer(always(as_json(VECTOR)), tls=tls) as server, unverified:
        assert value_at(server.url, verify_tls=False) == 0.25

"""What is made of every kind of answer: a false Prometheus says what can be said, and what can go wrong."""

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
def false_server() -> Iterator[Callable[..., SocketServer]]:
    """Servers that answer every query with the same, and keep what they were asked."""
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


def asked(url: str, **options: object) -> float:
    settings = {"timeout_s": 5.0, "retries": Retry(total=0)} | options
    return Prometheus(url, **settings).value("up", at=AT)  # type: ignore[arg-type]


def test_the_query_is_asked_at_the_millisecond(false_server: Callable[..., SocketServer]) -> None:
    """The window's end is not rounded to seconds: a rate over another window is another rate."""
    seen: list[bytes] = []
    assert asked(false_server(as_json(VECTOR), seen=seen).url) == 0.25
    method, target, _ = seen[0].split(b"\r\n")[0].decode().split(" ")
    assert (method, urlsplit(target).path) == ("GET", "/api/v1/query")
    assert parse_qs(urlsplit(target).query) == {"query": ["up"], "time": ["1767787200.125"]}


def series(*labels: dict[str, str]) -> bytes:
    """Return an answer of so many series of value 1."""
    result = [{"metric": each, "value": [1767787200, "1"]} for each in labels]
    return as_json({"status": "success", "data": {"resultType": "vector", "result": result}})


def label(server: SocketServer, name: str = "version") -> str:
    return Prometheus(server.url, timeout_s=5.0, retries=Retry(total=0)).label("build_info", name, at=AT)


def test_a_label_of_the_single_series(false_server: Callable[..., SocketServer]) -> None:
    """Asked at the same moment as a value; the value itself does not matter."""
    seen: list[bytes] = []
    assert label(false_server(series({"version": "2.4.1", "job": "x"}), seen=seen)) == "2.4.1"
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
def test_no_label_is_no_data(false_server: Callable[..., SocketServer], data: bytes, message: str) -> None:
    """Two versions at once are no version."""
    with pytest.raises(NoData, match=message):
        label(false_server(data))


def test_a_label_of_a_server_that_talks_nonsense(false_server: Callable[..., SocketServer]) -> None:
    """As with a value."""
    with pytest.raises(PrometheusUnavailable):
        label(false_server(answer(b"no", status="401 Unauthorized")))
    with pytest.raises(QueryRejected):
        label(false_server(as_json({"status": "error", "error": "parse error"}, status="400 Bad Request")))


def test_credentials_and_headers_are_sent(false_server: Callable[..., SocketServer]) -> None:
    """A token and a tenant."""
    seen: list[bytes] = []
    server = false_server(as_json(VECTOR), seen=seen)
    assert asked(server.url, headers={"Authorization": f"Bearer {SECRET}", "X-Scope-OrgID": "fx"}) == 0.25
    assert f"Authorization: Bearer {SECRET}\r\n".encode() in seen[0]
    assert b"X-Scope-OrgID: fx\r\n" in seen[0]


def test_no_other_login_takes_their_place(
    false_server: Callable[..., SocketServer], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The machine's own file of logins is for others."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login ann password other", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    seen: list[bytes] = []
    server = false_server(as_json(VECTOR), seen=seen)
    asked(server.url, headers={"Authorization": f"Bearer {SECRET}"})
    asked(server.url)
    assert f"Authorization: Bearer {SECRET}\r\n".encode() in seen[0]
    assert b"Authorization" not in seen[1]


@pytest.mark.parametrize("prefix", ["/prometheus", "/prometheus/"])
def test_a_path_prefix_is_kept(false_server: Callable[..., SocketServer], prefix: str) -> None:
    """Prometheus often lives below a path of a reverse proxy."""
    seen: list[bytes] = []
    assert asked(false_server(as_json(VECTOR), seen=seen).url + prefix) == 0.25
    assert seen[0].startswith(b"GET /prometheus/api/v1/query?")


CHECK = "; check that it runs and the address in PROMETHEUS_URL"
UNAVAILABLE = [
    (answer(b"oops", status="500 Oops"), f"answered 500 Oops{CHECK}"),
    (answer(b"<html>", status="502 Bad Gateway"), f"answered 502 Bad Gateway{CHECK}"),  # a proxy before it
    (answer(b"not here", status="404 Not Found"), f"answered 404 Not Found{CHECK}"),
    (
        answer(b"<html>Log in</html>", headers="Content-Type: text/html\r\n"),
        f"answered text/html that is no JSON{CHECK}",
    ),
    (answer(b"\xff" * 20), f"answered something that is no JSON{CHECK}"),
    (answer(b"[" * 100_000), f"answered something that is no JSON{CHECK}"),
    (as_json({"status": "error", "error": "boom\x1b[2J"}), "answered without success: boom [2J"),
    (as_json([1, 2]), "answered without success: 200 without a reason"),
    (as_json({"status": "success", "data": None}), f"answered without a result{CHECK}"),
    (as_json({"status": "success", "data": {"result": "x"}}), f"answered without a result{CHECK}"),
    (b"SSH-2.0\r\n", f"cannot be asked (BadStatusLine){CHECK}"),
]


@pytest.mark.parametrize(("data", "message"), UNAVAILABLE, ids=[str(number) for number in range(len(UNAVAILABLE))])
def test_a_server_that_talks_nonsense_is_unavailable(
    false_server: Callable[..., SocketServer], data: bytes, message: str
) -> None:
    """Worth a retry, and never a value; the message names the address and where it is set."""
    url = false_server(data).url
    with pytest.raises(PrometheusUnavailable) as caught:
        asked(url)
    assert str(caught.value) == f"Prometheus at {url} {message}"


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
@pytest.mark.parametrize("headers", [{}, {"Authorization": f"Bearer {SECRET}"}])
def test_a_refused_login_names_where_to_correct_it(
    false_server: Callable[..., SocketServer], status: str, headers: dict[str, str]
) -> None:
    """And nothing that was sent, even where the server sends it back."""
    url = false_server(answer(SECRET.encode(), status=status)).url
    with pytest.raises(PrometheusUnavailable) as caught:
        asked(url, headers=headers, set_in="the connection prometheus_default")
    assert str(caught.value) == (
        f"Prometheus at {url} refused the login ({status[:3]}); correct the credentials in the connection "
        "prometheus_default (docs/prometheus.md, Logging in)"
    )
    assert SECRET not in repr(caught.value.__cause__)


def test_a_redirect_is_not_followed(false_server: Callable[..., SocketServer]) -> None:
    """Headers with credentials in them would go to whoever is named there; what a login hides behind its path is not
    told."""
    seen: list[bytes] = []
    elsewhere = false_server(as_json(VECTOR), seen=seen)
    there = elsewhere.url.replace("http://", "http://ann:pw@") + "/login?state=abc"
    url = false_server(answer(status="302 Found", headers=f"Location: {there}\r\n")).url
    with pytest.raises(PrometheusUnavailable) as caught:
        asked(url, headers={"X-Api-Key": SECRET})
    assert str(caught.value) == (
        f"Prometheus at {url} sends its callers on to {elsewhere.url}/login (302), and Bellwether does not follow; set "
        "the right address in PROMETHEUS_URL, or the credentials where it is a login"
    )
    assert seen == []


@pytest.mark.parametrize(
    ("warnings", "told"),
    [
        (["store 10.0.0.7:10901 is not reachable"], "store 10.0.0.7:10901 is not reachable"),
        (["a\nb", "PromQL info: metric might not be a counter", "c"], "a b; c"),
        ("not a list", "not a list"),
        (["x" * 400], "x" * 300),
    ],
)
def test_a_part_of_an_answer_is_no_value(
    false_server: Callable[..., SocketServer], warnings: object, told: str
) -> None:
    """Thanos, Mimir and remote read give what they have under status 200 when a store is away."""
    url = false_server(as_json(VECTOR | {"warnings": warnings})).url
    with pytest.raises(PartialAnswer) as caught:
        asked(url)
    assert str(caught.value) == f"Prometheus has only a part of the answer to up: {told}"


@pytest.mark.parametrize(
    "remarks",
    [
        {"warnings": []},
        {"warnings": None},
        {"warnings": ["PromQL info: metric might not be a counter, name does not end in _total: x"]},
        {"infos": ["PromQL info: metric might not be a counter, name does not end in _total: x"]},
    ],
)
def test_a_remark_about_the_query_is_no_warning(
    false_server: Callable[..., SocketServer], remarks: dict[str, object]
) -> None:
    """Before Prometheus 3 it stood among the warnings; nothing is missing."""
    assert asked(false_server(as_json(VECTOR | remarks)).url) == 0.25


@pytest.mark.parametrize("status", ["400 Bad Request", "422 Unprocessable Entity"])
def test_a_bad_query_is_rejected(false_server: Callable[..., SocketServer], status: str) -> None:
    """A retry cannot help; the message has what Prometheus said of it."""
    document = {"status": "error", "errorType": "bad_data", "error": "parse error: unclosed left parenthesis"}
    with pytest.raises(QueryRejected, match=r"^Prometheus refused up: parse error: unclosed left parenthesis$"):
        asked(false_server(as_json(document, status=status)).url)


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
    false_server: Callable[..., SocketServer], result: list[object], message: str
) -> None:
    """No data is never zero."""
    document = {"status": "success", "data": {"resultType": "vector", "result": result}}
    with pytest.raises(NoData, match=message):
        asked(false_server(as_json(document)).url)


def test_a_server_that_is_down_is_unavailable() -> None:
    """The message says why, and where its address is set."""
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(PrometheusUnavailable) as caught:
        asked(url, set_in="the connection prometheus_default")
    assert str(caught.value) == (
        f"Prometheus at {url} cannot be asked (Connection refused); check that it runs and the address in the "
        "connection prometheus_default"
    )


def test_a_slow_server_is_given_up() -> None:
    """The client library itself would wait for ever; here it is asked again twice."""
    talks: list[Talk] = []

    def never(talk: Talk) -> None:
        talks.append(talk)
        talk.read_request()
        talk.closing.wait()

    with SocketServer(never) as server:
        began = time.monotonic()
        with pytest.raises(PrometheusUnavailable, match=r"cannot be asked \(no answer within 0\.3 s\); "):
            asked(server.url, timeout_s=0.3, retries=RETRIES.new(backoff_factor=0.0))
        assert 0.89 <= time.monotonic() - began < 10
    assert len(talks) == 3


def test_a_server_that_recovers_is_asked_again(false_server: Callable[..., SocketServer]) -> None:
    """503 twice, then an answer; it is not waited for as long as the server may wish."""
    busy = answer(b"", status="503 Service Unavailable", headers="Retry-After: 3600\r\n")
    seen: list[bytes] = []
    url = false_server(busy, busy, as_json(VECTOR), seen=seen).url
    assert asked(url, retries=RETRIES.new(backoff_factor=0.0)) == 0.25
    assert len(seen) == 3


def test_a_server_that_does_not_recover_is_told_with_its_last_answer(
    false_server: Callable[..., SocketServer],
) -> None:
    """Not as too many errors."""
    url = false_server(answer(b"", status="503 Service Unavailable")).url
    with pytest.raises(PrometheusUnavailable, match="answered 503 Service Unavailable; check that"):
        asked(url, retries=RETRIES.new(backoff_factor=0.0))


# TLS


def test_a_certificate_of_a_private_authority_is_believed_with_its_bundle(tmp_path: Path) -> None:
    """Verified all the same: address, dates and signature."""
    authority = Authority(tmp_path)
    with SocketServer(always(as_json(VECTOR)), tls=authority.server()) as server:
        assert asked(server.url, ca_file=authority.bundle) == 0.25


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
    """Nothing is sent to a server that may be another one."""
    authority = Authority(tmp_path)
    seen: list[bytes | None] = []

    def script(talk: Talk) -> None:
        seen.append(talk.read_request())

    with SocketServer(script, tls=authority.server(address, valid_days=valid_days)) as server:
        with pytest.raises(PrometheusUnavailable) as caught:
            asked(server.url, ca_file=authority.bundle if is_known else None)
        assert str(caught.value) == (
            f"Prometheus at {server.url} cannot be asked (its certificate cannot be verified: {why}); name the bundle "
            "that signs its certificate (docs/prometheus.md, Logging in), or correct the address in PROMETHEUS_URL"
        )
    assert seen == []


def test_without_verification_any_certificate_does(tmp_path: Path) -> None:
    """Where somebody has said so."""
    tls = Authority(tmp_path).server("127.0.0.2")
    unverified = pytest.warns(Warning, match="Unverified HTTPS request")
    with SocketServer(always(as_json(VECTOR)), tls=tls) as server, unverified:
        assert asked(server.url, verify_tls=False) == 0.25

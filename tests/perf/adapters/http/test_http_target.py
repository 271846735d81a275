"""The health check of a service before a load: status 200, or an error with the remedy."""

import re
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from include.perf.adapters.http.http_target import HttpTarget
from include.perf.adapters.http.target_problems import tls_problem
from include.perf.catalogue.service import Service
from include.perf.guards.hosts import allowed_addresses
from include.perf.load.load_plan import GENERATOR_VERSION
from include.perf.load.service_secrets import ServiceSecrets
from include.perf.model.errors import ConfigurationError, TargetError
from tests.certificates import Authority, self_signed
from tests.fakes.resolver import FakeResolver
from tests.socket_servers import Serve, SocketServer, Talk, always, answer, free_port, has_ipv6

HERE = ("127.0.0.1",)


def service_at(url: str, **settings: object) -> Service:
    return Service.model_validate(
        {
            "name": "trading-gateway-service",
            "base_url": url,
            "allowed_hosts": ["127.0.0.1"],
            "prometheus": {"selector": 'service="x"'},
            "endpoints": [{"name": "orders", "method": "POST", "path": "/api/v1/orders"}],
        }
        | settings
    )


def test_a_healthy_service_passes(serve: Serve) -> None:
    """One GET to its health path, with the service's own headers."""
    seen: list[bytes] = []

    def script(talk: Talk) -> None:
        while (request := talk.read_request()) is not None:
            seen.append(request)
            talk.send(answer(b'{"status":"ok"}'))

    HttpTarget().check(service_at(serve(script).url, health_path="/ready", headers={"X-Team": "perf"}), HERE)
    assert len(seen) == 1
    assert seen[0].startswith(b"GET /ready HTTP/1.1\r\n")
    assert b"X-Team: perf\r\n" in seen[0]


def test_secret_headers_override_those_of_the_service(serve: Serve) -> None:
    """A header is sent once, whatever its case."""
    seen: list[bytes] = []

    def script(talk: Talk) -> None:
        while (request := talk.read_request()) is not None:
            seen.append(request)
            talk.send(answer())

    target = HttpTarget(
        credentials=lambda service: ServiceSecrets(
            headers={"Authorization": f"Bearer of {service.name}", "x-team": "core"}
        )
    )
    target.check(service_at(serve(script).url, headers={"X-Team": "perf", "X-Caller": "bellwether"}), HERE)
    lines = seen[0].split(b"\r\n")
    assert b"Authorization: Bearer of trading-gateway-service" in lines
    assert b"X-Caller: bellwether" in lines
    assert [line for line in lines if line.lower().startswith(b"x-team")] == [b"x-team: core"]


def test_without_its_connection_nothing_is_sent(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A load whose requests would all be refused does not start."""
    monkeypatch.delenv("AIRFLOW_CONN_GATEWAY_API", raising=False)
    server = serve(always(answer()))
    with pytest.raises(ConfigurationError, match=r"^there is no connection gateway_api, which trading-gateway-service"):
        HttpTarget().check(service_at(server.url, connection="gateway_api"), HERE)
    assert server.accepted == 0


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
@pytest.mark.parametrize(
    ("connection", "remedy"),
    [
        ("gateway_api", "correct the credentials in the connection gateway_api"),
        (None, "set connection in services.yaml to one with its credentials"),
    ],
)
def test_the_error_for_refused_credentials_has_the_remedy(
    serve: Serve, status: str, connection: str | None, remedy: str
) -> None:
    """It names the connection, but none of its secrets."""
    service = service_at(serve(always(answer(status=status))).url, connection=connection)
    with pytest.raises(TargetError) as caught:
        HttpTarget(credentials=lambda _: ServiceSecrets(headers={"X-Api-Key": "s3cr3t"})).check(service, HERE)
    assert str(caught.value).endswith(f"returned {status[:3]} instead of 200; {remedy}")
    assert "s3cr3t" not in repr(caught.value)


def test_a_certificate_is_verified_with_the_bundle_of_the_service(tmp_path: Path) -> None:
    """Without ca_file, a self-signed certificate is refused."""
    with SocketServer(always(answer()), tls=self_signed(tmp_path)) as server:
        HttpTarget().check(service_at(server.url, ca_file=tmp_path / "server.pem"), HERE)
        with pytest.raises(TargetError) as caught:
            HttpTarget().check(service_at(server.url), HERE)
    assert str(caught.value) == (
        f"trading-gateway-service is not reachable: GET {server.url}/healthz failed: its certificate cannot be "
        "verified (self-signed certificate); set ca_file in services.yaml to the CA bundle of its certificate, or "
        "correct base_url"
    )


def _requiring_client_certificates(authority: Authority) -> ssl.SSLContext:
    context = authority.server()
    context.load_verify_locations(authority.bundle)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def test_a_client_certificate_is_sent(tmp_path: Path) -> None:
    """Without it, the error names the setting; with that of another authority, the file."""
    authority = Authority(tmp_path)
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other").client()
    settings = {"ca_file": authority.bundle}
    with SocketServer(always(answer()), tls=_requiring_client_certificates(authority)) as server:
        HttpTarget().check(service_at(server.url, client_certificate=authority.client(), **settings), HERE)
        with pytest.raises(TargetError) as without:
            HttpTarget().check(service_at(server.url, **settings), HERE)
        with pytest.raises(TargetError) as wrong:
            HttpTarget().check(service_at(server.url, client_certificate=other, **settings), HERE)
    # Whether the alert arrives depends on who is faster: the server closes at once, and the client sends its request.
    required = r"it requires a certificate of the client \(.*certificate required.*\); set client_certificate in"
    ended = "it ended the TLS connection; if it requires a certificate of its clients, set client_certificate in"
    closed = "the connection was closed before a complete response"
    assert re.search(f"({required}|{ended}|{closed})", str(without.value))
    refused = rf"it did not accept the certificate {other} of the client \(.*\); correct the file"
    assert re.search(f"({refused}|no TLS connection|{closed})", str(wrong.value))


@pytest.mark.parametrize(
    ("error", "is_given", "problem"),
    [
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", False, "it requires a certificate of the client (tlsv13 alert"),
        (
            "SSLV3_ALERT_BAD_CERTIFICATE",
            True,
            "it did not accept the certificate client.pem of the client (ssl",
        ),
        ("TLSV1_ALERT_UNKNOWN_CA", True, "it did not accept the certificate client.pem of the client (tlsv1 alert"),
        ("WRONG_VERSION_NUMBER", False, "no TLS connection; correct the scheme and the port of base_url"),
    ],
)
def test_the_words_of_tls_errors(error: str, is_given: bool, problem: str) -> None:
    """The alerts of a server about its client lead to the setting; others to base_url."""
    given = {"client_certificate": Path("client.pem")} if is_given else {}
    service = service_at("https://127.0.0.1:1", **given)
    err = ssl.SSLError(1, error)
    err.reason = error
    assert problem in tls_problem(err, service)


def test_verification_can_be_turned_off(tmp_path: Path) -> None:
    """By the setting verify_tls of the service."""
    with SocketServer(always(answer()), tls=self_signed(tmp_path)) as server:
        HttpTarget().check(service_at(server.url, verify_tls=False), HERE)


@pytest.mark.parametrize("status", ["503 Service Unavailable", "404 Not Found", "204 No Content", "500 Oops"])
def test_anything_but_200_is_not_healthy(serve: Serve, status: str) -> None:
    """The message has the URL and the status."""
    url = serve(always(answer(b"", status=status))).url
    expected = f"trading-gateway-service is not healthy: GET {url}/healthz returned {status[:3]} instead of 200"
    with pytest.raises(TargetError) as caught:
        HttpTarget().check(service_at(url), HERE)
    assert str(caught.value) == expected


def test_a_redirect_is_not_followed(serve: Serve) -> None:
    """A login page elsewhere could return 200 for a service that is down."""
    elsewhere = serve(always(answer()))
    server = serve(always(answer(b"", status="302 Found", headers=f"Location: {elsewhere.url}/login\r\n")))
    with pytest.raises(TargetError, match="returned 302 instead of 200"):
        HttpTarget().check(service_at(server.url), HERE)
    assert elsewhere.accepted == 0


def test_a_service_that_is_down_is_not_reachable() -> None:
    """The message has the remedy."""
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(TargetError) as caught:
        HttpTarget().check(service_at(url), HERE)
    assert str(caught.value) == (
        f"trading-gateway-service is not reachable: GET {url}/healthz failed: connection refused; start it, or "
        "correct base_url in services.yaml"
    )


def _never(talk: Talk) -> None:
    talk.read_request()
    talk.closing.wait()


def _garbage(talk: Talk) -> None:
    talk.read_request()
    talk.send(b"SSH-2.0-OpenSSH\r\n")


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (_never, r"no response within 0\.3 s"),
        (_garbage, r"the response is not valid HTTP \(the answer is not HTTP/1.*\)"),
    ],
)
def test_a_service_that_does_not_answer_is_not_reachable(
    serve: Serve, script: Callable[[Talk], None], reason: str
) -> None:
    """The check gives up after the timeout."""
    with pytest.raises(TargetError, match=rf"is not reachable: GET .* failed: {reason}; "):
        HttpTarget(timeout_s=0.3).check(service_at(serve(script).url), HERE)


# JSON


def test_the_json_of_a_path(serve: Serve) -> None:
    """Requested like the health check: with the service's headers, directly, without following redirects."""
    seen: list[bytes] = []

    def script(talk: Talk) -> None:
        while (request := talk.read_request()) is not None:
            seen.append(request)
            talk.send(answer(b'{"build": {"version": "2.4.1"}}'))

    service = service_at(serve(script).url, headers={"X-Team": "perf"})
    assert HttpTarget().json(service, "/info?full=1", HERE) == {"build": {"version": "2.4.1"}}
    assert seen[0].startswith(b"GET /info?full=1 HTTP/1.1\r\n")
    assert b"X-Team: perf\r\n" in seen[0]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (answer(b"{}", status="404 Not Found"), "/v returned 404 instead of 200$"),
        (answer(b"", status="302 Found", headers="Location: /login\r\n"), "/v returned 302 instead of 200$"),
        (answer(b"<html>2.4.1</html>"), "/v did not return JSON$"),
        (answer(b""), "/v did not return JSON$"),
        (answer(b"\xff\xfe\xfa"), "/v did not return JSON$"),
    ],
)
def test_a_response_without_json(serve: Serve, data: bytes, problem: str) -> None:
    """The message has the URL and the problem."""
    with pytest.raises(TargetError, match=problem):
        HttpTarget().json(service_at(serve(always(data)).url), "/v", HERE)


def test_no_json_of_a_service_that_is_down() -> None:
    """Like the health check."""
    with pytest.raises(TargetError, match=r"^trading-gateway-service is not reachable: GET .*/v failed"):
        HttpTarget().json(service_at(f"http://127.0.0.1:{free_port()}"), "/v", HERE)


# Addresses and time limits


class Recorder:
    """A server script that returns JSON and records its requests."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []

    def __call__(self, talk: Talk) -> None:
        while (request := talk.read_request()) is not None:
            self.requests.append(request)
            talk.send(answer(b'{"version": "2.4.1"}'))


def test_a_name_is_not_resolved_again(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may resolve to another address by now: the request goes to the address that was checked."""
    recorder = Recorder()
    server = serve(recorder)
    numeric: list[tuple[str, int]] = []
    getaddrinfo = socket.getaddrinfo

    def looked_up(host: str, *args: Any, flags: int, **options: Any) -> Any:
        numeric.append((host, flags))
        return getaddrinfo(host, *args, flags=flags, **options)

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    service = service_at(f"http://gateway.example:{server.port}", allowed_hosts=["gateway.example"])
    HttpTarget().check(service, HERE)
    assert HttpTarget().json(service, "/version", HERE) == {"version": "2.4.1"}
    assert numeric == [("127.0.0.1", socket.AI_NUMERICHOST)] * 2
    fields = (
        f"Host: gateway.example:{server.port}\r\nAccept: application/json\r\n"
        f"User-Agent: bellwether/{GENERATOR_VERSION}\r\nConnection: close\r\n\r\n"
    ).encode()
    assert recorder.requests == [b"GET /healthz HTTP/1.1\r\n" + fields, b"GET /version HTTP/1.1\r\n" + fields]


def test_a_name_that_resolves_differently_after_the_check(serve: Serve) -> None:
    """Both requests go to the checked address; the new address gets no connection."""
    recorder = Recorder()
    server = serve(recorder)
    with SocketServer(recorder, host="127.0.0.2", port=server.port) as elsewhere:
        service = service_at(f"http://gateway.example:{server.port}", allowed_hosts=["gateway.example"])
        resolve = FakeResolver(**{"gateway.example": [["127.0.0.1"], ["127.0.0.2"]]})
        addresses = allowed_addresses(service, never=(), resolve=resolve)
        for _ in range(2):
            HttpTarget().check(service, addresses)
        assert (server.accepted, elsewhere.accepted, resolve.asked) == (2, 0, [("gateway.example", server.port)])


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
def test_no_redirect_of_any_kind_is_followed(serve: Serve, status: str) -> None:
    """Neither by the health check nor by the request for the version."""
    elsewhere = serve(always(answer()))
    server = serve(always(answer(b"", status=status, headers=f"Location: {elsewhere.url}/\r\nRefresh: 0\r\n")))
    with pytest.raises(TargetError, match=f"returned {status[:3]} instead of 200"):
        HttpTarget().check(service_at(server.url), HERE)
    with pytest.raises(TargetError, match=f"returned {status[:3]} instead of 200"):
        HttpTarget().json(service_at(server.url), "/version", HERE)
    assert (server.accepted, elsewhere.accepted) == (2, 0)


def test_no_proxy_is_used(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the environment sets: the load uses none either."""
    proxy, server = serve(always(answer())), serve(always(answer()))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, proxy.url)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    HttpTarget().check(service_at(server.url), HERE)
    assert (server.accepted, proxy.accepted) == (1, 0)


def test_the_first_address_that_accepts_a_connection_is_used(serve: Serve) -> None:
    """In the given order; if none accepts, the service is not reachable."""
    server = serve(always(answer()))
    HttpTarget().check(service_at(server.url), ("127.0.0.2", "127.0.0.3", "127.0.0.1"))
    assert server.accepted == 1
    with pytest.raises(TargetError, match=r"is not reachable: GET .* failed: connection refused"):
        HttpTarget().check(service_at(server.url), ("127.0.0.2", "127.0.0.3"))


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 on loopback")
def test_an_ipv6_address() -> None:
    """It is in brackets in the URL and in the Host header."""
    recorder = Recorder()
    with SocketServer(recorder, host="::1") as server:
        service = service_at(f"http://[::1]:{server.port}", allowed_hosts=["::1"])
        HttpTarget().check(service, allowed_addresses(service, never=(), resolve=FakeResolver()))
    assert f"Host: [::1]:{server.port}\r\n".encode() in recorder.requests[0]


def test_a_certificate_is_for_the_name_and_not_for_the_address(tmp_path: Path) -> None:
    """The checked address must still be that of the named host."""
    with SocketServer(always(answer()), tls=self_signed(tmp_path)) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        service = service_at(url, allowed_hosts=["localhost"], ca_file=tmp_path / "server.pem")
        with pytest.raises(TargetError, match="not valid for 'localhost'"):
            HttpTarget().check(service, HERE)


def _trickle_head(talk: Talk) -> None:
    talk.read_request()
    talk.send(b"HTTP/1.1 200 OK\r\nX: ")
    while not talk.closing.wait(0.05):
        talk.send(b"x")


def _trickle_body(talk: Talk) -> None:
    talk.read_request()
    talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while not talk.closing.wait(0.05):
        talk.send(b"1")


def _trickle_chunks(talk: Talk) -> None:
    talk.read_request()
    talk.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not talk.closing.wait(0.05):
        talk.send(b"1\r\n1\r\n")


def _continue_forever(talk: Talk) -> None:
    talk.read_request()
    while not talk.closing.wait(0.05):
        talk.send(b"HTTP/1.1 100 Continue\r\n\r\n")


@pytest.mark.parametrize("script", [_trickle_head, _trickle_body, _trickle_chunks, _continue_forever])
def test_a_slow_response_times_out(serve: Serve, script: Callable[[Talk], None]) -> None:
    """The limit covers the whole response, although every byte arrives quickly."""
    server = serve(script)
    began = time.monotonic()
    with pytest.raises(TargetError, match=r"is not reachable: GET .* failed: no response within 0\.5 s"):
        HttpTarget(timeout_s=0.5).check(service_at(server.url), HERE)
    assert 0.45 < time.monotonic() - began < 3


def test_an_unfinished_handshake_times_out(serve: Serve) -> None:
    """TLS is part of connecting, which may have a separate limit."""
    service = service_at(serve(_never).url.replace("http", "https"), connect_timeout_s=0.3)
    began = time.monotonic()
    with pytest.raises(TargetError, match=r"is not reachable: GET .* failed: no connection within 0\.3 s"):
        HttpTarget().check(service, HERE)
    assert 0.25 < time.monotonic() - began < 3


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (answer(b" " * 1_000_001), "/v returned more than 1,000,000 bytes; set a path with a shorter response$"),
        (CHUNKED + b"1e8480\r\n" + b" " * 2_000_000, "/v returned more than 1,000,000 bytes"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1_001 + b"\r\n", "/v failed: the response is not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 300_000, "/v failed: the response is not valid HTTP"),
    ],
    ids=["long", "long chunk", "many headers", "long header"],
)
def test_an_oversized_response(serve: Serve, data: bytes, problem: str) -> None:
    """It is neither read to its end nor stored."""

    def script(talk: Talk) -> None:
        talk.read_request()
        talk.send_and_close(data)

    with pytest.raises(TargetError, match=problem):
        HttpTarget().json(service_at(serve(script).url), "/v", HERE)


def test_an_incomplete_response(serve: Serve) -> None:
    """It is shorter than its Content-Length."""

    def script(talk: Talk) -> None:
        talk.read_request()
        talk.send_and_close(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}")

    with pytest.raises(TargetError, match="/v failed: the response was incomplete"):
        HttpTarget().json(service_at(serve(script).url), "/v", HERE)


def test_deeply_nested_json(serve: Serve) -> None:
    """A hundred thousand brackets are within the size limit, but not valid JSON."""
    with pytest.raises(TargetError, match=r"/v did not return JSON$"):
        HttpTarget().json(service_at(serve(always(answer(b"[" * 100_000))).url), "/v", HERE)

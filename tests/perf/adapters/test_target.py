"""The look at the service before load is sent: 200 or a sentence that says what is wrong."""

from collections.abc import Callable
from pathlib import Path

import pytest
from urllib3.exceptions import InsecureRequestWarning

from include.perf.adapters.target import HttpTarget
from include.perf.errors import ConfigurationError, TargetError
from include.perf.service import Service
from tests.socket_servers import Serve, SocketServer, Talk, always, answer, free_port, self_signed


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

    HttpTarget().check(service_at(serve(script).url, health_path="/ready", headers={"X-Team": "perf"}))
    assert len(seen) == 1
    assert seen[0].startswith(b"GET /ready HTTP/1.1\r\n")
    assert b"X-Team: perf\r\n" in seen[0]


def test_secret_headers_are_laid_over_the_services_own(serve: Serve) -> None:
    """They go into the request; the same header is sent once, whatever its case."""
    seen: list[bytes] = []

    def script(talk: Talk) -> None:
        while (request := talk.read_request()) is not None:
            seen.append(request)
            talk.send(answer())

    target = HttpTarget(credentials=lambda service: {"Authorization": f"Bearer of {service.name}", "x-team": "core"})
    target.check(service_at(serve(script).url, headers={"X-Team": "perf", "X-Caller": "bellwether"}))
    lines = seen[0].split(b"\r\n")
    assert b"Authorization: Bearer of trading-gateway-service" in lines
    assert b"X-Caller: bellwether" in lines
    assert [line for line in lines if line.lower().startswith(b"x-team")] == [b"x-team: core"]


def test_without_its_connection_nothing_is_sent(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A load that would be refused request by request ends before it starts."""
    monkeypatch.delenv("AIRFLOW_CONN_GATEWAY_API", raising=False)
    server = serve(always(answer()))
    with pytest.raises(ConfigurationError, match=r"^there is no connection gateway_api, which trading-gateway-service"):
        HttpTarget().check(service_at(server.url, connection="gateway_api"))
    assert server.accepted == 0


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
@pytest.mark.parametrize(
    ("connection", "remedy"),
    [
        ("gateway_api", "correct the credentials in the connection gateway_api"),
        (None, "name a connection with its credentials in services.yaml"),
    ],
)
def test_refused_credentials_are_told_with_the_remedy(
    serve: Serve, status: str, connection: str | None, remedy: str
) -> None:
    """The connection is named, what is in it is not."""
    service = service_at(serve(always(answer(status=status))).url, connection=connection)
    with pytest.raises(TargetError) as caught:
        HttpTarget(credentials=lambda _: {"X-Api-Key": "s3cr3t"}).check(service)
    assert str(caught.value).endswith(f"answered {status[:3]}, 200 is needed; {remedy}")
    assert "s3cr3t" not in repr(caught.value)


def test_a_certificate_is_verified_with_the_services_own_bundle(tmp_path: Path) -> None:
    """Who signs its own certificates names them; no certificate is trusted by accident."""
    with SocketServer(always(answer()), tls=self_signed(tmp_path)) as server:
        HttpTarget().check(service_at(server.url, ca_file=tmp_path / "server.pem"))
        with pytest.raises(TargetError) as caught:
            HttpTarget().check(service_at(server.url))
    message = str(caught.value)
    assert message.startswith(f"trading-gateway-service is not reachable: GET {server.url}/healthz failed in TLS (")
    assert "certificate verify failed" in message
    assert message.endswith(
        "set ca_file in services.yaml to the bundle that signs its certificate, or correct base_url"
    )


def test_a_certificate_that_nobody_verifies_is_taken_where_that_is_asked_for(tmp_path: Path) -> None:
    """The service says so itself, and urllib3 warns."""
    with SocketServer(always(answer()), tls=self_signed(tmp_path)) as server, pytest.warns(InsecureRequestWarning):
        HttpTarget().check(service_at(server.url, verify_tls=False))


@pytest.mark.parametrize("status", ["503 Service Unavailable", "404 Not Found", "204 No Content", "500 Oops"])
def test_anything_but_200_is_not_healthy(serve: Serve, status: str) -> None:
    """The message has the address and the status."""
    url = serve(always(answer(b"", status=status))).url
    expected = f"trading-gateway-service is not healthy: GET {url}/healthz answered {status[:3]}, 200 is needed"
    with pytest.raises(TargetError) as caught:
        HttpTarget().check(service_at(url))
    assert str(caught.value) == expected


def test_a_redirect_is_not_followed(serve: Serve) -> None:
    """A login page elsewhere would answer 200 for a service that is not there."""
    elsewhere = serve(always(answer()))
    server = serve(always(answer(b"", status="302 Found", headers=f"Location: {elsewhere.url}/login\r\n")))
    with pytest.raises(TargetError, match="answered 302, 200 is needed"):
        HttpTarget().check(service_at(server.url))
    assert elsewhere.accepted == 0


def test_a_service_that_is_down_is_not_reachable() -> None:
    """The message says what to do."""
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(TargetError) as caught:
        HttpTarget().check(service_at(url))
    assert str(caught.value) == (
        f"trading-gateway-service is not reachable: GET {url}/healthz failed (ConnectionError); start it, or correct "
        "base_url in services.yaml"
    )


def _never(talk: Talk) -> None:
    talk.read_request()
    talk.closing.wait()


def _garbage(talk: Talk) -> None:
    talk.read_request()
    talk.send(b"SSH-2.0-OpenSSH\r\n")


@pytest.mark.parametrize(("script", "reason"), [(_never, "ReadTimeout"), (_garbage, "ConnectionError")])
def test_a_service_that_does_not_answer_is_not_reachable(
    serve: Serve, script: Callable[[Talk], None], reason: str
) -> None:
    """It is given up after the time-out."""
    with pytest.raises(TargetError, match=rf"is not reachable: GET .* failed \({reason}\)"):
        HttpTarget(timeout_s=0.3).check(service_at(serve(script).url))


# JSON


def test_the_json_of_a_path(serve: Serve) -> None:
    """Asked as the health is: with the service's headers, straight, and no redirect followed."""
    seen: list[bytes] = []

    def script(talk: Talk) -> None:
        while (request := talk.read_request()) is not None:
            seen.append(request)
            talk.send(answer(b'{"build": {"version": "2.4.1"}}'))

    service = service_at(serve(script).url, headers={"X-Team": "perf"})
    assert HttpTarget().json(service, "/info?full=1") == {"build": {"version": "2.4.1"}}
    assert seen[0].startswith(b"GET /info?full=1 HTTP/1.1\r\n")
    assert b"X-Team: perf\r\n" in seen[0]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (answer(b"{}", status="404 Not Found"), "/v answered 404, 200 is needed$"),
        (answer(b"", status="302 Found", headers="Location: /login\r\n"), "/v answered 302, 200 is needed$"),
        (answer(b"<html>2.4.1</html>"), "/v answered something that is no JSON$"),
        (answer(b""), "/v answered something that is no JSON$"),
        (answer(b"\xff\xfe\xfa"), "/v answered something that is no JSON$"),
    ],
)
def test_what_is_no_json(serve: Serve, data: bytes, problem: str) -> None:
    """The address and what came back are named."""
    with pytest.raises(TargetError, match=problem):
        HttpTarget().json(service_at(serve(always(data)).url), "/v")


def test_no_json_of_a_service_that_is_down() -> None:
    """As with its health."""
    with pytest.raises(TargetError, match=r"^trading-gateway-service is not reachable: GET .*/v failed"):
        HttpTarget().json(service_at(f"http://127.0.0.1:{free_port()}"), "/v")

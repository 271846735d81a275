"""The look at the service before load is sent: 200 or a sentence that says what is wrong."""

from collections.abc import Callable

import pytest

from include.perf.adapters.target import HttpTarget
from include.perf.errors import TargetError
from include.perf.service import Service
from tests.socket_servers import Serve, Talk, always, answer, free_port


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

"""The rules of Prometheus over HTTP: reloading and listing them."""

import json
from pathlib import Path

import pytest

from include.perf.adapters.metrics.prometheus_rules import PrometheusRules
from include.perf.model.errors import PrometheusUnavailable, RulesRefused
from include.perf.monitoring.rule_writer import LoadedRule
from tests.socket_servers import Serve, Talk, always, answer, free_port

RULES = {
    "status": "success",
    "data": {
        "groups": [
            {
                "name": "g",
                "rules": [
                    {"name": "bellwether:rules_info", "labels": {"digest": "abc"}, "health": "ok", "type": "recording"},
                    {"name": "Slow", "health": "err", "lastError": "many-to-many\nmatching", "type": "alerting"},
                ],
            }
        ]
    },
}


def test_rules_are_listed(serve: Serve) -> None:
    """Of all groups, with the error of the last evaluation on one line."""
    server = PrometheusRules(serve(always(answer(json.dumps(RULES).encode()))).url)
    assert server.loaded() == (
        LoadedRule(name="bellwether:rules_info", labels={"digest": "abc"}),
        LoadedRule(name="Slow", labels={}, error="many-to-many matching"),
    )


def test_a_reload_is_a_post_with_the_credentials(serve: Serve) -> None:
    """Prometheus refuses to reload on a GET."""
    seen = []

    def script(talk: Talk) -> None:
        while (request := talk.read_request()) is not None:
            seen.append(request)
            talk.send(answer(b""))

    PrometheusRules(f"{serve(script).url}/prom/", headers={"Authorization": "Bearer t"}).reload()
    assert seen[0].startswith(b"POST /prom/-/reload HTTP/1.1\r\n")
    assert b"Authorization: Bearer t" in seen[0]


def test_a_netrc_does_not_replace_the_credentials(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The machine's ``.netrc`` is ignored, as for queries."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login ann password other", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    seen = []

    def script(talk: Talk) -> None:
        while (request := talk.read_request()) is not None:
            seen.append(request)
            talk.send(answer(b""))

    PrometheusRules(serve(script).url, headers={"Authorization": "Bearer t"}).reload()
    assert b"Authorization: Bearer t\r\n" in seen[0]


def test_a_rejected_reload_has_the_reason(serve: Serve) -> None:
    """In the words of Prometheus, with the hint that another file may be invalid."""
    response = answer(b"failed to reload config: rule 3 is wrong", status="500 Internal Server Error")
    with pytest.raises(RulesRefused) as caught:
        PrometheusRules(serve(always(response)).url).reload()
    assert "failed to reload config: rule 3 is wrong; the previous rules stay in place" in str(caught.value)


def test_a_disabled_reload_is_no_error(serve: Serve) -> None:
    """Without --web.enable-lifecycle Prometheus returns 403; it may load the rules on its own."""
    response = answer(b"Lifecycle API is not enabled.", status="403 Forbidden")
    assert PrometheusRules(serve(always(response)).url).reload() == "403: Lifecycle API is not enabled."


@pytest.mark.parametrize(
    "response", [answer(b"<html>log in</html>"), answer(b"[1]"), answer(b"bad gateway", status="502 Bad Gateway")]
)
def test_a_response_that_is_not_from_prometheus(serve: Serve, response: bytes) -> None:
    """A login page, another program or a proxy: the remedy is the URL."""
    with pytest.raises(PrometheusUnavailable, match="its URL and credentials in MY_SETTING"):
        PrometheusRules(serve(always(response)).url, set_in="MY_SETTING").loaded()


def test_a_prometheus_that_is_down() -> None:
    """No process listens at the address."""
    with pytest.raises(PrometheusUnavailable, match="cannot be reached: connection refused; check that it runs"):
        PrometheusRules(f"http://127.0.0.1:{free_port()}").reload()

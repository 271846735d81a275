"""Prometheus' rules over HTTP: reloading, and what it has loaded."""

import json
from pathlib import Path

import pytest

from include.perf.adapters.metrics.prometheus_rules import PrometheusRules
from include.perf.model.errors import PrometheusUnavailable, RulesError, RulesRefused
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
    """Of every group, with the error of the last evaluation on one line."""
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


def test_no_login_of_the_machine_takes_the_place_of_ours(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As for questions: the machine's own file of logins is for others."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login ann password other", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    seen = []

    def script(talk: Talk) -> None:
        while (request := talk.read_request()) is not None:
            seen.append(request)
            talk.send(answer(b""))

    PrometheusRules(serve(script).url, headers={"Authorization": "Bearer t"}).reload()
    assert b"Authorization: Bearer t\r\n" in seen[0]


def test_a_refused_reload_tells_why(serve: Serve) -> None:
    """Prometheus' own words, and that another file may be meant."""
    told = answer(b"failed to reload config: rule 3 is wrong", status="500 Internal Server Error")
    with pytest.raises(RulesRefused) as caught:
        PrometheusRules(serve(always(told)).url).reload()
    assert "failed to reload config: rule 3 is wrong; the rules before stay in place" in str(caught.value)


def test_a_prometheus_that_may_not_be_reloaded_says_how_it_could(serve: Serve) -> None:
    """Without --web.enable-lifecycle it answers 403; the rules are right all the same."""
    told = answer(b"Lifecycle API is not enabled.", status="403 Forbidden")
    with pytest.raises(RulesError, match=r"start it with --web\.enable-lifecycle") as caught:
        PrometheusRules(serve(always(told)).url).reload()
    assert not isinstance(caught.value, RulesRefused)


@pytest.mark.parametrize(
    "told", [answer(b"<html>log in</html>"), answer(b"[1]"), answer(b"bad gateway", status="502 Bad Gateway")]
)
def test_what_is_no_prometheus_is_not_understood(serve: Serve, told: bytes) -> None:
    """A login page, another program, a proxy: the remedy is the address."""
    with pytest.raises(PrometheusUnavailable, match="the address and the credentials in MY_SETTING"):
        PrometheusRules(serve(always(told)).url, set_in="MY_SETTING").loaded()


def test_a_prometheus_that_is_down() -> None:
    """Nobody listens there."""
    with pytest.raises(PrometheusUnavailable, match="does not answer"):
        PrometheusRules(f"http://127.0.0.1:{free_port()}").reload()

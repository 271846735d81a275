"""The rules of a Prometheus: to be read again, and looked at."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import requests

from include.perf.adapters.prometheus_session import OwnSession
from include.perf.alert_rules.ports import LoadedRule
from include.perf.errors import PrometheusUnavailable, RulesError, RulesRefused
from include.perf.phrase import one_line

TIMEOUT_S = 30.0
"""A reload is answered once everything is read again."""

MAX_TEXT = 500
NOT_FOR_ALL = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)


class PrometheusRules:
    """Asks a Prometheus server about its rules.

    Args:
        url: its address, without a login in it.
        set_in: where a person sets the address and the credentials; messages name it.
        headers: sent with every request; credentials among them.
        ca_file: PEM bundle that the certificate is verified with, instead of the machine's own.
    """

    def __init__(
        self,
        url: str,
        *,
        set_in: str = "PROMETHEUS_URL",
        headers: Mapping[str, str] | None = None,
        verify_tls: bool = True,
        ca_file: Path | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._url = url.rstrip("/")
        self._set_in = set_in
        self._session = OwnSession(headers=headers or {}, verify_tls=verify_tls, ca_file=ca_file, timeout_s=timeout_s)

    def reload(self) -> None:
        """Let it read its configuration and all rules again.

        Raises:
            RulesRefused: it refused what it read, and goes on with what it had.
            RulesError: it does not do so when asked.
            PrometheusUnavailable: it does not answer.
        """
        answer = self._asked("POST", "/-/reload")
        told = self._told(answer)
        if answer.status_code in NOT_FOR_ALL:
            raise RulesError(
                f"the rules are in place, but Prometheus at {self._url} does not reload when asked ({told}); "
                "start it with --web.enable-lifecycle, or set reload_rules: false in scenarios.yaml and reload it by "
                "hand (SIGHUP)"
            )
        if answer.status_code == HTTPStatus.INTERNAL_SERVER_ERROR:
            raise RulesRefused(
                f"Prometheus at {self._url} refused to load its configuration: {told}; the rules before stay "
                "in place. Its log says which file is wrong; where that is another one than ours, correct it first"
            )
        self._check(answer)

    def loaded(self) -> tuple[LoadedRule, ...]:
        """Return the rules that it has.

        Raises:
            PrometheusUnavailable: it does not answer, or not as Prometheus does.
        """
        answer = self._asked("GET", "/api/v1/rules")
        self._check(answer)
        try:
            return tuple(self._rules_in(answer.json()))
        except (ValueError, KeyError, TypeError, AttributeError) as err:
            raise self._unavailable("answered something that is no list of rules") from err

    def _asked(self, method: str, path: str) -> requests.Response:
        try:
            return self._session.request(method, f"{self._url}{path}")
        except requests.RequestException as err:
            raise self._unavailable(f"does not answer ({type(err).__name__})") from err

    def _check(self, answer: requests.Response) -> None:
        if answer.status_code != HTTPStatus.OK:
            raise self._unavailable(f"answered {self._told(answer)}")

    def _rules_in(self, document: Mapping[str, Any]) -> Iterator[LoadedRule]:
        for group in document["data"]["groups"]:
            for rule in group["rules"]:
                error = one_line(self._session.masked(rule.get("lastError", "")))
                yield LoadedRule(name=str(rule["name"]), labels=dict(rule.get("labels") or {}), error=error)

    def _told(self, answer: requests.Response) -> str:
        return f"{answer.status_code}: {one_line(self._session.masked(answer.text))[:MAX_TEXT]}"

    def _unavailable(self, what: str) -> PrometheusUnavailable:
        return PrometheusUnavailable(
            f"Prometheus at {self._url} {what}; check that it runs, and the address and the credentials in "
            f"{self._set_in}"
        )

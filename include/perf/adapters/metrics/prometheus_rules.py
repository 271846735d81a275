"""The rules of a Prometheus: to be read again, and looked at.

promtool, which reads rules as Prometheus does; it comes with Prometheus.
"""

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import requests

from include.perf.adapters.metrics.prometheus_session import OwnSession
from include.perf.model.errors import PrometheusUnavailable, RulesError, RulesRefused
from include.perf.model.text import one_line
from include.perf.monitoring.rule_writer import LoadedRule

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


PROGRAM_SETTING = "BELLWETHER_PROMTOOL"

PROMTOOL_TIMEOUT_S = 300.0

TESTS_FILE = "tests.yaml"

MOST_LINES = 12


class Promtool:
    """Checks rules, and runs their tests, in a folder of its own.

    Args:
        program: its name on ``PATH``, or its path.
    """

    def __init__(self, program: str | None = None, *, timeout_s: float = PROMTOOL_TIMEOUT_S) -> None:
        self._program = program or os.environ.get(PROGRAM_SETTING) or "promtool"
        self._timeout_s = timeout_s

    def check(self, rules: bytes, tests: bytes, *, name: str) -> None:
        """Read rules as Prometheus would, and run their unit tests, which name the rules by ``name``.

        Raises:
            RulesRefused: they are wrong, or a test fails; says where.
            RulesError: promtool cannot be run, or takes too long.
        """
        with tempfile.TemporaryDirectory(prefix="bellwether-rules-") as given:
            folder = Path(given)
            (folder / name).write_bytes(rules)
            (folder / TESTS_FILE).write_bytes(tests)
            self._run(["check", "rules", "--lint-fatal", name], folder, failed="the rules are wrong")
            self._run(["test", "rules", TESTS_FILE], folder, failed="a test of the rules fails")

    def _run(self, arguments: list[str], folder: Path, *, failed: str) -> None:
        command = f"promtool {' '.join(arguments)}"
        try:
            done = subprocess.run(
                [self._program, *arguments],
                cwd=folder,
                env=os.environ | {"TMPDIR": str(folder)},  # one that is killed leaves its files
                capture_output=True,
                timeout=self._timeout_s,
                check=False,
            )
        except OSError as err:
            raise RulesError(
                f"cannot run {self._program} ({err.strerror}); install it, it comes with Prometheus, or set "
                f"{PROGRAM_SETTING} to where it is"
            ) from err
        except subprocess.TimeoutExpired as err:
            raise RulesError(f"{command} took more than {self._timeout_s:g} s; the rules before stay in place") from err
        if done.returncode != 0:
            told = (done.stdout + done.stderr).decode(errors="replace").splitlines()
            lines = [line.strip() for line in told if line.strip()][:MOST_LINES]
            raise RulesRefused(
                f"{failed}, and those before stay in place; {command} says: {' | '.join(lines)}. Correct what the "
                "catalogue says of it (queries, selectors), and look with python -m include.perf rules show --yaml"
            )

"""The alert rules of a Prometheus server: promtool checks them, and the server reloads and lists them."""

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import requests

from include.perf.adapters.metrics.prometheus_session import OwnSession, failure_of
from include.perf.model.child_environment import child_environment
from include.perf.model.errors import PrometheusUnavailable, RulesError, RulesRefused
from include.perf.model.text import one_line
from include.perf.monitoring.rule_writer import LoadedRule

TIMEOUT_S = 30.0
"""Prometheus responds to a reload when it has read its whole configuration."""

MAX_TEXT = 500
"""Characters of a server's text that a message repeats."""

RELOAD_DISABLED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)

PROGRAM_SETTING = "BELLWETHER_PROMTOOL"
PROMTOOL_TIMEOUT_S = 300.0
TESTS_FILE = "tests.yaml"
MAX_LINES = 12
"""Lines of promtool's output that a message repeats."""


class PrometheusRules:
    """Reloads and lists the rules of a Prometheus server.

    Args:
        url: without credentials.
        set_in: where a person sets the URL and the credentials, for messages.
        headers: sent with every request, including credentials.
        ca_file: PEM bundle to verify the certificate with, instead of the machine's own.
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
        self._timeout_s = timeout_s
        self._session = OwnSession(headers=headers or {}, verify_tls=verify_tls, ca_file=ca_file, timeout_s=timeout_s)

    def reload(self) -> str | None:
        """Reload the configuration and all rules; return why Prometheus does not do so on request.

        Raises:
            RulesRefused: Prometheus rejected them and keeps the previous ones.
            PrometheusUnavailable: Prometheus does not respond.
        """
        response = self._send("POST", "/-/reload")
        reason = self._reason(response)
        if response.status_code in RELOAD_DISABLED:
            return reason
        if response.status_code == HTTPStatus.INTERNAL_SERVER_ERROR:
            raise RulesRefused(
                f"Prometheus at {self._url} rejected its configuration: {reason}; the previous rules stay in place. "
                "Its log names the invalid file; if that is not one of Bellwether's, correct it first"
            )
        self._check(response)
        return None

    def loaded(self) -> tuple[LoadedRule, ...]:
        """Return the loaded rules.

        Raises:
            PrometheusUnavailable: Prometheus does not respond, or the response is invalid.
        """
        response = self._send("GET", "/api/v1/rules")
        self._check(response)
        try:
            return tuple(self._rules_in(response.json()))
        except (ValueError, KeyError, TypeError, AttributeError) as err:
            raise self._unavailable("did not return a list of rules") from err

    def _send(self, method: str, path: str) -> requests.Response:
        try:
            return self._session.request(method, f"{self._url}{path}")
        except requests.RequestException as err:
            raise self._unavailable(f"cannot be reached: {failure_of(err, timeout_s=self._timeout_s)}") from err

    def _check(self, response: requests.Response) -> None:
        if response.status_code != HTTPStatus.OK:
            raise self._unavailable(f"returned {self._reason(response)}")

    def _rules_in(self, document: Mapping[str, Any]) -> Iterator[LoadedRule]:
        for group in document["data"]["groups"]:
            for rule in group["rules"]:
                error = one_line(self._session.masked(rule.get("lastError", "")))
                yield LoadedRule(name=str(rule["name"]), labels=dict(rule.get("labels") or {}), error=error)

    def _reason(self, response: requests.Response) -> str:
        return f"{response.status_code}: {one_line(self._session.masked(response.text))[:MAX_TEXT]}"

    def _unavailable(self, problem: str) -> PrometheusUnavailable:
        return PrometheusUnavailable(
            f"Prometheus at {self._url} {problem}; check that it runs, and its URL and credentials in {self._set_in}"
        )


class Promtool:
    """Checks rules and runs their unit tests with promtool, a part of Prometheus, in a temporary folder.

    Args:
        program: its name on ``PATH``, or its path.
    """

    def __init__(self, program: str | None = None, *, timeout_s: float = PROMTOOL_TIMEOUT_S) -> None:
        self._program = program or os.environ.get(PROGRAM_SETTING) or "promtool"
        self._timeout_s = timeout_s

    def check(self, rules: bytes, tests: bytes, *, name: str) -> None:
        """Check rules and run their unit tests.

        Args:
            name: of the rules file, which the tests refer to.

        Raises:
            RulesRefused: the rules are invalid, or a test fails.
            RulesError: promtool cannot be run, or takes too long.
        """
        with tempfile.TemporaryDirectory(prefix="bellwether-rules-") as temporary:
            folder = Path(temporary)
            (folder / name).write_bytes(rules)
            (folder / TESTS_FILE).write_bytes(tests)
            self._run(["check", "rules", "--lint-fatal", name], folder, failed="the rules are invalid")
            self._run(["test", "rules", TESTS_FILE], folder, failed="a test of the rules fails")

    def _run(self, arguments: list[str], folder: Path, *, failed: str) -> None:
        command = f"promtool {' '.join(arguments)}"
        try:
            finished = subprocess.run(
                [self._program, *arguments],
                cwd=folder,
                env=child_environment(TMPDIR=str(folder)),  # a killed promtool leaves temporary files
                capture_output=True,
                timeout=self._timeout_s,
                check=False,
            )
        except OSError as err:
            raise RulesError(
                f"cannot run {self._program} ({err.strerror}); install promtool, which is a part of Prometheus, or set "
                f"{PROGRAM_SETTING} to its path"
            ) from err
        except subprocess.TimeoutExpired as err:
            raise RulesError(f"{command} took over {self._timeout_s:g} s; the previous rules stay in place") from err
        if finished.returncode != 0:
            output = (finished.stdout + finished.stderr).decode(errors="replace").splitlines()
            lines = [line.strip() for line in output if line.strip()][:MAX_LINES]
            raise RulesRefused(
                f"{failed}, and the previous rules stay in place; {command} reports: {' | '.join(lines)}. Correct the "
                "queries and selectors in the catalogue; python -m include.perf rules show --yaml shows the rules"
            )

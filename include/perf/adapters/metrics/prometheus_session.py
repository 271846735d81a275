"""HTTP sessions for Prometheus, which check every response before anything is read from it.

prometheus-api-client checks only the status. It would accept a login page, an error with status 200, and an incomplete
response with warnings, which Thanos, Mimir and remote read return when a store is unavailable. These sessions refuse
such responses before the client sees them. No error message contains credentials.
"""

import ssl
from collections.abc import Mapping
from http import HTTPStatus
from http.client import HTTPException, IncompleteRead
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import ConnectTimeoutError, HTTPError, ReadTimeoutError
from urllib3.exceptions import IncompleteRead as UrllibIncompleteRead

from include.perf.adapters.http.bounded import AnswerTooLong, read_body
from include.perf.model.errors import PartialAnswer, PrometheusUnavailable, QueryRejected
from include.perf.model.masking import Mask
from include.perf.model.text import one_line

INVALID_QUERY = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)
NOT_ALLOWED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
MAX_BYTES = 32 * 1024 * 1024
"""The longest responses are the rules of a large Prometheus, and a load's figures by the second."""

MAX_TEXT = 300
"""Characters of a server's text that a message repeats."""

MORE = "(docs/prometheus.md, Logging in)"

INFO_PREFIX = "PromQL info:"
"""Starts a remark about the query, which Prometheus before version 3 lists among the warnings."""


class OwnSession(requests.Session):
    """A session with a timeout, without redirects, and with no credentials but the given ones.

    Args:
        headers: sent with every request, including credentials.
        ca_file: PEM bundle to verify the server's certificate with, instead of the machine's own.

    Attributes:
        masked: removes the values of the headers from a text of the server.
    """

    def __init__(self, *, headers: Mapping[str, str], verify_tls: bool, ca_file: Path | None, timeout_s: float) -> None:
        super().__init__()
        self._timeout_s = timeout_s
        self.masked = Mask(headers.values())
        self.headers.update(headers)
        self.auth = _unchanged  # otherwise a login in ~/.netrc would replace the one in the headers
        self.verify = str(ca_file) if ca_file and verify_tls else verify_tls

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        """Send a request with a default timeout and without following redirects, and read at most `MAX_BYTES`.

        Raises:
            AnswerTooLong: the response is longer.
        """
        kwargs |= {"timeout": kwargs.get("timeout") or self._timeout_s, "allow_redirects": False, "stream": True}
        response = super().request(method, url, *args, **kwargs)
        read_body(response, limit=MAX_BYTES)
        return response


class PrometheusSession(OwnSession):
    """A session for queries, which accepts only complete responses.

    Args:
        url: of Prometheus, without credentials.
        set_in: where a person sets the URL and the credentials.
        headers: sent with every request, including credentials.
        ca_file: PEM bundle to verify the certificate with, instead of the machine's own.
    """

    def __init__(
        self,
        url: str,
        *,
        set_in: str,
        headers: Mapping[str, str],
        verify_tls: bool,
        ca_file: Path | None,
        timeout_s: float,
    ) -> None:
        super().__init__(headers=headers, verify_tls=verify_tls, ca_file=ca_file, timeout_s=timeout_s)
        self._url = url
        self._set_in = set_in

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        """Send a request and check the response.

        Raises:
            PrometheusUnavailable: there is no response, or it is not one of Prometheus.
            QueryRejected: the query is invalid.
            PartialAnswer: the response is incomplete.
        """
        query = (kwargs.get("params") or {}).get("query", "the query")
        try:
            response = super().request(method, url, *args, **kwargs)
        except requests.RequestException as err:
            raise self._unavailable(
                f"cannot be queried: {failure_of(err, timeout_s=self._timeout_s)}; {self._remedy(err)}"
            ) from err
        self._check_status(response, query)
        self._check_complete(response, query)
        return response

    def _check_status(self, response: requests.Response, query: str) -> None:
        status = response.status_code
        if status in INVALID_QUERY:
            raise QueryRejected(f"Prometheus rejected {query}: {self._error_in(response)}")
        if status in NOT_ALLOWED:
            raise self._unavailable(f"rejected the credentials ({status}); correct them in {self._set_in} {MORE}")
        if response.is_redirect:
            target = self._without_login(response.headers["location"])
            raise self._unavailable(
                f"redirects to {target} ({status}), and Bellwether follows no redirects; correct the URL in "
                f"{self._set_in}, or set the credentials if this is a login page"
            )
        if status != HTTPStatus.OK:
            raise self._unavailable(
                f"returned {status} {self._short(response.reason or '')}".rstrip() + f"; {self._remedy()}"
            )

    def _check_complete(self, response: requests.Response, query: str) -> None:
        try:
            document = response.json()
        except (ValueError, RecursionError) as err:
            kind = self._short(response.headers.get("content-type", "")) or "a response"
            raise self._unavailable(f"returned {kind} that is not JSON; {self._remedy()}") from err
        if not isinstance(document, dict) or document.get("status") != "success":
            raise self._unavailable(f"returned an error: {self._error_in(response)}")
        data = document.get("data")
        if not isinstance(data, dict) or not isinstance(data.get("result"), list):
            raise self._unavailable(f"returned no result; {self._remedy()}")
        if missing := _warnings(document.get("warnings")):
            raise PartialAnswer(f"Prometheus returned an incomplete result for {query}: {self._short(missing)}")

    def _error_in(self, response: requests.Response) -> str:
        """Return the error message of Prometheus, or the status if there is none."""
        try:
            document = response.json()
        except (ValueError, RecursionError):
            document = None
        error = document.get("error") if isinstance(document, dict) else None
        return self._short(str(error)) if error else f"{response.status_code} without a reason"

    def _without_login(self, location: str) -> str:
        """Return the target of a redirect without credentials and query, where logins put secrets."""
        parts = urlsplit(location)
        host = parts.netloc.rpartition("@")[2]
        return self._short(f"{parts.scheme}://{host}{parts.path}" if host else parts.path)

    def _short(self, text: str) -> str:
        """Return a text of the server for a message: one line, truncated, without credentials."""
        return one_line(self.masked(text))[:MAX_TEXT]

    def _unavailable(self, problem: str) -> PrometheusUnavailable:
        return PrometheusUnavailable(f"Prometheus at {self._url} {problem}")

    def _remedy(self, err: requests.RequestException | None = None) -> str:
        if isinstance(err, requests.exceptions.SSLError):
            return f"set the CA bundle of its certificate {MORE}, or correct the URL in {self._set_in}"
        return f"check that it runs and the URL in {self._set_in}"


def failure_of(err: requests.RequestException, *, timeout_s: float) -> str:
    """Return in plain words why a request got no response."""
    cause = _cause_of(err)
    match cause:
        case AnswerTooLong():
            return f"the response has more than {MAX_BYTES:,} bytes"
        case TimeoutError() | ReadTimeoutError() | ConnectTimeoutError():
            return f"no response within {timeout_s:g} s"
        case ssl.SSLCertVerificationError():
            return f"its certificate cannot be verified ({cause.verify_message})"
        case ssl.SSLError():
            return "no TLS connection"
        case ConnectionResetError() | ConnectionAbortedError() | BrokenPipeError():
            return "the connection was closed before a complete response"
        case OSError() if cause.strerror:
            return cause.strerror.lower()
        case IncompleteRead() | UrllibIncompleteRead():
            return "the response was incomplete"
        case HTTPException() | HTTPError():
            return "the response is not valid HTTP"
        case _:
            return "the request failed"


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _cause_of(err: BaseException) -> BaseException:
    """Return the innermost error: libraries keep it as reason, among the arguments, or as cause."""
    while True:
        candidates = [getattr(err, "reason", None), *err.args, err.__cause__]
        inner = next((candidate for candidate in candidates if isinstance(candidate, BaseException)), None)
        if inner is None:
            return err
        err = inner


def _warnings(warnings: Any) -> str:
    """Return the warnings about missing data as one text."""
    texts = list(map(str, warnings)) if isinstance(warnings, list) else [str(warnings)] if warnings else []
    return "; ".join(text for text in texts if not text.startswith(INFO_PREFIX))

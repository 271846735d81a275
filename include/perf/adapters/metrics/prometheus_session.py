"""How Prometheus is spoken to over HTTP, and what an answer must be like before anything is read out of it.

prometheus-api-client looks at the status and no further: a login page, an error under status 200, and the warnings of
an answer that is only a part of it (Thanos, Mimir and remote read answer so when a store is away) would pass. All of it
is told apart here, before the client sees the answer. Nothing that is said has credentials in it.
"""

import ssl
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import ReadTimeoutError

from include.perf.model.errors import PartialAnswer, PrometheusUnavailable, QueryRejected
from include.perf.model.text import Mask, one_line

WRONG_QUERY = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)
NOT_ALLOWED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
MAX_TEXT = 300
"""Of what a server says of itself; longer texts are cut."""

HOW = "(docs/prometheus.md, Logging in)"

NO_WARNING = "PromQL info:"
"""Remarks about a query stood among the warnings before Prometheus 3 gave them a place of their own, ``infos``."""


class OwnSession(requests.Session):
    """A session whose requests end, go nowhere else, and carry no login but ours.

    Args:
        headers: sent with every request; credentials among them.
        ca_file: PEM bundle that the server's certificate is verified with, instead of the machine's own.

    Attributes:
        masked: takes what the server repeats of the headers out of its words.
    """

    def __init__(self, *, headers: Mapping[str, str], verify_tls: bool, ca_file: Path | None, timeout_s: float) -> None:
        super().__init__()
        self._timeout_s = timeout_s
        self.masked = Mask(headers.values())
        self.headers.update(headers)
        self.auth = _as_it_is  # or the login of a ~/.netrc would take the place of the one in the headers
        self.verify = str(ca_file) if ca_file and verify_tls else verify_tls

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        """Send a request with a default time-out, and follow no redirect."""
        kwargs |= {"timeout": kwargs.get("timeout") or self._timeout_s, "allow_redirects": False}
        return super().request(method, url, *args, **kwargs)


class PrometheusSession(OwnSession):
    """A session of questions, whose answers are whole.

    Args:
        url: Prometheus' address, without a login in it.
        set_in: where a person sets the address and the credentials.
        headers: sent with every request; credentials among them.
        ca_file: PEM bundle that Prometheus' certificate is verified with, instead of the machine's own.
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
        """Send a request and look at the answer.

        Raises:
            PrometheusUnavailable: there is no answer, or it is not Prometheus that answers.
            QueryRejected: the query is wrong.
            PartialAnswer: something is missing in the answer.
        """
        query = (kwargs.get("params") or {}).get("query", "the question")
        try:
            response = super().request(method, url, *args, **kwargs)
        except requests.RequestException as err:
            raise self._unavailable(f"cannot be asked ({self._why(err)}); {self._remedy(err)}") from err
        self._check_status(response, query)
        self._check_whole(response, query)
        return response

    def _check_status(self, response: requests.Response, query: str) -> None:
        status = response.status_code
        if status in WRONG_QUERY:
            raise QueryRejected(f"Prometheus refused {query}: {self._told(response)}")
        if status in NOT_ALLOWED:
            raise self._unavailable(f"refused the login ({status}); correct the credentials in {self._set_in} {HOW}")
        if response.is_redirect:
            elsewhere = self._without_login(response.headers["location"])
            raise self._unavailable(
                f"sends its callers on to {elsewhere} ({status}), and Bellwether "
                f"does not follow; set the right address in {self._set_in}, or the credentials where it is a login"
            )
        if status != HTTPStatus.OK:
            raise self._unavailable(
                f"answered {status} {self._short(response.reason or '')}".rstrip() + f"; {self._remedy()}"
            )

    def _check_whole(self, response: requests.Response, query: str) -> None:
        try:
            document = response.json()
        except (ValueError, RecursionError) as err:
            kind = self._short(response.headers.get("content-type", "")) or "something"
            raise self._unavailable(f"answered {kind} that is no JSON; {self._remedy()}") from err
        if not isinstance(document, dict) or document.get("status") != "success":
            raise self._unavailable(f"answered without success: {self._told(response)}")
        data = document.get("data")
        if not isinstance(data, dict) or not isinstance(data.get("result"), list):
            raise self._unavailable(f"answered without a result; {self._remedy()}")
        if missing := _warnings(document.get("warnings")):
            raise PartialAnswer(f"Prometheus has only a part of the answer to {query}: {self._short(missing)}")

    def _told(self, response: requests.Response) -> str:
        """Return what an answer says of an error: Prometheus' own words, or nothing but the status."""
        try:
            document = response.json()
        except (ValueError, RecursionError):
            document = None
        told = document.get("error") if isinstance(document, dict) else None
        return self._short(str(told)) if told else f"{response.status_code} without a reason"

    def _without_login(self, location: str) -> str:
        """Return where a redirect leads, without what a login puts behind the path."""
        parts = urlsplit(location)
        host = parts.netloc.rpartition("@")[2]
        return self._short(f"{parts.scheme}://{host}{parts.path}" if host else parts.path)

    def _short(self, said: str) -> str:
        """Return words of the server as they may be told: in one line, cut, and without our credentials."""
        return one_line(self.masked(said))[:MAX_TEXT]

    def _unavailable(self, what: str) -> PrometheusUnavailable:
        return PrometheusUnavailable(f"Prometheus at {self._url} {what}")

    def _why(self, err: requests.RequestException) -> str:
        """Say what was in the way; of the errors below it only the innermost tells anything."""
        cause = _cause_of(err)
        if isinstance(cause, TimeoutError | ReadTimeoutError):
            return f"no answer within {self._timeout_s:g} s"
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate cannot be verified: {cause.verify_message}"
        told = cause.strerror if isinstance(cause, OSError) else None
        return told or type(cause).__name__

    def _remedy(self, err: requests.RequestException | None = None) -> str:
        if isinstance(err, requests.exceptions.SSLError):
            return f"name the bundle that signs its certificate {HOW}, or correct the address in {self._set_in}"
        return f"check that it runs and the address in {self._set_in}"


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _cause_of(err: BaseException) -> BaseException:
    """Return the innermost error: those below it are its reason, among its arguments, or its cause."""
    while True:
        below = [getattr(err, "reason", None), *err.args, err.__cause__]
        inner = next((each for each in below if isinstance(each, BaseException)), None)
        if inner is None:
            return err
        err = inner


def _warnings(warnings: Any) -> str:
    """Return the warnings that say that something is missing, as one text."""
    told = [str(each) for each in warnings] if isinstance(warnings, list) else [str(warnings)] if warnings else []
    return "; ".join(each for each in told if not each.startswith(NO_WARNING))

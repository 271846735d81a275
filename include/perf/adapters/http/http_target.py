"""Requests to the service under test outside of a load, and its host name resolution.

A request is sent exactly like a request of the load: to the checked addresses, without a proxy, with the same headers,
credentials and TLS settings. No redirect is followed. Only `resolve` uses the machine's resolver.
"""

import json
import socket
import threading
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from typing import Any

from include.perf.adapters.http.credentials import environment_credentials
from include.perf.adapters.http.exchange import MAX_BYTES, exchange
from include.perf.adapters.http.target_problems import remedy_for_status
from include.perf.catalogue.service import Service
from include.perf.load.feed import Request
from include.perf.load.request_bytes import single_request
from include.perf.load.tokens import SingleTokens, TokenIssuer
from include.perf.load.uri import encoded_target
from include.perf.load.wire import Answered, Credentials
from include.perf.model.errors import TargetError
from include.perf.model.masking import Mask

TIMEOUT_S = 5.0
RESOLVE_TIMEOUT_S = 5.0


class HttpTarget:
    """Sends single requests to a service, such as its health check.

    Args:
        credentials: returns the secrets of a service.
        issuer: fetches the tokens of services with a login.
        timeout_s: of a request in total, from connecting to the last byte of the response.
    """

    def __init__(
        self,
        *,
        credentials: Credentials = environment_credentials,
        issuer: TokenIssuer | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._credentials = credentials
        self._tokens = SingleTokens(issuer)
        self._timeout_s = timeout_s

    def check(self, service: Service, addresses: Sequence[str]) -> None:
        """Check that the health path of the service returns status 200.

        Raises:
            TargetError: it does not.
            ConfigurationError: the credentials cannot be read.
        """
        url, answer = self._get(service, service.health_path, addresses)
        if answer.status != 200:
            raise TargetError(
                f"{service.name} is not healthy: GET {url} returned {answer.status} instead of 200"
                f"{remedy_for_status(service, answer.status)}"
            )

    def json(self, service: Service, path: str, addresses: Sequence[str]) -> Any:
        """Return the JSON that the service returns at a path.

        Raises:
            TargetError: it is not reachable, or does not return JSON with status 200.
            ConfigurationError: the credentials cannot be read.
        """
        url, answer = self._get(service, path, addresses)
        if answer.status != 200:
            raise TargetError(f"GET {url} returned {answer.status} instead of 200")
        try:
            return json.loads(answer.body)
        except (ValueError, RecursionError) as err:
            raise TargetError(f"GET {url} did not return JSON") from err

    def _get(self, service: Service, path: str, addresses: Sequence[str]) -> tuple[str, Answered]:
        """Return the URL and the response of a GET request."""
        request = Request(encoded_target(path), None)
        answer = self.send(service, "GET", request, addresses, timeout_s=self._timeout_s)
        url = service.base_url + path
        if len(answer.body) > MAX_BYTES:
            raise TargetError(f"GET {url} returned more than {MAX_BYTES:,} bytes; set a path with a shorter response")
        return url, answer

    def send(
        self,
        service: Service,
        method: str,
        request: Request,
        addresses: Sequence[str],
        *,
        timeout_s: float | None = None,
    ) -> Answered:
        """Send one request exactly as a load does, and return the response with at most `MAX_BYTES` + 1 bytes of body.

        The body is what the service sent; `masked` removes the credentials that it may repeat.

        Args:
            timeout_s: in total; by default the request timeout of the service.

        Raises:
            TargetError: there was no complete response in time.
            ConfigurationError: the credentials cannot be read.
        """
        secrets = self._credentials(service).with_headers(self._tokens.header(service))
        wire = single_request(service, method, request, secrets, keep_alive=False)
        url = f"{service.base_url}{request.target}"
        return exchange(service, addresses, wire, method=method, url=url, timeout_s=timeout_s or service.timeout_s)

    def masked(self, service: Service, text: str, *, is_cut: bool = False) -> str:
        """Return a text of the service without its credentials, for people and files.

        Args:
            is_cut: whether the text may end within a secret.

        Raises:
            ConfigurationError: the credentials cannot be read.
        """
        return Mask([*self._credentials(service).texts(), *self._tokens.known(service)])(text, is_cut=is_cut)


def resolve(host: str, port: int, *, timeout_s: float = RESOLVE_TIMEOUT_S) -> list[str]:
    """Return the unique addresses of a host in the resolver's order (RFC 6724).

    ``getaddrinfo`` has no timeout and cannot be interrupted. So it runs in a thread, which is abandoned after
    ``timeout_s``.

    Raises:
        OSError: the host name cannot be resolved in time; ``socket.gaierror`` if the resolver gives a reason.
    """
    answers: SimpleQueue[list[str] | OSError] = SimpleQueue()
    name = f"resolve {host}"
    threading.Thread(target=lambda: answers.put(_lookup(host, port)), name=name, daemon=True).start()
    try:
        answer = answers.get(timeout=timeout_s)
    except Empty:
        raise TimeoutError(f"the resolver did not respond within {timeout_s:g} s") from None
    if isinstance(answer, OSError):
        raise answer
    return answer


def _lookup(host: str, port: int) -> list[str] | OSError:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as err:  # a label is too long
        return OSError(f"{host!r} is not a valid host name: {err}")
    except OSError as err:
        return err
    return list(dict.fromkeys(str(where[0]) for _, _, _, _, where in found))

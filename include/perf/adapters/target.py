"""A look at the service under test before load is sent."""

from typing import Any

import requests

from include.perf.adapters.credentials import environment_credentials
from include.perf.errors import TargetError
from include.perf.headers import laid_over
from include.perf.ports import Credentials
from include.perf.service import Service

TIMEOUT_S = 5.0
NOT_ALLOWED = (401, 403)


class HttpTarget:
    """Asks a service for its health over HTTP, as the load asks it: same headers, credentials and trust.

    Args:
        credentials: gives the secret headers of a service.
    """

    def __init__(self, *, credentials: Credentials = environment_credentials, timeout_s: float = TIMEOUT_S) -> None:
        self._credentials = credentials
        self._timeout_s = timeout_s
        self._session = requests.Session()
        self._session.trust_env = False  # straight to the service, by no proxy, as the load goes

    def check(self, service: Service) -> None:
        """Make sure that the service answers 200; redirects are not followed.

        Raises:
            TargetError: it does not; says what was asked and what came back.
            ConfigurationError: its credentials cannot be had.
        """
        url, answer = self._get(service, service.health_path)
        if answer.status_code != 200:
            raise TargetError(
                f"{service.name} is not healthy: GET {url} answered {answer.status_code}, 200 is needed"
                f"{_remedy(service, answer.status_code)}"
            )

    def json(self, service: Service, path: str) -> Any:
        """Return the JSON that the service answers at a path.

        Raises:
            TargetError: it is not reachable, or answers no JSON with status 200.
            ConfigurationError: its credentials cannot be had.
        """
        url, answer = self._get(service, path)
        if answer.status_code != 200:
            raise TargetError(f"GET {url} answered {answer.status_code}, 200 is needed")
        try:
            return answer.json()
        except ValueError as err:
            raise TargetError(f"GET {url} answered something that is no JSON") from err

    def _get(self, service: Service, path: str) -> tuple[str, requests.Response]:
        """Return the address that was asked and what it answered."""
        url = service.base_url + path
        headers = laid_over(service.headers, self._credentials(service))
        try:
            return url, self._session.get(
                url,
                headers=headers,
                timeout=(min(self._timeout_s, service.connect_timeout_s or self._timeout_s), self._timeout_s),
                allow_redirects=False,
                verify=service.verify_tls if service.ca_file is None else str(service.ca_file),
            )
        except requests.exceptions.SSLError as err:
            raise TargetError(
                f"{service.name} is not reachable: GET {url} failed in TLS ({_reason(err)}); set ca_file in "
                "services.yaml to the bundle that signs its certificate, or correct base_url"
            ) from err
        except requests.RequestException as err:
            raise TargetError(
                f"{service.name} is not reachable: GET {url} failed ({type(err).__name__}); start it, or correct "
                "base_url in services.yaml"
            ) from err


def _reason(err: requests.exceptions.SSLError) -> str:
    """Return what TLS itself said, out of the errors that wrap it."""
    cause: Any = err.args[0] if err.args else err
    return str(getattr(cause, "reason", cause))


def _remedy(service: Service, status: int) -> str:
    if status not in NOT_ALLOWED:
        return ""
    if service.connection is None:
        return "; name a connection with its credentials in services.yaml"
    return f"; correct the credentials in the connection {service.connection}"

"""A look at the service under test before load is sent."""

import requests

from include.perf.errors import TargetError
from include.perf.service import Service

TIMEOUT_S = 5.0


class HttpTarget:
    """Asks a service for its health over HTTP."""

    def __init__(self, *, timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._session = requests.Session()
        self._session.trust_env = False  # straight to the service, by no proxy, as the load goes

    def check(self, service: Service) -> None:
        """Make sure that the service answers 200; redirects are not followed.

        Raises:
            TargetError: it does not; says what was asked and what came back.
        """
        url = service.base_url + service.health_path
        try:
            answer = self._session.get(
                url,
                headers=dict(service.headers),
                timeout=self._timeout_s,
                allow_redirects=False,
                verify=service.verify_tls,
            )
        except requests.RequestException as err:
            raise TargetError(
                f"{service.name} is not reachable: GET {url} failed ({type(err).__name__}); start it, or correct "
                "base_url in services.yaml"
            ) from err
        if answer.status_code != 200:
            raise TargetError(f"{service.name} is not healthy: GET {url} answered {answer.status_code}, 200 is needed")

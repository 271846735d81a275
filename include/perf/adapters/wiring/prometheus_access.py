"""How a Prometheus is reached: its address, its credentials and its certificate.

The settings come from environment variables or from an Airflow Connection; the adapters are built here either way.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote, urlsplit

from include.perf.adapters.http.credentials import Secrets, optional_headers
from include.perf.adapters.metrics.prometheus_metrics import Prometheus
from include.perf.model.errors import ConfigurationError

if TYPE_CHECKING:
    from include.perf.adapters.metrics.prometheus_rules import PrometheusRules

AdapterT = TypeVar("AdapterT")

PROMETHEUS = "PROMETHEUS"
"""The prefix of the variables of the Prometheus that watches the services."""

PRODUCTION_PROMETHEUS = "PROMETHEUS_PRODUCTION"
"""The prefix of the variables of the Prometheus that watches production, if that is another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusAccess:
    """Access to one Prometheus.

    Attributes:
        set_in: the setting that holds the URL, as messages name it.
        headers: the headers that log in.
        ca_file: PEM bundle that its certificate is verified with.
    """

    url: str
    set_in: str
    headers: Mapping[str, str]
    verify_tls: bool = True
    ca_file: Path | None = None

    def metrics(self) -> Prometheus:
        """Return the adapter that queries metrics."""
        return self._adapter(Prometheus)

    def rules(self) -> "PrometheusRules":
        """Return the adapter that loads alert rules; importing it takes NumPy and SciPy."""
        from include.perf.adapters.metrics.prometheus_rules import PrometheusRules

        return self._adapter(PrometheusRules)

    def _adapter(self, adapter: Callable[..., AdapterT]) -> AdapterT:
        return adapter(
            self.url, set_in=self.set_in, headers=self.headers, verify_tls=self.verify_tls, ca_file=self.ca_file
        )


def prometheus_at(url: str, *, prefix: str = PROMETHEUS) -> PrometheusAccess:
    """Return the access to the Prometheus at a URL, which may contain a login.

    ``<prefix>_TOKEN`` may hold a token instead, and ``<prefix>_CA_FILE`` a bundle of certificates.

    Raises:
        ConfigurationError: both a login and a token are given, or the bundle does not exist.
    """
    parts, token = urlsplit(url), os.environ.get(f"{prefix}_TOKEN")
    if parts.username and token:
        raise ConfigurationError(f"{prefix}_URL has a login in it and {prefix}_TOKEN a token; leave one of them")
    secrets = Secrets(login=unquote(parts.username or ""), password=token or unquote(parts.password or ""))
    return PrometheusAccess(
        url=parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(),
        set_in=f"{prefix}_URL",
        headers=optional_headers(secrets, connection=f"{prefix}_URL"),
        ca_file=existing_ca_file(os.environ.get(f"{prefix}_CA_FILE"), set_in=f"{prefix}_CA_FILE"),
    )


def production_prometheus() -> Prometheus | None:
    """Return the Prometheus that ``PROMETHEUS_PRODUCTION_URL`` names; ``None`` if the variable is not set.

    Raises:
        ConfigurationError: as `prometheus_at`.
    """
    url = os.environ.get(f"{PRODUCTION_PROMETHEUS}_URL")
    return prometheus_at(url, prefix=PRODUCTION_PROMETHEUS).metrics() if url else None


def existing_ca_file(given: str | None, *, set_in: str) -> Path | None:
    """Return the path of a bundle of certificates; ``None`` if none is given.

    Args:
        set_in: the setting that holds the path, as messages name it.

    Raises:
        ConfigurationError: there is no such file.
    """
    if not given:
        return None
    if not Path(given).is_file():
        raise ConfigurationError(f"{set_in} must be a bundle of certificates (PEM), but there is no file {given}")
    return Path(given)

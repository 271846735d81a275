"""A service under test: where it is, what it answers, and how Prometheus knows it.

These models are the entries of ``services.yaml``. They are immutable and checked when built; unknown keys
are refused, so that a typing error is never a silent default.

What a service must never exceed, whatever its baseline says: what was promised to those who use it.

The ``hard_limits`` of an entry in ``services.yaml``, such as ``{latency_p95: 0.25, error_rate: 0.02}``, in base
units.
What is beyond one is critical as soon as it is sure, and no limit of an alert rule is beyond it.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from include.perf.catalogue.endpoint import Endpoint
from include.perf.catalogue.headers import problems_of_headers
from include.perf.catalogue.network import (
    PRIVATE_NETWORKS,
    Network,
    is_within,
    literal_of,
    network_of,
    problem_of_url,
    same_host,
    why_no_host,
)
from include.perf.catalogue.prometheus_target import ProductionReference, PrometheusTarget
from include.perf.model.metric import METRICS, Direction, Unit
from include.perf.model.yaml_entries import Entry, ExtraParts, Name

LIMITED = {name: metric for name, metric in METRICS.items() if metric.direction is Direction.LOWER_IS_BETTER}
"""The metrics that may have one. Throughput follows the rate of the load, which is the scenario's."""


def _check(limits: dict[str, float]) -> dict[str, float]:
    problems = [problem for name, limit in limits.items() if (problem := _problem_of(name, limit))]
    if problems:
        raise ValueError("; ".join(problems))
    return limits


def _problem_of(name: str, limit: float) -> str | None:
    if name not in LIMITED:
        return f"{name!r} has no hard limit; there are {', '.join(LIMITED)}"
    unit = LIMITED[name].unit
    if unit is Unit.RATIO and not 0 < limit < 1:
        return f"{name} must be a ratio between 0 and 1, but is {limit:g}"
    return None if 0 < limit < float("inf") else f"{name} must be above 0 ({unit.value}), but is {limit:g}"


HardLimits = Annotated[dict[str, float], AfterValidator(_check)]


AllowedNetwork = Annotated[Network, BeforeValidator(network_of)]

PRODUCTION = frozenset({"production", "prod", "prd", "live"})
"""An environment with one of these words in its name is production, whatever else is in it."""


class DeployVersion(Entry):
    """Where a service tells which version of it is deployed: at a path, or in a label of a metric.

    Attributes:
        path: answers 200 with JSON; ``field`` is the dotted path in it, such as ``build.version``.
        query: PromQL of exactly one series; ``label`` is the one with the version.
    """

    path: Annotated[str, Field(pattern=r"^/[^\s#]*$")] | None = None
    field: Annotated[str, Field(min_length=1)] = "version"
    query: Annotated[str, Field(min_length=1)] | None = None
    label: Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")] = "version"

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.path is None) == (self.query is None):
            raise ValueError("needs either path or query, to say where the version is told")
        return self


class Service(Entry):
    """A service of the platform.

    Attributes:
        environment: what it is part of; load on production is refused unless ``allow_production``.
        allow_production: load it although it is production, up to ``max_rate_rps``, while the market is closed.
        max_rate_rps: the peak rate of a load must not exceed it.
        base_url: scheme, host and port that the load goes to.
        allowed_hosts: the only hosts that load for this service may go to, by name.
        allowed_networks: where every address of its host must lie; by default this machine and private networks.
        health_path: answers 200 when the service can take load.
        verify_tls: refuse a certificate that cannot be verified.
        ca_file: PEM bundle that the service's certificate is verified with, instead of the machine's own;
            starts at the catalogue's folder, and is absolute once the catalogue is read.
        keep_alive: a connection serves one request after another; else each request opens its own.
        timeout_s: a request that takes longer is given up and counted as failed.
        connect_timeout_s: how much of that opening a connection, TLS included, may take; all of it by default.
        headers: sent with every request; nothing secret.
        connection: the Airflow Connection with the service's credentials.
        slack_channel: where its deviations are told; a channel ID (``C…``) so that charts can be sent.
        deploy_version: where it tells which version is deployed.
        hard_limits: by metric, what must never be exceeded whatever the baseline says; in base units.
        fingerprint: what else makes its runs comparable, such as ``{database: postgres 16}``.
        production: how Prometheus knows it in production, to compare its runs with; production is only read.
    """

    name: Name
    description: str = ""
    owner: str = "platform"
    environment: Name = "staging"
    allow_production: bool = False
    max_rate_rps: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    base_url: Annotated[str, Field(pattern=r"^https?://[^/?#@\s]+$")]
    allowed_hosts: Annotated[tuple[str, ...], Field(min_length=1)]
    allowed_networks: Annotated[tuple[AllowedNetwork, ...], Field(min_length=1)] = PRIVATE_NETWORKS
    health_path: Annotated[str, Field(pattern=r"^/\S*$")] = "/healthz"
    verify_tls: bool = True
    ca_file: Path | None = None
    keep_alive: bool = True
    timeout_s: Annotated[float, Field(gt=0, le=120)] = 10.0
    connect_timeout_s: Annotated[float, Field(gt=0, le=120)] | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    connection: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$", max_length=250)] | None = None
    slack_channel: Annotated[str, Field(min_length=1)] = "#performance"
    deploy_version: DeployVersion | None = None
    hard_limits: HardLimits = Field(default_factory=dict)
    fingerprint: ExtraParts = Field(default_factory=dict)
    prometheus: PrometheusTarget
    production: ProductionReference | None = None
    endpoints: Annotated[tuple[Endpoint, ...], Field(min_length=1)]

    @property
    def host(self) -> str:
        """The host that load goes to, lower case, without the port."""
        return urlsplit(self.base_url).hostname or ""

    @property
    def port(self) -> int:
        """The port that load goes to."""
        parts = urlsplit(self.base_url)
        return parts.port or (443 if parts.scheme == "https" else 80)

    @property
    def is_production(self) -> bool:
        """Whether it is part of production: ``live``, ``prod-eu``, ``eu_production2``."""
        words = re.split("[_-]", self.environment)
        return any(word.rstrip("0123456789") in PRODUCTION for word in words)

    @property
    def short_name(self) -> str:
        """The name without its ``-service`` suffix; both are accepted wherever a service is named."""
        return self.name.removesuffix("-service")

    @field_validator("base_url")
    @classmethod
    def _check_base_url(cls, base_url: str) -> str:
        problem = problem_of_url(base_url)
        if problem is not None:
            raise ValueError(problem)
        return base_url

    @field_validator("headers", mode="before")
    @classmethod
    def _check_headers(cls, headers: Any) -> Any:
        problems = problems_of_headers(headers, may_be_secret=False)
        if problems:
            raise ValueError("; ".join(problems))
        return headers

    @model_validator(mode="after")
    def _check(self) -> Self:
        problems = [*self._problems_of_host(), *self._problems_of_production()]
        if self.production is not None:
            problems += self.production.problems_beside(self.prometheus)
        if problems:
            raise ValueError("; ".join(problems))
        names = [endpoint.name for endpoint in self.endpoints]
        doubles = sorted({name for name in names if names.count(name) > 1})
        if doubles:
            raise ValueError(f"endpoint names must differ, but {', '.join(doubles)} occurs more than once")
        return self

    def _problems_of_host(self) -> Iterator[str]:
        host = f"the host {self.host!r} of base_url is"
        if same_host(self.host) not in map(same_host, self.allowed_hosts):
            yield f"{host} not in allowed_hosts {list(self.allowed_hosts)}; add it there if load may go to it"
        address = literal_of(self.host)
        if address is None:
            return
        if what := why_no_host(address):
            yield f"{host} {what}; name one machine"
        elif not any(is_within(address, network) for network in self.allowed_networks):
            networks = ", ".join(map(str, self.allowed_networks))
            yield f"{host} in none of allowed_networks ({networks}); add it there if load may go to it"

    def _problems_of_production(self) -> Iterator[str]:
        if not self.is_production:
            return
        load = f"load on environment {self.environment!r}"
        if not self.allow_production:
            yield f"{load} is refused; set allow_production: true and max_rate_rps if it is really meant"
        elif self.max_rate_rps is None:
            yield f"{load} needs a ceiling; set max_rate_rps to the highest rate that it can bear"

    @model_validator(mode="after")
    def _check_transport(self) -> Self:
        problems = [*self._problems_of_tls(), *self._problems_of_encoding()]
        if self.connect_timeout_s is not None and self.connect_timeout_s > self.timeout_s:
            problems.append(
                f"connect_timeout_s must not exceed timeout_s, {self.timeout_s:g}, but is {self.connect_timeout_s:g}"
            )
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _problems_of_tls(self) -> list[str]:
        if self.ca_file is None:
            return []
        if urlsplit(self.base_url).scheme != "https":
            return [f"ca_file is only for https, but base_url is {self.base_url}; remove it, or write ca_file: null"]
        return [] if self.verify_tls else ["ca_file has no effect with verify_tls: false; remove one of them"]

    def _problems_of_encoding(self) -> list[str]:
        """Answers are read as they come: one that is compressed cannot be looked into."""
        asks = any(name.lower() == "accept-encoding" and value != "identity" for name, value in self.headers.items())
        readers = [each.name for each in self.endpoints if each.expect is not None and each.expect.reads_body]
        if not (asks and readers):
            return []
        return [f"with the header Accept-Encoding no JSON can be expected of {', '.join(readers)}; remove one of them"]

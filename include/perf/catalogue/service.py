"""A service under test: its address, its endpoints, and its labels in Prometheus.

These models are the entries of ``services.yaml``. They are immutable and checked when they are built. Unknown keys are
refused, so that a typing error never results in a default value.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Discriminator, Field, Tag, ValidationInfo, field_validator, model_validator

from include.perf.catalogue.data_file import DataFiles
from include.perf.catalogue.endpoint import Endpoint
from include.perf.catalogue.hard_limits import HardLimit, HardLimits, limits_of
from include.perf.catalogue.headers import problems_of_allowed_headers, problems_of_headers
from include.perf.catalogue.journey import CLEAN_UP_S, Journey
from include.perf.catalogue.locustfile import Locustfile, short_form
from include.perf.catalogue.login import Login
from include.perf.catalogue.network import PRIVATE_NETWORKS, Network, network_of, problem_of_url, problems_of_target
from include.perf.catalogue.prometheus_target import LabelName, ProductionReference, PrometheusTarget
from include.perf.catalogue.request_path import EscapedOnce, SameTarget
from include.perf.catalogue.scenario.load_profile import MAX_RATE_RPS, MIN_RATE_RPS, LoadProfile
from include.perf.catalogue.signing import Signing, problems_of_signing
from include.perf.catalogue.template import placeholders_of, problems_of_template
from include.perf.model.validation import UNION_TAG
from include.perf.model.yaml_entries import Entry, ExtraParts, Name, matching

AllowedNetwork = Annotated[Network, BeforeValidator(network_of)]


def _kind_of_entry(given: object) -> str:
    has_steps = "steps" in given if isinstance(given, Mapping) else isinstance(given, Journey)
    return f"{UNION_TAG}journey" if has_steps else f"{UNION_TAG}endpoint"


EndpointOrJourney = Annotated[
    Annotated[Endpoint, Tag(f"{UNION_TAG}endpoint")] | Annotated[Journey, Tag(f"{UNION_TAG}journey")],
    Discriminator(_kind_of_entry),
]

WITHOUT_LOCUSTFILE = (
    *("endpoints", "data_files", "signing", "cookies", "keep_alive", "connect_timeout_s"),
    *("max_requests_per_connection", "max_connection_age_s", "idle_timeout_s"),
)
"""Settings of requests that Bellwether itself prepares and sends."""

ConnectionId = Annotated[
    str,
    Field(max_length=250),
    matching(r"[A-Za-z0-9_.-]+", "must be the ID of a Connection: letters, digits, . _ and -"),
]

MAX_DRAIN_S = 300.0
"""How long a load waits for journeys whose users think; those that take longer are abandoned."""

PRODUCTION = frozenset({"production", "prod", "prd", "live"})
"""An environment with one of these words in its name is production."""


def is_production(environment: str) -> bool:
    """Whether an environment is part of production: ``live``, ``prod-eu``, ``eu_production2``."""
    words = re.split("[_-]", environment.strip().lower())
    return any(word.rstrip("0123456789") in PRODUCTION for word in words)


class DeployVersion(Entry):
    """Where a service reports its deployed version: at a path, or in a label of a metric.

    Attributes:
        path: responds with status 200 and JSON; ``field`` is a dotted path in it, such as ``build.version``.
        query: PromQL with exactly one series as its result; ``label`` contains the version.
    """

    path: (
        Annotated[
            str,
            matching(r"/[^\s#]*", "must be a path that starts with /, without fragment or spaces"),
            SameTarget,
            EscapedOnce,
        ]
        | None
    ) = None
    field: Annotated[str, Field(min_length=1)] = "version"
    query: Annotated[str, Field(min_length=1)] | None = None
    label: LabelName = "version"

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.path is None) == (self.query is None):
            raise ValueError("needs either path or query, to define where the version is reported")
        return self


class Service(Entry):
    """A service of the platform.

    Attributes:
        environment: its environment; load on production is refused unless ``allow_production`` is set.
        allow_production: allow load on production, up to ``max_rate_rps``, while the market is closed.
        forbidden_ports: which ports of a production service's host are forbidden for all other services.
        max_rate_rps: maximum peak rate of a load, in requests; all tries of a journey count.
        worker_rps: requests per second that one load process holds with this service, as ``capacity`` measures it; by
            default that of the way in which it is called (`include.perf.catalogue.worker_rates`).
        base_url: scheme, host and port of the service.
        allowed_hosts: the only host names to which load for this service may go.
        allowed_networks: must contain all addresses of its host; by default this machine and private networks.
        health_path: responds with status 200 if the service is ready for load.
        verify_tls: whether to verify the certificate of the service.
        ca_file: PEM bundle to verify the certificate with, instead of the system's; relative to the catalogue's
            folder, and absolute once the catalogue is read.
        client_certificate: PEM file with a certificate and its private key, without a passphrase, by which the service
            recognises its clients; relative as ``ca_file``.
        keep_alive: whether a connection is reused; otherwise each request opens a new one.
        max_requests_per_connection, max_connection_age_s: after how many requests, or after how long, a connection is
            replaced; by default never.
        idle_timeout_s: after how long without a request a connection is replaced; by default when the service says so
            in ``Keep-Alive``.
        cookies: whether each virtual user of a load keeps the cookies that the service sets, and sends them.
        timeout_s: a request that takes longer is cancelled and counts as failed.
        connect_timeout_s: the part of it that opening a connection, including TLS, may take; by default all of it.
        allowed_headers: further names that may be in ``headers``, because no proxy redirects a request by them.
        headers: sent with every request; templates; they must not contain secrets.
        data_files: CSV files whose columns the templates may name, by the name that they use.
        connection: the Airflow Connection with the service's credentials.
        signing: how each request is signed, with the secret of the Connection.
        login: how its tokens are fetched with them; by default the credentials themselves are sent.
        slack_channel: the channel for its deviations; a channel ID (``C…``) is needed for charts.
        deploy_version: where the service reports its deployed version.
        hard_limits: limits by metric, in base units, that apply regardless of the baseline; see `limits`.
        fingerprint: further conditions for comparing runs, such as ``{database: postgres 16}``.
        production: its labels in Prometheus in production, to compare runs with it; production is only read.
        endpoints: what an arrival of a load may be: one request, or a journey of several; none with a locustfile.
        locustfile: the user's own Locust file, whose tasks are the load.
    """

    name: Name
    description: str = ""
    owner: str = "platform"
    environment: Name = "staging"
    allow_production: bool = False
    forbidden_ports: Literal["all", "own"] = "all"
    max_rate_rps: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    worker_rps: Annotated[float, Field(ge=MIN_RATE_RPS, le=MAX_RATE_RPS)] | None = None
    base_url: Annotated[
        str, matching(r"https?://[^/?#@\s]+", "must be a scheme, a host and a port, such as http://gateway:8000")
    ]
    allowed_hosts: Annotated[tuple[str, ...], Field(min_length=1)]
    allowed_networks: Annotated[tuple[AllowedNetwork, ...], Field(min_length=1)] = PRIVATE_NETWORKS
    health_path: Annotated[
        str, matching(r"/\S*", "must be a path that starts with /, without spaces"), SameTarget, EscapedOnce
    ] = "/healthz"
    verify_tls: bool = True
    ca_file: Path | None = None
    client_certificate: Path | None = None
    keep_alive: bool = True
    max_requests_per_connection: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    max_connection_age_s: Annotated[float, Field(ge=1, le=86_400)] | None = None
    idle_timeout_s: Annotated[float, Field(gt=0, le=3_600)] | None = None
    cookies: bool = False
    timeout_s: Annotated[float, Field(gt=0, le=120)] = 10.0
    connect_timeout_s: Annotated[float, Field(gt=0, le=120)] | None = None
    allowed_headers: tuple[str, ...] = ()
    headers: dict[str, str] = Field(default_factory=dict)
    data_files: DataFiles = Field(default_factory=dict)
    connection: ConnectionId | None = None
    signing: Signing | None = None
    login: Login | None = None
    slack_channel: Annotated[str, Field(min_length=1)] = "#performance"
    deploy_version: DeployVersion | None = None
    hard_limits: HardLimits = Field(default_factory=dict)
    fingerprint: ExtraParts = Field(default_factory=dict)
    prometheus: PrometheusTarget
    production: ProductionReference | None = None
    endpoints: tuple[EndpointOrJourney, ...] = ()
    locustfile: Annotated[Locustfile | None, BeforeValidator(short_form)] = None

    @property
    def requests(self) -> tuple[Endpoint, ...]:
        """All kinds of requests that a load sends: of the endpoints, and of the steps of journeys."""
        return tuple(request for endpoint in self.endpoints for request in endpoint.requests)

    @property
    def requests_per_arrival(self) -> float:
        """How many requests an arrival is expected to send, on average; 1 without journeys."""
        return self._mean({name: journey.request_count for name, journey in self.journeys.items()}, other=1.0)

    @property
    def most_requests_per_arrival(self) -> float:
        """How many requests an arrival sends at most, on average over the endpoints; 1 without journeys."""
        return self._mean({name: journey.most_requests for name, journey in self.journeys.items()}, other=1.0)

    @property
    def mean_pause_s(self) -> float:
        """For how long the user of an arrival thinks, on average; 0 without journeys."""
        return self._mean({name: journey.mean_pause_s for name, journey in self.journeys.items()}, other=0.0)

    def _mean(self, of_journeys: Mapping[str, float], *, other: float) -> float:
        weights = sum(endpoint.weight for endpoint in self.endpoints)
        if not weights:  # a locustfile, whose arrivals only its code knows
            return other
        return sum(endpoint.weight * of_journeys.get(endpoint.name, other) for endpoint in self.endpoints) / weights

    @property
    def longest_pause_s(self) -> float:
        """For how long a load waits, after its last arrival, for journeys whose users think; 0 without journeys."""
        pauses = [journey.longest_pause_s for journey in self.journeys.values()]
        return min(MAX_DRAIN_S, max(pauses, default=0.0))

    def longest_s(self, load: LoadProfile) -> float:
        """Return the maximum duration of a load, including the wait for the last answer and the clean-up."""
        cleans_up = any(journey.finally_steps for journey in self.journeys.values())
        return load.longest_s(self.timeout_s + self.longest_pause_s) + (CLEAN_UP_S if cleans_up else 0.0)

    @property
    def journeys(self) -> dict[str, Journey]:
        """The journeys by name."""
        return {endpoint.name: endpoint for endpoint in self.endpoints if isinstance(endpoint, Journey)}

    @property
    def url_setting(self) -> str:
        """The setting that names its host, for messages."""
        return "base_url"

    @property
    def host(self) -> str:
        """The host of the base URL in lower case, without the port."""
        return urlsplit(self.base_url).hostname or ""

    @property
    def port(self) -> int:
        """The port of the base URL."""
        parts = urlsplit(self.base_url)
        return parts.port or (443 if parts.scheme == "https" else 80)

    @property
    def ports(self) -> tuple[int, ...]:
        """The ports of its host that a load may connect to."""
        return (self.port, *(self.locustfile.ports if self.locustfile else ()))

    @property
    def is_production(self) -> bool:
        """Whether it is part of production: ``live``, ``prod-eu``, ``eu_production2``."""
        return is_production(self.environment)

    @property
    def limits(self) -> tuple[HardLimit, ...]:
        """Its hard limits and those of its endpoints, with the default limit on the error rate."""
        return tuple(limits_of(self.hard_limits, {request.name: request.hard_limits for request in self.requests}))

    @property
    def short_name(self) -> str:
        """The name without the ``-service`` suffix; both are accepted everywhere."""
        return self.name.removesuffix("-service")

    @field_validator("base_url")
    @classmethod
    def _check_base_url(cls, base_url: str) -> str:
        problem = problem_of_url(base_url)
        if problem is not None:
            raise ValueError(problem)
        return base_url

    @field_validator("allowed_headers")
    @classmethod
    def _check_allowed_headers(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if problems := problems_of_allowed_headers(names):
            raise ValueError("; ".join(problems))
        return names

    @field_validator("headers", mode="before")
    @classmethod
    def _check_headers(cls, headers: Any, others: ValidationInfo) -> Any:
        allowed = others.data.get("allowed_headers", ())
        problems = problems_of_headers(headers, may_be_secret=False, allowed=allowed)
        if problems:
            raise ValueError("; ".join(problems))
        return headers

    @model_validator(mode="after")
    def _check(self) -> Self:
        problems = [
            *self._problems_of_hosts(),
            *self._problems_of_production(),
            *self._problems_of_requests(),
            *self._problems_of_locustfile(),
        ]
        if self.login is not None:
            problems += self.login.problems(
                self.base_url,
                headers=[*self.headers, *(self.signing.header_names if self.signing else ())],
                allowed_headers=self.allowed_headers,
                has_secrets=self.connection is not None,
                is_signed=self.signing is not None,
            )
        if self.production is not None:
            problems += self.production.problems_with(self.prometheus)
        if problems:
            raise ValueError("; ".join(problems))
        names = [endpoint.name for endpoint in self.endpoints]
        doubles = sorted({name for name in names if names.count(name) > 1})
        if doubles:
            raise ValueError(f"endpoint names must differ, but {', '.join(doubles)} occurs more than once")
        return self

    def _problems_of_hosts(self) -> Iterator[str]:
        hosts = {"base_url": self.host}
        if self.login is not None:
            hosts["login.url"] = urlsplit(self.login.base_url(self.base_url)).hostname or ""
        for setting, host in hosts.items():
            yield from problems_of_target(
                host, setting=setting, allowed_hosts=self.allowed_hosts, allowed_networks=self.allowed_networks
            )

    def _problems_of_requests(self) -> Iterator[str]:
        for problem in problems_of_template(self.headers, files=self.data_files):
            yield f"headers: {problem}"
        for endpoint in self.endpoints:
            yield from endpoint.problems(files=self.data_files, allowed_headers=self.allowed_headers)
        yield from problems_of_signing(self.signing, self.requests, headers=self.headers, connection=self.connection)

    def _problems_of_locustfile(self) -> Iterator[str]:
        if self.locustfile is None:
            if not self.endpoints:
                yield "endpoints must have at least one endpoint; or set locustfile"
            return
        given = [
            name
            for name in WITHOUT_LOCUSTFILE
            if getattr(self, name) != type(self).model_fields[name].get_default(call_default_factory=True)
        ]
        if given:
            yield f"{', '.join(given)} has no effect on a locustfile, which sends its own requests; remove it"
        if placeholders := list(placeholders_of(self.headers)):
            yield f"headers: {placeholders[0]} cannot be filled in for a locustfile; write constant headers"

    def _problems_of_production(self) -> Iterator[str]:
        if not self.is_production:
            return
        load = f"load on environment {self.environment!r}"
        if not self.allow_production:
            yield f"{load} is refused; set allow_production: true and max_rate_rps if this is intended"
        elif self.max_rate_rps is None:
            yield f"{load} needs a maximum; set max_rate_rps to the highest rate that it can handle"

    @model_validator(mode="after")
    def _check_transport(self) -> Self:
        problems = [*self._problems_of_tls(), *self._problems_of_encoding()]
        reuse = ("max_requests_per_connection", "max_connection_age_s", "idle_timeout_s")
        useless = [name for name in reuse if not self.keep_alive and getattr(self, name) is not None]
        if useless:
            problems.append(f"{' and '.join(useless)} has no effect with keep_alive: false; remove one of them")
        if self.connect_timeout_s is not None and self.connect_timeout_s > self.timeout_s:
            problems.append(
                f"connect_timeout_s must not exceed timeout_s, {self.timeout_s:g}, but is {self.connect_timeout_s:g}"
            )
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _problems_of_tls(self) -> list[str]:
        files = [name for name in ("ca_file", "client_certificate") if getattr(self, name) is not None]
        urls = [self.base_url, *([self.login.url] if self.login else [])]
        if not any(url.startswith("https:") for url in urls):
            return [
                f"{name} is only for https, but base_url is {self.base_url}; remove it, or write {name}: null"
                for name in files
            ]
        if "ca_file" in files and not self.verify_tls:
            return ["ca_file has no effect with verify_tls: false; remove one of them"]
        return []

    def _problems_of_encoding(self) -> list[str]:
        """Responses are not decompressed, so the content of a compressed one cannot be checked."""
        asks = any(name.lower() == "accept-encoding" and value != "identity" for name, value in self.headers.items())
        readers = [request.name for request in self.requests if request.reads_body]
        if not (asks and readers):
            return []
        return [f"with the header Accept-Encoding, {', '.join(readers)} cannot expect JSON; remove one of them"]

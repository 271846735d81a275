"""What must hold before load goes out, and while it does. A guard that cannot tell refuses.

Load on production: only while the market is closed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from include.perf.catalogue.catalogue import Catalogue
from include.perf.catalogue.scenario.market_hours import MarketHours
from include.perf.catalogue.scenario.schedule import Deadline
from include.perf.catalogue.service import Service
from include.perf.guards.hosts import allowed_addresses
from include.perf.guards.load_limits import LoadLimits
from include.perf.guards.query_limits import inquiries_of
from include.perf.guards.watch import Condition, Inquiry, Watch, watching
from include.perf.load.generator import ProgressListener
from include.perf.load.wire import Resolver, Target
from include.perf.measure.metrics_source import MetricsSource
from include.perf.measure.scraping import is_scraped
from include.perf.model.errors import PrometheusError, RunError, RunSkipped
from include.perf.model.text import Clock, span, utc_time
from include.perf.runs.spec import RunSpec


def production_ends(service: Service, hours: MarketHours, now: datetime) -> datetime:
    """Return when all load on a service in production must be over: when the market opens next.

    Raises:
        RunSkipped: the market is open.
    """
    closes = hours.closes_at(now)
    if closes is not None:
        raise RunSkipped(
            f"{service.name} is {service.environment}, which is loaded only while the market is closed, and it is open "
            f"until {utc_time(closes)}; start the run after that"
        )
    return hours.market_opening(now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """Asks everything that may forbid a load, the cheapest first.

    Attributes:
        halted: says why no load may run at all, or ``None``.
    """

    catalogue: Catalogue
    metrics: MetricsSource
    target: Target
    resolve: Resolver
    halted: Condition
    clock: Clock

    def check_switch(self) -> None:
        """Make sure that load is not halted.

        Raises:
            RunSkipped: it is.
        """
        reason = self.halted()
        if reason is not None:
            raise RunSkipped(reason)

    def check_time(self, spec: RunSpec, *, at: datetime | None = None) -> None:
        """Make sure that load is wanted, and would be over in time.

        Args:
            at: when it would start, by default now.

        Raises:
            RunSkipped: it is halted, comes too late, or the market is in its way.
        """
        self.check_switch()
        now = at or self.clock()
        longest_s = self._longest_s(spec)
        for deadline in self._deadlines(spec, now):
            if now + timedelta(seconds=longest_s) > deadline.at:
                raise RunSkipped(
                    f"it is too late: {deadline.occasion}; the load takes {span(longest_s)}, must be over by "
                    f"{utc_time(deadline.at)}, and would start at {utc_time(now)}"
                )

    def addresses_of(self, service: Service) -> tuple[str, ...]:
        """Return where load for a service may go; each address is allowed.

        Raises:
            HostRefused: one is not.
        """
        return allowed_addresses(service, never=self.catalogue.forbidden_for(service), resolve=self.resolve)

    def check_market(self, service: Service) -> None:
        """Make sure that the market is closed, where the service is production.

        Raises:
            RunSkipped: it is open.
        """
        if service.is_production:
            production_ends(service, self.catalogue.market_hours, self.clock())

    def check_ready(self, service: Service, addresses: tuple[str, ...]) -> None:
        """Make sure that the service is healthy and that Prometheus watches it.

        Raises:
            RunError: one of both is not so.
        """
        self.target.check(service, addresses)
        try:
            scraped = is_scraped(service, self.metrics, at=self.clock())
        except PrometheusError as err:
            raise RunError(f"Prometheus cannot say whether it watches {service.name}: {err}") from err
        if not scraped:
            raise RunError(
                f"Prometheus does not scrape {service.name}: no target with {{{service.prometheus.selector}}} is up; "
                "add it to Prometheus, or correct prometheus.selector in services.yaml"
            )

    @contextmanager
    def watching(self, spec: RunSpec, listener: ProgressListener, *, lost: Condition = lambda: None) -> Iterator[Watch]:
        """Lend what looks on while the load runs: the clock, the switch and the scenario's limits.

        Args:
            lost: says why the load's claim on its target does not stand any more.
        """
        service = self.catalogue.service(spec.service)
        criteria = self.catalogue.scenario(spec.scenario).stop_when
        deadlines = self._deadlines(spec, self.clock())
        switch = Inquiry(self.halted, name="whether load is halted")
        with watching(
            listener,
            limits=LoadLimits(criteria),
            conditions=[lost, *(partial(_reached, each, self.clock) for each in deadlines)],
            inquiries=[switch, *inquiries_of(criteria, service, self.metrics, self.clock)],
        ) as watch:
            yield watch

    def _deadlines(self, spec: RunSpec, now: datetime) -> list[Deadline]:
        service = self.catalogue.service(spec.service)
        deadlines = []
        if spec.deadline is not None:
            deadlines.append(spec.deadline)
        if service.is_production:
            opening = production_ends(service, self.catalogue.market_hours, now)
            deadlines.append(Deadline(at=opening, occasion=f"the market opens, and {service.name} is production"))
        return deadlines

    def _longest_s(self, spec: RunSpec) -> float:
        return spec.load.longest_s(self.catalogue.service(spec.service).timeout_s)


def _reached(deadline: Deadline, clock: Clock) -> str | None:
    """Return why load must end now, or ``None`` while there is time."""
    if clock() < deadline.at:
        return None
    return f"{deadline.occasion}, and all load must be over by {utc_time(deadline.at)}"

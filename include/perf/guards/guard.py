"""Checks whether a load may start, and whether a running one may continue.

A check without a clear answer refuses the load. Production is loaded only while the market is closed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from include.perf.catalogue.login_site import login_site
from include.perf.catalogue.scenario.market_hours import MarketHours
from include.perf.catalogue.scenario.schedule import Deadline
from include.perf.catalogue.service import Service
from include.perf.guards.hosts import allowed_addresses, why_forbidden_now
from include.perf.guards.load_limits import LoadLimits
from include.perf.guards.query_limits import inquiries_of
from include.perf.guards.watch import Condition, Inquiry, Watch, watching
from include.perf.load.generator import ProgressListener
from include.perf.load.wire import Resolver, Target
from include.perf.measure.metrics_source import MetricsSource
from include.perf.measure.scraping import is_scraped
from include.perf.model.errors import PrometheusError, RunError, RunSkipped
from include.perf.model.text import Clock, span, utc_time
from include.perf.runs.planned_run import PlannedRun

FORBIDDEN_HOSTS_INTERVAL_S = 10.0
"""How often the names of forbidden hosts are resolved during a load."""


def production_ends(service: Service, hours: MarketHours, now: datetime) -> datetime:
    """Return when all load on a production service must be over: when the market opens next.

    Raises:
        RunSkipped: the market is open.
    """
    closes = hours.closes_at(now)
    if closes is not None:
        raise RunSkipped(
            f"{service.name} is {service.environment}, which is loaded only while the market is closed; the market is "
            f"open until {utc_time(closes)}, so start the run after that"
        )
    return hours.market_opening(now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """Runs every check that can refuse a load, the cheapest first.

    Attributes:
        halted: returns why all load is halted, or ``None``.
    """

    market_hours: MarketHours
    metrics: MetricsSource
    target: Target
    resolve: Resolver
    halted: Condition
    clock: Clock

    def check_halt(self) -> None:
        """Check that load is not halted.

        Raises:
            RunSkipped: load is halted.
        """
        reason = self.halted()
        if reason is not None:
            raise RunSkipped(reason)

    def check_time(self, run: PlannedRun, *, at: datetime | None = None) -> None:
        """Check that load is not halted, and that this load would be over in time.

        Args:
            at: when the load would start, by default now.

        Raises:
            RunSkipped: load is halted, the load would end too late, or the market of a production service is open.
        """
        self.check_halt()
        now = at or self.clock()
        for deadline in self._deadlines(run, now):
            if now + timedelta(seconds=run.longest_s) > deadline.at:
                raise RunSkipped(
                    f"it is too late: {deadline.occasion}; the load takes {span(run.longest_s)}, must be over by "
                    f"{utc_time(deadline.at)}, and would start at {utc_time(now)}"
                )

    def with_addresses(self, run: PlannedRun) -> PlannedRun:
        """Return the run with the addresses that its load goes to: the host is resolved once, and each address checked.

        The host of its login is checked the same way; each login resolves and checks it again.

        Raises:
            HostRefused: load to one of them is not allowed.
        """
        login = login_site(run.service)
        if login is not None:
            allowed_addresses(login, never=run.forbidden_hosts, resolve=self.resolve)
        addresses = allowed_addresses(run.service, never=run.forbidden_hosts, resolve=self.resolve)
        return replace(run, addresses=addresses)

    def check_market(self, service: Service) -> None:
        """Check that the market is closed if the service is production.

        Raises:
            RunSkipped: the market is open.
        """
        if service.is_production:
            production_ends(service, self.market_hours, self.clock())

    def check_ready(self, run: PlannedRun) -> None:
        """Check that the service is healthy at the run's addresses, and that Prometheus scrapes it.

        Raises:
            RunError: the service is not healthy, or not scraped.
        """
        service = run.service
        self.target.check(service, run.addresses)
        try:
            scraped = is_scraped(service, self.metrics, at=self.clock())
        except PrometheusError as err:
            raise RunError(f"cannot check whether Prometheus scrapes {service.name}: {err}") from err
        if not scraped:
            raise RunError(
                f"Prometheus does not scrape {service.name}: no target with {{{service.prometheus.selector}}} is up; "
                "add it to Prometheus, or correct prometheus.selector in services.yaml"
            )

    @contextmanager
    def watching(
        self, run: PlannedRun, listener: ProgressListener, *, lost: Condition = lambda: None
    ) -> Iterator[Watch]:
        """Watch deadlines, the halt, the forbidden hosts and the scenario's stop criteria while the load runs.

        Args:
            lost: returns why the reservation of the load was lost, or ``None``.
        """
        criteria = run.scenario.stop_when
        deadlines = self._deadlines(run, self.clock())
        halt = Inquiry(self.halted, name="the halt state")
        forbidden = self._inquiries_of_forbidden_hosts(run)
        with watching(
            listener,
            limits=LoadLimits(criteria),
            conditions=[lost, *(partial(_reached, deadline, self.clock) for deadline in deadlines)],
            inquiries=[halt, *forbidden, *inquiries_of(criteria, run.service, self.metrics, self.clock)],
        ) as watch:
            yield watch

    def _inquiries_of_forbidden_hosts(self, run: PlannedRun) -> list[Inquiry]:
        """Return what to poll about forbidden hosts: nothing if none is a name, because only names change."""
        if all(host.name is None for host in run.forbidden_hosts):
            return []
        ask = partial(why_forbidden_now, run.service, run.addresses, never=run.forbidden_hosts, resolve=self.resolve)
        return [Inquiry(ask, name="the addresses of the forbidden hosts", every_s=FORBIDDEN_HOSTS_INTERVAL_S)]

    def _deadlines(self, run: PlannedRun, now: datetime) -> list[Deadline]:
        service = run.service
        deadlines = []
        if run.spec.deadline is not None:
            deadlines.append(run.spec.deadline)
        if service.is_production:
            opening = production_ends(service, self.market_hours, now)
            deadlines.append(Deadline(at=opening, occasion=f"the market opens, and {service.name} is production"))
        return deadlines


def _reached(deadline: Deadline, clock: Clock) -> str | None:
    """Return why the load must end now, or ``None`` before the deadline."""
    if clock() < deadline.at:
        return None
    return f"{deadline.occasion}, and all load must be over by {utc_time(deadline.at)}"

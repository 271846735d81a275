"""The rules of this catalogue and these baselines: looked at, checked, and written."""

from dataclasses import dataclass

from include.perf.alert_rules.changes import Change
from include.perf.alert_rules.draft import Draft, draft
from include.perf.alert_rules.edges import HistogramEdges
from include.perf.alert_rules.limits import Limits
from include.perf.alert_rules.limits_file import format_limits
from include.perf.alert_rules.publishing import Publisher
from include.perf.alert_rules.rule_groups import RULES_FILE
from include.perf.catalogue import Catalogue
from include.perf.ports import BaselineStore, Clock, MetricsSource


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleWriter:
    """Makes rules out of what is there now.

    Attributes:
        metrics: tells where the buckets of a service's histogram end.
    """

    catalogue: Catalogue
    baselines: BaselineStore
    metrics: MetricsSource
    publisher: Publisher
    clock: Clock

    def in_force(self) -> Limits:
        """Return the limits as they are now.

        Raises:
            RulesError: they cannot be read.
        """
        return self.publisher.store.limits() or Limits()

    def draft(self, before: Limits) -> Draft:
        """Return the rules and the limits as they should be, given those in force.

        Raises:
            BaselineError: the baselines cannot be read.
        """
        edges = HistogramEdges(source=self.metrics, clock=self.clock, before=before.edges)
        return draft(self.baselines.read(), self.catalogue, edges=edges, now=self.clock())

    def is_current(self) -> bool:
        """Whether what is in place is what would be written.

        Raises:
            ConfigurationError: as `draft`, or the limits in force cannot be read.
        """
        drafted = self.draft(self.in_force())
        return self.publisher.store.read() == (drafted.rules, format_limits(drafted.limits))

    def check(self, drafted: Draft) -> None:
        """Let promtool read and test what would be written.

        Raises:
            RulesError: it is wrong, or nobody can tell.
        """
        self.publisher.checker.check(drafted.rules, drafted.tests, name=RULES_FILE)

    def write(self) -> tuple[Change, ...]:
        """Put the rules and the limits in place, and return which limits changed.

        Raises:
            RulesError: as `Publisher.publish`.
            BaselineError: the baselines cannot be read.
        """
        return self.publisher.publish(self.draft)

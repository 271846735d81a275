"""The rules of this catalogue and these baselines: looked at, checked, and written.

Rules and limits as they would be now, before anything is put in place.

Putting rules and limits in place: checked, tested, replaced at once, reloaded where wanted, and looked for.

What promtool or Prometheus refuses is never left behind: the files are then as they were. Rules that were not seen to
be loaded stay in place, for they are right; the error says what Prometheus lacks.

What the alert rules need of the outside world.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from include.perf.baselines.baselines import Baselines, BaselineStore
from include.perf.catalogue.catalogue import Catalogue
from include.perf.measure.metrics_source import MetricsSource
from include.perf.model.errors import PrometheusUnavailable, RulesError, RulesRefused
from include.perf.model.text import Clock
from include.perf.monitoring.derivation import Derived, Edges, HistogramEdges, derive
from include.perf.monitoring.names import NAMESPACE
from include.perf.monitoring.rule_changes import Change, changes_between
from include.perf.monitoring.rule_groups import DIGEST_RECORD, RULES_FILE, digest_of, rule_groups, rules_text
from include.perf.monitoring.rule_limits import RuleLimits, format_limits
from include.perf.monitoring.rule_tests import rule_tests


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What is to be put in place.

    Attributes:
        tests: of the rules, for promtool.
        digest: tells these rules from others once Prometheus has loaded them.
        left_out: a sentence for each cell and each metric without a limit.
    """

    limits: RuleLimits
    rules: bytes
    tests: bytes
    digest: str
    left_out: tuple[str, ...] = ()


def draft(baselines: Baselines, catalogue: Catalogue, *, edges: Edges, now: datetime) -> Draft:
    """Write the rules of a catalogue, the limits of its baselines, and the tests of both."""
    derived: Derived = derive(baselines, catalogue, edges=edges, now=now)
    groups = rule_groups(catalogue, now=now)
    return Draft(
        limits=derived.limits,
        rules=rules_text(groups),
        tests=rule_tests(RULES_FILE, derived.limits.cells, groups),
        digest=digest_of(groups),
        left_out=derived.left_out,
    )


class RuleChecker(Protocol):
    """Knows what rules must be like, and what they would do."""

    def check(self, rules: bytes, tests: bytes, *, name: str) -> None:
        """Read rules as Prometheus would, and run their unit tests, which name the rules by ``name``.

        Raises:
            RulesRefused: they are wrong, or a test fails; says where.
            RulesError: nobody could look.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedRule:
    """A rule that Prometheus evaluates.

    Attributes:
        error: why its last evaluation failed; empty when it did not.
    """

    name: str
    labels: Mapping[str, str]
    error: str = ""


class RuleServer(Protocol):
    """A Prometheus that loads rules."""

    def reload(self) -> None:
        """Let it read its configuration and all rules again.

        Raises:
            RulesRefused: it refused what it read, and goes on with what it had.
            RulesError: it does not do so when asked.
            PrometheusUnavailable: it does not answer.
        """

    def loaded(self) -> Sequence[LoadedRule]:
        """Return the rules that it has.

        Raises:
            PrometheusUnavailable: it does not answer.
        """


class RulesStore(Protocol):
    """The folder of the rules, which Prometheus reads, and of the limits in force."""

    @property
    def where(self) -> str:
        """The file that Prometheus is to read."""

    def locked(self) -> AbstractContextManager[None]:
        """Wait until nobody else changes it, and keep others from it."""

    def limits(self) -> RuleLimits | None:
        """Return the limits in force; ``None`` without any.

        Raises:
            RulesError: they cannot be read.
        """

    def read(self) -> tuple[bytes | None, bytes | None]:
        """Return the files of the rules and of the limits as they are; ``None`` for one that is not there."""

    def write(self, rules: bytes | None, limits: bytes | None) -> None:
        """Put files in the place of those that are there, each whole or not at all; ``None`` removes one.

        Raises:
            RulesError: they cannot be written.
        """


log = logging.getLogger(__name__)

LOADED_WITHIN_S = 30.0

LOOK_EVERY_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Publisher:
    """Puts drafts in place.

    Attributes:
        server: the Prometheus that is to load the rules; ``None`` where it is left to do so in its own time.
        wait: sleeps for so many seconds.
    """

    store: RulesStore
    checker: RuleChecker
    server: RuleServer | None
    wait: Callable[[float], None]

    def publish(self, make: Callable[[RuleLimits], Draft]) -> tuple[Change, ...]:
        """Put a draft in place and return which limits it changed.

        Args:
            make: makes the draft, knowing the limits that are in force; nobody changes them meanwhile.

        Raises:
            RulesRefused: the rules are wrong; all is as it was.
            RulesError: they cannot be checked or written, and all is as it was; or they are in place and were not
                loaded, as it then says.
        """
        with self.store.locked():
            before = self.store.limits() or RuleLimits()
            draft = make(before)
            self.checker.check(draft.rules, draft.tests, name=RULES_FILE)
            self._replace(draft)
        changes = changes_between(before, draft.limits)
        log.info("%s is in place, with %d changed limits", self.store.where, len(changes))
        return changes

    def _replace(self, draft: Draft) -> None:
        old_rules, old_limits = self.store.read()
        self.store.write(draft.rules, format_limits(draft.limits))
        if self.server is None:
            return
        try:
            self.server.reload()
        except RulesRefused:
            self.store.write(old_rules, old_limits)
            raise
        except PrometheusUnavailable as err:
            raise self._not_loaded(str(err)) from err
        self._await_loaded(self.server, draft.digest)

    def _await_loaded(self, server: RuleServer, digest: str) -> None:
        """Look until Prometheus has the rules, and whether it can evaluate them.

        Raises:
            RulesError: it has not, or it cannot.
        """
        for _ in self._looks():
            try:
                rules = server.loaded()
            except PrometheusUnavailable as err:
                raise self._not_loaded(str(err)) from err
            ours = [rule for rule in rules if rule.name == DIGEST_RECORD and rule.labels.get("digest") == digest]
            if ours:
                _warn_of_errors(rules)
                return
        raise self._not_loaded(
            f"after {LOADED_WITHIN_S:g} s it is not among its rules; name it in rule_files of Prometheus' configuration"
        )

    def _looks(self) -> Iterator[None]:
        for _ in range(round(LOADED_WITHIN_S / LOOK_EVERY_S)):
            yield
            self.wait(LOOK_EVERY_S)

    def _not_loaded(self, why: str) -> RulesError:
        return RulesError(f"{self.store.where} is checked and in place, but Prometheus was not seen to load it: {why}")


def _warn_of_errors(rules: Sequence[LoadedRule]) -> None:
    """Log which of our rules Prometheus could not evaluate the last time, as where two services share a selector."""
    errors = [f"{rule.name}: {rule.error}" for rule in rules if rule.error and NAMESPACE in rule.name.lower()]
    if errors:
        log.warning("Prometheus cannot evaluate %d of our rules: %s", len(errors), "; ".join(errors[:3]))


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

    def in_force(self) -> RuleLimits:
        """Return the limits as they are now.

        Raises:
            RulesError: they cannot be read.
        """
        return self.publisher.store.limits() or RuleLimits()

    def draft(self, before: RuleLimits) -> Draft:
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

"""Draft, check and publish the alert rules of a catalogue and the limits of its baselines.

`RuleWriter` drafts rules and limits from the current catalogue and baselines. `Publisher` checks and tests a draft,
replaces the files atomically, and has Prometheus load them. If promtool or Prometheus refuses the rules, the previous
files are restored. Rules that are valid but were not loaded stay in place; the error says what Prometheus lacks.

The ports of this room are here, too: `RuleChecker`, `RuleServer` and `RulesStore`.
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

log = logging.getLogger(__name__)

LOADED_WITHIN_S = 30.0
"""How long Prometheus may take to load new rules after a reload."""

LOOK_EVERY_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """Rules and limits before they are published.

    Attributes:
        tests: unit tests of the rules, for promtool.
        digest: identifies the version of the rules in Prometheus.
        left_out: a sentence for each cell and each metric without a limit.
    """

    limits: RuleLimits
    rules: bytes
    tests: bytes
    digest: str
    left_out: tuple[str, ...] = ()


def draft(
    baselines: Baselines, catalogue: Catalogue, *, edges: Edges, now: datetime, before: RuleLimits | None = None
) -> Draft:
    """Return the rules of a catalogue, the limits of its baselines, and the tests of both.

    Args:
        before: the limits in force.
    """
    derived: Derived = derive(baselines, catalogue, edges=edges, now=now, before=before)
    groups = rule_groups(catalogue, now=now)
    return Draft(
        limits=derived.limits,
        rules=rules_text(groups),
        tests=rule_tests(RULES_FILE, derived.limits.cells, groups),
        digest=digest_of(groups),
        left_out=derived.left_out,
    )


class RuleChecker(Protocol):
    """Checks and tests rules."""

    def check(self, rules: bytes, tests: bytes, *, name: str) -> None:
        """Check rules and run their unit tests.

        Args:
            name: file name of the rules, by which the tests refer to them.

        Raises:
            RulesRefused: the rules are invalid, or a test fails; the message says where.
            RulesError: the check could not be run.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedRule:
    """A rule that Prometheus evaluates.

    Attributes:
        error: why its last evaluation failed; empty after a successful one.
    """

    name: str
    labels: Mapping[str, str]
    error: str = ""


class RuleServer(Protocol):
    """A Prometheus that loads rules."""

    def reload(self) -> str | None:
        """Reload the configuration and all rules; return why Prometheus does not do so on request.

        Raises:
            RulesRefused: Prometheus refused the configuration and keeps the previous one.
            PrometheusUnavailable: Prometheus does not answer.
        """

    def loaded(self) -> Sequence[LoadedRule]:
        """Return the loaded rules.

        Raises:
            PrometheusUnavailable: Prometheus does not answer.
        """


class RulesStore(Protocol):
    """The folder with the rules, which Prometheus reads, and the limits in force."""

    @property
    def where(self) -> str:
        """Path of the rules file."""

    def locked(self) -> AbstractContextManager[None]:
        """Hold the lock for changes; wait for other writers."""

    def limits(self) -> RuleLimits | None:
        """Return the limits in force; ``None`` if there is no file yet.

        Raises:
            RulesError: the file cannot be read.
        """

    def read(self) -> tuple[bytes | None, bytes | None]:
        """Return the content of the rules file and of the limits file; ``None`` for a missing file."""

    def write(self, rules: bytes | None, limits: bytes | None) -> None:
        """Replace both files, each atomically; ``None`` removes a file.

        Raises:
            RulesError: a file cannot be written.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Publisher:
    """Publishes drafts.

    Attributes:
        server: the Prometheus to reload; ``None`` if it reloads on its own.
        wait: sleeps for a number of seconds.
    """

    store: RulesStore
    checker: RuleChecker
    server: RuleServer | None
    wait: Callable[[float], None]

    def publish(self, make: Callable[[RuleLimits], Draft]) -> tuple[Change, ...]:
        """Publish a draft, and return the limits that it changed.

        Args:
            make: returns the draft, given the limits in force, which are locked meanwhile.

        Raises:
            RulesRefused: the rules are invalid; the files are unchanged.
            RulesError: the rules cannot be checked or written, and the files are unchanged; or the rules are in place
                but were not loaded. The message says which.
        """
        with self.store.locked():
            before = self.store.limits() or RuleLimits()
            draft = make(before)
            self.checker.check(draft.rules, draft.tests, name=RULES_FILE)
            self._replace(draft)
        changes = changes_between(before, draft.limits)
        log.info("published %s with %d changed limits", self.store.where, len(changes))
        return changes

    def _replace(self, draft: Draft) -> None:
        old_rules, old_limits = self.store.read()
        self.store.write(draft.rules, format_limits(draft.limits))
        if self.server is None:
            return
        try:
            refused = self.server.reload()
        except RulesRefused:
            self.store.write(old_rules, old_limits)
            raise
        except PrometheusUnavailable as err:
            raise self._not_loaded(str(err)) from err
        self._await_loaded(self.server, draft.digest, refused=refused)

    def _await_loaded(self, server: RuleServer, digest: str, *, refused: str | None) -> None:
        """Wait until Prometheus has loaded the rules, and log rules that it cannot evaluate.

        Args:
            refused: why Prometheus did not reload on request; it may do so on its own.

        Raises:
            RulesError: Prometheus did not load the rules in time.
        """
        for _ in self._attempts():
            try:
                rules = server.loaded()
            except PrometheusUnavailable as err:
                raise self._not_loaded(str(err)) from err
            ours = [rule for rule in rules if rule.name == DIGEST_RECORD and rule.labels.get("digest") == digest]
            if ours:
                _warn_of_errors(rules)
                return
        if refused is not None:
            raise self._not_loaded(
                f"it does not reload on request ({refused}), and has not done so on its own within "
                f"{LOADED_WITHIN_S:g} s; send it SIGHUP when the file changes, as compose/prometheus/start.sh does, "
                "start it with --web.enable-lifecycle where only Bellwether reaches its port, or set reload_rules: "
                "false in scenarios.yaml and reload it by hand"
            )
        raise self._not_loaded(
            f"they are not loaded after {LOADED_WITHIN_S:g} s; add the file to rule_files in Prometheus' configuration"
        )

    def _attempts(self) -> Iterator[None]:
        for _ in range(round(LOADED_WITHIN_S / LOOK_EVERY_S)):
            yield
            self.wait(LOOK_EVERY_S)

    def _not_loaded(self, why: str) -> RulesError:
        return RulesError(
            f"the rules in {self.store.where} are valid and in place, but Prometheus did not load them: {why}"
        )


def _warn_of_errors(rules: Sequence[LoadedRule]) -> None:
    """Log the rules that Prometheus failed to evaluate, for example because two services share a selector."""
    errors = [f"{rule.name}: {rule.error}" for rule in rules if rule.error and NAMESPACE in rule.name.lower()]
    if errors:
        log.warning("Prometheus cannot evaluate %d of our rules: %s", len(errors), "; ".join(errors[:3]))


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleWriter:
    """Drafts and publishes rules from the current catalogue and baselines.

    Attributes:
        metrics: knows the bucket bounds of the services' histograms.
    """

    catalogue: Catalogue
    baselines: BaselineStore
    metrics: MetricsSource
    publisher: Publisher
    clock: Clock

    def in_force(self) -> RuleLimits:
        """Return the limits in force.

        Raises:
            RulesError: the limits cannot be read.
        """
        return self.publisher.store.limits() or RuleLimits()

    def draft(self, before: RuleLimits) -> Draft:
        """Return the current rules and limits, given the limits in force.

        Raises:
            BaselineError: the baselines cannot be read.
        """
        edges = HistogramEdges(source=self.metrics, clock=self.clock, before=before.edges)
        return draft(self.baselines.read(), self.catalogue, edges=edges, now=self.clock(), before=before)

    def is_current(self) -> bool:
        """Whether the published files are up to date.

        Raises:
            ConfigurationError: the baselines or the limits in force cannot be read.
        """
        drafted = self.draft(self.in_force())
        return self.publisher.store.read() == (drafted.rules, format_limits(drafted.limits))

    def check(self, drafted: Draft) -> None:
        """Check and test a draft with promtool.

        Raises:
            RulesError: the draft is invalid, or cannot be checked.
        """
        self.publisher.checker.check(drafted.rules, drafted.tests, name=RULES_FILE)

    def write(self) -> tuple[Change, ...]:
        """Publish the current rules and limits, and return the changed limits.

        Raises:
            RulesError: see `Publisher.publish`.
            BaselineError: the baselines cannot be read.
        """
        return self.publisher.publish(self.draft)

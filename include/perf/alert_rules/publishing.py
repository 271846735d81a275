"""Putting rules and limits in place: checked, tested, replaced at once, reloaded where wanted, and looked for.

What promtool or Prometheus refuses is never left behind: the files are then as they were. Rules that were not seen to
be loaded stay in place, for they are right; the error says what Prometheus lacks.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from include.perf.alert_rules.changes import Change, changes_between
from include.perf.alert_rules.draft import Draft
from include.perf.alert_rules.limits import Limits
from include.perf.alert_rules.limits_file import format_limits
from include.perf.alert_rules.ports import LoadedRule, RuleChecker, RuleServer, RulesStore
from include.perf.alert_rules.rule_groups import DIGEST_RECORD, RULES_FILE
from include.perf.errors import PrometheusUnavailable, RulesError, RulesRefused
from include.perf.exposition.names import NAMESPACE

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

    def publish(self, make: Callable[[Limits], Draft]) -> tuple[Change, ...]:
        """Put a draft in place and return which limits it changed.

        Args:
            make: makes the draft, knowing the limits that are in force; nobody changes them meanwhile.

        Raises:
            RulesRefused: the rules are wrong; all is as it was.
            RulesError: they cannot be checked or written, and all is as it was; or they are in place and were not
                loaded, as it then says.
        """
        with self.store.locked():
            before = self.store.limits() or Limits()
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

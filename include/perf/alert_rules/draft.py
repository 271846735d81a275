"""Rules and limits as they would be now, before anything is put in place."""

from dataclasses import dataclass
from datetime import datetime

from include.perf.alert_rules.derivation import Derived, Edges, derive
from include.perf.alert_rules.limits import Limits
from include.perf.alert_rules.rule_groups import RULES_FILE, digest_of, rule_groups, rules_text
from include.perf.alert_rules.rule_tests import rule_tests
from include.perf.baseline import Baselines
from include.perf.catalogue import Catalogue


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What is to be put in place.

    Attributes:
        tests: of the rules, for promtool.
        digest: tells these rules from others once Prometheus has loaded them.
        left_out: a sentence for each cell and each metric without a limit.
    """

    limits: Limits
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

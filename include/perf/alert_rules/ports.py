"""What the alert rules need of the outside world."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from include.perf.alert_rules.limits import Limits


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

    def limits(self) -> Limits | None:
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

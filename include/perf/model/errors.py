"""The errors that Bellwether raises on purpose.

Every message says what is wrong, with which value, by which rule, and what to do::

    BellwetherError
    ├── ConfigurationError     wrong use: catalogue, parameters, environment (exit code 2)
    │   ├── CatalogueError     services.yaml, scenarios.yaml or market_hours.yaml
    │   ├── DataError          a scenario's CSV
    │   ├── BaselineError      baselines.json, or a promotion that is not allowed
    │   └── RulesError         the alert rules for Prometheus cannot be written, checked or loaded
    │       └── RulesRefused   promtool or Prometheus says that they are wrong; those before stay
    ├── RunSkipped             the run is not to be done now; it becomes SKIPPED with this reason
    ├── RunError               this run cannot go on; it becomes INVALID with this reason (exit code 3)
    │   ├── TargetError        the service is not reachable or not healthy
    │   ├── HostRefused        load may not go to where the service's name leads
    │   └── LoadError          the load generator could not be started or left no record
    ├── PrometheusError        a figure could not be had from Prometheus
    │   ├── PrometheusUnavailable   down, slow or answering nonsense: worth a retry
    │   ├── QueryRejected           the query itself is wrong: a retry cannot help
    │   ├── PartialAnswer           something is missing in it, as Prometheus says itself
    │   └── NoData                  empty, NaN, or not exactly one series
    ├── StoreError             the results store cannot be read or written
    └── DeliveryError          a message could not be delivered; never changes a verdict
        └── DeliveryUnsure     it was sent, and may have arrived
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager


class BellwetherError(Exception):
    """Base of every error that Bellwether raises on purpose."""


class ConfigurationError(BellwetherError):
    """Wrong use; carries every problem found, not just the first.

    Attributes:
        problems: one sentence each, in the order found.
    """

    def __init__(self, problems: Sequence[str] | str) -> None:
        self.problems: tuple[str, ...] = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__(self._text())

    def _text(self) -> str:
        if len(self.problems) == 1:
            return self.problems[0]
        return f"{len(self.problems)} problems:\n" + "\n".join(f"  - {p}" for p in self.problems)


@contextmanager
def collected(problems: list[str]) -> Iterator[None]:
    """Add what is wrong in the block to ``problems`` and go on, so that everything is said at once."""
    try:
        yield
    except ConfigurationError as err:
        problems += err.problems


class CatalogueError(ConfigurationError):
    """An entry in services.yaml, scenarios.yaml or market_hours.yaml is wrong."""


class DataError(ConfigurationError):
    """A scenario's market data cannot be used."""


class BaselineError(ConfigurationError):
    """The baselines file is broken, or a promotion is not allowed."""


class RulesError(ConfigurationError):
    """The alert rules for Prometheus cannot be written, checked or loaded."""


class RulesRefused(RulesError):
    """The alert rules are wrong, as promtool or Prometheus says; those before stay in place."""


class RunSkipped(BellwetherError):
    """A run is not to be done now; its record says SKIPPED with this reason."""


class Occupied(BellwetherError):
    """A load has to wait for another one to end."""


class RunError(BellwetherError):
    """A run cannot go on; its record says INVALID with this reason."""


class TargetError(RunError):
    """The service under test is not reachable or not healthy."""


class HostRefused(RunError):
    """Load may not go to an address of the service's host, or nobody can tell whether it may."""


class LoadError(RunError):
    """The load generator could not be started or left no usable record."""


class PrometheusError(BellwetherError):
    """A figure could not be had from Prometheus."""


class PrometheusUnavailable(PrometheusError):
    """Prometheus is down, slow or answers nonsense; a retry may help."""


class QueryRejected(PrometheusError):
    """Prometheus refused the query; a retry cannot help."""


class PartialAnswer(PrometheusError):
    """Prometheus answered with a warning that something is missing; such a value looks normal and is not."""


class NoData(PrometheusError):
    """The answer was empty, NaN, or not exactly one series."""


class StoreError(BellwetherError):
    """The results store cannot be read or written."""


class DeliveryError(BellwetherError):
    """A message could not be delivered; the verdict stands all the same."""


class DeliveryUnsure(DeliveryError):
    """A message was sent, and nobody can tell whether it arrived; to send it again might double it."""

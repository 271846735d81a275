"""The errors that Bellwether raises on purpose.

Every message names the problem, the value, the rule and the remedy::

    BellwetherError
    ├── ConfigurationError     wrong catalogue, parameters or environment (exit code 2)
    │   ├── CatalogueError     services.yaml, scenarios.yaml or market_hours.yaml
    │   ├── DataError          a scenario's CSV
    │   ├── BaselineError      baselines.json, or a promotion that is not allowed
    │   └── RulesError         the alert rules for Prometheus cannot be written, checked or loaded
    │       └── RulesRefused   promtool or Prometheus rejected them; the previous rules stay active
    ├── RunSkipped             the run must not start now; it becomes SKIPPED with this reason
    ├── Occupied               a load has to wait for another one to end
    ├── RunError               the run cannot continue; it becomes INVALID with this reason (exit code 3)
    │   ├── TargetError        the service is not reachable or not healthy
    │   ├── HostRefused        load to an address of the service is not allowed
    │   └── LoadError          the load generator could not be started or left no record
    ├── PrometheusError        a figure could not be read from Prometheus
    │   ├── PrometheusUnavailable   down, slow or an unexpected response: a retry may help
    │   ├── QueryRejected           the query is wrong: a retry cannot help
    │   ├── PartialAnswer           Prometheus warned that the result is incomplete
    │   └── NoData                  the result is empty, NaN, or not exactly one series
    ├── StoreError             a store cannot be read or written now: a retry may help
    │   └── ItemError              one item of it cannot be used; the others can
    │       └── NoRecord           the run has no record, and there is no such run
    │           └── NotFinished    the run has no record yet
    └── DeliveryError          a message could not be delivered now; the verdict does not change
        ├── DeliveryUnknown    it was sent, but whether it arrived is unknown
        ├── DeliveryRefused    this message was refused; only a change of it or of its channel helps
        └── ThreadGone         the message to reply to, or to change, does not exist any more
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager


class BellwetherError(Exception):
    """Base of every error that Bellwether raises on purpose."""


class ConfigurationError(BellwetherError):
    """The configuration is wrong; carries every problem, not just the first.

    Attributes:
        problems: one sentence for each, in the order found.
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
    """Add the problems raised in the block to ``problems`` and continue, so that all are reported together."""
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
    """promtool or Prometheus rejected the alert rules; the previous ones stay active."""


class RunSkipped(BellwetherError):
    """A run must not start now; it is recorded as SKIPPED with this reason."""


class Occupied(BellwetherError):
    """A load has to wait for another one to end."""


class RunError(BellwetherError):
    """A run cannot continue; it is recorded as INVALID with this reason."""


class TargetError(RunError):
    """The service under test is not reachable or not healthy."""


class HostRefused(RunError):
    """Load to an address of the service's host is not allowed, or cannot be shown to be."""


class LoadError(RunError):
    """The load generator could not be started or left no usable record."""


class PrometheusError(BellwetherError):
    """A figure could not be read from Prometheus."""


class PrometheusUnavailable(PrometheusError):
    """Prometheus is down, slow or sent an unexpected response; a retry may help."""


class QueryRejected(PrometheusError):
    """Prometheus refused the query; a retry cannot help."""


class PartialAnswer(PrometheusError):
    """Prometheus warned that the result is incomplete; its value looks normal but is not."""


class NoData(PrometheusError):
    """The result was empty, NaN, or not exactly one series."""


class StoreError(BellwetherError):
    """A store cannot be read or written now, so nothing is known of what it holds; a retry may help."""


class ItemError(StoreError):
    """One item of a store cannot be used: it is unreadable, no regular file, too large, or damaged; the others can."""


class NoRecord(ItemError):
    """There is no such run, neither finished nor planned."""


class NotFinished(NoRecord):
    """The run was planned and has no record yet, or ended without one."""


class DeliveryError(BellwetherError):
    """A message could not be delivered now, whatever it says; the verdict does not change."""


class DeliveryUnknown(DeliveryError):
    """A message was sent, but whether it arrived is unknown; sending it again might post it twice."""


class DeliveryRefused(DeliveryError):
    """This message was refused: it did not arrive, and a later attempt fails too unless somebody changes something."""


class ThreadGone(DeliveryError):
    """The message to reply to, or to change, does not exist any more; nothing was sent."""

"""The alert rules as the environment variables say: where they are, and what checks and loads them.

A module of its own: what makes limits takes NumPy and SciPy, which few tasks need.
"""

import os
import time
from datetime import UTC, datetime

from include.perf.adapters.environment import baseline_file, prometheus_at, rules_folder, server_at
from include.perf.adapters.prometheus_rules import PrometheusRules
from include.perf.adapters.promtool import Promtool
from include.perf.adapters.rules_folder import SETTING, RulesFolder
from include.perf.alert_rules.ports import RuleServer
from include.perf.alert_rules.publishing import Publisher
from include.perf.alert_rules.writer import RuleWriter
from include.perf.catalogue import Catalogue, load_catalogue
from include.perf.ports import MetricsSource


def are_rules_wanted() -> bool:
    """Whether it is said where the rules go; only then tasks write them by themselves."""
    return bool(os.environ.get(SETTING))


def rule_writer(catalogue: Catalogue, metrics: MetricsSource, server: RuleServer | None) -> RuleWriter:
    """Return what writes the alert rules of a catalogue.

    Args:
        server: the Prometheus that is to load them, if any.
    """
    publisher = Publisher(store=RulesFolder(rules_folder()), checker=Promtool(), server=server, wait=time.sleep)
    return RuleWriter(
        catalogue=catalogue,
        baselines=baseline_file(),
        metrics=metrics,
        publisher=publisher,
        clock=lambda: datetime.now(UTC),
    )


def rule_writer_at(url: str, *, must_reload: bool | None) -> RuleWriter:
    """Return the same on the Prometheus at a URL, which loads the rules where that is wanted.

    Args:
        must_reload: ``None`` for what the catalogue says.

    Raises:
        ConfigurationError: as `prometheus_at`, or the catalogue is wrong.
    """
    catalogue = load_catalogue()
    if must_reload is None:
        must_reload = catalogue.operations.reload_rules
    return rule_writer(catalogue, prometheus_at(url), server_at(url, PrometheusRules) if must_reload else None)

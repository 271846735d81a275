"""The alert rules as the environment variables say: where they are, and what checks and loads them.

A module of its own: what makes limits takes NumPy and SciPy, which few tasks need.
"""

import os
import time
from datetime import UTC, datetime

from include.perf.adapters.files.rules_folder import SETTING, RulesFolder
from include.perf.adapters.metrics.prometheus_rules import PrometheusRules, Promtool
from include.perf.adapters.wiring.environment import prometheus_at, server_at
from include.perf.adapters.wiring.storage import Storage
from include.perf.catalogue.catalogue import Catalogue
from include.perf.catalogue.reading import load_catalogue
from include.perf.measure.metrics_source import MetricsSource
from include.perf.model.errors import ConfigurationError
from include.perf.monitoring.rule_writer import Publisher, RuleServer, RuleWriter


def are_rules_wanted() -> bool:
    """Whether it is said where the rules go; only then tasks write them by themselves."""
    return bool(os.environ.get(SETTING))


def rule_writer(
    catalogue: Catalogue, metrics: MetricsSource, server: RuleServer | None, *, storage: Storage
) -> RuleWriter:
    """Return what writes the alert rules of a catalogue.

    Args:
        server: the Prometheus that is to load them, if any.

    Raises:
        ConfigurationError: nothing says where the rules go.
    """
    folder = storage.rules_folder()
    if folder is None:
        raise ConfigurationError(
            f"{SETTING} must name the folder for the alert rules where the baselines are in an object store: "
            "Prometheus reads rules from files"
        )
    publisher = Publisher(store=RulesFolder(folder), checker=Promtool(), server=server, wait=time.sleep)
    return RuleWriter(
        catalogue=catalogue,
        baselines=storage.baselines(),
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
    server = server_at(url, PrometheusRules) if must_reload else None
    return rule_writer(catalogue, prometheus_at(url), server, storage=Storage())

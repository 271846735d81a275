"""The writer of the alert rules, as the environment variables configure it.

A module of its own, because deriving limits imports NumPy and SciPy, which few tasks need.
"""

import os
import time

from include.perf.adapters.files.rules_folder import SETTING, RulesFolder
from include.perf.adapters.metrics.prometheus_rules import Promtool
from include.perf.adapters.wiring.prometheus_access import PrometheusAccess
from include.perf.adapters.wiring.storage import Storage
from include.perf.catalogue.reading import load_catalogue
from include.perf.model.errors import ConfigurationError
from include.perf.model.text import utc_now
from include.perf.monitoring.rule_writer import Publisher, RuleWriter


def are_rules_wanted() -> bool:
    """Return whether ``BELLWETHER_RULES`` is set; otherwise tasks write no rules."""
    return bool(os.environ.get(SETTING))


def rule_writer(prometheus: PrometheusAccess, *, storage: Storage, must_reload: bool | None = None) -> RuleWriter:
    """Return the writer of the alert rules.

    Args:
        prometheus: queried for histogram buckets, and reloaded if ``must_reload``.
        must_reload: ``None`` for what the catalogue says (``reload_rules``).

    Raises:
        ConfigurationError: the catalogue is wrong, or no folder for the rules is configured.
    """
    catalogue, folder = load_catalogue(), storage.rules_folder()
    if must_reload is None:
        must_reload = catalogue.operations.reload_rules
    if folder is None:
        raise ConfigurationError(
            f"{SETTING} must name the folder for the alert rules where the baselines are in an object store: "
            "Prometheus reads rules from files"
        )
    publisher = Publisher(
        store=RulesFolder(folder),
        checker=Promtool(),
        server=prometheus.rules() if must_reload else None,
        wait=time.sleep,
    )
    return RuleWriter(
        catalogue=catalogue,
        baselines=storage.baselines(),
        metrics=prometheus.metrics(),
        publisher=publisher,
        clock=utc_now,
    )

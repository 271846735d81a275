"""The pages for people who come from other tools: their entries are valid."""

import re

import pytest
import yaml

from include.perf.catalogue.scenario.scenario import Scenario
from include.perf.catalogue.service import Service
from include.perf.model.yaml_entries import PROJECT_ROOT

PAGES = ("coming-from-locust.md", "coming-from-k6.md", "coming-from-jmeter.md", "locustfiles.md")
MODELS = {"services": Service, "scenarios": Scenario}


@pytest.mark.parametrize("page", PAGES)
def test_every_entry_of_a_page_is_valid(page: str) -> None:
    """A reader pastes it, and it works."""
    text = (PROJECT_ROOT / "docs" / page).read_text(encoding="utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)
    assert blocks
    for block in blocks:
        for kind, entries in yaml.safe_load(block).items():
            for name, entry in entries.items():
                assert MODELS[kind].model_validate({"name": name, **entry}).name == name

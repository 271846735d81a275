"""The pipeline as the environment names it: what importing it costs."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

HEAVY = ("numpy", "scipy", "pandas", "matplotlib")


@pytest.mark.parametrize("module", ["include.perf.pipeline", "include.perf.adapters.environment"])
def test_importing_it_is_cheap(module: str) -> None:
    """Every task of Airflow is a process that does so, and few of them compute anything."""
    code = f"import sys, {module}; print([name for name in {HEAVY} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"

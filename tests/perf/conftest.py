"""What most tests of the stages begin with."""

from pathlib import Path

import pytest

from tests.fakes.small_platform import Platform


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    """A pipeline on fakes: one service, one scenario of 40/s for 10 s after 5 s of warm-up."""
    return Platform(tmp_path)

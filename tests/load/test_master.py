"""The process of the master: what it allows strangers to take."""

import subprocess
import sys

import pytest

LIMIT = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[2])))
from include.load.master import limit_descriptors
limit_descriptors()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("given", "limited"),
    [(("256", "4096"), "4096 4096"), (("256", "20000"), "20000 20000")],
    ids=["as many as allowed", "as many as needed"],
)
def test_strangers_cannot_take_all_open_files(given: tuple[str, str], limited: str) -> None:
    """Every connection needs one, and so does the record of each worker."""
    done = subprocess.run([sys.executable, "-c", LIMIT, *given], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == limited

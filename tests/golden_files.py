"""Golden files: what a renderer gave when someone looked at it and found it right.

``BELLWETHER_UPDATE_GOLDEN=1 pytest`` writes them anew; look at the difference before you keep it.
"""

import os
from pathlib import Path

FOLDER = Path(__file__).parent / "golden"
UPDATES = os.environ.get("BELLWETHER_UPDATE_GOLDEN") == "1"


def assert_golden(name: str, text: str) -> None:
    """Compare text with the golden file of that name, or write the file where asked to."""
    path = FOLDER / name
    if UPDATES:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"{name} differs; BELLWETHER_UPDATE_GOLDEN=1 accepts it"

"""Golden files: what a renderer gave when someone looked at it and found it right.

``BELLWETHER_UPDATE_GOLDEN=1 pytest`` writes them anew; look at the difference before you keep it.
"""

import io
import os
from pathlib import Path

import numpy as np
from PIL import Image

FOLDER = Path(__file__).parent / "golden"
PICTURE_SIZE = (600, 338)
"""Golden pictures are kept at half size: that is enough to see what moved, and the files are small."""

NOTICEABLE = 40
"""Of 255; how far a pixel may differ."""

MOST_DIFFERING = 0.0005
"""Share of pixels that may differ by more: another version of a rasteriser moves edges, a label that moved is more."""

UPDATES = os.environ.get("BELLWETHER_UPDATE_GOLDEN") == "1"


def assert_golden(name: str, text: str) -> None:
    """Compare text with the golden file of that name, or write the file where asked to."""
    path = FOLDER / name
    if UPDATES:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"{name} differs; BELLWETHER_UPDATE_GOLDEN=1 accepts it"


def assert_golden_picture(name: str, png: bytes) -> None:
    """Compare a picture with the golden one of that name within a tolerance, or write it where asked to."""
    path = FOLDER / name
    with Image.open(io.BytesIO(png)) as picture:
        small = picture.convert("RGB").resize(PICTURE_SIZE, Image.Resampling.BOX)
    if UPDATES:
        path.parent.mkdir(parents=True, exist_ok=True)
        small.save(path, optimize=True)
    with Image.open(path) as golden:
        differing = share_differing(np.asarray(small), np.asarray(golden.convert("RGB")))
    assert differing <= MOST_DIFFERING, (
        f"{name} differs in {differing:.2%} of its pixels; look at it, then BELLWETHER_UPDATE_GOLDEN=1 accepts it"
    )


def share_differing(one: "np.ndarray", other: "np.ndarray") -> float:
    """Return the share of pixels that differ noticeably in a colour; all of them where the sizes differ."""
    if one.shape != other.shape:
        return 1.0
    return float((np.abs(one.astype(int) - other.astype(int)).max(axis=-1) > NOTICEABLE).mean())

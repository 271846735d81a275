"""Golden files: reviewed output of renderers.

``BELLWETHER_UPDATE_GOLDEN=1 pytest`` updates them; review the difference before you commit it.
"""

import io
import os
from pathlib import Path

import numpy as np
from PIL import Image

FOLDER = Path(__file__).parent / "golden"
PICTURE_SIZE = (600, 338)
"""Golden pictures have half the size: enough to see changes, and the files are small."""

NOTICEABLE = 40
"""Tolerated difference of a pixel, of 255."""

MOST_DIFFERING = 0.0005
"""Share of pixels that may differ more: enough for other versions of a rasteriser, less than a shifted label."""

UPDATES = os.environ.get("BELLWETHER_UPDATE_GOLDEN") == "1"


def assert_golden(name: str, text: str) -> None:
    """Compare text with the golden file of a name; update the file if requested."""
    path = FOLDER / name
    if UPDATES:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"{name} differs; BELLWETHER_UPDATE_GOLDEN=1 accepts it"


def assert_golden_picture(name: str, png: bytes) -> None:
    """Compare a picture with the golden one of a name within a tolerance; update the file if requested."""
    path = FOLDER / name
    with Image.open(io.BytesIO(png)) as picture:
        small = picture.convert("RGB").resize(PICTURE_SIZE, Image.Resampling.BOX)
    if UPDATES:
        path.parent.mkdir(parents=True, exist_ok=True)
        small.save(path, optimize=True)
    with Image.open(path) as golden:
        differing = share_differing(np.asarray(small), np.asarray(golden.convert("RGB")))
    assert differing <= MOST_DIFFERING, (
        f"{name} differs in {differing:.2%} of its pixels; review it; BELLWETHER_UPDATE_GOLDEN=1 accepts it"
    )


def share_differing(one: "np.ndarray", other: "np.ndarray") -> float:
    """Return the share of pixels that differ noticeably in a colour; 1 for different sizes."""
    if one.shape != other.shape:
        return 1.0
    return float((np.abs(one.astype(int) - other.astype(int)).max(axis=-1) > NOTICEABLE).mean())

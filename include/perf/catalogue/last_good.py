"""The last catalogue that could be used as a whole: it stands in while a file is broken.

Its files are kept as text. With them, DAGs stay as they were and pages go on; no new run is planned with it.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from pydantic import Field

from include.perf.catalogue.catalogue import SCENARIOS_FILE, SERVICES_FILE, Catalogue
from include.perf.catalogue.reading import read_catalogue
from include.perf.catalogue.scenario.market_hours import MARKET_HOURS_FILE
from include.perf.model.errors import CatalogueError
from include.perf.model.yaml_entries import MAX_BYTES, default_folder, text_of

STANDS_IN = "until then the last catalogue that could be read stands in: runs in flight go on, and no new load starts"


@dataclass(frozen=True, slots=True, kw_only=True)
class GoodFiles:
    """The files of a catalogue that can be used, by name; market hours only if the catalogue has its own."""

    files: Mapping[str, Annotated[str, Field(max_length=MAX_BYTES)]]


def good_files(folder: Path | None = None) -> GoodFiles:
    """Return the files of the current catalogue.

    Raises:
        CatalogueError: it cannot be used as a whole.
    """
    files = {}
    for name in (SERVICES_FILE, SCENARIOS_FILE, MARKET_HOURS_FILE):
        with suppress(OSError, ValueError):  # what is missing or damaged is found when the texts are read
            files[name] = text_of((folder or default_folder()) / name)
    read_catalogue(folder, texts=files)
    return GoodFiles(files=files)


def standing_in(good: GoodFiles, *, broken: CatalogueError, folder: Path | None = None) -> Catalogue | None:
    """Return the catalogue of kept files; ``None`` if this version of Bellwether cannot use them.

    Args:
        broken: why the current files cannot be used.
    """
    try:
        found = read_catalogue(folder, texts=good.files)
    except CatalogueError:
        return None
    return replace(found, broken=(*broken.problems, STANDS_IN))

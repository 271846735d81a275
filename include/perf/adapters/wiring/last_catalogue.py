"""Keeps the last usable catalogue beside the results, and reads it while a file of the catalogue is broken."""

import logging
from collections.abc import Callable

from include.perf.adapters.files.locked_file import Changed
from include.perf.adapters.wiring.storage import Storage
from include.perf.catalogue.catalogue import Catalogue
from include.perf.catalogue.last_good import GoodFiles, good_files, standing_in
from include.perf.catalogue.reading import read_catalogue
from include.perf.model.errors import CatalogueError, ConfigurationError, StoreError
from include.perf.model.json_files import from_json, to_json

log = logging.getLogger(__name__)


def usable_catalogue(storage: Callable[[], Storage]) -> Catalogue:
    """Return the current catalogue; while a file is broken, the last one that could be used, with `Catalogue.broken`.

    Nothing may be planned with the latter.

    Raises:
        CatalogueError: a file is broken, and no usable catalogue was kept.
    """
    try:
        return read_catalogue()
    except CatalogueError as err:
        found = _kept(storage)
        stand_in = standing_in(found, broken=err) if found else None
        if stand_in is None:
            raise
        return stand_in


def keep_catalogue(storage: Callable[[], Storage]) -> None:
    """Keep the current catalogue, if it can be used and differs from the one that is kept; a failure is only logged."""
    try:
        content = storage().last_catalogue()
        good = to_json(good_files())
        if content is not None and content.read() != good:
            content.update(lambda _: Changed(content=good, result=None))
    except (ConfigurationError, StoreError) as err:
        log.warning("the current catalogue is not kept for when a file is broken: %s", err)


def _kept(storage: Callable[[], Storage]) -> GoodFiles | None:
    try:
        content = storage().last_catalogue()
        text = None if content is None else content.read()
        return None if content is None or text is None else from_json(GoodFiles, text, where=content.where)
    except (ConfigurationError, StoreError) as err:
        log.warning("the last usable catalogue cannot be read: %s", err)
        return None

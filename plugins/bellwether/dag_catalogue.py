"""The catalogue for the DAG files: the current one, or the last usable one while a file is broken.

What finds the stores is imported only when it is needed, so that parsing a DAG file stays fast.
"""

from include.perf.catalogue.catalogue import Catalogue
from include.perf.catalogue.reading import read_catalogue
from include.perf.model.errors import CatalogueError


def dag_catalogue() -> Catalogue:
    """Return the catalogue whose DAGs exist.

    Raises:
        CatalogueError: a file is broken, and no usable catalogue was kept.
    """
    try:
        return read_catalogue()
    except CatalogueError:
        from bellwether.wiring import storage
        from include.perf.adapters.wiring.last_catalogue import usable_catalogue

        return usable_catalogue(storage)


def keep_current_catalogue() -> None:
    """Keep the current catalogue for when a file is broken."""
    from bellwether.wiring import storage
    from include.perf.adapters.wiring.last_catalogue import keep_catalogue

    keep_catalogue(storage)

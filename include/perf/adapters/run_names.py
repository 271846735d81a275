"""What every results store makes of names: those of services and scenarios found in it, and those that it gives."""

from collections.abc import Callable, Iterable, Iterator
from urllib.parse import quote

from include.perf.alert import CellName
from include.perf.ports import SUMMARIES_FOLDER


def safe_name(text: str) -> str:
    """Return a name for a folder: what no run id of Airflow's has is encoded, and none leads up or hides."""
    name = quote(text, safe=":+~")
    return f"%2E{name[1:]}" if name.startswith(".") else name


def cell_names(folders: Callable[[str], Iterable[str]]) -> Iterator[CellName]:
    """Return every service and scenario that there is a folder of, in alphabetical order.

    What begins with a dot is not of the store: locks lie there, and more. Names that are no text are none of ours.

    Args:
        folders: returns the names of the folders in a folder, which is named by its path in the store.
    """
    for service in sorted(set(_visible(folders(""))) - {SUMMARIES_FOLDER}):
        for scenario in sorted(_visible(folders(service))):
            yield CellName(service, scenario)


def _visible(names: Iterable[str]) -> list[str]:
    return [name for name in names if name.isprintable() and not name.startswith(".")]

"""Data files of a service: CSV files of the user's own, whose columns requests name."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from include.perf.model.yaml_entries import Entry

RowOrder = Literal["sequential", "random", "unique"]


class DataFile(Entry):
    """A CSV file with a header. Every request takes one row of it.

    Attributes:
        file: relative to the catalogue's folder, and absolute once the catalogue is read.
        rows: ``sequential``: one after another, and again from the first; ``random``: a random one, by the seed of the
            load; ``unique``: one after another, and none twice in one load.
    """

    file: Path
    rows: RowOrder = "sequential"


def _short_form(given: object) -> object:
    """Accept the path alone."""
    return {"file": given} if isinstance(given, (str, Path)) else given


FileName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]

DataFiles = dict[FileName, Annotated[DataFile, BeforeValidator(_short_form)]]

"""The JSON Schemas of the files that other tools read; ``make schemas`` writes them."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from include.perf import baseline_format
from include.perf.atomic import write_atomically

FOLDER = Path(__file__).parents[1]

SCHEMAS: Mapping[str, Callable[[], dict[str, Any]]] = {
    "baselines.schema.json": baseline_format.json_schema,
}
"""By the name of the file below ``include/``."""


def schema_text(name: str) -> bytes:
    """Return the content of a schema's file."""
    return (json.dumps(SCHEMAS[name](), indent=2, ensure_ascii=False) + "\n").encode()


def write_schemas(folder: Path = FOLDER) -> None:
    """Write every schema."""
    for name in SCHEMAS:
        write_atomically(folder / name, schema_text(name))


if __name__ == "__main__":
    write_schemas()

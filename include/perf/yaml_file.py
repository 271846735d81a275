"""The YAML files that people keep, of the catalogue and of the market's hours: where they lie and how they are read."""

import os
from pathlib import Path
from typing import Any

import yaml

from include.perf.errors import CatalogueError

SCHEMA_VERSION = 1


def default_folder() -> Path:
    """Return the catalogue's folder: ``BELLWETHER_CATALOGUE``, or the one in the repository."""
    return Path(os.environ.get("BELLWETHER_CATALOGUE") or Path(__file__).parent.parent)


def read_document(path: Path, *, holds: str, remedy: str) -> dict[str, Any]:
    """Read a file and take its ``schema_version`` out of it.

    Args:
        holds: what must be in it, for people.
        remedy: what to do where there is no such file.

    Raises:
        CatalogueError: it is not there, or no YAML mapping of the present version.
    """
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=StrictLoader)  # noqa: S506 - a safe loader
    except FileNotFoundError:
        raise CatalogueError(f"there is no {path}; {remedy}") from None
    except OSError as err:
        raise CatalogueError(f"cannot read {path}: {err.strerror}") from err
    except UnicodeDecodeError as err:
        raise CatalogueError(f"{path.name}: not UTF-8 text ({err.reason} at byte {err.start})") from err
    except (yaml.YAMLError, ValueError) as err:  # ValueError: a date such as 2026-02-30
        raise CatalogueError(f"{path.name}: not valid YAML: {' '.join(str(err).split())}") from err
    if not isinstance(document, dict):
        raise CatalogueError(f"{path.name}: must hold {holds}, but holds {document!r}")
    version = document.pop("schema_version", None)
    if version != SCHEMA_VERSION:
        raise CatalogueError(f"{path.name}: schema_version must be {SCHEMA_VERSION}, but is {version!r}")
    return document


class StrictLoader(yaml.SafeLoader):
    """A safe loader that refuses a key given twice, where YAML would silently keep the last.

    It looks before merge keys are resolved: a key that overrides a merged one is no double.
    """

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Refuse a key that occurs twice."""
        node = super().compose_mapping_node(anchor)
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                continue
            if (key.tag, key.value) in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} is given twice", key.start_mark)
            seen.add((key.tag, key.value))
        return node

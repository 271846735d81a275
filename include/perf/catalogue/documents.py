"""One YAML file of a catalogue: its top level, the defaults of its entries, and its entries one by one."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from include.perf.catalogue.catalogue import SCENARIOS_FILE, SERVICES_FILE
from include.perf.catalogue.forbidden_hosts import FORBIDDEN_KEY, ForbiddenHost, read_forbidden_hosts
from include.perf.catalogue.operations import Operations
from include.perf.model.errors import CatalogueError
from include.perf.model.validation import place_of, problem_of, rule_of
from include.perf.model.yaml_entries import Entry, read_document

SETTINGS = {"services": (FORBIDDEN_KEY,), "scenarios": tuple(Operations.model_fields)}
"""Further settings at the top level of each file, by the key of its entries."""

EntryT = TypeVar("EntryT", bound=Entry)


def document_of(path: Path, *, key: str, text: str | None = None) -> dict[str, Any]:
    """Read a YAML file of the catalogue and check its top level.

    Args:
        key: of its entries: ``services`` or ``scenarios``.
        text: the file, if it was read before.

    Raises:
        CatalogueError: the file cannot be used as a whole.
    """
    document = read_document(
        path,
        holds=f"schema_version and {key}",
        remedy="set BELLWETHER_CATALOGUE to the folder that holds it",
        text=text,
    )
    known = ("defaults", *SETTINGS[key])
    unknown = sorted(set(map(str, document)) - {*known, key})
    if unknown:
        raise CatalogueError(f"{path.name}: unknown key {', '.join(unknown)}; it may hold {', '.join(known)} and {key}")
    if not isinstance(document.get("defaults") or {}, dict):
        raise CatalogueError(f"{path.name}: defaults must be a mapping of settings, but is {document['defaults']!r}")
    if not isinstance(document.get(key), dict) or not document[key]:
        raise CatalogueError(f"{path.name}: {key} must name at least one entry, but is {document.get(key)!r}")
    return document


def operations_in(document: Mapping[str, Any]) -> Operations:
    """Return the settings of the pipeline itself.

    Raises:
        CatalogueError: one is wrong.
    """
    try:
        return Operations.model_validate({key: document[key] for key in Operations.model_fields if key in document})
    except ValidationError as err:
        raise CatalogueError([f"{SCENARIOS_FILE}: {problem_of(error)}" for error in err.errors()]) from err


def forbidden_in(document: Mapping[str, Any]) -> tuple[ForbiddenHost, ...]:
    """Return the hosts that no load may go to.

    Raises:
        CatalogueError: one is wrong.
    """
    try:
        return read_forbidden_hosts(document.get(FORBIDDEN_KEY))
    except CatalogueError as err:
        raise CatalogueError([f"{SERVICES_FILE}: {problem}" for problem in err.problems]) from err


def entry_in(
    document: Mapping[str, Any], name: str, values: Mapping[str, Any], *, file: str, model: type[EntryT]
) -> EntryT:
    """Return an entry of a file, with the file's defaults.

    Raises:
        CatalogueError: its settings are wrong; with one sentence for each.
    """
    try:
        return model.model_validate(with_defaults(document, values) | {"name": name})
    except ValidationError as err:
        defaults = document.get("defaults") or {}
        raise CatalogueError(
            [
                _sentence(file, _origin(name, error["loc"], values, defaults), error, values)
                for error in err.errors()
                if not _is_echo(error)
            ]
        ) from err


def with_defaults(document: Mapping[str, Any], given: object) -> dict[str, Any]:
    """Return the settings of an entry with the defaults of its file."""
    return _merge(document.get("defaults") or {}, given if isinstance(given, Mapping) else {})


def _merge(defaults: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Merge ``values`` into ``defaults``: mappings in both are merged, all other values are replaced."""
    merged = dict(defaults)
    for key, value in dict(values).items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _is_echo(error: Mapping[str, Any]) -> bool:
    """Whether an error only repeats that a list is empty after its entries were refused."""
    return error["type"] == "too_short" and len(error["input"]) > 0


def _origin(name: str, path: Sequence[Any], values: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
    """Return where a setting was written: in the entry, or in the defaults, which are then named once."""
    return "defaults" if _has(defaults, path) and not _has(values, path) else name


def _has(settings: Any, path: Sequence[Any]) -> bool:
    """Return whether settings have a value at a path."""
    for step in path:
        try:
            settings = settings[step]
        except (LookupError, TypeError):
            return False
    return bool(path)


def _sentence(file: str, name: str, error: Mapping[str, Any], values: Mapping[str, Any]) -> str:
    """Return an error of pydantic as a sentence with file, entry, rule and value."""
    colon = ":" if error["type"] == "value_error" else ""
    return f"{file}: {name}{place_of(error, within=values)}{colon} {rule_of(error)}"

"""A user's own locustfile, whose tasks are the load of a service instead of endpoints.

Nothing here executes it: its source is parsed, and only a load process imports it.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator

from include.perf.model.yaml_entries import Entry, matching

MAX_SOURCE_BYTES = 1_000_000

ClassName = Annotated[
    str, Field(max_length=100), matching(r"[A-Za-z_][A-Za-z0-9_]*", "must be the name of a class in the locustfile")
]
Tag = Annotated[str, Field(min_length=1, max_length=100)]

_SHORT = re.compile(r"(?P<file>.+\.py)(:(?P<names>[^:/]+))?")


class Locustfile(Entry):
    """A locustfile, and what of it is run.

    Attributes:
        file: relative to the catalogue's folder, and absolute once the catalogue is read. Everything in its own folder
            goes with it to the load processes.
        user_classes: the classes whose tasks are run; by default all that are not abstract.
        tags, exclude_tags: Locust's own: only tasks with, or without, one of them are run.
        ports: further ports of the service's host that it may connect to, such as one for gRPC.
    """

    file: Path
    user_classes: tuple[ClassName, ...] = ()
    tags: tuple[Tag, ...] = ()
    exclude_tags: tuple[Tag, ...] = ()
    ports: tuple[Annotated[int, Field(ge=1, le=65535)], ...] = ()

    @field_validator("file")
    @classmethod
    def _check_file(cls, file: Path) -> Path:
        if file.suffix != ".py":
            raise ValueError(f"must be a Python file, such as locustfiles/gateway.py, but is {str(file)!r}")
        if not file.is_absolute() and (len(file.parts) < 2 or ".." in file.parts):
            raise ValueError(
                f"must be in a folder of its own below the catalogue's, such as locustfiles/gateway.py, because "
                f"everything in its folder goes with it, but is {str(file)!r}"
            )
        return file


def short_form(given: Any) -> Any:
    """Accept the path alone, or with classes: ``locustfiles/gateway.py:GatewayUser``."""
    found = _SHORT.fullmatch(given) if isinstance(given, str) else None
    if found is None:
        return given if not isinstance(given, str) else {"file": given}
    names = found["names"]
    return {"file": found["file"], **({"user_classes": [name.strip() for name in names.split(",")]} if names else {})}


def problems_of_locustfile(locustfile: Locustfile, *, folder: Path) -> Iterator[str]:
    """Yield why a locustfile cannot be used.

    Args:
        folder: of the catalogue.
    """
    path = locustfile.file
    try:
        if not path.is_file():
            yield f"there is no file {path}; put the locustfile there"
            return
        home = path.resolve()
        if not home.is_relative_to(folder.resolve()) or home.parent == folder.resolve():
            yield f"{path} is not in a folder of its own below the catalogue's, {folder}; put it there, not a link"
            return
        module = parsed(path)
    except OSError as err:
        yield f"cannot read {path}: {err.strerror}"
    except ValueError as err:
        yield f"{path}: {err}"
    else:
        yield from _problems_of_classes(locustfile, module)


def parsed(path: Path) -> ast.Module:
    """Parse a Python file without executing it.

    Raises:
        OSError: it cannot be read.
        ValueError: it is too large, or no Python.
    """
    with path.open("rb") as file:
        source = file.read(MAX_SOURCE_BYTES + 1)
    if len(source) > MAX_SOURCE_BYTES:
        raise ValueError(f"it must have at most {MAX_SOURCE_BYTES:,} bytes")
    try:
        return ast.parse(source, filename=str(path))
    except SyntaxError as err:
        raise ValueError(f"it is not valid Python: {err.msg} (line {err.lineno})") from err
    except (ValueError, RecursionError, MemoryError) as err:
        raise ValueError("it is not valid Python, or nested too deeply") from err


def classes_in(module: ast.Module) -> Mapping[str, ast.ClassDef]:
    """Return the classes at the top level of a module."""
    return {node.name: node for node in module.body if isinstance(node, ast.ClassDef)}


def has_fast_clients(path: Path) -> bool:
    """Whether the users of a locustfile have Locust's fast HTTP client, as far as its source shows; never raises."""
    try:
        bases = [base for found in classes_in(parsed(path)).values() for base in found.bases]
    except (OSError, ValueError):
        return False
    names = {base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "") for base in bases}
    return "FastHttpUser" in names and "HttpUser" not in names


def imported_names(module: ast.Module) -> set[str]:
    """Return the names that a module imports, without parsing what it imports; ``*`` for all of another module."""
    found: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            found |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    return found


def _problems_of_classes(locustfile: Locustfile, module: ast.Module) -> Iterator[str]:
    classes, imported = classes_in(module), imported_names(module)
    if not classes and not imported:
        yield f"{locustfile.file} has no class, and imports none; it needs a User class of Locust"
    for name in locustfile.user_classes:
        if name not in classes and name not in imported and "*" not in imported:
            known = ", ".join(classes) or "none"
            yield f"{locustfile.file} has no class {name}; its classes: {known}"

"""Public names are unambiguous: one class per name, and no module with the name of a library."""

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("include", "plugins", "dags", "demo")
REQUIREMENTS = ("requirements.in", "requirements-dev.in")

AMBIGUOUS_MODULES = {
    "demo/platform": "the reference platform; always imported as demo.platform",
    "include/perf/adapters/http": "a room of adapters, next to files, s3 and metrics",
    "include/perf/model/numbers": "always imported by its full path",
    "plugins/bellwether/web/site": "always imported by its full path",
}
"""Modules that have the name of a library nevertheless, with the reason. Remove those that no longer exist."""


def sources(*folders: str) -> list[Path]:
    """Return the Python files of some folders."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def public_classes(path: Path) -> Iterator[str]:
    """Yield the names of the public classes of a module."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield node.name


def direct_dependencies() -> set[str]:
    """Return the names of the distributions in requirements.in and requirements-dev.in, in normal form."""
    lines = [line for file in REQUIREMENTS for line in (ROOT / file).read_text(encoding="utf-8").splitlines()]
    names = [re.match(r"[A-Za-z0-9._-]+", line) for line in lines if not line.startswith(("#", "-"))]
    return {_normal(name[0]) for name in names if name}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imported_names() -> set[str]:
    """Return the top-level modules that our sources import."""
    found: set[str] = set()
    for path in sources(*FOLDERS):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found


def taken_names() -> frozenset[str]:
    """Return the top-level modules of the standard library and of the libraries that we depend on."""
    direct, imported = direct_dependencies(), imported_names()
    libraries = {
        name
        for name, owners in packages_distributions().items()
        if name in imported or direct & {_normal(owner) for owner in owners}
    }
    return frozenset(libraries) | sys.stdlib_module_names


def test_public_class_names_are_unique() -> None:
    """A class name leads to one class, wherever it is read."""
    places = defaultdict(list)
    for path in sources(*FOLDERS):
        for name in public_classes(path):
            places[name].append(str(path.relative_to(ROOT)))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_no_module_is_named_like_a_library() -> None:
    """An import names one module only; exceptions have a reason, and disappear with their module."""
    modules = {path.parent if path.name == "__init__.py" else path.with_suffix("") for path in sources(*FOLDERS)}
    modules |= {path.with_suffix("") for path in sources("benchmarks")}
    taken = taken_names()
    assert {"requests", "locust", "pandas", "fastapi"} & taken == {"requests", "locust", "pandas", "fastapi"}
    found = {str(module.relative_to(ROOT)) for module in modules if module.name in taken}
    assert found == set(AMBIGUOUS_MODULES)

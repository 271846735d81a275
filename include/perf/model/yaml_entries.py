"""The YAML files that people edit: the base class of their entries, and how a file is found and read."""

import errno
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from include.perf.model.errors import CatalogueError, ItemError
from include.perf.model.file_reader import regular_file

PROJECT_ROOT = Path(__file__).parents[3]
PROJECT_FOLDER = PROJECT_ROOT / "include"
"""The folder of the project's own catalogue and data."""

SCHEMA_VERSION = 1

MAX_BYTES = 4_000_000

RESTORE = "correct it, or restore the file from version control"

MAX_NODES = 400_000
"""Limit for the values of a document with its aliases expanded; a catalogue of 200 services has about 20,000."""

MAX_DIGITS = 40

OWN_PARTS = (
    *("load", "limits", "data", "data files", "endpoints", "generator", "environment", "headers", "signing"),
    *("figures of", "locustfile"),
)
"""Names of fingerprint parts that are reserved for Bellwether; see `include.perf.pipeline.planning.fingerprint`."""


class Entry(BaseModel):
    """Base of every catalogue entry: immutable, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


def _without_own_parts(parts: dict[str, str]) -> dict[str, str]:
    taken = [name for name in parts if name in OWN_PARTS]
    if taken:
        raise ValueError(f"{', '.join(taken)} is a part of every fingerprint already; give it another name")
    return parts


def matching(pattern: str, rule: str) -> AfterValidator:
    """Return a validator for text that must match a pattern; its error contains the rule instead of the pattern."""
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if compiled.fullmatch(text) is None:
            raise ValueError(f"{rule}, but is {text!r}")
        return text

    return AfterValidator(check)


Name = Annotated[
    str,
    Field(max_length=63),
    matching(
        r"[a-z][a-z0-9]*([_-][a-z0-9]+)*",
        "must have lower-case letters, digits and single - or _ in between, and start with a letter",
    ),
]
PartName = Annotated[
    str,
    Field(max_length=40),
    matching(r"[a-z][a-z0-9_ -]*", "must have lower-case letters, digits, spaces, - and _, and start with a letter"),
]
PartText = Annotated[str, Field(min_length=1, max_length=100)]
ExtraParts = Annotated[dict[PartName, PartText], AfterValidator(_without_own_parts)]


def chosen_by_key(given: object, kinds: Mapping[str, type[Entry]], *, needs: str, or_else: str = "") -> object:
    """Parse an entry as the kind whose key it has, so that errors refer to that kind only.

    Args:
        given: the entry; ``None`` and parsed entries are returned unchanged.
        kinds: the possible kinds, by the key that identifies each.
        needs: the keys with an example each, for the error about an entry without any of them.
        or_else: an alternative, for the same error.

    Raises:
        ValueError: it has several of the keys, or none; pydantic's own if the entry is invalid.
    """
    if given is None or isinstance(given, tuple(kinds.values())):
        return given
    keys = [key for key in kinds if isinstance(given, Mapping) and key in given]
    if len(keys) > 1:
        raise ValueError(f"holds both {' and '.join(keys)}; remove one of them")
    if not keys:
        raise ValueError("; ".join(filter(None, (f"needs {needs}, but is {given!r}", or_else))))
    return kinds[keys[0]].model_validate(given)


def default_folder() -> Path:
    """Return the catalogue's folder: ``BELLWETHER_CATALOGUE``, or the one in the repository."""
    return Path(os.environ.get("BELLWETHER_CATALOGUE") or PROJECT_FOLDER)


def read_document(path: Path, *, holds: str, remedy: str, text: str | None = None) -> dict[str, Any]:
    """Read a YAML file; ``schema_version`` is checked and removed.

    Args:
        holds: what the file must contain, for the error message.
        remedy: what to do if there is no such file, for the error message.
        text: the content, if it was read before; ``path`` only names it then.

    Raises:
        CatalogueError: the file does not exist, or is not a YAML mapping of the supported version.
    """
    try:
        document = yaml.load(text_of(path) if text is None else text, Loader=StrictLoader)  # noqa: S506 - a safe loader
    except FileNotFoundError:
        raise CatalogueError(f"there is no {path}; {remedy}") from None
    except OSError as err:
        raise CatalogueError(f"cannot read {path}: {err.strerror}") from err
    except UnicodeDecodeError as err:
        raise CatalogueError(f"{path.name}: not UTF-8 text ({err.reason} at byte {err.start})") from err
    except RecursionError:
        raise CatalogueError(f"{path.name}: not valid YAML: it is nested too deeply") from None
    except (yaml.YAMLError, ValueError) as err:  # ValueError: a date such as 2026-02-30
        raise CatalogueError(f"{path.name}: not valid YAML: {_problem_of(err)}; {RESTORE}") from err
    if not isinstance(document, dict):
        raise CatalogueError(f"{path.name}: must hold {holds}, but holds {document!r}")
    version = document.pop("schema_version", None)
    if version != SCHEMA_VERSION:
        raise CatalogueError(f"{path.name}: schema_version must be {SCHEMA_VERSION}, but is {version!r}; {RESTORE}")
    return document


def text_of(path: Path) -> str:
    """Return the text of a file of the catalogue.

    Raises:
        OSError: it cannot be read.
        ValueError: it is too large, or not UTF-8 text.
    """
    try:
        with regular_file(path, what=str(path)) as file:
            size = os.fstat(file.fileno()).st_size
            content = file.read(MAX_BYTES + 1)
    except ItemError as err:
        raise OSError(errno.EINVAL, "it is no regular file", str(path)) from err
    if max(size, len(content)) > MAX_BYTES:
        raise ValueError(f"it must have at most {MAX_BYTES:,} bytes, but has {max(size, len(content)):,}")
    return content.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")


def _problem_of(err: Exception) -> str:
    """Return the problem with its place; PyYAML itself names the place ``in "<unicode string>"``."""
    if not isinstance(err, yaml.MarkedYAMLError):
        return " ".join(str(err).split())
    words = ": ".join(filter(None, (err.context, err.problem)))
    mark = err.problem_mark or err.context_mark
    return f"{words} (line {mark.line + 1}, column {mark.column + 1})" if mark else words


class StrictLoader(yaml.SafeLoader):
    """A safe loader that refuses duplicate keys, of which YAML would silently keep the last.

    It checks before merge keys are resolved: a key that overrides a merged one is not a duplicate. It also refuses
    what would take very long to parse: deeply nested aliases, an alias inside itself, and integers of many digits.
    """

    def get_single_node(self) -> Any:
        """Refuse a document that is too large with its aliases expanded."""
        node = super().get_single_node()
        if node is not None:
            _size_of(node, {})
        return node

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """Refuse an integer of many digits: parsing time grows with the square of its length."""
        if len(node.value) > MAX_DIGITS:
            raise yaml.constructor.ConstructorError(
                None, None, f"an integer may have at most {MAX_DIGITS} digits", node.start_mark
            )
        return super().construct_yaml_int(node)

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


StrictLoader.add_constructor("tag:yaml.org,2002:int", StrictLoader.construct_yaml_int)


def _size_of(node: yaml.Node, sizes: dict[yaml.Node, int]) -> int:
    """Return the number of nodes in a tree; a node counts as often as it is used.

    Raises:
        ComposerError: there are too many, or a node contains itself.
    """
    if node in sizes:
        return sizes[node]
    sizes[node] = MAX_NODES + 1  # an alias of this node inside itself then exceeds the limit
    match node:
        case yaml.MappingNode():
            parts = [part for pair in node.value for part in pair]
        case yaml.SequenceNode():
            parts = node.value
        case _:
            parts = []
    sizes[node] = size = 1 + sum(_size_of(part, sizes) for part in parts)
    if size > MAX_NODES:
        raise yaml.composer.ComposerError(
            None,
            None,
            f"with its aliases expanded it has more than {MAX_NODES:,} values, or contains itself",
            node.start_mark,
        )
    return size

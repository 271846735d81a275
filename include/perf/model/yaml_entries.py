"""What every entry of the YAML files has in common, and what is said of one that is wrong.

The YAML files that people keep, of the catalogue and of the market's hours: where they lie and how they are read.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from include.perf.model.errors import CatalogueError


class Entry(BaseModel):
    """Base of every catalogue entry: immutable, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


def chosen_by_key(given: object, kinds: Mapping[str, type[Entry]], *, needs: str, or_else: str = "") -> object:
    """Read an entry as the one of two kinds whose key it has, so that what is wrong with it is said of that alone.

    Args:
        given: ``None`` and entries are returned as they are.
        kinds: by the key that tells them.
        needs: both keys with an example each, for an entry that has none of them.
        or_else: what else may be done about that.

    Raises:
        ValueError: it has both keys, or none; pydantic's own where it is wrong in itself.
    """
    if given is None or isinstance(given, tuple(kinds.values())):
        return given
    keys = [key for key in kinds if isinstance(given, Mapping) and key in given]
    if len(keys) > 1:
        raise ValueError(f"holds both {' and '.join(keys)}; remove one of them")
    if not keys:
        raise ValueError("; ".join(filter(None, (f"needs {needs}, but is {given!r}", or_else))))
    return kinds[keys[0]].model_validate(given)


def problem_of(error: Mapping[str, Any]) -> str:
    """Turn one of pydantic's errors into: setting, rule, value; without the setting where it is about several."""
    return ": ".join(filter(None, (place_of(error).lstrip("."), rule_of(error))))


def place_of(error: Mapping[str, Any]) -> str:
    """Return where in an entry one of pydantic's errors is: ``.load.profile[1].at_s``."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error["loc"])


def rule_of(error: Mapping[str, Any]) -> str:
    """Return which rule one of pydantic's errors is about, and the value."""
    match error["type"]:
        case "missing":
            return "is missing; every entry needs it"
        case "extra_forbidden":
            return "is not a known setting; correct its name or remove it"
        case "value_error":
            return str(error["ctx"]["error"])
        case _:
            rule = re.sub(r"^(Input|String|Tuple) should", "should", str(error["msg"]))
            rule = rule.replace("a valid tuple", "a valid list").replace(" after validation, not 0", "")
            return f"{rule}, but is {error['input']!r}"


PROJECT_ROOT = Path(__file__).parents[3]
PROJECT_FOLDER = PROJECT_ROOT / "include"
"""Where the project's own catalogue lies, with its data."""

SCHEMA_VERSION = 1

MAX_BYTES = 4_000_000

MAX_NODES = 400_000
"""Of a document with its aliases put in: the catalogue of 200 services takes some 20,000."""

MAX_DIGITS = 40


def default_folder() -> Path:
    """Return the catalogue's folder: ``BELLWETHER_CATALOGUE``, or the one in the repository."""
    return Path(os.environ.get("BELLWETHER_CATALOGUE") or PROJECT_FOLDER)


def read_document(path: Path, *, holds: str, remedy: str) -> dict[str, Any]:
    """Read a file and take its ``schema_version`` out of it.

    Args:
        holds: what must be in it, for people.
        remedy: what to do where there is no such file.

    Raises:
        CatalogueError: it is not there, or no YAML mapping of the present version.
    """
    try:
        document = yaml.load(_text_of(path), Loader=StrictLoader)  # noqa: S506 - a safe loader
    except FileNotFoundError:
        raise CatalogueError(f"there is no {path}; {remedy}") from None
    except OSError as err:
        raise CatalogueError(f"cannot read {path}: {err.strerror}") from err
    except UnicodeDecodeError as err:
        raise CatalogueError(f"{path.name}: not UTF-8 text ({err.reason} at byte {err.start})") from err
    except RecursionError:
        raise CatalogueError(f"{path.name}: not valid YAML: it is nested too deeply") from None
    except (yaml.YAMLError, ValueError) as err:  # ValueError: a date such as 2026-02-30
        raise CatalogueError(f"{path.name}: not valid YAML: {' '.join(str(err).split())}") from err
    if not isinstance(document, dict):
        raise CatalogueError(f"{path.name}: must hold {holds}, but holds {document!r}")
    version = document.pop("schema_version", None)
    if version != SCHEMA_VERSION:
        raise CatalogueError(f"{path.name}: schema_version must be {SCHEMA_VERSION}, but is {version!r}")
    return document


def _text_of(path: Path) -> str:
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise ValueError(f"it must have at most {MAX_BYTES:,} bytes, but has {size:,}")
    return path.read_text(encoding="utf-8")


class StrictLoader(yaml.SafeLoader):
    """A safe loader that refuses a key given twice, where YAML would silently keep the last.

    It looks before merge keys are resolved: a key that overrides a merged one is no double. Also refused is what a few
    lines would make endless work of: aliases of aliases, an alias of itself, and numbers that nobody writes.
    """

    def get_single_node(self) -> Any:
        """Refuse a document that is too large once its aliases are put in."""
        node = super().get_single_node()
        if node is not None:
            _size_of(node, {})
        return node

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """Refuse an integer of many digits: to read one takes the square of its length."""
        if len(node.value) > MAX_DIGITS:
            raise yaml.constructor.ConstructorError(
                None, None, f"an integer may have {MAX_DIGITS} digits", node.start_mark
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
    """Return how many nodes a node stands for, each as often as it is used.

    Raises:
        ComposerError: too many, or it is within itself.
    """
    if node in sizes:
        return sizes[node]
    sizes[node] = MAX_NODES + 1  # whoever meets it again from within never ends
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
            None, None, f"with its aliases put in it has more than {MAX_NODES:,} values, or has no end", node.start_mark
        )
    return size


Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*([_-][a-z0-9]+)*$", max_length=63)]

OWN_PARTS = ("load", "limits", "data", "endpoints", "generator", "environment", "headers", "figures of")
"""The parts of a fingerprint that are Bellwether's own, see `include.perf.pipeline.planning.fingerprint`."""

PartName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_ -]*$", max_length=40)]

PartText = Annotated[str, Field(min_length=1, max_length=100)]


def _not_our_own(parts: dict[str, str]) -> dict[str, str]:
    taken = [name for name in parts if name in OWN_PARTS]
    if taken:
        raise ValueError(f"{', '.join(taken)} is a part of every fingerprint already; give it another name")
    return parts


ExtraParts = Annotated[dict[PartName, PartText], AfterValidator(_not_our_own)]

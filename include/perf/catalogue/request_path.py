"""Paths of requests: which are allowed, so that no proxy takes them for those of another host."""

import re
from typing import Annotated
from urllib.parse import unquote

from pydantic import AfterValidator

from include.perf.catalogue.template import Placeholder, parts_of
from include.perf.model.yaml_entries import matching

MAX_ENCODINGS = 4
"""How often a path is decoded until nothing changes; proxies decode once, badly chained ones a few times."""

_DOT_SEGMENT = re.compile(r"/\.{1,2}(;[^/]*)?(/|$)")
_UNRESOLVED = re.compile(r"\{[^/]*\}|<[^/]*>|\[[^/]*\]|(?<=/):[A-Za-z_]\w*(?=[/.(]|$)")
"""What stands for a value in the paths of OpenAPI, Express, Flask and others; a path has none of these brackets."""
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


def same_target(path: str) -> str:
    """Check that a path, as a proxy may normalise it, is still that path of the same host.

    A proxy may decode it, read ``\\`` as ``/``, and remove dot segments; ``//host/x`` is then a path of another host
    (RFC 3986, 4.2 and 6.2.2).

    Raises:
        ValueError: it starts with two slashes, has a dot segment or a control character, or is encoded too often.
    """
    plain = path.partition("?")[0]
    for _ in range(MAX_ENCODINGS):
        decoded = unquote(plain, errors="surrogateescape")
        if decoded == plain:
            break
        plain = decoded
    else:
        raise ValueError(f"must be percent-encoded once, but {path!r} is encoded again and again")
    plain = plain.replace("\\", "/")
    if plain.startswith("//"):
        raise ValueError(f"must start with a single /, but {path!r} names another host")
    if _DOT_SEGMENT.search(plain):
        raise ValueError(f"must have no . or .. between slashes, but is {path!r}; write the path that is meant")
    if any(ord(letter) < 0x20 or ord(letter) == 0x7F for letter in plain):
        raise ValueError(f"must have no control characters, but is {path!r}")
    return path


def escaped_once(path: str) -> str:
    """Check that every ``%`` of a path begins an escape, because paths are sent as they are written.

    Raises:
        ValueError: one does not.
    """
    if _BROKEN_ESCAPE.search(path):
        raise _broken_escape(path)
    return path


def _broken_escape(path: str) -> ValueError:
    return ValueError(f"must have two hexadecimal digits after each %, but is {path!r}; write %25 for a % sign")


def _resolved(path: str) -> str:
    """Check the literal parts of a path template: nothing in it stands for a value that nobody fills in."""
    literal = "".join("0" if isinstance(part, Placeholder) else part for part in parts_of(path))
    if found := _UNRESOLVED.search(literal):
        raise ValueError(
            f"must say where {found[0]} comes from, but is {path!r}; write a "
            "placeholder, such as ${random_int(1, 9)} or ${accounts.id} of a data file"
        )
    if re.search(r"[?#\s]", literal):
        raise ValueError(f"must be a path without query, fragment or spaces, but is {path!r}")
    if _BROKEN_ESCAPE.search("".join("/" if isinstance(part, Placeholder) else part for part in parts_of(path))):
        raise _broken_escape(path)
    return path


SameTarget = AfterValidator(same_target)
EscapedOnce = AfterValidator(escaped_once)

PathTemplate = Annotated[
    str,
    matching(r"/.*", "must be a path that starts with /"),
    SameTarget,
    AfterValidator(_resolved),
]
"""The path of an endpoint: a template."""

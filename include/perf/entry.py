"""What every entry of the YAML files has in common, and what is said of one that is wrong."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict


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

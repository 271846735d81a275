"""Turns the errors of pydantic into words for people: which setting, which rule, which value."""

import re
from collections.abc import Mapping
from typing import Any

UNION_TAG = "<"
"""How the tags of unions start: they are part of pydantic's places, but not of the document."""

_PLAIN_NAME = re.compile(r"[\w-]{1,63}", re.ASCII)


def problem_of(error: Mapping[str, Any]) -> str:
    """Return the place, the rule and the value of an error; no place if the rule spans several settings."""
    return ": ".join(filter(None, (place_of(error).lstrip("."), rule_of(error))))


def place_of(error: Mapping[str, Any], *, within: Any = None) -> str:
    """Return where in a document an error is: ``.load.profile[1].at_s``, or ``.endpoints[2] (orders).path``.

    Args:
        within: the document; the items of its lists are shown with their names.
    """
    steps = []
    for step in error["loc"]:
        if isinstance(step, str) and step.startswith(UNION_TAG):
            continue
        try:
            within = within[step]
        except (LookupError, TypeError):
            within = None
        name = within.get("name") if isinstance(within, Mapping) else None
        shown = f" ({name})" if isinstance(name, str) and _PLAIN_NAME.fullmatch(name) else ""
        steps.append(f"[{step}]{shown}" if isinstance(step, int) else f".{step}")
    return "".join(steps)


def rule_of(error: Mapping[str, Any]) -> str:
    """Return the rule that was broken, and the value."""
    match error["type"]:
        case "missing":
            return "is missing; every entry needs it"
        case "extra_forbidden":
            return "is not a known setting; correct its name or remove it"
        case "value_error":
            return str(error["ctx"]["error"])
        case "model_type" | "dataclass_type":  # the text of pydantic names a Python class
            return f"should be a mapping of settings, but is {error['input']!r}"
        case _:
            rule = re.sub(r"^(Input|String|Tuple) should", "should", str(error["msg"]))
            rule = rule.replace("a valid tuple", "a valid list").replace(" after validation, not 0", "")
            return f"{rule}, but is {error['input']!r}"

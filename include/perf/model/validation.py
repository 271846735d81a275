"""Turns the errors of pydantic into words for people: which setting, which rule, which value."""

import re
from collections.abc import Mapping
from typing import Any


def problem_of(error: Mapping[str, Any]) -> str:
    """Return the place, the rule and the value of an error; no place if the rule spans several settings."""
    return ": ".join(filter(None, (place_of(error).lstrip("."), rule_of(error))))


def place_of(error: Mapping[str, Any]) -> str:
    """Return where in a document an error is: ``.load.profile[1].at_s``."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error["loc"])


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

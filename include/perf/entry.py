"""What every entry of the YAML files has in common, and what is said of one that is wrong."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict


class Entry(BaseModel):
    """Base of every catalogue entry: immutable, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


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

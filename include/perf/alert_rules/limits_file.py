"""The file of the limits in force, ``limits.json`` in the folder of the rules."""

import json
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from include.perf.alert_rules.limits import Limits
from include.perf.errors import RulesError

LIMITS_FILE = "limits.json"
SCHEMA_VERSION = 1
VERSION_KEY = "schema_version"

_LIMITS: TypeAdapter[Limits] = TypeAdapter(Limits)


def read_limits(path: Path) -> Limits | None:
    """Return the limits in a file; ``None`` when it is not there yet.

    Raises:
        RulesError: it cannot be read, or is not what it should be.
    """
    remedy = "remove it, and write it anew: python -m include.perf rules write"
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as err:
        raise RulesError(f"cannot read {path}: {err.strerror}; check BELLWETHER_RULES") from err
    except ValueError as err:
        raise RulesError(f"{path} is not valid JSON ({err}); {remedy}") from err
    version = document.pop(VERSION_KEY, None) if isinstance(document, dict) else None
    if version != SCHEMA_VERSION:
        raise RulesError(f"{path} must have {VERSION_KEY} {SCHEMA_VERSION}, but has {version!r}; {remedy}")
    try:
        return _LIMITS.validate_python(document)
    except ValidationError as err:
        raise RulesError(f"{path} holds no limits ({err.error_count()} problems); {remedy}") from err


def format_limits(limits: Limits) -> bytes:
    """Write limits as they stand in the file."""
    document = {VERSION_KEY: SCHEMA_VERSION, **_LIMITS.dump_python(limits, mode="json")}
    return f"{json.dumps(document, indent=2)}\n".encode()

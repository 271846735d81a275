"""The command ``draft`` of the command line: it proposes an entry of ``services.yaml``."""

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from pydantic import ValidationError
from rich.console import Console

from include.perf.catalogue.locustfile import parsed
from include.perf.catalogue.locustfile_draft import LocustfileDraft, draft_of
from include.perf.catalogue.service import Service
from include.perf.model.errors import ConfigurationError
from include.perf.model.validation import problem_of

NO_URL = "http://localhost:8000"


def draft_service(options: argparse.Namespace, console: Console) -> int:
    """Print a draft of a service from a locustfile, which is read and not executed.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    path: Path = options.locustfile
    try:
        draft = draft_of(parsed(path))
    except OSError as err:
        raise ConfigurationError(f"cannot read {path}: {err.strerror}") from err
    except ValueError as err:
        raise ConfigurationError(f"{path}: {err}") from err
    name = options.service or f"{path.stem.replace('_', '-').lower()}-service"
    for line in draft_lines(draft, name=name, path=path, base_url=options.base_url):
        console.out(line, highlight=False)
    return 0


def draft_lines(draft: LocustfileDraft, *, name: str, path: Path, base_url: str | None) -> Iterator[str]:
    """Yield the lines of a draft: YAML, with comments about what is not in it."""
    yield f"# From {path.name}, which was read and not executed. Put it below services: in services.yaml."
    url = base_url or draft.host or NO_URL
    entry = {
        "base_url": url,
        "allowed_hosts": [urlsplit(url).hostname or ""],
        "prometheus": {"selector": f'service="{name}"'},
    }
    as_it_is = {**entry, "locustfile": f"locustfiles/{path.name}"}
    if draft.endpoints:
        as_data = {**entry, "endpoints": list(draft.endpoints)}
        yield from _yaml({name: as_data})
        yield from (f"# To be corrected: {problem}" for problem in _problems(name, as_data))
    if draft.left_out:
        yield "#"
        yield "# Not in it, because it depends on the code:"
        yield from (f"#   {left}" for left in draft.left_out)
    yield "#"
    yield "# The file can also run as it is, from a folder of its own beside services.yaml:"
    lines = _yaml({name: as_it_is})
    yield from (f"# {line}" for line in lines) if draft.endpoints else lines


def _yaml(value: Mapping[str, Any]) -> list[str]:
    text = yaml.safe_dump(dict(value), sort_keys=False, allow_unicode=True, default_flow_style=None, width=110)
    return text.splitlines()


def _problems(name: str, entry: Mapping[str, Any]) -> list[str]:
    try:
        Service.model_validate({"name": name, **entry})
    except ValidationError as err:
        return [problem_of(error) for error in err.errors()]
    return []

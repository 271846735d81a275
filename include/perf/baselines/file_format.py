"""Read and write the baselines file, ``baselines.json``: ``schema_version``, then ``service → scenario → entry``.

Keys have a stable order and each run is one line, so that a diff shows only what changed. In ``previous``, a run that a
newer entry of the cell holds in full is given by its id. Files of older versions are read, and the next change writes
them in the current version. ``baselines.schema.json`` describes the current version for other tools.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import TypeAdapter

from include.perf.baselines.baselines import Baselines
from include.perf.baselines.entry import Baseline
from include.perf.baselines.migration import MIGRATIONS, PLAIN, Document, validated
from include.perf.model.errors import BaselineError
from include.perf.model.metric import METRICS

SCHEMA_VERSION = 2
VERSION_KEY = "schema_version"
REMEDY = "restore it from version control"

_ENTRIES: TypeAdapter[dict[str, dict[str, Baseline]]] = TypeAdapter(dict[str, dict[str, Baseline]])
_ENTRY: TypeAdapter[Baseline] = TypeAdapter(Baseline)


def parse_baselines(content: bytes, *, where: str) -> Baselines:
    """Parse the content of the file, in the current or an older version.

    Raises:
        BaselineError: the content is invalid; the message names every problem. Nothing is repaired by guessing.
    """
    try:
        document = json.loads(content, object_pairs_hook=_Object)
        problems = list(_flaws(document))
    except (ValueError, RecursionError) as err:
        raise BaselineError(f"{where} is not valid JSON ({err}); {REMEDY}") from err
    version = _version_of(document, where=where)
    try:
        if problems:
            raise BaselineError(problems)
        while version < SCHEMA_VERSION:
            document = MIGRATIONS[version](document)
            version += 1
        return Baselines(entries=validated(_ENTRIES, _with_whole_runs(document)))
    except BaselineError as err:
        raise BaselineError([f"{where}: {problem}; {REMEDY}" for problem in err.problems]) from err


class _Object(dict[str, Any]):
    """A JSON object that remembers its duplicate keys."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        names = [name for name, _ in pairs]
        self.repeated = [name for name in self if names.count(name) > 1] if len(self) < len(names) else []


def _flaws(value: object, path: str = "") -> Iterator[str]:
    """Report duplicate keys and numbers that are not finite; Python's JSON parser accepts both."""
    if isinstance(value, _Object):
        yield from (f"{path}{name}: duplicate key" for name in value.repeated)
        for name, inner in value.items():
            yield from _flaws(inner, f"{path}{name}.")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _flaws(inner, f"{path}{number}.")
    elif isinstance(value, int | float) and not abs(value) <= sys.float_info.max:  # also true for NaN
        yield f"{path[:-1]}: must be a finite number, but is {value if isinstance(value, float) else 'too large'}"


def _version_of(document: Any, *, where: str) -> int:
    """Remove the version from a document and return it; the plain form has none."""
    if not isinstance(document, dict):
        raise BaselineError(f"{where} must be an object with {VERSION_KEY} {SCHEMA_VERSION}; {REMEDY}")
    if VERSION_KEY not in document:
        if any(_is_entry(cell) for cells in document.values() if isinstance(cells, dict) for cell in cells.values()):
            raise BaselineError(f"{where} has no {VERSION_KEY}; {REMEDY}")
        return PLAIN
    version = document.pop(VERSION_KEY)
    if isinstance(version, bool) or not isinstance(version, int) or version <= PLAIN:
        raise BaselineError(
            f"{where} must have a {VERSION_KEY} from 1 to {SCHEMA_VERSION}, but has {json.dumps(version)}; {REMEDY}"
        )
    if version > SCHEMA_VERSION:
        raise BaselineError(
            f"{where} has {VERSION_KEY} {version}, but this Bellwether reads versions up to {SCHEMA_VERSION}; "
            "upgrade Bellwether"
        )
    return version


def _is_entry(cell: object) -> bool:
    return isinstance(cell, dict) and not {"runs", "approval"}.isdisjoint(cell)


def _with_whole_runs(document: Document) -> Document:
    """Replace ids of runs by the runs; anything of another shape is left to the validation."""
    problems: list[str] = []
    for service, scenarios in document.items():
        for scenario, entry in scenarios.items() if isinstance(scenarios, dict) else ():
            known: dict[str, Any] = {}
            for path, generation in _generations(entry):
                for number, run in enumerate(generation["runs"]):
                    if isinstance(run, dict):
                        known[str(run.get("run_id"))] = run
                    elif isinstance(run, str) and run in known:
                        generation["runs"][number] = known[run]
                    elif isinstance(run, str):
                        problems.append(f"{service}.{scenario}.{path}runs.{number}: run {run!r} is in no newer entry")
    if problems:
        raise BaselineError(problems)
    return document


def _generations(entry: object) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield an entry and its earlier versions that have runs, newest first, with their paths within the entry."""
    if not isinstance(entry, dict):
        return
    previous = entry.get("previous")
    older = enumerate(previous) if isinstance(previous, list) else ()
    for path, generation in (("", entry), *((f"previous.{number}.", old) for number, old in older)):
        if isinstance(generation, dict) and isinstance(generation.get("runs"), list):
            yield path, generation


def format_baselines(baselines: Baselines) -> bytes:
    """Return the content of the file; the same baselines give the same bytes.

    Raises:
        BaselineError: a value could not be read back.
    """
    document: Document = {VERSION_KEY: SCHEMA_VERSION}
    for service, scenarios in sorted(baselines.entries.items()):
        document[service] = {scenario: entry_document(entry) for scenario, entry in sorted(scenarios.items())}
    try:
        return (_text(document) + "\n").encode()
    except ValueError as err:
        raise BaselineError(f"the baselines cannot be written ({err}); nothing was changed") from err


def entry_document(entry: Baseline) -> Document:
    """Return one entry in the form of the file."""
    document: Document = _ENTRY.dump_python(entry, mode="json")
    known: dict[str, _Line] = {}
    for generation in (document, *document["previous"]):
        generation["fingerprint"] = dict(sorted(generation["fingerprint"].items()))
        generation["metrics"] = _in_order(generation["metrics"])
        anchor = generation["anchor"]
        generation["anchor"] = _Line(anchor | {"metrics": _in_order(anchor["metrics"])})
        generation["spread"] = {name: _Line(spread) for name, spread in _in_order(generation["spread"]).items()}
        generation["runs"] = list(_short_runs(generation["runs"], known))
    return document


class _Line(dict[str, Any]):
    """An object that is written on one line."""


def _short_runs(runs: Iterable[Document], known: dict[str, _Line]) -> Iterator[_Line | str]:
    """Yield runs without their empty fields, and only the id of a run that was already written."""
    for run in runs:
        kept = _Line({name: value for name, value in run.items() if value not in (None, {})})
        for name in ("metrics", "platform", "within_run"):
            if name in kept:
                kept[name] = _in_order(kept[name])
        kept.setdefault("metrics", {})
        if known.get(run["run_id"]) == kept:
            yield str(run["run_id"])
        else:
            known[run["run_id"]] = kept
            yield kept


def _in_order(by_metric: Mapping[str, Any]) -> dict[str, Any]:
    """Sort by the display order of the metrics; unknown metrics come last."""
    order = list(METRICS)
    names = sorted(by_metric, key=lambda name: (order.index(name) if name in METRICS else len(order), name))
    return {name: by_metric[name] for name in names}


def _text(value: object, indent: str = "") -> str:
    """Format indented JSON, with one line for each `_Line` and for a list of strings."""
    deeper = f"{indent}  "
    if isinstance(value, dict) and value and not isinstance(value, _Line):
        begin, end = "{}"
        parts = [f"{json.dumps(name, ensure_ascii=False)}: {_text(inner, deeper)}" for name, inner in value.items()]
    elif isinstance(value, list) and not all(isinstance(item, str) for item in value):
        begin, end = "[]"
        parts = [_text(item, deeper) for item in value]
    else:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    lines = f",\n{deeper}".join(parts)
    return f"{begin}\n{deeper}{lines}\n{indent}{end}"


def json_schema() -> Document:
    """Return the JSON Schema of the current version of the file."""
    schema = _ENTRY.json_schema()
    definitions = schema["$defs"]
    runs = definitions["Baseline"]["properties"]["runs"]
    of_id = {"type": "string", "description": "Id of a run that a newer entry of the cell holds in full."}
    runs["items"] = {"anyOf": [runs["items"], of_id]}
    entry = {"$ref": "#/$defs/Baseline"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Bellwether baselines",
        "description": "The baseline of every service under every scenario: service, then scenario, then entry.",
        "type": "object",
        "required": [VERSION_KEY],
        "properties": {VERSION_KEY: {"const": SCHEMA_VERSION}},
        "additionalProperties": {"type": "object", "additionalProperties": entry},
        "$defs": definitions,
    }

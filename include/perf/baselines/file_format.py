"""Read and write the baselines file, ``baselines.json``: ``schema_version``, then ``service → scenario → entry``.

Keys have a stable order and each run is one line, so that a diff shows only what changed. In ``previous``, a run that a
newer entry of the cell holds in full is given by its id. Files of older versions are read, and the next change writes
them in the current version. ``baselines.schema.json`` describes the current version for other tools.

A service, an entry or an earlier version that cannot be used is left out (`include.perf.baselines.odd_entry`). The next
change writes it back as it is, so that it can still be repaired.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import TypeAdapter

from include.perf.baselines.baselines import Baselines
from include.perf.baselines.entry import Baseline
from include.perf.baselines.migration import MIGRATIONS, PLAIN, Cells, Document, EntryFlaw, validated
from include.perf.baselines.odd_entry import REMEDY, OddEntries, OddEntry
from include.perf.model.cell import CellName
from include.perf.model.errors import BaselineError
from include.perf.model.exact_json import AsItWas, ExactObject, OneLine, flaws_of, format_exact, parse_exact
from include.perf.model.metric import METRICS

SCHEMA_VERSION = 2
VERSION_KEY = "schema_version"

_ENTRY: TypeAdapter[Baseline] = TypeAdapter(Baseline)


def parse_baselines(content: bytes, *, where: str) -> Baselines:
    """Parse the content of the file, in the current or an older version; what cannot be used is in `Baselines.odd`.

    Raises:
        BaselineError: the file as a whole cannot be used: it is not JSON, or of an unknown version.
    """
    try:
        document = parse_exact(content)
    except (ValueError, RecursionError) as err:
        raise BaselineError(f"{where} is not valid JSON ({err}); {REMEDY}") from err
    version = _version_of(document, where=where)
    return _Reading(where=where, version=version).baselines(document)


class _Reading:
    """Reads a file once, entry by entry, and collects what cannot be used."""

    def __init__(self, *, where: str, version: int) -> None:
        self._where = where
        self._version = version
        self._odd = OddEntries(version=version)
        self._found: dict[CellName, tuple[Any, ...]] = {}

    def baselines(self, document: ExactObject) -> Baselines:
        """Return the usable entries of a document, with everything else beside them."""
        for service, values in _grouped(document):
            self._split(service, values)
        services = [service for service, _ in _grouped(document) if service not in self._odd.services]
        cells: Cells = {cell: values[0] for cell, values in self._found.items() if cell not in self._odd.cells}
        for version in range(self._version, SCHEMA_VERSION):
            cells = MIGRATIONS[version](cells, self._leave_out)
        entries: dict[str, dict[str, Baseline]] = {service: {} for service in services}
        for cell, value in cells.items():
            entry = self._entry(cell, value)
            if entry is not None:
                entries[cell.service][cell.scenario] = entry
        return Baselines(entries=entries, odd=self._odd)

    def _split(self, service: str, values: tuple[Any, ...]) -> None:
        """Find the entries of a service, and those that are odd in any version of the file."""
        problem = _oddity(service, values)
        if problem is not None:
            self._odd.services[service] = OddEntry(
                values=values, where=self._where, problems=(problem.sentence(service),)
            )
            return
        for scenario, entries in _grouped(values[0]):
            cell = CellName(service, scenario)
            self._found[cell] = entries
            if problem := _oddity(scenario, entries):
                self._leave_out(cell, [problem])
            elif self._version < SCHEMA_VERSION and (flaws := list(map(EntryFlaw.of_flaw, flaws_of(entries[0])))):
                self._leave_out(cell, flaws)

    def _leave_out(self, cell: CellName, problems: Iterable[EntryFlaw]) -> None:
        self._odd.cells[cell] = OddEntry(
            values=self._found[cell],
            where=self._where,
            problems=tuple(problem.sentence(cell.service, cell.scenario) for problem in problems),
        )

    def _entry(self, cell: CellName, value: Document) -> Baseline | None:
        """Return an entry without its odd earlier versions; ``None`` if the entry itself is odd."""
        whole, unknown = _with_whole_runs(value)
        flaws = [*unknown, *map(EntryFlaw.of_flaw, flaws_of(value))]
        if not flaws and isinstance(parsed := validated(_ENTRY, whole), Baseline):
            return parsed
        previous = whole["previous"] if isinstance(whole.get("previous"), list) else None
        odd = {} if previous is None else _odd_versions(previous, flaws)
        usable = {} if previous is None else {"previous": [old for at, old in enumerate(previous) if at not in odd]}
        own = [flaw for flaw in flaws if previous is None or flaw.path[:1] != ("previous",) or len(flaw.path) == 1]
        rest: Baseline | list[EntryFlaw] = own
        if not own:
            rest = validated(_ENTRY, whole | usable)
        if not isinstance(rest, Baseline):
            self._leave_out(cell, rest)
            return None
        self._odd.versions[cell] = tuple(
            OddEntry(
                values=(value["previous"][number],),
                runs=_referred_runs(value["previous"][number], whole["previous"][number]),
                where=self._where,
                problems=tuple(problem.sentence(cell.service, cell.scenario) for problem in problems),
                older=len(whole["previous"]) - 1 - number - sum(later > number for later in odd),
            )
            for number, problems in odd.items()
        )
        return rest


def _odd_versions(previous: list[Any], flaws: Iterable[EntryFlaw]) -> dict[int, list[EntryFlaw]]:
    """Return the problems of the earlier versions that cannot be used, by number."""
    found: dict[int, list[EntryFlaw]] = {}
    for number, version in enumerate(previous):
        problems = [flaw for flaw in flaws if flaw.path[:2] == ("previous", number)]
        if not problems and not isinstance(parsed := validated(_ENTRY, version), Baseline):
            problems = [EntryFlaw(("previous", number, *problem.path), problem.text) for problem in parsed]
        if problems:
            found[number] = problems
    return found


def _referred_runs(version: object, whole: object) -> dict[str, Any]:
    """Return the runs that a version has by their ids."""
    if not (isinstance(version, dict) and isinstance(whole, dict) and isinstance(version.get("runs"), list)):
        return {}
    pairs = zip(version["runs"], whole["runs"], strict=True)
    return {run: found for run, found in pairs if isinstance(run, str) and isinstance(found, dict)}


def _grouped(document: ExactObject) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yield the values of each key: several for a repeated one."""
    for name in document:
        if name in document.repeated:
            yield name, tuple(value for key, value in document.pairs if key == name)
        else:
            yield name, (document[name],)


def _oddity(name: str, values: tuple[Any, ...]) -> EntryFlaw | None:
    """Return why a service or an entry cannot be used in any version of the file."""
    for flaw in flaws_of(name):
        return EntryFlaw.of_flaw(flaw)
    if len(values) > 1:
        return EntryFlaw((), "duplicate key")
    return None if isinstance(values[0], dict) else EntryFlaw.of((), "should be an object", values[0])


def _version_of(document: Any, *, where: str) -> int:
    """Remove the version from a document and return it; the plain form has none."""
    if not isinstance(document, ExactObject):
        raise BaselineError(f"{where} must be an object with {VERSION_KEY} {SCHEMA_VERSION}; {REMEDY}")
    if VERSION_KEY in document.repeated:
        raise BaselineError(f"{where}: {VERSION_KEY}: duplicate key; {REMEDY}")
    if VERSION_KEY not in document:
        if any(_is_entry(cell) for cells in document.values() if isinstance(cells, dict) for cell in cells.values()):
            raise BaselineError(f"{where} has no {VERSION_KEY}; {REMEDY}")
        return PLAIN
    version = document.pop(VERSION_KEY)
    if isinstance(version, bool) or not isinstance(version, int) or version <= PLAIN:
        shown = format_exact(version, is_odd=True)
        raise BaselineError(f"{where} must have a {VERSION_KEY} from 1 to {SCHEMA_VERSION}, but has {shown}; {REMEDY}")
    if version > SCHEMA_VERSION:
        raise BaselineError(
            f"{where} has {VERSION_KEY} {version}, but this Bellwether reads versions up to {SCHEMA_VERSION}; "
            "upgrade Bellwether"
        )
    return version


def _is_entry(cell: object) -> bool:
    return isinstance(cell, dict) and not {"runs", "approval"}.isdisjoint(cell)


def _with_whole_runs(entry: Document) -> tuple[Document, list[EntryFlaw]]:
    """Return an entry with runs instead of their ids, and the ids that are unknown.

    Anything of another shape is left to the validation.
    """
    problems: list[EntryFlaw] = []
    known: dict[str, Any] = {}
    whole = {**entry, **_whole_runs(entry, known, (), problems)}
    if isinstance(whole.get("previous"), list):
        whole["previous"] = [
            {**old, **_whole_runs(old, known, ("previous", number), problems)}
            if isinstance(old, ExactObject) and not old.repeated
            else old
            for number, old in enumerate(whole["previous"])
        ]
    return whole, problems


def _whole_runs(
    generation: Document, known: dict[str, Any], path: tuple[str | int, ...], problems: list[EntryFlaw]
) -> Document:
    """Return the runs of an entry or an earlier version in full, and remember them; nothing if it has none."""
    given = generation.get("runs")
    if not isinstance(given, list):
        return {}
    runs = []
    for number, run in enumerate(given):
        if isinstance(run, dict):
            known[str(run.get("run_id"))] = run
        elif isinstance(run, str) and run not in known:
            problems.append(EntryFlaw((*path, "runs", number), f"run {run!r} is in no newer entry"))
        runs.append(known.get(run, run) if isinstance(run, str) else run)
    return {"runs": runs}


def format_baselines(baselines: Baselines) -> bytes:
    """Return the content of the file; the same baselines give the same bytes.

    Raises:
        BaselineError: a value could not be read back.
    """
    if baselines.odd.version < SCHEMA_VERSION and (odd := next(baselines.odd.all(), None)):
        raise BaselineError(
            f"the baselines cannot be changed: they would be written in version {SCHEMA_VERSION}, in which the odd "
            f"entry could not be repaired; {odd.problem}"
        )
    services = {*baselines.entries, *baselines.odd.services, *(cell.service for cell in baselines.odd.cells)}
    pairs = [pair for service in sorted(services) for pair in _pairs_of_service(service, baselines)]
    try:
        return (format_exact(ExactObject([(VERSION_KEY, SCHEMA_VERSION), *pairs])) + "\n").encode()
    except ValueError as err:
        raise BaselineError(f"the baselines cannot be written ({err}); nothing was changed") from err


def _pairs_of_service(service: str, baselines: Baselines) -> Iterator[tuple[str, Any]]:
    """Yield a service with its entries, or with what stands there instead."""
    odd = baselines.odd
    if service in odd.services:
        yield from ((service, AsItWas(value)) for value in odd.services[service].values)
        return
    pairs: list[tuple[str, Any]] = []
    usable = baselines.entries.get(service, {})
    for scenario in sorted({*usable, *(cell.scenario for cell in odd.cells if cell.service == service)}):
        cell = CellName(service, scenario)
        if cell in odd.cells:
            pairs += [(scenario, AsItWas(value)) for value in odd.cells[cell].values]
        else:
            pairs.append((scenario, entry_document(usable[scenario], odd.versions.get(cell, ()))))
    yield service, ExactObject(pairs)


def entry_document(entry: Baseline, odd_versions: Iterable[OddEntry] = ()) -> Document:
    """Return one entry in the form of the file.

    Args:
        odd_versions: its earlier versions that cannot be used.
    """
    document: Document = _ENTRY.dump_python(entry, mode="json")
    known: dict[str, OneLine] = {}
    for generation in (document, *document["previous"]):
        generation["fingerprint"] = dict(sorted(generation["fingerprint"].items()))
        generation["metrics"] = _in_order(generation["metrics"])
        anchor = generation["anchor"]
        generation["anchor"] = OneLine(anchor | {"metrics": _in_order(anchor["metrics"])})
        generation["spread"] = {name: OneLine(spread) for name, spread in _in_order(generation["spread"]).items()}
        generation["runs"] = list(_short_runs(generation["runs"], known))
    document["previous"] = list(_with_odd_versions(document, odd_versions))
    return document


def _with_odd_versions(document: Document, odd: Iterable[OddEntry]) -> Iterator[Document | AsItWas]:
    """Yield the earlier versions of an entry, with the odd ones where they were."""
    left, usable = list(odd), document["previous"]
    held = set(_held_in(document))
    for number in range(len(usable) + 1):
        while left and (left[0].older >= len(usable) - number or number == len(usable)):
            entry = left.pop(0)
            for value in entry.values:
                yield AsItWas(
                    _self_contained(value, {name: entry.runs[name] for name in entry.runs if name not in held})
                )
                held.update(_held_in(value))
        if number < len(usable):
            yield usable[number]
            held.update(_held_in(usable[number]))


def _held_in(generation: object) -> Iterator[str]:
    """Yield the ids of the runs that an entry or an earlier version holds in full."""
    runs = generation.get("runs") if isinstance(generation, dict) else None
    for run in runs if isinstance(runs, list) else ():
        if isinstance(run, dict):
            yield str(run.get("run_id"))


def _self_contained(value: Any, missing: Mapping[str, Any]) -> Any:
    """Return an odd version with the runs that no newer entry holds any more."""
    if not missing:
        return value
    return {**value, "runs": [missing.get(run, run) if isinstance(run, str) else run for run in value["runs"]]}


def _short_runs(runs: Iterable[Document], known: dict[str, OneLine]) -> Iterator[OneLine | str]:
    """Yield runs without their empty fields, and only the id of a run that was already written."""
    for run in runs:
        kept = OneLine({name: value for name, value in run.items() if value not in (None, {})})
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

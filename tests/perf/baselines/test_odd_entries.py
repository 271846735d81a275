"""An odd part of the baselines file is left out and named; everything else works, and the odd part is written back."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from include.perf.baselines.baselines import Baselines
from include.perf.baselines.entry import State
from include.perf.baselines.file_format import format_baselines, parse_baselines
from include.perf.baselines.promotion import referenced_runs
from include.perf.model.errors import BaselineError
from include.perf.runs.record import Verdict
from tests.baselines import SCENARIO, SERVICE, approval, run, with_runs

OTHER = "another"
REMEDY = "restore it from version control"

Damage = Callable[[dict[str, Any]], str]


def in_entry(*path: str | int, to: Any) -> Damage:
    """Return a damage of the current entry."""

    def damage(document: dict[str, Any]) -> str:
        inner = document[SERVICE][SCENARIO]
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = to
        return json.dumps(document)

    return damage


def repeated(key: str, value: str) -> Damage:
    """Return a damage that repeats a key of the file with another value."""

    def damage(document: dict[str, Any]) -> str:
        return json.dumps(document).replace(f'"{key}": ', f'"{key}": {value}, "{key}": ', 1)

    return damage


DAMAGE: dict[str, Damage] = {
    "a service that is a number": lambda document: json.dumps({**document, SERVICE: 5}),
    "a service that is given twice": repeated(SERVICE, "{}"),
    "an entry that is a list": lambda document: json.dumps({**document, SERVICE: {SCENARIO: [1, {"a": None}]}}),
    "an entry that is given twice": repeated(SCENARIO, '{"version": 1}'),
    "a missing field": lambda document: json.dumps(document | {SERVICE: {SCENARIO: {"version": 1}}}),
    "an unknown field": in_entry("note", to="x"),
    "a negative metric": in_entry("metrics", "latency_p95", to=-0.001),
    "a huge metric": in_entry("metrics", "latency_p95", to=1e308),
    "a metric of 400 digits": in_entry("metrics", "latency_p95", to=10**400),
    "a metric that is not a number": in_entry("metrics", "latency_p95", to=float("nan")),
    "a metric that is text": in_entry("metrics", "latency_p95", to="0.04"),
    "a metric of infinity": in_entry("anchor", "metrics", "latency_p95", to=float("-inf")),
    "more failed than due": in_entry("runs", 0, "failed", to=10**9),
    "a negative count": in_entry("runs", 0, "due", to=-1),
    "a run in year 1": in_entry("runs", 0, "at", to="0001-01-01T00:00:00Z"),
    "a naive time": in_entry("review_by", to="2026-06-02T07:00:00"),
    "an approval in year 9999": in_entry("approval", "at", to="9999-12-31T23:59:59Z"),
    "an unknown run": in_entry("runs", to=["r77"]),
    "a negative spread": in_entry("spread", "latency_p95", "pooled", to=-1),
    "half a character": in_entry("approval", "reason", to="\ud800"),
    "a reason of 2 MB": in_entry("approval", "reason", to="x" * 2_000_000),
    "nesting": in_entry("metrics", to=json.loads("[" * 200 + "]" * 200)),
}


def document() -> dict[str, Any]:
    """Return a file with two cells: the one that is damaged, of three versions, and another."""
    baselines = with_runs(3)
    baselines.promote(run("x1", service=OTHER), approval=approval())
    parsed: dict[str, Any] = json.loads(format_baselines(baselines))
    return parsed


def parsed(damage: Damage) -> tuple[str, Baselines]:
    """Return the text of a damaged file, and what is read from it."""
    text = damage(document())
    return text, parse_baselines(text.encode(), where="b.json")


def exact(text: str | bytes) -> Any:
    """Return JSON with its repeated keys, in a form in which NaN equals NaN, keys of the file in order."""
    return json.loads(
        text, object_pairs_hook=lambda pairs: ["object", *sorted(map(list, pairs), key=repr)], parse_constant=str
    )


@pytest.mark.parametrize("name", DAMAGE)
def test_the_other_cells_keep_their_baselines(name: str) -> None:
    """The odd entry is named once, with the file, its path and the remedy."""
    _, baselines = parsed(DAMAGE[name])
    assert (baselines.get(SERVICE, SCENARIO), baselines.get(OTHER, SCENARIO) is None) == (None, False)
    assert baselines.problem_of(OTHER, SCENARIO) is None
    (problem,) = baselines.odd.problems().values()
    assert baselines.problem_of(SERVICE, SCENARIO) == problem
    assert problem.startswith(f"b.json: {SERVICE}")
    assert problem.endswith(f"; {REMEDY}")
    assert len(problem) < 1_000


@pytest.mark.parametrize("name", DAMAGE)
def test_a_change_of_another_cell_keeps_the_odd_entry(name: str) -> None:
    """Promotions and roll-backs write it back as it was, with its repeated keys and its NaN."""
    text, baselines = parsed(DAMAGE[name])
    baselines.promote(run("x2", service=OTHER), approval=approval())
    baselines.roll_back(OTHER, SCENARIO, version=1, approval=approval())
    written = format_baselines(baselines)

    def others_of(content: str | bytes) -> list[Any]:
        return [pair for pair in exact(content)[1:] if pair[0] != OTHER]

    assert others_of(written) == others_of(text)
    again = parse_baselines(written, where="b.json")
    assert again.problem_of(SERVICE, SCENARIO) is not None
    assert (current := again.get(OTHER, SCENARIO)) is not None
    assert current.version == 3


@pytest.mark.parametrize("name", DAMAGE)
def test_nothing_is_promoted_over_it_unasked(name: str) -> None:
    """Neither a run that passed, nor one without a baseline; and there is nothing to roll back to."""
    text, baselines = parsed(DAMAGE[name])
    for verdict in (Verdict.PASS, Verdict.NO_BASELINE, Verdict.IMPROVEMENT):
        with pytest.raises(BaselineError, match=f"cannot be used.*{REMEDY}"):
            baselines.promote(run("r9", verdict=verdict), approval=approval())
    with pytest.raises(BaselineError, match=f"^the baseline of {SERVICE} under {SCENARIO} cannot be used: b.json"):
        baselines.roll_back(SERVICE, SCENARIO, version=1, approval=approval())
    assert exact(format_baselines(baselines)) == exact(text)


@pytest.mark.parametrize("name", [name for name in DAMAGE if "service" not in name])
def test_by_force_it_becomes_an_earlier_version(name: str) -> None:
    """The new baseline has the next number, and the odd entry is still in the file."""
    text, baselines = parsed(DAMAGE[name])
    entry = baselines.promote(run("r9", verdict=Verdict.NOT_COMPARABLE), approval=approval(), force=True)
    known = json.loads(text)[SERVICE][SCENARIO]
    assert entry.version == (known["version"] + 1 if isinstance(known, dict) else 1)
    assert (entry.state, entry.previous) == (State.PROVISIONAL, ())
    written = format_baselines(baselines)
    again = parse_baselines(written, where="b.json")
    assert again.get(SERVICE, SCENARIO) == entry
    assert again.problem_of(SERVICE, SCENARIO) is None
    assert set(again.odd.versions) == set(baselines.odd.versions) != set()
    assert format_baselines(again) == written


def test_a_service_that_is_no_object_is_not_replaced() -> None:
    """Not by force either: it is not the cell's alone."""
    _, baselines = parsed(DAMAGE["a service that is a number"])
    with pytest.raises(
        BaselineError, match=f"^the baselines of {SERVICE} cannot be used, so none can be added: b.json"
    ):
        baselines.promote(run("r9"), approval=approval(), force=True)


VERSION_DAMAGE: dict[str, Any] = {
    "a number": 5,
    "without fields": {"version": 2},
    "with an unknown run": {"version": 2, "runs": ["r1", "r77"]},
    "with the run of a newer one": {"version": 2, "runs": ["r1", "r3"], "metrics": {"latency_p95": float("nan")}},
}


@pytest.mark.parametrize("name", VERSION_DAMAGE)
def test_an_odd_earlier_version(name: str) -> None:
    """The entry and its other versions are used; promotions keep the odd version between its neighbours."""
    text, baselines = parsed(in_entry("previous", 0, to=VERSION_DAMAGE[name]))
    entry = baselines.get(SERVICE, SCENARIO)
    assert entry is not None
    assert (entry.version, [old.version for old in entry.previous]) == (3, [1])
    assert (baselines.problem_of(SERVICE, SCENARIO), len(baselines.odd.problems())) == (None, 1)
    assert exact(format_baselines(baselines)) == exact(text)
    baselines.promote(run("r4"), approval=approval())
    previous = json.loads(format_baselines(baselines))[SERVICE][SCENARIO]["previous"]
    assert [old.get("version") if isinstance(old, dict) else old for old in previous] == [
        *(3, 5 if name == "a number" else 2, 1)
    ]
    assert repr(previous[1]) == repr(VERSION_DAMAGE[name])


def test_an_odd_version_gets_the_runs_that_nothing_else_holds_any_more() -> None:
    """Otherwise its ids would mean nothing once the newer entries are gone."""
    _, baselines = parsed(in_entry("previous", 0, to=VERSION_DAMAGE["with the run of a newer one"]))
    entry = baselines.get(SERVICE, SCENARIO)
    assert entry is not None
    baselines.entries[SERVICE][SCENARIO] = replace(entry, runs=entry.runs[:1])
    first, second = json.loads(format_baselines(baselines))[SERVICE][SCENARIO]["previous"][0]["runs"]
    assert (first, second["run_id"]) == ("r1", "r3")


def test_runs_of_odd_entries_are_referenced() -> None:
    """Their raw requests are not removed, so that a repaired entry has them again."""
    _, baselines = parsed(DAMAGE["a negative metric"])
    assert {"r1", "r2", "r3", "x1"} <= referenced_runs(baselines)

"""The text of the baselines file: stable, with small diffs, and refused if it is broken."""

import json
import random
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from include.perf.baselines.baselines import Baselines
from include.perf.baselines.file_format import entry_document, format_baselines, json_schema, parse_baselines
from include.perf.cli.baseline_commands import SCHEMAS, schema_text, write_schemas
from include.perf.model.errors import BaselineError
from include.perf.model.metric import METRICS
from include.perf.model.yaml_entries import PROJECT_FOLDER
from include.perf.runs.record import Verdict
from tests.baselines import AT, SCENARIO, SERVICE, approval, entry_of, run, with_runs

CELL = f"b.json: {SERVICE}.{SCENARIO}"
REMEDY = "restore it from version control"


def document_of(baselines: Baselines) -> Any:
    """Return the cell's entry as JSON."""
    return json.loads(format_baselines(baselines))[SERVICE][SCENARIO]


def problems_of(content: bytes | dict[str, Any]) -> tuple[str, ...]:
    """Return why a file cannot be used as a whole, or a sentence for each odd part of it."""
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    try:
        return tuple(parse_baselines(text, where="b.json").odd.problems().values())
    except BaselineError as err:
        return err.problems


# text


def test_the_text_is_schema_version_then_service_then_scenario() -> None:
    """Other tools read this form, with who, when, why and from which runs."""
    document = json.loads(format_baselines(with_runs(2)))
    assert list(document) == ["schema_version", SERVICE]
    assert document["schema_version"] == 2
    entry = document[SERVICE][SCENARIO]
    assert list(entry) == [
        *("version", "state", "fingerprint", "metrics", "anchor", "spread", "runs", "approval"),
        *("review_by", "expires_at", "supersedes", "previous"),
    ]
    assert entry["approval"] == {"by": "ana", "at": "2026-03-02T07:00:00Z", "reason": "release 12", "run_id": "r1"}
    assert [made["run_id"] for made in entry["runs"]] == ["r1", "r2"]
    assert entry["metrics"]["latency_p95"] == 0.0015  # the median of 1 and 2 ms
    assert (entry["review_by"], entry["expires_at"]) == ("2026-06-02T07:00:00Z", "2026-09-02T07:00:00Z")
    assert (entry["previous"][0]["version"], entry["previous"][0]["state"]) == (1, "superseded")


def test_an_empty_file() -> None:
    """A new project starts with it."""
    text = b'{\n  "schema_version": 2\n}\n'
    assert format_baselines(Baselines()) == text
    assert (PROJECT_FOLDER / "baselines.json").read_bytes() == text


def test_a_run_is_a_line_without_empty_fields() -> None:
    """Empty fields would make every diff longer; a count of zero is not empty."""
    baselines = Baselines()
    record = run("r1", deploy_version="2.4.1", within_run={"throughput": 0.01, "latency_p50": 0.02})
    baselines.promote(replace(record, load=replace(record.load, failed=0)), approval=approval())
    lines = [line.strip() for line in format_baselines(baselines).decode().splitlines()]
    (line,) = [line for line in lines if '"run_id": "r1", "metrics"' in line]
    written = json.loads(line)
    assert list(written) == ["run_id", "metrics", "at", "due", "failed", "within_run", "deploy_version"]
    assert (written["failed"], list(written["within_run"])) == (0, ["latency_p50", "throughput"])


def test_keys_are_in_stable_order() -> None:
    """The order of promotions does not change the text, so a diff shows only what changed."""
    cells = [(service, scenario) for service in ("b", "a", "c") for scenario in ("y", "x")]
    texts = set()
    for seed in range(5):
        random.Random(seed).shuffle(cells)
        baselines = Baselines()
        for service, scenario in cells:
            record = run("r1", service=service, scenario=scenario)
            shuffled = random.Random(seed).sample(list(record.metrics.items()), len(record.metrics))
            parts = random.Random(seed).sample(list(record.fingerprint.items()), len(record.fingerprint))
            record = replace(record, metrics=dict(shuffled), fingerprint=dict(parts))
            baselines.promote(record, approval=approval())
        texts.add(format_baselines(baselines))
    (text,) = texts
    document = json.loads(text)
    assert list(document) == ["schema_version", "a", "b", "c"]
    assert list(document["b"]) == ["x", "y"]
    assert list(document["b"]["x"]["metrics"]) == list(METRICS)
    assert list(document["b"]["x"]["fingerprint"]) == ["data", "environment", "generator", "load"]


def test_unknown_metrics_come_last() -> None:
    """A metric of a newer version is kept, after the known metrics."""
    entry = replace(entry_of(with_runs(1)), metrics={"zeta": 1.0, "throughput": 2.0, "alpha": 3.0, "latency_p50": 4.0})
    assert list(entry_document(entry)["metrics"]) == ["latency_p50", "throughput", "alpha", "zeta"]


def test_reading_and_writing_gives_the_same_bytes() -> None:
    """Seeded awkward values – long floats, other alphabets, fractions of a second – are restored exactly."""
    source = random.Random(1)
    baselines = Baselines()
    for number in range(12):
        changed = approval(
            reason=f"Grund № {number}: “größer” 漢 \\ \n", at=AT + timedelta(microseconds=source.randrange(10**6))
        )
        baselines.promote(run(f"r{number}", p95=source.random() * 10 ** source.randint(-9, 3)), approval=changed)
    text = format_baselines(baselines)
    parsed = parse_baselines(text, where="x")
    assert parsed == baselines
    assert format_baselines(parsed) == text


def test_integers_are_written_as_floats() -> None:
    """40 is 40.0 in the first text already, not only after reading it."""
    baselines = with_runs(1)
    entry = entry_of(baselines)
    baselines.entries[SERVICE][SCENARIO] = replace(entry, metrics={"throughput": 40})
    text = format_baselines(baselines)
    assert format_baselines(parse_baselines(text, where="x")) == text


def test_history_holds_a_run_once() -> None:
    """20 versions of the same 20 runs: every run is written in full once, and all are restored."""
    baselines = with_runs(20)
    text = format_baselines(baselines)
    assert text.count(b'"run_id": "r1", "metrics"') == 1
    assert document_of(baselines)["previous"][17]["runs"] == ["r1", "r2"]  # version 2, 18 versions earlier
    assert parse_baselines(text, where="x") == baselines


def test_history_keeps_a_run_whose_figures_changed() -> None:
    """The same id with other figures is written in full again, and every version keeps its own."""
    baselines = with_runs(2)
    entry = entry_of(baselines)
    changed = tuple(replace(made, metrics={**made.metrics, "latency_p95": 0.9}) for made in entry.runs)
    baselines.entries[SERVICE][SCENARIO] = replace(entry, runs=changed)
    (only,) = document_of(baselines)["previous"][0]["runs"]
    assert only["metrics"]["latency_p95"] == 0.001
    assert parse_baselines(format_baselines(baselines), where="x") == baselines


def test_a_promotion_is_a_small_diff() -> None:
    """One more run in a cell changes no line of the other cell, nor of the earlier runs."""
    baselines = with_runs(12)
    baselines.promote(run("x", service="another"), approval=approval())
    before = format_baselines(baselines).decode().splitlines()
    baselines.promote(run("r13"), approval=approval())
    after = format_baselines(baselines).decode().splitlines()
    kept = {line.rstrip(",") for line in before if '"run_id": "r' in line and '"metrics"' in line}
    assert len(kept) == 12
    assert kept <= {line.rstrip(",") for line in after}
    assert len(after) - len(before) < 60  # the run's line, and the entry before it without its runs


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"metrics": {"latency_p95": float("nan")}}, "Out of range float values are not JSON compliant"),
        ({"metrics": {"latency_p95": float("inf")}}, "Out of range float values are not JSON compliant"),
        ({"approval": approval(reason="\udc80")}, "surrogates not allowed"),
    ],
)
def test_what_could_not_be_read_back_is_not_written(changes: dict[str, Any], why: str) -> None:
    """The file on disk stays as it is."""
    baselines = with_runs(1)
    baselines.entries[SERVICE][SCENARIO] = replace(entry_of(baselines), **changes)
    with pytest.raises(BaselineError, match=rf"^the baselines cannot be written \(.*{why}.*\); nothing was changed$"):
        format_baselines(baselines)


# broken files


def broken(**changes: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(format_baselines(with_runs(1)))
    document[SERVICE][SCENARIO] |= changes
    return document


WRONG = "must have a schema_version from 1 to 2, but has"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", f"b.json is not valid JSON (Expecting value: line 1 column 1 (char 0)); {REMEDY}"),
        (
            b'{"schema_version": 2,}',
            "b.json is not valid JSON (Expecting property name enclosed in double quotes: "
            f"line 1 column 22 (char 21)); {REMEDY}",
        ),
        (b'{"a": "\xe9"}', "b.json is not valid JSON ('utf-8' codec can't decode byte 0xe9"),
        (b"[" * 100_000, "b.json is not valid JSON (maximum recursion depth exceeded"),
        (b"[]", f"b.json must be an object with schema_version 2; {REMEDY}"),
        (b"null", f"b.json must be an object with schema_version 2; {REMEDY}"),
        (b'{"schema_version": "2"}', f'b.json {WRONG} "2"; {REMEDY}'),
        (b'{"schema_version": true}', f"b.json {WRONG} true; {REMEDY}"),
        (b'{"schema_version": 2.0}', f"b.json {WRONG} 2.0; {REMEDY}"),
        (b'{"schema_version": null}', f"b.json {WRONG} null; {REMEDY}"),
        (b'{"schema_version": 0}', f"b.json {WRONG} 0; {REMEDY}"),
        (
            b'{"schema_version": 3, "s": 5}',
            "b.json has schema_version 3, but this Bellwether reads versions up to 2; upgrade Bellwether",
        ),
        (b'{"schema_version": 2, "s": []}', f"b.json: s: should be an object; {REMEDY}"),
        (b'{"schema_version": 2, "s": {"c": 5}}', f"b.json: s.c: should be an object, but is 5; {REMEDY}"),
        (b'{"schema_version": 2, "schema_version": 2}', f"b.json: schema_version: duplicate key; {REMEDY}"),
        (b'{"schema_version": 2, "s": {"c": 1, "c": 2}}', f"b.json: s.c: duplicate key; {REMEDY}"),
        (broken(version="two"), f'{CELL}.version: Input should be a valid integer, but is "two"; {REMEDY}'),
        (broken(version=True), f"{CELL}.version: Input should be a valid integer, but is true; {REMEDY}"),
        (
            broken(state="certain"),
            f"{CELL}.state: Input should be 'provisional', 'candidate', 'approved', 'superseded' or 'stale', "
            f'but is "certain"; {REMEDY}',
        ),
        (broken(metrics={"a": None}), f"{CELL}.metrics.a: Input should be a valid number, but is null; {REMEDY}"),
        (broken(metrics={"a": "1"}), f'{CELL}.metrics.a: Input should be a valid number, but is "1"; {REMEDY}'),
        (broken(metrics={"a": True}), f"{CELL}.metrics.a: Input should be a valid number, but is true; {REMEDY}"),
        (broken(metrics={"a": float("nan")}), f"{CELL}.metrics.a: must be a finite number, but is NaN; {REMEDY}"),
        (
            broken(metrics={"a": 10**400}),
            f"{CELL}.metrics.a: must be a finite number, but has too many digits; {REMEDY}",
        ),
        (
            broken(runs=[{"run_id": "r", "metrics": {"a": float("-inf")}}]),
            f"{CELL}.runs.0.metrics.a: must be a finite number, but is -Infinity; {REMEDY}",
        ),
        (broken(runs=["r7"]), f"{CELL}.runs.0: run 'r7' is in no newer entry; {REMEDY}"),
        (broken(runs=[7]), f"{CELL}.runs.0: Input should be an object, but is 7; {REMEDY}"),
        (broken(previous=[{"runs": ["r1", "x"]}]), f"{CELL}.previous.0.runs.1: run 'x' is in no newer entry; {REMEDY}"),
        (
            broken(review_by="2026-06-02T07:00:00"),
            f'{CELL}.review_by: Input should have timezone info, but is "2026-06-02T07:00:00"; {REMEDY}',
        ),
        (broken(note="x"), f'{CELL}.note: Unexpected keyword argument, but is "x"; {REMEDY}'),
    ],
)
def test_a_broken_file_is_refused(content: bytes | dict[str, Any], message: str) -> None:
    """It is never repaired by guessing: one error names the place, the problem and the remedy."""
    (problem,) = problems_of(content)
    assert problem.startswith(message)
    assert problem.endswith((REMEDY, "upgrade Bellwether"))


def test_a_number_too_large_for_a_float() -> None:
    """1e999 is valid JSON and reads as infinity."""
    content = b'{"schema_version": 2, "s": {"c": {"metrics": {"latency_p95": 1e999}}}}'
    assert problems_of(content) == (
        f"b.json: s.c.metrics.latency_p95: must be a finite number, but is 1e999; {REMEDY}",
    )


def test_every_problem_of_a_file_is_reported() -> None:
    """Two wrong fields are two parts of one sentence; of many, the first three."""
    (found,) = problems_of(broken(state="certain", version=None))
    assert found.count(f"{SERVICE}.{SCENARIO}.") == 2
    (found,) = problems_of(broken(metrics=dict.fromkeys("abcdef")))
    assert (found.count(f"{SERVICE}.{SCENARIO}."), found.endswith(f"; and 3 more; {REMEDY}")) == (3, True)


def test_duplicate_keys_and_numbers_that_are_not_finite() -> None:
    """Python's JSON parser accepts both; they are found at any depth."""
    content = b'{"schema_version": 2, "s": {"c": {"runs": [NaN], "x": 1, "x": 2}}, "u": {"d": {}}, "u": {}, "t": 1}'
    assert [problem.removesuffix(f"; {REMEDY}") for problem in problems_of(content)] == [
        "b.json: s.c.x: duplicate key; s.c.runs.0: must be a finite number, but is NaN",
        "b.json: t: should be an object, but is 1",
        "b.json: u: duplicate key",
    ]


def test_a_missing_field_is_named() -> None:
    """With its path in the file."""
    document = broken()
    del document[SERVICE][SCENARIO]["anchor"]
    (problem,) = problems_of(document)
    assert problem.startswith(f"{CELL}.anchor: ")


def test_a_file_without_its_version_is_not_read_as_plain_numbers() -> None:
    """One problem, not one for every field that is not a metric."""
    document = broken()
    del document["schema_version"]
    assert problems_of(document) == (f"b.json has no schema_version; {REMEDY}",)


def slots(value: Any) -> list[tuple[Any, Any]]:
    """Return every place of a document as its container and its key or index."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    return [(value, key) for key in keys] + [slot for key in keys for slot in slots(value[key])]


def test_any_content_is_read_or_refused() -> None:
    """200 seeded files with one value replaced: every file is read, and written back as it was."""
    source = random.Random(3)
    content = format_baselines(with_runs(3))
    odd = 0
    for _ in range(200):
        document = json.loads(content)
        inside, key = source.choice(slots(document))
        inside[key] = source.choice([None, True, "x", -1, 10**400, float("nan"), [], {}, [[]], {"a": 1}, "\ud800"])
        try:
            parsed = parse_baselines(json.dumps(document).encode(), where="b.json")
        except BaselineError:
            assert inside is document  # the version of the file
            continue
        written = format_baselines(parsed)
        assert parse_baselines(written, where="b.json") == parsed
        if next(parsed.odd.all(), None):
            odd += 1
            assert repr(json.loads(written)) == repr(json.loads(json.dumps(document)))  # repr: NaN differs from NaN
    assert odd > 100


# JSON Schema


def validator() -> Any:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())


def real_baselines() -> Baselines:
    """Return baselines with every feature: two cells, history, ids, a new baseline."""
    baselines = with_runs(12)
    baselines.promote(
        run("new", verdict=Verdict.IMPROVEMENT, platform={"latency_p95": 0.02}, within_run={"latency_p95": 0.1}),
        approval=approval(reason="cache"),
    )
    baselines.promote(run("x", service="another", deploy_version="2.4.1"), approval=approval())
    return baselines


@pytest.mark.parametrize("baselines", [Baselines(), with_runs(1), real_baselines()])
def test_what_is_written_follows_the_schema(baselines: Baselines) -> None:
    """The ids in the history too."""
    validator().validate(json.loads(format_baselines(baselines)))


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({}, ""),
        ({"schema_version": 1}, "schema_version"),
        (broken(version="two"), f"{SERVICE}.{SCENARIO}.version"),
        (broken(metrics={"latency_p95": None}), f"{SERVICE}.{SCENARIO}.metrics.latency_p95"),
        (broken(note="x"), f"{SERVICE}.{SCENARIO}"),
        ({"schema_version": 2, "s": 5}, "s"),
    ],
)
def test_what_is_broken_violates_the_schema(document: dict[str, Any], path: str) -> None:
    """An editor with the schema shows the place."""
    (error,) = validator().iter_errors(document)
    assert ".".join(map(str, error.absolute_path)) == path


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_schema_in_the_project_is_current(name: str, tmp_path: Path) -> None:
    """If not, run ``make schemas``."""
    write_schemas(tmp_path)
    assert (tmp_path / name).read_bytes() == schema_text(name) == (PROJECT_FOLDER / name).read_bytes()


def test_the_schema_has_a_title() -> None:
    """Editors show it in their list of schemas."""
    schema = json_schema()
    assert (schema["$schema"], schema["title"]) == (
        "https://json-schema.org/draft/2020-12/schema",
        "Bellwether baselines",
    )
    assert (schema["required"], schema["properties"]) == (["schema_version"], {"schema_version": {"const": 2}})
    assert "$id" not in schema

"""Baselines: which run becomes part of one, which begins a new one, which never does, and the file's text."""

import json
import random
import statistics
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.perf.baseline import (
    MAX_HISTORY,
    MAX_RUNS,
    Approval,
    Baselines,
    State,
    format_baselines,
    parse_baselines,
)
from include.perf.errors import BaselineError
from include.perf.run import RunRecord, Verdict
from tests.records import HEALTHY_METRICS, metric_values, record_of, run_record

AT = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)
SERVICE, SCENARIO = "analysis-engine-service", "market_open"
REMEDY = "restore it from version control"


def approval(reason: str = "release 12", **changes: Any) -> Approval:
    return replace(Approval(by="ana", at=AT, reason=reason, run_id="r1"), **changes)


def run(run_id: str, verdict: Verdict = Verdict.PASS, p95: float | str | None = 0.040, **changes: Any) -> RunRecord:
    return run_record(run_id=run_id, verdict=verdict, metrics=metric_values(latency_p95=p95), **changes)


def with_runs(count: int) -> Baselines:
    """Return a baseline that ``count`` passing runs went into, p95 of 1, 2, 3, … ms."""
    baselines = Baselines()
    for number in range(1, count + 1):
        baselines.promote(run(f"r{number}", p95=number / 1000), approval=approval())
    return baselines


def test_the_first_run_begins_a_baseline() -> None:
    """It is version 1, provisional, made of the run's own figures."""
    entry = Baselines().promote(run("r1", Verdict.NO_BASELINE), approval=approval())
    assert (entry.version, entry.state, entry.previous) == (1, State.PROVISIONAL, ())
    assert entry.metrics == HEALTHY_METRICS | {"latency_p95": 0.040}
    assert [each.run_id for each in entry.runs] == ["r1"]
    assert entry.fingerprint == run("r1").fingerprint
    assert (entry.approval.by, entry.approval.at, entry.approval.reason) == ("ana", AT, "release 12")


def test_a_pass_with_the_same_fingerprint_strengthens() -> None:
    """The level is the median over all runs, metric by metric."""
    baselines = Baselines()
    for run_id, p95 in (("r1", 0.040), ("r2", 0.050), ("r3", 0.042)):
        entry = baselines.promote(run(run_id, p95=p95), approval=approval())
    assert entry.metrics["latency_p95"] == 0.042  # the middle of 40, 42, 50
    assert [each.run_id for each in entry.runs] == ["r1", "r2", "r3"]
    assert entry.version == 3


@pytest.mark.parametrize(
    ("runs", "state"),
    [
        (1, State.PROVISIONAL),
        (2, State.PROVISIONAL),
        (3, State.CANDIDATE),
        (9, State.CANDIDATE),
        (10, State.APPROVED),
        (45, State.APPROVED),
    ],
)
def test_state_by_number_of_runs(runs: int, state: State) -> None:
    """Three runs make a candidate, ten an approved baseline."""
    entry = with_runs(runs).get(SERVICE, SCENARIO)
    assert entry is not None
    assert (entry.state, len(entry.runs)) == (state, runs)


def test_the_oldest_runs_drop_out() -> None:
    """A baseline of 45 runs follows slow change: the 46th takes the place of the first."""
    entry = with_runs(MAX_RUNS + 1).get(SERVICE, SCENARIO)
    assert entry is not None
    assert [entry.runs[0].run_id, entry.runs[-1].run_id, len(entry.runs)] == ["r2", "r46", 45]
    assert entry.metrics["latency_p95"] == 0.024  # the middle of 2 … 46 ms


@pytest.mark.parametrize(
    ("verdict", "fingerprint", "is_forced"),
    [
        (Verdict.IMPROVEMENT, "same", False),
        (Verdict.NO_BASELINE, "same", True),
        (Verdict.REGRESSION, "same", True),
        (Verdict.NOT_COMPARABLE, "other", True),
        (Verdict.PASS, "other", True),
    ],
)
def test_anything_else_begins_a_new_generation(verdict: Verdict, fingerprint: str, is_forced: bool) -> None:
    """A new level is not mixed with the old one; the old one stays in the history."""
    baselines = with_runs(3)
    contender = run("new", verdict, p95=0.5)
    if fingerprint == "other":
        contender = replace(contender, fingerprint={"load": "other"})
    entry = baselines.promote(contender, approval=approval("cache removed"), force=is_forced)
    assert (entry.version, entry.state, entry.metrics["latency_p95"]) == (4, State.PROVISIONAL, 0.5)
    assert [each.run_id for each in entry.runs] == ["new"]
    assert [(old.version, len(old.runs)) for old in entry.previous] == [(3, 3), (2, 2), (1, 1)]
    assert entry.fingerprint == contender.fingerprint


@pytest.mark.parametrize(
    ("verdict", "fingerprint"),
    [(Verdict.NO_BASELINE, "same"), (Verdict.PASS, "other"), (Verdict.IMPROVEMENT, "other")],
)
def test_a_verdict_older_than_the_baseline_replaces_nothing(verdict: Verdict, fingerprint: str) -> None:
    """A run that was never compared with the present baseline takes its place only by force."""
    baselines = with_runs(3)
    before = format_baselines(baselines)
    late = run("late", verdict)
    if fingerprint == "other":
        late = replace(late, fingerprint={"load": "other"})
    with pytest.raises(BaselineError) as caught:
        baselines.promote(late, approval=approval())
    assert str(caught.value) == (
        "run late was never compared with the present baseline (version 3); run the scenario again, or to replace the "
        "baseline: python -m include.perf baselines promote late --force --reason '…'"
    )
    assert format_baselines(baselines) == before


@pytest.mark.parametrize("verdict", [Verdict.INVALID, Verdict.SKIPPED])
@pytest.mark.parametrize("is_forced", [False, True])
def test_what_was_not_measured_never_becomes_a_baseline(verdict: Verdict, is_forced: bool) -> None:
    """Not even by force."""
    baselines = with_runs(1)
    before = format_baselines(baselines)
    record = record_of(verdict)
    with pytest.raises(BaselineError) as caught:
        baselines.promote(record, approval=approval(), force=is_forced)
    assert str(caught.value) == f"run {record.run_id} is {verdict} and can never be a baseline: {record.reasons[0]}"
    assert format_baselines(baselines) == before


@pytest.mark.parametrize("verdict", [Verdict.REGRESSION, Verdict.NOT_COMPARABLE])
def test_a_new_level_for_the_worse_is_taken_on_purpose_only(verdict: Verdict) -> None:
    """Without force it is refused, and the message has the command that forces it."""
    baselines = with_runs(1)
    before = format_baselines(baselines)
    with pytest.raises(BaselineError) as caught:
        baselines.promote(run("r9", verdict), approval=approval())
    assert str(caught.value) == (
        f"run r9 is {verdict}, so it does not become the baseline by itself; to accept it as the new level: "
        "python -m include.perf baselines promote r9 --force --reason '…'"
    )
    assert format_baselines(baselines) == before


def test_a_run_counts_once() -> None:
    """The same run twice would make a level look surer than it is."""
    baselines = with_runs(2)
    with pytest.raises(BaselineError, match=f"^run r1 is part of the baseline of {SERVICE} in {SCENARIO} already$"):
        baselines.promote(run("r1"), approval=approval(), force=True)


@pytest.mark.parametrize("reason", ["", "  \n"])
def test_a_reason_is_needed(reason: str) -> None:
    """Who reads the baseline in a year wants to know why."""
    message = "^a baseline is changed for a reason, which is kept with it; say why the level is right$"
    with pytest.raises(BaselineError, match=message):
        Baselines().promote(run("r1"), approval=approval(reason))
    with pytest.raises(BaselineError, match=message):
        with_runs(2).roll_back(SERVICE, SCENARIO, version=1, approval=approval(reason))


def test_a_metric_without_a_value_is_left_out() -> None:
    """No data is not zero; the median is over the runs that have the metric."""
    baselines = Baselines()
    for run_id, p95 in (("r1", 0.040), ("r2", "no request was answered"), ("r3", 0.050)):
        entry = baselines.promote(run(run_id, p95=p95), approval=approval())
    assert entry.metrics["latency_p95"] == pytest.approx(0.045)  # (40 + 50) / 2
    assert "latency_p95" not in entry.runs[1].metrics


def test_cells_are_apart() -> None:
    """A service's baseline in one scenario says nothing of another scenario or service."""
    baselines = with_runs(1)
    baselines.promote(run("x", scenario="overnight", p95=0.9), approval=approval())
    baselines.promote(run("y", service="other-service", p95=0.8), approval=approval())
    found = baselines.get(SERVICE, SCENARIO)
    assert found is not None
    assert (found.version, found.metrics["latency_p95"]) == (1, 0.001)
    assert baselines.get(SERVICE, "normal_trading") is None
    assert baselines.get("no-service", SCENARIO) is None


def test_history_is_limited_and_flat() -> None:
    """The last twenty versions are kept, latest first, none with a history of its own."""
    entry = with_runs(MAX_HISTORY + 5).get(SERVICE, SCENARIO)
    assert entry is not None
    assert [old.version for old in entry.previous] == list(range(24, 4, -1))  # version 25 before: 24 … 5
    assert {old.previous for old in entry.previous} == {()}


def test_rolling_back_makes_an_earlier_level_the_baseline() -> None:
    """It gets a version of its own, with its own reason; the level it replaces can be had back."""
    baselines = with_runs(3)
    entry = baselines.roll_back(SERVICE, SCENARIO, version=1, approval=approval("bad release", by="ben"))
    assert (entry.version, entry.metrics["latency_p95"], len(entry.runs)) == (4, 0.001, 1)
    assert (entry.approval.by, entry.approval.reason, entry.state) == ("ben", "bad release", State.PROVISIONAL)
    assert [old.version for old in entry.previous] == [3, 2, 1]
    again = baselines.roll_back(SERVICE, SCENARIO, version=3, approval=approval())
    assert (again.version, again.metrics["latency_p95"], len(again.runs)) == (5, 0.002, 3)


@pytest.mark.parametrize(
    ("runs", "version", "message"),
    [
        (3, 7, f"{SERVICE} in {SCENARIO} has no earlier version 7; there are: 2, 1"),
        (3, 3, f"{SERVICE} in {SCENARIO} has no earlier version 3; there are: 2, 1"),  # the present one
        (1, 1, f"{SERVICE} in {SCENARIO} has no earlier version 1; there are: none"),
        (0, 1, f"there is no baseline of {SERVICE} in {SCENARIO}; `baselines list` shows all"),
    ],
)
def test_rolling_back_to_nothing(runs: int, version: int, message: str) -> None:
    """An unknown version is refused with what there is."""
    baselines = with_runs(runs)
    before = format_baselines(baselines)
    with pytest.raises(BaselineError) as caught:
        baselines.roll_back(SERVICE, SCENARIO, version=version, approval=approval())
    assert str(caught.value) == message
    assert format_baselines(baselines) == before


def test_what_a_record_keeps_of_it() -> None:
    """Version, state, runs, date and levels: enough to read a report without the file."""
    entry = with_runs(3).get(SERVICE, SCENARIO)
    assert entry is not None
    reference = entry.reference()
    assert (reference.version, reference.state, reference.runs, reference.approved_at) == (3, "candidate", 3, AT)
    assert reference.metrics == entry.metrics


def test_the_text_is_schema_version_then_service_then_scenario() -> None:
    """The shape that other tools read, with who, when, why and from which runs."""
    document = json.loads(format_baselines(with_runs(2)))
    assert list(document) == ["schema_version", SERVICE]
    assert document["schema_version"] == 1
    entry = document[SERVICE][SCENARIO]
    assert list(entry) == ["version", "state", "fingerprint", "metrics", "runs", "approval", "previous"]
    assert entry["approval"] == {"by": "ana", "at": "2026-03-02T07:00:00Z", "reason": "release 12", "run_id": "r1"}
    assert [each["run_id"] for each in entry["runs"]] == ["r1", "r2"]
    assert entry["metrics"]["latency_p95"] == 0.0015  # the median of 1 and 2 ms
    assert entry["previous"][0]["version"] == 1


def test_keys_are_in_stable_order() -> None:
    """Whichever cell came first, the text is the same, so that a diff shows just what changed."""
    cells = [(service, scenario) for service in ("b", "a", "c") for scenario in ("y", "x")]
    texts = set()
    for seed in range(5):
        random.Random(seed).shuffle(cells)
        baselines = Baselines()
        for service, scenario in cells:
            baselines.promote(run("r1", service=service, scenario=scenario), approval=approval())
        texts.add(format_baselines(baselines))
    (text,) = texts
    document = json.loads(text)
    assert list(document) == ["schema_version", "a", "b", "c"]
    assert list(document["b"]) == ["x", "y"]


def test_reading_and_writing_gives_the_same_bytes() -> None:
    """Seeded awkward values – long floats, other alphabets, fractions of a second – come back as they were."""
    source = random.Random(1)
    baselines = Baselines()
    for number in range(12):
        changed = approval(
            f"Grund № {number}: “größer” 漢 \\ \n", at=AT + timedelta(microseconds=source.randrange(10**6))
        )
        baselines.promote(run(f"r{number}", p95=source.random() * 10 ** source.randint(-9, 3)), approval=changed)
    text = format_baselines(baselines)
    parsed = parse_baselines(text, where="x")
    assert parsed == baselines
    assert format_baselines(parsed) == text


def test_the_level_is_the_median_for_any_runs() -> None:
    """Seeded runs of every number from 1 to 12 agree with the definition."""
    source = random.Random(2)
    for count in range(1, 13):
        values = [source.uniform(0.001, 1.0) for _ in range(count)]
        baselines = Baselines()
        for number, value in enumerate(values):
            entry = baselines.promote(run(f"r{number}", p95=value), approval=approval())
        assert entry.metrics["latency_p95"] == statistics.median(values)


def entry_document(**changes: Any) -> bytes:
    document = json.loads(format_baselines(with_runs(1)))
    document[SERVICE][SCENARIO] |= changes
    return json.dumps(document).encode()


CELL = f"b.json: {SERVICE}.{SCENARIO}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", f"b.json is not valid JSON (Expecting value: line 1 column 1 (char 0)); {REMEDY}"),
        (
            b'{"schema_version": 1,}',
            "b.json is not valid JSON (Expecting property name enclosed in double quotes: "
            f"line 1 column 22 (char 21)); {REMEDY}",
        ),
        (b'{"a": "\xe9"}', "b.json is not valid JSON ('utf-8' codec can't decode byte 0xe9"),
        (b"[]", f"b.json must be an object with schema_version 1; {REMEDY}"),
        (b"{}", f"b.json must be an object with schema_version 1; {REMEDY}"),
        (b'{"schema_version": 2}', f"b.json must be an object with schema_version 1; {REMEDY}"),
        (b'{"schema_version": "1"}', f"b.json must be an object with schema_version 1; {REMEDY}"),
        (b'{"schema_version": 1, "s": []}', f"b.json: s: Input should be a valid dictionary; {REMEDY}"),
        (entry_document(version="two"), f"{CELL}.version: Input should be a valid integer, unable to parse"),
        (
            entry_document(state="sure"),
            f"{CELL}.state: Input should be 'provisional', 'candidate' or 'approved'; {REMEDY}",
        ),
        (entry_document(metrics={"a": None}), f"{CELL}.metrics.a: Input should be a valid number; {REMEDY}"),
        (
            entry_document(metrics={"latency_p95": float("nan")}),
            f"{CELL}.metrics.latency_p95: Input should be a finite number; {REMEDY}",
        ),
        (
            entry_document(runs=[{"run_id": "r", "metrics": {"a": float("inf")}}]),
            f"{CELL}.runs.0.metrics.a: Input should be a finite number; {REMEDY}",
        ),
    ],
)
def test_a_broken_file_is_refused(content: bytes, message: str) -> None:
    """It is never repaired by guessing: one error says where, what and what to do."""
    with pytest.raises(BaselineError) as caught:
        parse_baselines(content, where="b.json")
    assert len(caught.value.problems) == 1
    assert str(caught.value).startswith(message)


def test_every_problem_of_a_file_is_told() -> None:
    """Two wrong fields are two sentences in one error."""
    with pytest.raises(BaselineError) as caught:
        parse_baselines(entry_document(state="sure", version=None), where="b.json")
    assert [problem.split(": ")[1] for problem in caught.value.problems] == [
        f"{SERVICE}.{SCENARIO}.version",
        f"{SERVICE}.{SCENARIO}.state",
    ]

"""Older versions of the baselines file are read, and written in the current version."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.perf.baselines.baselines import Baselines
from include.perf.baselines.entry import Approval, Baseline, BaselineRun, State
from include.perf.baselines.file_format import SCHEMA_VERSION, format_baselines, parse_baselines
from include.perf.baselines.migration import MIGRATIONS
from include.perf.model.errors import BaselineError

AT = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)
REMEDY = "restore it from version control"


def problems_of(document: dict[str, Any]) -> tuple[str, ...]:
    """Return a sentence for each odd part of a file."""
    return tuple(parse_baselines(json.dumps(document).encode(), where="b.json").odd.problems().values())


def version_1(**changes: Any) -> dict[str, Any]:
    """Return an entry as version 1 wrote it."""
    runs = [{"run_id": f"r{number}", "metrics": {"latency_p95": 0.04 * 1.1 ** (number % 2)}} for number in range(4)]
    return {
        "version": 4,
        "state": "candidate",
        "fingerprint": {"load": "9f2c61d0"},
        "metrics": {"latency_p95": 0.042},
        "runs": runs,
        "approval": {"by": "ana", "at": "2026-03-02T07:00:00Z", "reason": "release 12", "run_id": "r3"},
        "previous": [],
        **changes,
    }


def parsed_1(**changes: Any) -> Baseline:
    content = json.dumps({"schema_version": 1, "orders": {"brief": version_1(**changes)}}).encode()
    entry = parse_baselines(content, where="b.json").get("orders", "brief")
    assert entry is not None
    return entry


def test_every_older_version_has_a_migration() -> None:
    """A new version needs one more."""
    assert sorted(MIGRATIONS) == list(range(SCHEMA_VERSION))


def test_version_1_is_read() -> None:
    """All its fields are kept; anchor, spread and dates are added."""
    entry = parsed_1()
    assert (entry.version, entry.state, entry.fingerprint) == (4, State.CANDIDATE, {"load": "9f2c61d0"})
    assert entry.metrics == {"latency_p95": 0.042}
    assert entry.runs[1] == BaselineRun(run_id="r1", metrics={"latency_p95": 0.04 * 1.1})
    assert entry.approval == Approval(by="ana", at=AT, reason="release 12", run_id="r3")
    assert (entry.anchor.metrics, entry.anchor.runs, entry.anchor.version) == (entry.metrics, 4, 4)
    # ln 1.1 = 0.0953; of −, +, −, + half of it: √(4 × 0.0477² / 3) = 0.0550
    assert entry.spread["latency_p95"].own == pytest.approx(0.0550, abs=5e-5)
    assert (entry.review_by, entry.expires_at) == (AT + timedelta(days=92), AT + timedelta(days=184))
    assert (entry.supersedes, entry.since) == (None, None)


def test_version_1_with_a_history() -> None:
    """Earlier entries are superseded, and the current one names the last of them."""
    entry = parsed_1(previous=[version_1(version=3, state="candidate"), version_1(version=2, state="provisional")])
    assert entry.supersedes == 3
    assert [(old.version, old.state) for old in entry.previous] == [(3, State.SUPERSEDED), (2, State.SUPERSEDED)]


@pytest.mark.parametrize(("by", "state"), [("ana", State.APPROVED), ("schedule", State.CANDIDATE)])
def test_version_1_approved_without_a_person(by: str, state: State) -> None:
    """Ten runs were enough for ``approved``; now a person is needed too."""
    runs = [{"run_id": f"r{number}", "metrics": {"latency_p95": 0.04}} for number in range(10)]
    changed = {"by": by, "at": "2026-03-02T07:00:00Z", "reason": "x", "run_id": "r9"}
    assert parsed_1(state="approved", runs=runs, approval=changed).state is state


def test_version_1_is_written_as_version_2() -> None:
    """The next change writes it; reading that gives the same."""
    content = json.dumps({"schema_version": 1, "orders": {"brief": version_1()}}).encode()
    parsed = parse_baselines(content, where="b.json")
    text = format_baselines(parsed)
    assert json.loads(text)["schema_version"] == 2
    assert parse_baselines(text, where="b.json") == parsed


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"state": "stale"},
            "b.json: orders.brief.state: Input should be 'provisional', 'candidate' or 'approved', but is \"stale\"",
        ),
        ({"runs": 5}, "b.json: orders.brief.runs: Input should be a valid array, but is 5"),
        ({"anchor": {}}, "b.json: orders.brief.anchor: Unexpected keyword argument"),
    ],
)
def test_a_broken_version_1(changes: dict[str, Any], message: str) -> None:
    """The problem refers to version 1."""
    document = {"schema_version": 1, "orders": {"brief": version_1(**changes)}}
    assert problems_of(document) == (f"{message}; {REMEDY}",)


def test_plain_numbers_are_read_as_a_baseline_without_approver() -> None:
    """One unknown run, approved by "unknown" in 1970: it is stale, so deviations are warnings at most."""
    content = b'{"orders": {"brief": {"latency_p95": 0.04, "throughput": 500}}}'
    entry = parse_baselines(content, where="b.json").get("orders", "brief")
    assert entry is not None
    assert (entry.version, entry.state, entry.fingerprint) == (1, State.PROVISIONAL, {})
    assert entry.metrics == {"latency_p95": 0.04, "throughput": 500.0}
    assert entry.runs == (BaselineRun(run_id="unknown", metrics=entry.metrics),)
    assert (entry.approval.by, entry.approval.at) == ("unknown", datetime(1970, 1, 1, tzinfo=UTC))
    assert entry.approval.reason.startswith("taken over from a file of plain numbers that did not say who approved")
    assert entry.review_by == datetime(1970, 4, 3, tzinfo=UTC)  # 31 + 28 + 31 + 2 = 92 days
    assert entry.state_at(AT) is State.STALE


def test_plain_numbers_are_written_as_version_2() -> None:
    """Reading what was written gives the same."""
    parsed = parse_baselines(b'{"b": {"x": {"latency_p95": 0.04}}, "a": {}}', where="b.json")
    text = format_baselines(parsed)
    assert parse_baselines(text, where="b.json").get("b", "x") == parsed.get("b", "x")


def test_an_empty_object_is_read() -> None:
    """It has no baselines."""
    assert parse_baselines(b"{}", where="b.json") == Baselines()


KNOWN = (
    "known metrics: latency_p50, latency_p95, latency_p99, throughput, error_rate, cpu_usage, memory_usage, disk_usage"
)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"latency_p59": 0.04}, f"a.b.latency_p59: 'latency_p59' is not a metric; {KNOWN}"),
        ({"latency_p95": True}, "a.b.latency_p95: must be a number in base units, but is true"),
        ({"latency_p95": "40 ms"}, 'a.b.latency_p95: must be a number in base units, but is "40 ms"'),
        ({"latency_p95": None}, "a.b.latency_p95: must be a number in base units, but is null"),
        ({"latency_p95": {"value": 1}}, "a.b.latency_p95: must be a number in base units"),
        ({"latency_p95": float("nan")}, "a.b.latency_p95: must be a finite number, but is NaN"),
        (0.04, "a.b: should be an object, but is 0.04"),
    ],
)
def test_broken_plain_numbers(value: Any, message: str) -> None:
    """The problem names service, scenario and metric, and lists the known metrics."""
    assert problems_of({"a": {"b": value}}) == (f"b.json: {message}; {REMEDY}",)


def test_every_problem_of_plain_numbers_is_reported() -> None:
    """One sentence for each odd part, with all its problems."""
    found = problems_of({"a": 1, "b": {"c": [], "d": {"x": 1, "latency_p95": "y"}}})
    assert [problem.split(": ")[1] for problem in found] == ["a", "b.c", "b.d.x"]
    assert "; b.d.latency_p95: must be" in found[2]


@pytest.mark.parametrize(
    "document",
    [
        {"a": {"b": {"latency_p95": "40 ms"}, "c": {"latency_p95": 0.04}}},
        {"schema_version": 1, "a": {"b": version_1(runs=5), "c": version_1()}},
    ],
)
def test_an_older_file_with_an_odd_entry(document: dict[str, Any]) -> None:
    """The other entry is used. The file is not written in version 2: the odd entry could not be repaired there."""
    parsed = parse_baselines(json.dumps(document).encode(), where="b.json")
    assert (parsed.get("a", "b"), parsed.get("a", "c") is None) == (None, False)
    with pytest.raises(
        BaselineError, match=r"^the baselines cannot be changed: .* in version 2, .*: a\.b\.\w+: .*; restore"
    ):
        format_baselines(parsed)

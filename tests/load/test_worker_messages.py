"""What a worker may send: hostile summaries are refused, and no text of one reaches a record unchecked."""

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from include.load.channel import MASTER_MAX_BYTES
from include.load.conversation import Conversation, MessageMalformed
from include.load.drive import Drive
from include.load.progress import ProgressReport
from include.load.record import EXAMPLE_LENGTH, MAX_EXAMPLES, RequestLog
from include.load.worker_messages import MAX_TEXT, checked_report, checked_summary, host_name
from include.perf.load.load_plan import GeneratorLog
from include.perf.model.json_files import to_json

GOOD_LOG = GeneratorLog(
    ended="completed",
    version="2 (locust 2.47.0, python 3.11.7)",
    started_at=1_767_787_200.0,
    measured_from=1_767_787_201.0,
    measured_to=1_767_787_211.0,
    arrivals=1_100,
    schedule_lags={0: 900, 450: 100},
    cpu_cores=0.2,
    wanted_cores=0.25,
    wait_ratio=0.1,
    steal_ratio=None,
    concurrency_peak=7,
    capped=0,
    clock_step_s=-0.001,
    error_examples={"orders timeout": "no complete answer within 10 s"},
    feed_rows={"orders": 3},
)
SUMMARY: dict[str, Any] = json.loads(to_json(GOOD_LOG))


def test_a_summary_is_taken_over() -> None:
    """Unchanged, except for what only the master knows."""
    assert checked_summary(json.dumps(SUMMARY)) == GOOD_LOG


def test_every_progress_report_has_the_agreed_form() -> None:
    """A field that is added to the report must be added to what the master checks."""
    drive = SimpleNamespace(
        elapsed_s=1.5,
        released=3,
        due=3,
        sent=3,
        in_flight=1,
        is_measuring=True,
        take_lags=lambda: {1: 3},
        waits=lambda: {9: 1},
    )
    log = SimpleNamespace(finished=2, failed=1, latencies=SimpleNamespace(take=lambda: {700: 2}))
    made = ProgressReport(cast(Drive, drive), cast(RequestLog, log)).make()
    assert checked_report(json.loads(json.dumps(made))) == made


def test_the_longest_summary_is_not_too_long_for_the_channel() -> None:
    """As many examples as are kept, of characters that JSON escapes, and a delay of every length."""
    examples = {f"{number:03} {'n' * 60}": "語" * EXAMPLE_LENGTH for number in range(MAX_EXAMPLES)}
    longest = replace(GOOD_LOG, error_examples=examples, schedule_lags=dict.fromkeys(range(2400), 10**9))
    message = Conversation().pack_json({"summary": to_json(longest).decode()})
    assert len(message) < 0.9 * MASTER_MAX_BYTES
    assert checked_summary(to_json(longest).decode()) == longest


@pytest.mark.parametrize(
    "change",
    [
        {"arrivals": -1},
        {"arrivals": 1e300},
        {"arrivals": "many"},
        {"cpu_cores": float("nan")},
        {"measured_to": float("inf")},
        {"wait_ratio": -0.1},
        {"clock_step_s": -1e13},
        {"schedule_lags": {"5001": 1}},
        {"schedule_lags": {"-1": 1}},
        {"schedule_lags": {"7": -1}},
        {"schedule_lags": {str(step): 1 for step in range(5_001)}},
        {"error_examples": {str(number): "" for number in range(5_001)}},
        {"ended": None},
        {"hosts": [["a"]]},
    ],
)
def test_an_impossible_summary_is_refused(change: dict[str, Any]) -> None:
    """Its worker is lost; the error has nothing of it."""
    with pytest.raises(MessageMalformed, match=r"^its summary (is not in the agreed form|has delays that cannot be)$"):
        checked_summary(json.dumps(SUMMARY | change))


@pytest.mark.parametrize("text", [None, 7, "", "[]", "{}", "[" * 100_000, "9" * 10_000, "\ud800", b"{}"])
def test_noise_is_no_summary(text: object) -> None:
    """Of any type and depth."""
    with pytest.raises(MessageMalformed, match="its summary is not in the agreed form"):
        checked_summary(text)


def test_the_texts_of_a_summary_are_short_and_on_one_line() -> None:
    """They appear in the record, in reasons and in logs; who else took part is for the master to say."""
    forged = "stopped\n2026-01-01 00:00:00 WARNING forged \x1b[31m" + "x" * 5_000
    change = {
        "ended": forged,
        "version": forged,
        "error_examples": {"orders\nforged": forged},
        "workers": 64,
        "lost_workers": [7],
    }
    summary = checked_summary(json.dumps(SUMMARY | change))
    shown = "stopped 2026-01-01 00:00:00 WARNING forged [31m" + "x" * 5_000
    assert (summary.ended, summary.version) == (shown[:MAX_TEXT], shown[:MAX_TEXT])
    assert summary.error_examples == {"orders forged": shown[:MAX_TEXT]}
    assert (summary.workers, summary.lost_workers) == (1, ())


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("vm-1.example", "vm-1.example"),
        ("pod_1", "pod_1"),
        ("ana's mac", "ana-s-mac"),
        ("", "unknown"),
        ("é" * 200, "-" * 128),
    ],
)
def test_a_host_name_has_the_characters_of_a_hello(given: str, name: str) -> None:
    """Linux allows any."""
    assert host_name(given) == name

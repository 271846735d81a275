"""The Slack message: golden files, Slack's limits, and text that tries to mention someone."""

import json
from typing import Any

import pytest

from include.perf.adapters import slack_blocks as slack
from include.perf.adapters.slack_blocks import Links, deviation_message, fit
from include.perf.metric import METRICS
from include.perf.report import headline
from include.perf.run import RunRecord, Severity, Verdict
from tests.golden_files import assert_golden
from tests.records import BASELINE_METRICS, deviation, metric_values, record_of, regressed_record, run_record

LINKS = Links(
    airflow_run="https://airflow.example/dags/market_open/runs/scheduled__2026-03-02",
    report="https://results.example/analysis-engine-service/market_open/20260302T063900Z-7f3a/report.md",
    prometheus="https://prometheus.example/graph?g0.expr=up",
)
MENTION = "<!channel> <@U123> <https://evil.example|ok> @here & &lt;!here&gt;"


def _error_rate_record() -> RunRecord:
    return regressed_record(deviation("error_rate", 0.021, baseline=0.0, severity=Severity.WARNING))


def _many_record() -> RunRecord:
    worse = {name: value * 1.3 for name, value in BASELINE_METRICS.items()}
    worse |= {"latency_p95": 0.1684, "latency_p99": 0.4, "throughput": 430.0, "error_rate": 0.021}
    return regressed_record(*(deviation(name, value) for name, value in worse.items()))


@pytest.mark.parametrize(
    ("name", "record"),
    [
        ("slack_p95.json", regressed_record()),
        ("slack_error_rate_from_zero.json", _error_rate_record()),
        ("slack_many.json", _many_record()),
    ],
)
def test_message_of_a_deviation(name: str, record: RunRecord) -> None:
    """Messages that someone has read and found right."""
    message = deviation_message(record, links=LINKS)
    shown = {"text": message.text, "image_alt": message.image_alt, "blocks": message.blocks}
    assert_golden(name, json.dumps(shown, indent=2, ensure_ascii=False) + "\n")
    _assert_within_limits(message.blocks)


@pytest.mark.parametrize(
    ("record", "line"),
    [
        (
            regressed_record(),
            ":rotating_light: analysis-engine-service is slower at market_open: p95 61.2 ms, +45 % (was 42.1 ms)",
        ),
        (
            _error_rate_record(),
            ":warning: analysis-engine-service fails more often at market_open: "
            "error rate 2.10 %, +2.10 points (was 0.00 %)",
        ),
        (
            regressed_record(deviation("throughput", 430.0)),
            ":rotating_light: analysis-engine-service handles less at market_open: throughput 430/s, −14 % (was 499/s)",
        ),
    ],
)
def test_first_line_tells_the_story(record: RunRecord, line: str) -> None:
    """The notification and the header are the same sentence."""
    message = deviation_message(record, links=Links())
    assert message.text == line
    assert message.blocks[0]["text"]["text"] == line


@pytest.mark.parametrize("verdict", [verdict for verdict in Verdict if verdict is not Verdict.REGRESSION])
def test_other_verdicts_never_say_that_a_service_got_worse(verdict: Verdict) -> None:
    """An invalid run is no news about the service, whatever deviations it holds."""
    message = deviation_message(record_of(verdict), links=LINKS)
    whole = headline(record_of(verdict))
    assert message.text == (whole if len(whole) <= 150 else whole[:149].rstrip() + "…")
    assert "slower" not in _all_text(message.blocks)
    _assert_within_limits(message.blocks)


def test_what_moved_beside_is_shown_even_within_its_floors() -> None:
    """CPU, memory and error rate help to tell the cause; what is told above is not told twice."""
    beside = _section_starting(deviation_message(regressed_record(), links=Links()).blocks, "Beside it:")
    assert beside.splitlines() == [
        "Beside it:",
        "• CPU 1.87 cores, +1.6 % (was 1.84 cores)",
        "• Memory 790.5 MiB, +1.1 % (was 782.0 MiB)",
        "• Error rate 0.03 %, +0.01 points (was 0.02 %)",
    ]
    missing = regressed_record(metrics=metric_values(cpu_usage="Prometheus <down>"))
    text = _section_starting(deviation_message(missing, links=Links()).blocks, "Beside it:")
    assert "• CPU: no value, Prometheus &lt;down&gt;" in text
    assert "Beside it" not in _all_text(deviation_message(_many_record(), links=Links()).blocks)


def test_five_deviations_are_shown_and_the_rest_is_counted() -> None:
    """Eight are worse: five lines and "… and 3 more"; with five nothing is left out."""
    shown = _section_starting(deviation_message(_many_record(), links=Links()).blocks, "• *").splitlines()
    assert len(shown) == 6
    assert shown[-1] == "… and 3 more"
    five = regressed_record(*(deviation(name, BASELINE_METRICS[name] * 1.3) for name in list(METRICS)[:3]))
    assert "more" not in _section_starting(deviation_message(five, links=Links()).blocks, "• *")


def test_buttons_only_for_web_addresses_that_fit() -> None:
    """A path cannot be a button, so it is told as text; an address of 3001 characters would lose the message."""
    links = Links(airflow_run="https://a/" + "x" * 2990, report="file:///results/report.md", prometheus=None)
    blocks = deviation_message(run_record(), links=links).blocks
    assert [each["text"]["text"] for each in _buttons(blocks)] == ["Airflow run"]
    assert "Report: `file:///results/report.md`" in _all_text(blocks)
    longer = Links(airflow_run="https://a/" + "x" * 2991)
    assert _buttons(deviation_message(run_record(), links=longer).blocks) == []
    assert _buttons(deviation_message(run_record(), links=Links()).blocks) == []


def test_no_mention_or_link_can_be_smuggled_in() -> None:
    """Names, reasons and ids are escaped wherever they appear."""
    evil = deviation("latency_p95", 0.0612, reason=MENTION)
    record = regressed_record(
        evil,
        service=MENTION,
        scenario=MENTION,
        environment=MENTION,
        run_id=MENTION,
        metrics=metric_values(latency_p95=0.0612, cpu_usage=MENTION),
    )
    for shown in (record, run_record(service=MENTION, reasons=(MENTION,), verdict=Verdict.NOT_COMPARABLE)):
        message = deviation_message(shown, links=Links(report=MENTION))
        everything = message.text + message.image_alt + _all_text(message.blocks)
        assert "<" not in everything
        assert ">" not in everything
        assert "@here" not in everything
        _assert_within_limits(message.blocks)


def test_long_names_are_cut_before_the_figures() -> None:
    """The header has 150 characters; the figures are always among them."""
    message = deviation_message(regressed_record(service="s" * 63, scenario="m" * 63), links=Links())
    assert len(message.text) <= 150
    assert message.text.endswith(": p95 61.2 ms, +45 % (was 42.1 ms)")
    assert "s…" in message.text
    assert "m…" in message.text


def test_header_of_exactly_150_characters_is_whole() -> None:
    """N fits, n + 1 does not."""
    fixed = len(deviation_message(regressed_record(service="", scenario="m"), links=Links()).text)
    exact = deviation_message(regressed_record(service="s" * (150 - fixed), scenario="m"), links=Links()).text
    assert (len(exact), "…" in exact) == (150, False)
    longer = deviation_message(regressed_record(service="s" * (151 - fixed), scenario="m"), links=Links()).text
    assert len(longer) <= 150
    assert "…" in longer


def test_total_stays_within_the_budget_and_says_what_is_left_out() -> None:
    """Three addresses of 3000 characters are the first to go, and the message says so."""
    url = "https://a/" + "x" * 2990
    blocks = deviation_message(regressed_record(), links=Links(airflow_run=url, report=url, prometheus=url)).blocks
    assert len(json.dumps(blocks, ensure_ascii=False)) <= slack.BUDGET
    assert _buttons(blocks) == []
    assert "… left out, too long for Slack: links" in _all_text(blocks)
    assert "Latency p95" in _all_text(blocks)


def test_everything_huge_still_makes_a_message() -> None:
    """Text of any length, from anywhere, gives a message that Slack accepts."""
    huge = "&" * 20_000
    record = run_record(
        service=huge, scenario=huge, environment=huge, run_id=huge, verdict=Verdict.INVALID, validity=(huge,) * 9
    )
    _assert_within_limits(deviation_message(record, links=Links(report="/" + huge)).blocks)


@pytest.mark.parametrize(
    ("lines", "limit", "expected"),
    [
        (["abc", "def"], 7, "abc\ndef"),
        (["abc"], 3, "abc"),
        (["abcd"], 3, "ab…"),
        (["a", "b" * 30, "c"], 20, "a\n… and 2 more"),
        (["a" * 30, "b", "c"], 20, "aaaaaa…\n… and 2 more"),
        (["ab&amp;cd"], 6, "ab…"),
        ([], 5, ""),
    ],
)
def test_fit_says_what_it_left_out(lines: list[str], limit: int, expected: str) -> None:
    """Whole lines where possible, no half of an entity, never more than the limit."""
    assert fit(lines, limit) == expected
    assert len(fit(lines, limit)) <= limit


def _assert_within_limits(blocks: list[dict[str, Any]]) -> None:
    """Check what Slack would refuse."""
    assert 0 < len(blocks) <= 50
    assert len(json.dumps(blocks, ensure_ascii=False)) <= 10_000
    for block in blocks:
        limit = 150 if block["type"] == "header" else 3000
        assert 0 < len(block.get("text", {"text": "-"})["text"]) <= limit
        assert len(block.get("fields", [])) <= 10
        assert all(0 < len(field["text"]) <= 2000 for field in block.get("fields", []))
        assert len(block.get("elements", [])) <= (25 if block["type"] == "actions" else 10)
        assert all(len(each.get("url", "")) <= 3000 for each in block.get("elements", []))


def _buttons(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each for block in blocks if block["type"] == "actions" for each in block["elements"]]


def _section_starting(blocks: list[dict[str, Any]], start: str) -> str:
    texts = [block["text"]["text"] for block in blocks if block["type"] == "section" and "text" in block]
    return next(str(text) for text in texts if text.startswith(start))


def _all_text(blocks: list[dict[str, Any]]) -> str:
    """Return every text that Slack would show, addresses of buttons left out."""
    texts: list[str] = []
    for block in blocks:
        parts = [block.get("text"), *block.get("fields", [])]
        parts += [] if block["type"] == "actions" else block.get("elements", [])
        texts += [part["text"] for part in parts if part]
    return "\n".join(texts)

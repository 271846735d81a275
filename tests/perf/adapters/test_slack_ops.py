"""Messages about the pipeline itself: what they say, what Slack takes, and text that tries to mention someone."""

from datetime import UTC, datetime
from typing import Any

import pytest

from include.demo.slack.limits import is_too_long, problems
from include.perf.adapters.slack_blocks import Links, SlackMessage
from include.perf.adapters.slack_ops import UNMEASURED, late_message, unmeasured_message
from include.perf.run import RunRecord, Verdict
from tests.records import record_of, run_record

LINKS = Links(airflow_run="https://airflow.example/dags/market_open/runs/scheduled__2026-03-02")
MENTION = "<!channel> <@U123> <https://evil.example|ok> @here & &lt;!here&gt;"
LATE_SINCE = datetime(2026, 3, 2, 7, 55, tzinfo=UTC)
LONGEST_NAME = "m" * 63


def late(**changes: Any) -> SlackMessage:
    given = {"scenario": "market_open", "run": "scheduled__2026-03-02", "late_since": LATE_SINCE, "links": LINKS}
    return late_message(**(given | changes))


def unmeasured(service: str, *reasons: str, verdict: Verdict = Verdict.INVALID, **changes: Any) -> RunRecord:
    """Return a run that could not be judged, for such reasons."""
    validity = reasons if verdict is Verdict.INVALID else ()
    return run_record(service=service, verdict=verdict, validity=validity, reasons=reasons, **changes)


def texts_of(message: SlackMessage) -> list[str]:
    """Return every text that Slack would show, in order."""
    shown = []
    for block in message.blocks:
        shown += [part["text"] for part in [block.get("text"), *block.get("elements", [])] if part]
    return shown


def is_taken(message: SlackMessage) -> bool:
    """Ask Slack's stand-in what it would refuse, and hold the texts to Slack's limits."""
    assert problems(message.blocks) == []
    assert not is_too_long(message.blocks)
    assert len(message.text) <= 150
    limits = {"header": 150, "section": 3000}
    for block in message.blocks:
        if block["type"] in limits:
            assert 0 < len(block["text"]["text"]) <= limits[block["type"]]
    return True


# A run that is late


def test_a_run_that_is_late() -> None:
    """Which, since when, and where to look; it says nothing of any service."""
    message = late()
    line = ":hourglass: market_open is late: it should have been over by 2026-03-02 07:55:00 UTC"
    assert message.text == line
    assert texts_of(message) == [
        line,
        "Run `scheduled__2026-03-02` is still going. Nothing is known about the services yet.",
        f"Airflow run: {LINKS.airflow_run}",
    ]
    assert message.image_alt == ""
    assert is_taken(message)


def test_without_an_address_there_is_no_link() -> None:
    """Rather than one that leads nowhere."""
    message = late(links=Links())
    assert [block["type"] for block in message.blocks] == ["header", "section"]
    assert is_taken(message)


# Runs that could not be judged


def test_runs_that_could_not_be_judged() -> None:
    """One line each, with the first reason and how many more there are."""
    message = unmeasured_message(
        [
            unmeasured("orders-service", "the target is down"),
            unmeasured("engine", "the load ended early: stopped", "Prometheus was never asked", "the clock was set"),
            unmeasured("rates", "load is halted by ana: release", verdict=Verdict.SKIPPED),
        ],
        of=6,
        links=LINKS,
    )
    line = (
        ":construction: market_open: 3 of 6 services could not be judged; this is about the measurement, not about the "
        "services"
    )
    assert message.text == line
    assert texts_of(message) == [
        line,
        "• *orders-service* INVALID: the target is down\n"
        "• *engine* INVALID: the load ended early: stopped (and 2 reasons more)\n"
        "• *rates* SKIPPED: load is halted by ana: release",
        f"Airflow run: {LINKS.airflow_run}",
    ]
    assert is_taken(message)


def test_one_more_reason_is_one_reason() -> None:
    """And one service is one service."""
    message = unmeasured_message([unmeasured("orders", "a", "b")], of=1, links=Links())
    assert message.text.startswith(":construction: market_open: 1 of 1 service could not be judged; ")
    assert texts_of(message)[1] == "• *orders* INVALID: a (and 1 reason more)"


def test_a_run_that_gives_no_reason_is_told_all_the_same() -> None:
    """It must not fall silent."""
    message = unmeasured_message([unmeasured("orders")], of=1, links=Links())
    assert texts_of(message)[1] == "• *orders* INVALID: no reason was kept"


@pytest.mark.parametrize("verdict", UNMEASURED)
def test_it_never_reads_like_a_regression(verdict: Verdict) -> None:
    """Nobody is to look at a service for it."""
    message = unmeasured_message([record_of(verdict)], of=6, links=LINKS)
    everything = "\n".join(texts_of(message))
    for word in ("REGRESSION", "slower", "worse", ":rotating_light:", ":warning:"):
        assert word not in everything
    assert is_taken(message)


# What Slack would refuse, or read in another way


def test_no_mention_or_link_can_be_smuggled_in() -> None:
    """Names, ids, reasons and addresses are escaped wherever they appear."""
    for message in (
        late(scenario=MENTION, run=f"`{MENTION}`", links=Links(airflow_run=MENTION)),
        unmeasured_message([unmeasured(MENTION, MENTION, scenario=MENTION)], of=1, links=Links(airflow_run=MENTION)),
    ):
        everything = "\n".join([message.text, *texts_of(message)])
        assert "<" not in everything
        assert ">" not in everything
        assert "@here" not in everything
        assert [block["text"]["verbatim"] for block in message.blocks if block["type"] == "section"] == [True]
        assert is_taken(message)


def test_a_run_id_cannot_end_its_code() -> None:
    """A backtick in it is another character."""
    assert texts_of(late(run="a`b\nc"))[1].startswith("Run `a'b c` is still going.")


def test_the_longest_name_is_cut_within_the_header() -> None:
    """150 characters, whatever the catalogue allows."""
    for message in (
        late(scenario=LONGEST_NAME),
        unmeasured_message([unmeasured("orders", "a", scenario=LONGEST_NAME)], of=6, links=LINKS),
        late(scenario="&" * 1000),
    ):
        assert is_taken(message)


def test_many_long_reasons_are_cut_within_the_section() -> None:
    """3000 characters: whole lines, and how many were left out."""
    records = [unmeasured(f"service-{number}", "because " + "x" * 600) for number in range(6)]
    message = unmeasured_message(records, of=6, links=LINKS)
    lines = texts_of(message)[1].splitlines()
    assert [line[:13] for line in lines[:-1]] == [f"• *service-{number}*" for number in range(4)]
    assert lines[-1] == "… and 2 more"
    assert is_taken(message)


def test_one_reason_of_any_length_is_cut() -> None:
    """No half of an entity at the end of it."""
    message = unmeasured_message([unmeasured("orders", "&" * 5000)], of=1, links=LINKS)
    text = texts_of(message)[1]
    assert text.endswith("&amp;…")
    assert is_taken(message)


def test_an_address_that_is_too_long_is_left_out() -> None:
    """It is the last thing that the message should be lost for: 1500 characters with the words before it."""
    fits = "https://airflow.example/" + "x" * (1500 - len("Airflow run: https://airflow.example/"))
    assert texts_of(late(links=Links(airflow_run=fits)))[2:] == [f"Airflow run: {fits}"]
    message = late(links=Links(airflow_run=f"{fits}x"))
    assert texts_of(message)[2:] == []
    assert is_taken(message)

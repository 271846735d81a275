"""Nights told to the Slack stand-in: who hears of what, what is said once, and what is kept until it arrives."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from bellwether import alerting

from include.perf.adapters.wiring.storage import Storage
from include.perf.alerts import delivery
from include.perf.model.errors import DeliveryError
from include.perf.model.json_files import to_json
from include.perf.runs.record import RunRecord, Verdict
from tests.plugins.conftest import StandIn
from tests.records import record_of

GOLDEN = Path(__file__).parents[1] / "golden" / "charts"
ANALYSIS = "analysis-engine-service"
FIRST_LINE = ":rotating_light: analysis-engine-service is slower at market_open: p95 61.2 ms, +45 % (was 42.1 ms)"
WHERE = {"dag_id": "market_open", "dag_run_id": "scheduled__2026-03-02T03:50:00+00:00"}


@pytest.fixture(autouse=True)
def _results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BELLWETHER_RESULTS_URI", str(tmp_path / "results"))
    monkeypatch.setenv("AIRFLOW_CONN_PROMETHEUS_DEFAULT", "http://prometheus:9090")
    for name in ("BELLWETHER_ALERTS", "BELLWETHER_CATALOGUE"):
        monkeypatch.delenv(name, raising=False)


class Nights:
    """Finished runs in a results store, one night after another."""

    def __init__(self) -> None:
        self.number = 0

    def night(self, *records: RunRecord, unfinished: tuple[str, ...] = ()) -> list[str]:
        """Keep the runs of a night, with their charts, and return their addresses."""
        self.number += 1
        store, uris = Storage().results(), []
        for record in records:
            run_id = f"202603{self.number:02}T063900Z-7f3a1c"
            uri = store.create(service=record.service, scenario=record.scenario, run_id=run_id)
            store.write(uri, "run.json", to_json(replace(record, run_id=run_id)))
            with store.folder(uri) as folder:
                (folder / "charts").mkdir()
                for name in ("comparison", "latency"):
                    content = (GOLDEN / f"regression_{name}.png").read_bytes()
                    (folder / "charts" / f"{name}.png").write_bytes(content)
            uris.append(uri)
        for service in unfinished:
            uris.append(store.create(service=service, scenario="market_open", run_id=f"202603{self.number:02}T0640-x"))
        return uris


@pytest.fixture
def nights() -> Nights:
    """No night yet."""
    return Nights()


def tell(uris: list[str]) -> None:
    """Tell a night as the task does."""
    alerting.tell_night(uris, **WHERE)


def threads(slack: StandIn) -> dict[str, list[str]]:
    """Return what was said by channel, answers behind an arrow."""
    said: dict[str, list[str]] = {}
    for message in slack.messages():
        is_answer = message.get("thread_ts") not in (None, message["ts"])
        text = message["text"] or ", ".join(file["name"] for file in message.get("files", ()))
        said.setdefault(message["channel_name"], []).append(f"{'→ ' if is_answer else ''}{text}")
    return said


def test_a_fortnight(bot: StandIn, nights: Nights) -> None:
    """It comes, stays, gets worse and goes: one message in the channel, all else in its thread."""
    critical = record_of(Verdict.REGRESSION)
    larger = replace(
        critical.deviations[0], value=0.09, shift=replace(critical.deviations[0].shift, ratio=1.1, low=1.0, high=1.2)
    )
    for record in (record_of(Verdict.PASS), critical, critical, replace(critical, deviations=(larger,)), critical):
        tell(nights.night(record))
    tell(nights.night(record_of(Verdict.PASS)))
    first, *answers = threads(bot)["performance"]
    assert first.startswith(":white_check_mark: Recovered")
    assert all(answer.startswith("→ ") for answer in answers)
    said = [answer for answer in answers if not answer.endswith(".png")]
    assert said[0].startswith("→ still there, night 1")
    assert "worse" in said[1]
    assert "back to normal" in said[-1]
    assert sum(answer.endswith("latency.png") for answer in answers) == 2  # with the first message and the worse one
    assert list(threads(bot)) == ["performance"]
    assert Storage().alerts().read().outbox == []
    worst = next(message for message in bot.messages() if "worse, night" in message["text"])
    assert worst["thread_ts"] != worst["ts"]


def test_the_first_message_says_where_the_report_is(bot: StandIn, nights: Nights) -> None:
    """As a path: Slack's buttons lead to the web only."""
    (uri,) = nights.night(record_of(Verdict.REGRESSION))
    tell([uri])
    assert f"{uri}/report.md" in str(bot.messages()[0]["blocks"])


def test_a_task_that_is_tried_again_tells_nothing_twice(bot: StandIn, nights: Nights) -> None:
    """Airflow runs it again after a crash, or somebody clears it."""
    uris = nights.night(record_of(Verdict.REGRESSION))
    tell(uris)
    told = bot.texts()
    tell(uris)
    assert bot.texts() == told


def test_what_could_not_be_judged_is_told_elsewhere(bot: StandIn, nights: Nights) -> None:
    """In one message, with the run that has no record; nothing that looks like a regression."""
    tell(nights.night(record_of(Verdict.INVALID), unfinished=("feature-store-service",)))
    assert list(threads(bot)) == ["performance-ops"]
    (message,) = bot.messages()
    assert "2 of 2 services could not be judged" in message["text"]
    shown = str(message["blocks"])
    assert ANALYSIS in shown
    assert "feature-store-service" in shown


def test_improvements_go_into_the_digest(bot: StandIn, nights: Nights) -> None:
    """Nobody is woken for them; a night in line is told to nobody."""
    tell(nights.night(record_of(Verdict.IMPROVEMENT)))
    assert list(threads(bot)) == ["performance-digest"]
    tell(nights.night(record_of(Verdict.PASS)))
    assert len(bot.messages()) == 1


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "slack_error", "error": "channel_not_found", "methods": ["chat.postMessage"]},
        {"kind": "ratelimited", "times": 100, "retry_after_s": 0},
        {"kind": "timeout", "methods": ["chat.postMessage"], "hold_s": 3},
        {"kind": "timeout", "methods": ["chat.postMessage"], "hold_s": 3, "accept": True},
        {"kind": "reset", "methods": ["chat.postMessage"], "accept": True},
        {"kind": "http_500", "methods": ["chat.postMessage"], "accept": True, "times": 5},
    ],
    ids=lambda fault: f"{fault['kind']}{'-accepted' if fault.get('accept') else ''}",
)
def test_what_did_not_arrive_comes_with_the_next_run_and_once(
    bot: StandIn, nights: Nights, fault: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The task says so; whatever Slack had taken of it is not sent again."""
    monkeypatch.setattr(delivery, "SETTLES", timedelta(0))
    bot.fail(**fault)
    with pytest.raises(DeliveryError, match=r"What did not arrive is kept and sent with the next run$"):
        tell(nights.night(record_of(Verdict.REGRESSION)))
    assert len(Storage().alerts().read().outbox) == 1
    bot.http.delete("/_standin/fault").raise_for_status()
    tell(nights.night(record_of(Verdict.PASS)))
    firsts = [message for message in bot.messages() if message.get("thread_ts") in (None, message["ts"])]
    assert len(firsts) == 1
    assert firsts[0]["text"].startswith(":white_check_mark: Recovered")


def test_a_webhook_tells_the_beginning_and_the_end(webhook: StandIn, nights: Nights) -> None:
    """It has no threads, so the nights in between are silent."""
    for verdict in (Verdict.REGRESSION, Verdict.REGRESSION, Verdict.PASS):
        tell(nights.night(record_of(verdict)))
    first, last = webhook.texts()
    assert first == FIRST_LINE
    assert "normal" in last


def test_without_slack_everything_is_kept(nights: Nights) -> None:
    """The sentence says which connection is missing; a quiet night needs none."""
    tell(nights.night(record_of(Verdict.PASS)))
    with pytest.raises(DeliveryError, match="slack_api_default"):
        tell(nights.night(record_of(Verdict.REGRESSION)))
    assert [each.message.text for each in Storage().alerts().read().outbox] == [FIRST_LINE]


def test_a_dag_run_of_which_nothing_came(bot: StandIn) -> None:
    """The plan failed."""
    alerting.tell_failed("nothing was planned; see the task plan", **WHERE)
    assert list(threads(bot)) == ["performance-ops"]
    assert "market_open" in bot.texts()[0]


def test_a_scenario_that_should_have_run(bot: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the first look nothing is missed; two days later every nightly scenario is, once."""
    alerting.tell_overdue()
    assert bot.messages() == []
    later = datetime.now(UTC) + timedelta(days=8)

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return later

    monkeypatch.setattr(alerting, "datetime", Later)
    alerting.tell_overdue()
    alerting.tell_overdue()
    assert list(threads(bot)) == ["performance-ops"]
    assert sum("overnight_processing" in text for text in bot.texts()) == 1

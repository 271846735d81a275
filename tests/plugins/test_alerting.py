"""Alerts to the Slack stand-in: which channel gets what, nothing twice, and nothing lost."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from bellwether import alerting, other_channels
from bellwether.notifier import SlackBot, SlackWebhook

from include.perf.adapters.files.folder_store import FolderStore
from include.perf.adapters.wiring.storage import Storage
from include.perf.alerts import sending
from include.perf.alerts.book import Delivery, DeliveryPart, DeliveryState, Event
from include.perf.model.errors import CatalogueError, DeliveryError, ItemError, StoreError
from include.perf.model.json_files import to_json
from include.perf.model.patience import ONCE
from include.perf.runs.record import RunRecord, Verdict
from include.perf.runs.stage_files import StageFiles
from tests.catalogues import SCENARIOS, SERVICES, catalogue_folder
from tests.fakes.failing import raising
from tests.plugins.conftest import TOKEN, StandIn
from tests.records import record_of
from tests.stages import SPEC

GOLDEN = Path(__file__).parents[1] / "golden" / "charts"
ANALYSIS = "analysis-engine-service"
FIRST_LINE = "analysis-engine-service is slower under market_open: p95 61.2 ms, +45 % (was 42.1 ms)"
WHERE = {"dag_id": "market_open", "dag_run_id": "scheduled__2026-03-02T03:50:00+00:00"}


@pytest.fixture(autouse=True)
def _results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BELLWETHER_RESULTS_URI", str(tmp_path / "results"))
    monkeypatch.setenv("AIRFLOW_CONN_PROMETHEUS_DEFAULT", "http://prometheus:9090")
    for name in ("BELLWETHER_ALERTS", "BELLWETHER_CATALOGUE"):
        monkeypatch.delenv(name, raising=False)


class Nights:
    """Stores finished runs, night by night."""

    def __init__(self) -> None:
        self.number = 0

    def night(self, *records: RunRecord, unfinished: tuple[str, ...] = ()) -> list[str]:
        """Store the runs of a night with their charts, and return their URIs."""
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
            StageFiles(store, uris[-1]).spec.write(SPEC)
        return uris


@pytest.fixture
def nights() -> Nights:
    """A results store without runs."""
    return Nights()


def alert(uris: list[str]) -> None:
    """Alert to a night like the task."""
    alerting.alert_night(uris, **WHERE)


def threads(slack: StandIn) -> dict[str, list[str]]:
    """Return the texts by channel, replies behind an arrow."""
    texts: dict[str, list[str]] = {}
    for message in slack.messages():
        is_reply = message.get("thread_ts") not in (None, message["ts"])
        text = message["text"] or ", ".join(file["name"] for file in message.get("files", ()))
        texts.setdefault(message["channel_name"], []).append(f"{'→ ' if is_reply else ''}{text}")
    return texts


def test_a_fortnight(bot: StandIn, nights: Nights) -> None:
    """A problem starts, continues, gets worse and ends: one message, and replies in its thread."""
    critical = record_of(Verdict.REGRESSION)
    larger = replace(
        critical.deviations[0], value=0.09, shift=replace(critical.deviations[0].shift, ratio=1.1, low=1.0, high=1.2)
    )
    for record in (record_of(Verdict.PASS), critical, critical, replace(critical, deviations=(larger,)), critical):
        alert(nights.night(record))
    alert(nights.night(record_of(Verdict.PASS)))
    first, *replies = threads(bot)["performance"]
    assert first.startswith(":white_check_mark: Recovered")
    assert all(reply.startswith("→ ") for reply in replies)
    texts = [reply for reply in replies if not reply.endswith(".png")]
    assert texts[0].startswith("→ still there, night 1")
    assert "worse" in texts[1]
    assert "back to normal" in texts[-1]
    assert sum(reply.endswith("latency.png") for reply in replies) == 2  # with the first message and the worse one
    assert list(threads(bot)) == ["performance"]
    assert Storage().alerts().read().outbox == []
    worst = next(message for message in bot.messages() if "worse, night" in message["text"])
    assert worst["thread_ts"] != worst["ts"]


def test_the_first_message_has_the_path_of_the_report(bot: StandIn, nights: Nights) -> None:
    """As text, because a button needs a web address."""
    (uri,) = nights.night(record_of(Verdict.REGRESSION))
    alert([uri])
    assert f"{uri}/report.md" in str(bot.messages()[0]["blocks"])


def test_a_retried_task_alerts_nobody_twice(bot: StandIn, nights: Nights) -> None:
    """Airflow retries it after a crash, or somebody clears it."""
    uris = nights.night(record_of(Verdict.REGRESSION))
    alert(uris)
    before = bot.texts()
    alert(uris)
    assert bot.texts() == before


def test_runs_that_could_not_be_judged_go_to_the_operators(bot: StandIn, nights: Nights) -> None:
    """One message, including the run without a record."""
    alert(nights.night(record_of(Verdict.INVALID), unfinished=("feature-store-service",)))
    assert list(threads(bot)) == ["performance-ops"]
    (message,) = bot.messages()
    assert "2 of 2 services could not be judged" in message["text"]
    shown = str(message["blocks"])
    assert ANALYSIS in shown
    assert "feature-store-service" in shown


def test_improvements_go_into_the_digest(bot: StandIn, nights: Nights) -> None:
    """They alert nobody; a quiet night sends nothing."""
    alert(nights.night(record_of(Verdict.IMPROVEMENT)))
    assert list(threads(bot)) == ["performance-digest"]
    alert(nights.night(record_of(Verdict.PASS)))
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
def test_undelivered_messages_arrive_once_with_the_next_run(
    bot: StandIn, nights: Nights, fault: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The task fails; a message that Slack accepted is not sent again."""
    monkeypatch.setattr(sending, "SETTLES_S", 0.0)
    bot.fail(**fault)
    with pytest.raises(DeliveryError, match=r"What was not delivered is kept; .* shows it$"):
        alert(nights.night(record_of(Verdict.REGRESSION)))
    assert [entry.part for entry in Storage().alerts().read().outbox] == [DeliveryPart.MESSAGE, DeliveryPart.CHARTS]
    bot.http.delete("/_standin/fault").raise_for_status()
    alert(nights.night(record_of(Verdict.PASS)))
    firsts = [message for message in bot.messages() if message.get("thread_ts") in (None, message["ts"])]
    assert len(firsts) == 1
    assert firsts[0]["text"].startswith(":white_check_mark: Recovered")


class Killed(BaseException):
    """The process is killed."""


def dying(call: Callable[..., Any]) -> Callable[..., Any]:
    """Return a call that does its work, and whose process is killed before it can store that."""

    def killed(*given: Any, **named: Any) -> None:
        call(*given, **named)
        raise Killed

    return killed


def test_a_process_that_dies_after_a_post_through_a_webhook(
    webhook: StandIn, nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message is not posted again; it may have arrived, as the operators hear once. Later runs are fine."""
    with monkeypatch.context() as patched:
        patched.setattr(SlackWebhook, "post", dying(SlackWebhook.post))
        with pytest.raises(Killed):
            alert(nights.night(record_of(Verdict.REGRESSION)))
    with pytest.raises(DeliveryError, match="is set aside: the message may have arrived, but a webhook cannot search"):
        alert(nights.night(record_of(Verdict.REGRESSION)))
    alert(nights.night(record_of(Verdict.REGRESSION)))
    first, report = webhook.texts()
    assert first == f":rotating_light: {FIRST_LINE}"
    assert report == ":construction: set aside, and not sent again: 1 message"
    assert FIRST_LINE in str(webhook.messages()[1]["blocks"])


def test_a_process_that_dies_after_a_post_of_the_bot(
    bot: StandIn, nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message is found by its id; the charts and the reply go into its thread."""
    with monkeypatch.context() as patched:
        patched.setattr(SlackBot, "post", dying(SlackBot.post))
        with pytest.raises(Killed):
            alert(nights.night(record_of(Verdict.REGRESSION)))
    alert(nights.night(record_of(Verdict.REGRESSION)))
    first, *replies = threads(bot)["performance"]
    assert first == f":rotating_light: {FIRST_LINE}"
    assert sorted(replies) == [
        "→ comparison.png, latency.png",
        next(reply for reply in replies if reply.startswith("→ still there, night 1")),
    ]
    assert Storage().alerts().read().outbox == []


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
def test_slack_is_down_and_another_channel_is_up(
    nights: Nights, monkeypatch: pytest.MonkeyPatch, slack: StandIn
) -> None:
    """The other channel is notified at once; Slack gets the message when it is back, and nobody gets it twice."""
    sent: list[str] = []
    monkeypatch.setenv("AIRFLOW_CONN_BELLWETHER_APPRISE", '{"conn_type": "generic", "password": "json://127.0.0.1:1/"}')
    monkeypatch.setattr(other_channels, "_is_sent", lambda _, delivery: sent.append(delivery.message.text) or True)
    connect(monkeypatch, "http://127.0.0.1:1/api/")
    with pytest.raises(DeliveryError, match="not reached: Connection refused"):
        alert(nights.night(record_of(Verdict.REGRESSION)))
    assert sent == [FIRST_LINE]
    connect(monkeypatch, f"{slack.http.base_url}/api/")
    alerting.deliver()
    assert threads(slack)["performance"] == [f":rotating_light: {FIRST_LINE}", "→ comparison.png, latency.png"]
    assert sent == [FIRST_LINE]


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
def test_another_channel_is_down_for_a_while(bot: StandIn, nights: Nights, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its message is delivered later, without a second one in Slack."""
    sent: list[str] = []
    answers = [False, True]

    def is_sent(_: object, delivery: Delivery) -> bool:
        sent.append(delivery.message.text)
        return answers.pop(0)

    monkeypatch.setenv("AIRFLOW_CONN_BELLWETHER_APPRISE", '{"conn_type": "generic", "password": "json://127.0.0.1:1/"}')
    monkeypatch.setattr(other_channels, "_is_sent", is_sent)
    with pytest.raises(DeliveryError, match="json:// did not accept the message"):
        alert(nights.night(record_of(Verdict.REGRESSION)))
    before = bot.texts()
    alerting.deliver()
    assert sent == [FIRST_LINE] * 2
    assert bot.texts() == before
    assert Storage().alerts().read().outbox == []


def connect(monkeypatch: pytest.MonkeyPatch, base_url: str) -> None:
    """Let Airflow reach Slack by bot token at an address."""
    connection = {"conn_type": "slack", "password": TOKEN, "extra": {"base_url": base_url, "timeout": 5}}
    monkeypatch.setenv("AIRFLOW_CONN_SLACK_API_DEFAULT", json.dumps(connection))


def test_a_thread_that_was_deleted_begins_again(bot: StandIn, nights: Nights) -> None:
    """The next news begins a new thread, and the news after it replies there."""
    alert(nights.night(record_of(Verdict.REGRESSION)))
    bot.http.delete("/_standin/messages").raise_for_status()
    alert(nights.night(record_of(Verdict.REGRESSION)))
    alert(nights.night(record_of(Verdict.REGRESSION)))
    first, second = threads(bot)["performance"]
    assert first.startswith("still there, night 1")
    assert "(analysis-engine-service is slower" in first
    assert second.startswith("→ still there, night 1")


def test_a_channel_that_does_not_exist_does_not_fail_every_later_run(bot: StandIn, nights: Nights) -> None:
    """After five deliveries the message is set aside and reported once; the list names the remedy."""
    bot.fail(kind="slack_error", error="channel_not_found", methods=["chat.postMessage"], times=5)
    with pytest.raises(DeliveryError, match=r"error channel_not_found\); invite the bot to the channel"):
        alert(nights.night(record_of(Verdict.REGRESSION)))
    for _ in range(4):
        with pytest.raises(DeliveryError):
            alerting.deliver()
    alerting.deliver()
    assert threads(bot) == {"performance-ops": [":construction: set aside, and not sent again: 1 message"]}
    alert(nights.night(record_of(Verdict.PASS)))
    assert [entry.state for entry in Storage().alerts().read().outbox] == [DeliveryState.SET_ASIDE]


def test_a_webhook_gets_the_start_and_the_end(webhook: StandIn, nights: Nights) -> None:
    """It has no threads, so nights in between send nothing."""
    for verdict in (Verdict.REGRESSION, Verdict.REGRESSION, Verdict.PASS):
        alert(nights.night(record_of(verdict)))
    first, last = webhook.texts()
    assert first == f":rotating_light: {FIRST_LINE}"
    assert "normal" in last


def test_without_slack_messages_are_kept(nights: Nights) -> None:
    """The error names the missing connection; a quiet night needs none."""
    alert(nights.night(record_of(Verdict.PASS)))
    with pytest.raises(DeliveryError, match="slack_api_default"):
        alert(nights.night(record_of(Verdict.REGRESSION)))
    pending = [entry for entry in Storage().alerts().read().outbox if entry.part is DeliveryPart.MESSAGE]
    assert [(entry.message.text, entry.state) for entry in pending] == [(FIRST_LINE, DeliveryState.PENDING)]


def test_a_dag_run_without_any_result(bot: StandIn) -> None:
    """The plan failed."""
    alerting.alert_failed("nothing was planned; see the task plan", **WHERE)
    assert list(threads(bot)) == ["performance-ops"]
    assert "market_open" in bot.texts()[0]


def test_problems_of_the_catalogue_are_reported_once(
    bot: StandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Once for each distinct set, in the channel of the pipeline, even if a file is wrong as a whole."""
    (tmp_path / "catalogue").mkdir()
    folder = catalogue_folder(tmp_path / "catalogue")
    monkeypatch.setenv("BELLWETHER_CATALOGUE", str(folder))
    wrong = SERVICES.replace("$price", "$prise")
    texts = []
    for services in (SERVICES, wrong, wrong, wrong + "  other: 5\n", "services: [", "services: [", SERVICES, SERVICES):
        catalogue_folder(folder, services=services)
        before = len(bot.texts())
        with suppress(CatalogueError):  # the files cannot be used as a whole
            alerting.watch()
        texts.append([text.partition(" the catalogue has ")[2] for text in bot.texts()[before:]])
    assert texts == [
        [],
        ["1 problem: the wrong entries are left out"],
        [],
        ["2 problems: the wrong entries are left out"],
        ["1 problem: no new run can start"],
        [],
        ["no problems any more"],
        [],
    ]
    assert list(threads(bot)) == ["performance-ops"]


def test_a_failed_dag_run_is_reported_while_the_catalogue_is_wrong(
    bot: StandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In the channel that the other file names."""
    (tmp_path / "catalogue").mkdir()
    scenarios = f"ops_channel: '#elsewhere'\n{SCENARIOS}"
    folder = catalogue_folder(tmp_path / "catalogue", services="services: [", scenarios=scenarios)
    monkeypatch.setenv("BELLWETHER_CATALOGUE", str(folder))
    alerting.alert_failed("nothing was planned", **WHERE)
    assert list(threads(bot)) == ["elsewhere"]


def test_an_overdue_scenario(bot: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first check finds nothing; eight days later each nightly scenario is reported once."""
    alerting.watch()
    assert bot.messages() == []
    later = datetime.now(UTC) + timedelta(days=8)

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return later

    monkeypatch.setattr(alerting, "datetime", Later)
    alerting.watch()
    alerting.watch()
    assert list(threads(bot)) == ["performance-ops"]
    assert sum("overnight_processing" in text for text in bot.texts()) == 1


def test_the_watch_delivers_once_and_writes_all_of_its_alerts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, bot: StandIn
) -> None:
    """Slack is down: the overdue scenarios are in the outbox beside the problems of the catalogue."""
    monkeypatch.setenv(
        "BELLWETHER_CATALOGUE", str(catalogue_folder(tmp_path, services=SERVICES.replace("$price", "$x")))
    )
    Storage().alerts().update(lambda book: setattr(book, "watched_since", datetime.now(UTC) - timedelta(days=9)))
    bot.fail(kind="slack_error", error="invalid_auth", methods=["auth.test"], times=100)
    with pytest.raises(DeliveryError, match=r"^Slack cannot be used"):
        alerting.watch()
    events = {entry.event for entry in Storage().alerts().read().outbox}
    assert events == {Event.CATALOGUE, Event.OPENED}
    assert bot.calls() == ["auth.test"] * 2


def test_an_outage_of_the_store_is_no_news(bot: StandIn, nights: Nights, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is reported as missing, recovered or processed; the retry reports the night."""
    alert(nights.night(record_of(Verdict.REGRESSION)))
    before = bot.texts()
    uris = nights.night(record_of(Verdict.PASS), replace(record_of(Verdict.REGRESSION), service="orders-service"))
    with monkeypatch.context() as outage:
        outage.setattr(FolderStore, "read", raising(StoreError("stale file handle")))
        outage.setattr(alerting, "storage", lambda: Storage(patience=ONCE))
        with pytest.raises(StoreError, match=r"^stale file handle$"):
            alert(uris)
    assert bot.texts() == before
    alert(uris)
    assert sum("orders-service is slower" in text for text in bot.texts()) == 1
    assert any("Recovered" in text for text in bot.texts())


def test_a_record_that_appears_later_is_alerted_once(bot: StandIn, nights: Nights) -> None:
    """The report failed and was cleared; the task alert is cleared, too, and more than once."""
    regressed = record_of(Verdict.REGRESSION)
    (uri,) = nights.night(unfinished=(ANALYSIS,))
    alert([uri])
    StageFiles(Storage().results(), uri).record.write(replace(regressed, run_id=uri.rpartition("/")[2]))
    for _ in range(3):
        alert([uri])
    assert threads(bot)["performance"] == [f":rotating_light: {FIRST_LINE}"]
    first, *replies = threads(bot)["performance-ops"]
    assert first.startswith(":white_check_mark: Judged again")
    assert replies == ["→ :white_check_mark: all services can be judged again after 1 night"]


def test_a_record_that_is_written_after_the_alert_is_found_by_the_watch(bot: StandIn, nights: Nights) -> None:
    """Airflow gave up the task `report`, whose process went on; nobody clears a task. It is alerted once."""
    regressed = record_of(Verdict.REGRESSION)
    (uri,) = nights.night(unfinished=(ANALYSIS,))
    alert([uri])
    alerting.watch()
    assert "performance" not in threads(bot)
    StageFiles(Storage().results(), uri).record.write(replace(regressed, run_id=uri.rpartition("/")[2]))
    for _ in range(2):
        alerting.watch()
    alert([uri])
    assert threads(bot)["performance"] == [f":rotating_light: {FIRST_LINE}"]
    first, *replies = threads(bot)["performance-ops"]
    assert first.startswith(":white_check_mark: Judged again")
    assert replies == ["→ :white_check_mark: all services can be judged again after 1 night"]


def test_the_end_of_a_late_run_is_in_its_thread(bot: StandIn, nights: Nights) -> None:
    """Late, then finished: one message, marked as over, and a callback that comes too late changes nothing."""
    now = datetime.now(UTC)
    alerting.alert_late(now, **WHERE)
    alert(nights.night(record_of(Verdict.PASS)))
    alerting.alert_late(now, **WHERE)
    first, reply = threads(bot)["performance-ops"]
    assert first.startswith(":white_check_mark: Over: market_open is late")
    assert reply == "→ :white_check_mark: finished after all: 1 PASS"


@pytest.mark.parametrize(
    ("state", "replies"),
    [
        ("running", []),
        (None, []),
        ("failed", ["→ :construction: market_open failed before its results were reported"]),
        ("success", ["→ :white_check_mark: finished after all"]),
    ],
)
def test_a_late_run_that_ends_without_results(bot: StandIn, state: str | None, replies: list[str]) -> None:
    """Airflow timed it out, for example; the hourly check asks Airflow, and reports the end once."""
    alerting.alert_late(datetime.now(UTC), **WHERE)
    asked = []

    def state_of(dag_id: str, dag_run_id: str) -> str | None:
        asked.append({"dag_id": dag_id, "dag_run_id": dag_run_id})
        return state

    alerting.watch(state_of)
    alerting.watch(state_of)
    assert asked[0] == WHERE
    assert threads(bot)["performance-ops"][1:] == replies


def test_a_scenario_that_cannot_be_checked_does_not_hide_the_others(
    bot: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are reported, and the check fails."""
    alerting.watch()
    later = datetime.now(UTC) + timedelta(days=8)
    monkeypatch.setattr(alerting, "_now", lambda: later)
    real = alerting.overdue

    def overdue(scenario: Any, *others: Any, **when: Any) -> Any:
        if scenario.name == "market_open":
            raise ItemError("cannot read market_open")
        return real(scenario, *others, **when)

    monkeypatch.setattr(alerting, "overdue", overdue)
    with pytest.raises(ItemError, match=r"^cannot read market_open$"):
        alerting.watch()
    assert sum("overnight_processing did not run" in text for text in bot.texts()) == 1
    assert not any("market_open" in text for text in bot.texts())

"""Answers with status 200 that are not Slack's, as a proxy sends them: none ends the delivery of other messages."""

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from bellwether.notifier import SlackBot

from include.perf.alerts.book import Delivery, Event, Message, Posted
from include.perf.model.errors import DeliveryError, DeliveryUnknown

DELIVERY = Delivery(
    id="d1",
    event=Event.OPENED,
    channel="C1234567",
    message=Message(text="orders is slower", plain="", blocks=[]),
    created_at=datetime(2026, 3, 2, tzinfo=UTC),
)
FOUND = {"metadata": {"event_type": "bellwether_alert", "event_payload": {"id": "d1"}}}

NOT_SLACKS = [b"", b"null", b"[]", b"5", b'"ok"', b"{}", b'{"ok": false, "error": {"a": 1}}', b"\xff", b"[" * 100_000]
ODD_SEARCHES: list[dict[str, Any]] = [
    {"messages": 5},
    {"messages": [5, None]},
    {"messages": [{"metadata": 5}]},
    {"messages": [FOUND]},
    {"messages": [FOUND | {"ts": 5}]},
    {"messages": [], "response_metadata": 5},
]


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes], None]]:
    """Sets what a server that stands in for Slack answers to everything."""
    body = [b""]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body[0])

        do_GET = do_POST

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        address = f"http://127.0.0.1:{server.server_port}/api/"
        connection = {"conn_type": "slack", "password": "xoxb-1", "extra": {"base_url": address}}
        monkeypatch.setenv("AIRFLOW_CONN_SLACK_API_DEFAULT", json.dumps(connection))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield lambda given: body.__setitem__(0, given)
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("body", NOT_SLACKS)
def test_an_answer_that_is_not_slacks(answer: Callable[[bytes], None], tmp_path: Path, body: bytes) -> None:
    """A message and charts may have arrived; everything else is tried again."""
    answer(body)
    bot, chart = SlackBot(), tmp_path / "latency.png"
    chart.write_bytes(b"png")
    with pytest.raises(DeliveryUnknown, match="it may have arrived: orders is slower"):
        bot.post(DELIVERY, thread=None, broadcast=False)
    with pytest.raises(DeliveryUnknown, match="but Slack cannot be searched for it"):
        bot.find(DELIVERY, thread=None)
    with pytest.raises(DeliveryUnknown, match="but not its charts"):
        bot.attach(Posted("C1", "1.2"), [chart], alt="")
    for call in (bot.moment, lambda: bot.replace(Posted("C1", "1.2"), DELIVERY.message)):
        with pytest.raises(DeliveryError) as caught:
            call()
        assert type(caught.value) is DeliveryError


@pytest.mark.parametrize("found", ODD_SEARCHES)
def test_a_search_with_an_odd_result(answer: Callable[[bytes], None], found: dict[str, Any]) -> None:
    """It is not known whether the message arrived; no place of it is stored that could not be read back."""
    answer(json.dumps({"ok": True} | found).encode())
    with pytest.raises(DeliveryUnknown, match="but Slack cannot be searched for it"):
        SlackBot().find(DELIVERY, thread=None)


@pytest.mark.parametrize("body", [b" " * 5_000_000, b'{"ok": true, "x": "' + b"y" * 5_000_000 + b'"}'])
def test_an_answer_that_is_too_long_is_not_read(
    answer: Callable[[bytes], None], monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    """Slack's client would read all of it; the message may have arrived nevertheless."""
    monkeypatch.setattr("bellwether.slack_answers.MAX_ANSWER_BYTES", 1_000_000)
    answer(body)
    with pytest.raises(DeliveryUnknown, match=r"the answer cannot be decoded"):
        SlackBot().post(DELIVERY, thread=None, broadcast=False)

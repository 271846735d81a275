"""Messages forwarded through Apprise to a real listener: what arrives, and what is never logged."""

import json
import logging
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from bellwether.other_channels import AppriseChannels

from include.perf.alerts.book import Delivery, Event, Message
from include.perf.model.errors import DeliveryError, DeliveryRefused, DeliveryUnknown

ROOT = Path(__file__).parents[2]
SECRET = "SECRET0123456789"

# One of Apprise's plugins imports a module that Python has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


class Place:
    """A webhook that stores what it receives."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.status = 200
        self.port = 0

    @property
    def address(self) -> str:
        """An Apprise address with a secret in its path."""
        return f"json://127.0.0.1:{self.port}/{SECRET}/"


@pytest.fixture
def place() -> Iterator[Place]:
    """A webhook that accepts everything."""
    found = Place()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(found.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield found
        server.shutdown()
        thread.join()


def connect(monkeypatch: pytest.MonkeyPatch, **connection: Any) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_BELLWETHER_APPRISE", json.dumps({"conn_type": "generic"} | connection))


def delivery(event: Event = Event.OPENED, plain: str = "the rest") -> Delivery:
    message = Message(text="orders is slower", plain=plain, blocks=[])
    return Delivery(id="d1", event=event, channel="#performance", message=message, created_at=datetime.now(UTC))


def forward(event: Event = Event.OPENED, plain: str = "the rest") -> None:
    """Send a message to every address."""
    channels = AppriseChannels()
    for name in channels.names():
        channels.send(name, delivery(event, plain))


def refused(caplog: pytest.LogCaptureFixture) -> str:
    """Forward a message that must fail; neither the printed error nor the log holds the secret."""
    caplog.set_level(logging.DEBUG, logger="apprise")
    with pytest.raises(DeliveryError) as caught:
        forward()
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert SECRET not in "".join(record.getMessage() for record in caplog.records if record.name == "apprise")
    return str(caught.value)


def test_without_a_connection_nothing_is_sent_and_nothing_imported() -> None:
    """Apprise costs time and memory, and few need it."""
    code = (
        "import tests.airflow_home, sys\n"
        "from bellwether.other_channels import AppriseChannels\n"
        "print(AppriseChannels().names(), 'apprise' in sys.modules)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}", "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.splitlines()[-1] == "() False"


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (Event.OPENED, "failure"),
        (Event.WORSENED, "failure"),
        (Event.RECOVERED, "success"),
        (Event.DIGEST, "info"),
    ],
)
def test_a_message_arrives(place: Place, monkeypatch: pytest.MonkeyPatch, event: Event, kind: str) -> None:
    """Its first line is the title, and its type fits the event."""
    connect(monkeypatch, password=place.address)
    forward(event)
    (only,) = place.received
    assert (only["title"], only["message"], only["type"]) == ("orders is slower", "the rest", kind)


def test_a_message_of_one_line_arrives(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Most channels need a body."""
    connect(monkeypatch, password=place.address)
    forward(plain="")
    assert place.received[0]["message"] == "orders is slower"


def test_several_addresses_get_the_message(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given as a list in the extra, or separated by spaces in the password."""
    connect(monkeypatch, extra={"urls": [place.address, place.address]})
    forward()
    connect(monkeypatch, password=f"{place.address} {place.address}\n")
    forward()
    assert len(place.received) == 4


def test_addresses_have_names_without_secrets(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The scheme, and a number if there are several; each is sent to by itself."""
    connect(monkeypatch, extra={"urls": [f"nonsense://{SECRET}", place.address, place.address, SECRET]})
    assert AppriseChannels().names() == ("nonsense://", "json://", "json:// 2", "an address without a scheme")
    assert refused(caplog) == (
        "nonsense:// did not accept the message; check this address in the connection bellwether_apprise: "
        "orders is slower"
    )
    AppriseChannels().send("json:// 2", delivery())
    assert len(place.received) == 1


def test_an_address_that_is_not_there_any_more(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It was removed from the connection while a message was pending."""
    for connection in ({"password": place.address}, None):
        monkeypatch.delenv("AIRFLOW_CONN_BELLWETHER_APPRISE", raising=False)
        if connection:
            connect(monkeypatch, **connection)
        with pytest.raises(
            DeliveryRefused, match=r"^the connection bellwether_apprise has no address mailto://: orders is slower$"
        ):
            AppriseChannels().send("mailto://", delivery())
    assert place.received == []


@pytest.mark.parametrize("status", [500, 404])
def test_an_address_that_refuses(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    """There is no retry."""
    place.status = status
    connect(monkeypatch, password=place.address)
    assert "json:// did not accept the message; check this address in " in refused(caplog)
    assert len(place.received) == 1


@pytest.mark.parametrize("password", [SECRET, f"slack://{SECRET}"])
def test_an_invalid_address(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, password: str) -> None:
    """A password that was set by mistake is not shown."""
    connect(monkeypatch, password=password)
    assert "did not accept the message; " in refused(caplog)


@pytest.mark.parametrize(
    "connection", [{}, {"extra": {"urls": "json://x"}}, {"extra": {"urls": [1]}}, {"extra": {"urls": [" "]}}]
)
def test_a_connection_without_an_address(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, connection: dict[str, Any]
) -> None:
    """The connection exists, so messages are expected and silence would be wrong."""
    connect(monkeypatch, **connection)
    assert refused(caplog).startswith("the connection bellwether_apprise has no address; ")


@pytest.fixture
def silent() -> Iterator[str]:
    """An address whose server takes the message and closes the connection without an answer."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def take() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(100_000)

        thread = threading.Thread(target=take)
        thread.start()
        yield f"json://127.0.0.1:{server.getsockname()[1]}/{SECRET}/"
        thread.join()


def test_an_address_that_does_not_answer(
    silent: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The message may have arrived."""
    connect(monkeypatch, password=silent)
    with pytest.raises(DeliveryUnknown, match=r"^json:// did not confirm the message; it may have arrived: orders"):
        forward()


def test_an_answer_that_comes_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message may have arrived; an address may have a shorter time-out of its own."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        connect(monkeypatch, password=f"json://127.0.0.1:{server.getsockname()[1]}/{SECRET}/?rto=0.2")
        with pytest.raises(DeliveryUnknown, match=r"^json:// did not confirm the message; it may have arrived: "):
            forward()


def test_an_address_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing can have arrived, so it is tried again."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    connect(monkeypatch, password=f"json://127.0.0.1:{port}/{SECRET}/")
    assert "json:// did not accept the message; " in refused(caplog)


def test_a_problem_is_one_incident(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is resolved when the problem ends; what is about no problem is no incident."""
    import apprise.plugins.pagerduty

    monkeypatch.setitem(apprise.plugins.pagerduty.PAGERDUTY_API_LOOKUP, "us", f"http://127.0.0.1:{place.port}/")
    connect(monkeypatch, password="pagerduty://0123456789abcdef@apikey")
    channels = AppriseChannels()
    assert channels.is_repeatable("pagerduty://")
    assert not channels.is_repeatable("mailto://")
    for problem, event in (
        ("run-1", Event.OPENED),
        ("run-1", Event.WORSENED),
        ("run-2", Event.OPENED),
        ("run-1", Event.RECOVERED),
        ("run-2", Event.ACCEPTED),
        (None, Event.DIGEST),
        (None, Event.UNDELIVERABLE),
    ):
        channels.send("pagerduty://", replace(delivery(event), problem_id=problem))
    first, again, other, *ends = [(sent["event_action"], sent["dedup_key"]) for sent in place.received]
    assert first == again == ("trigger", first[1])
    assert other == ("trigger", other[1]) != first
    assert ends == [("resolve", first[1]), ("resolve", other[1])]


def test_an_address_is_kept_out_of_every_log(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Libraries that Apprise uses log paths, so each part is masked."""
    masked: list[str] = []
    monkeypatch.setattr("bellwether.other_channels.mask_secret", masked.append)
    connect(monkeypatch, password=place.address)
    forward()
    assert {place.address, SECRET} <= set(masked)

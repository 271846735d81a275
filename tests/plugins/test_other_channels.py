"""Messages to other places, by Apprise against a real listener: what arrives, and what is never said."""

import json
import logging
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from bellwether.other_channels import also_through_apprise

from include.perf.alerts.book import Delivery, Event, Message
from include.perf.model.errors import DeliveryError

ROOT = Path(__file__).parents[2]
SECRET = "SECRET0123456789"

# One of Apprise's plugins asks for a module that Python will drop.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


class Place:
    """A web hook that keeps what it is sent."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.status = 200
        self.port = 0

    @property
    def address(self) -> str:
        """As Apprise wants it, with a secret in its path."""
        return f"json://127.0.0.1:{self.port}/{SECRET}/"


@pytest.fixture
def place() -> Iterator[Place]:
    """A place that takes everything."""
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


def refused(caplog: pytest.LogCaptureFixture) -> str:
    """Send what must fail; neither what is printed of it nor the log holds the secret."""
    caplog.set_level(logging.DEBUG, logger="apprise")
    with pytest.raises(DeliveryError) as caught:
        also_through_apprise(delivery())
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert SECRET not in "".join(record.getMessage() for record in caplog.records if record.name == "apprise")
    return str(caught.value)


def test_without_a_connection_nothing_is_sent_and_nothing_imported() -> None:
    """Apprise costs time and memory, and few want it."""
    code = (
        "import tests.airflow_home, sys\n"
        "from tests.plugins.test_other_channels import delivery\n"
        "from bellwether.other_channels import also_through_apprise\n"
        "also_through_apprise(delivery())\n"
        "print('apprise' in sys.modules)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}", "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.splitlines()[-1] == "False"


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
    """Its first line is the title, and where the place knows kinds it is the right one."""
    connect(monkeypatch, password=place.address)
    also_through_apprise(delivery(event))
    (only,) = place.received
    assert (only["title"], only["message"], only["type"]) == ("orders is slower", "the rest", kind)


def test_a_message_of_one_line_arrives(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Most places want a body."""
    connect(monkeypatch, password=place.address)
    also_through_apprise(delivery(plain=""))
    assert place.received[0]["message"] == "orders is slower"


def test_several_places_get_it(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a list in the extra, or one after the other in the password."""
    connect(monkeypatch, extra={"urls": [place.address, place.address]})
    also_through_apprise(delivery())
    connect(monkeypatch, password=f"{place.address} {place.address}\n")
    also_through_apprise(delivery())
    assert len(place.received) == 4


def test_one_place_that_fails_keeps_no_other_from_it(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Only the kind of the address that failed is told."""
    connect(monkeypatch, extra={"urls": [f"nonsense://{SECRET}", place.address]})
    assert refused(caplog) == (
        "not every place of the connection bellwether_apprise took the message: nonsense://; check these addresses: "
        "orders is slower"
    )
    assert len(place.received) == 1


@pytest.mark.parametrize("status", [500, 404])
def test_a_place_that_refuses(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    """It is asked once."""
    place.status = status
    connect(monkeypatch, password=place.address)
    assert "took the message: json://; " in refused(caplog)
    assert len(place.received) == 1


@pytest.mark.parametrize("password", [SECRET, f"slack://{SECRET}"])
def test_an_address_that_is_none(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, password: str
) -> None:
    """Whatever stands in the password by mistake is not told."""
    connect(monkeypatch, password=password)
    assert "took the message: " in refused(caplog)


@pytest.mark.parametrize(
    "connection", [{}, {"extra": {"urls": "json://x"}}, {"extra": {"urls": [1]}}, {"extra": {"urls": [" "]}}]
)
def test_a_connection_without_an_address(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, connection: dict[str, Any]
) -> None:
    """Who made it wants messages, so that silence would be wrong."""
    connect(monkeypatch, **connection)
    assert refused(caplog).startswith("the connection bellwether_apprise names no address; ")


def test_an_address_is_kept_out_of_every_log(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Libraries below Apprise log paths by themselves, so that each part is masked."""
    masked: list[str] = []
    monkeypatch.setattr("bellwether.other_channels.mask_secret", masked.append)
    connect(monkeypatch, password=place.address)
    also_through_apprise(delivery())
    assert {place.address, SECRET} <= set(masked)

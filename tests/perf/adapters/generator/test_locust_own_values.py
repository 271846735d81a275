"""Real loads with values of the requests' own, as their target sees them."""

import json
import re
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest

from include.perf.load.staging import build_feed
from include.perf.runs.results_store import FEED_FILE
from tests.certificates import Authority
from tests.fakes.small_catalogue import write_csv
from tests.real_loads import LOAD, drive, folder_in, rows_in, service_at, summary_in
from tests.socket_servers import SocketServer, Talk, always, answer

pytestmark = pytest.mark.integration

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


class Broker:
    """Accepts each order id once, as a broker does, and keeps what it received."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids: set[str] = set()
        self.orders: list[dict[str, Any]] = []

    def serve(self, talk: Talk) -> None:
        while (request := talk.read_request()) is not None:
            head, _, body = request.partition(b"\r\n\r\n")
            order = json.loads(body) | {"head": head.decode("latin-1")}
            with self._lock:
                is_new = order["id"] not in self._ids
                self._ids.add(order["id"])
                self.orders.append(order)
            talk.send(answer(status="200 OK" if is_new else "409 Conflict"))


def endpoints(accounts: Path) -> dict[str, Any]:
    return {
        "data_files": {"accounts": {"file": str(accounts), "rows": "unique"}},
        "headers": {"X-Request-Id": "$uuid"},
        "endpoints": [
            {
                "name": name,
                "method": "POST",
                "path": "/accounts/${accounts.id}/orders/$sequence",
                "weight": weight,
                "query": {"at": "${now(ms)}"},
                "body": {
                    "id": "$uuid",
                    "number": "$sequence",
                    "at": "$now",
                    "price": "${price as text}",
                    "lots": "${random_int(1, 5)}",
                },
            }
            for name, weight in (("orders", 3), ("positions", 2))
        ],
    }


def test_no_request_repeats_over_workers_and_runs(tmp_path: Path) -> None:
    """Two loads of two workers each, with the same seed."""
    accounts, data = tmp_path / "accounts.csv", tmp_path / "data.csv"
    accounts.write_text("id\n" + "".join(f"A/{n}\n" for n in range(1000)), encoding="utf-8")
    write_csv(data)
    load = LOAD.model_copy(update={"workers": 2})
    broker = Broker()
    with SocketServer(broker.serve) as server:
        service = service_at(server.url, **endpoints(accounts))
        for name in ("first", "second"):
            folder = tmp_path / name
            folder.mkdir()
            build_feed(data, service, load).write(folder / FEED_FILE)
            drive(folder, server.url, load=load, **endpoints(accounts))
            assert set(rows_in(folder)["error"]) == {""}
            assert summary_in(folder).workers == 2
    assert len(broker.orders) == 2000
    assert len({order["number"] for order in broker.orders}) == 2000
    for half in (broker.orders[:1000], broker.orders[1000:]):
        assert len({re.search(r"/accounts/(A%2F\d+)/", order["head"])[1] for order in half}) == 1000  # type: ignore[index]
    for order in broker.orders:
        assert f"/orders/{order['number']}?at=" in order["head"]
        assert f"X-Request-Id: {order['id']}" in order["head"]
        assert TIME.fullmatch(order["at"])
        assert re.fullmatch(r"\d+\.\d+", order["price"])
        assert 1 <= order["lots"] <= 5


def test_a_load_shows_its_client_certificate(tmp_path: Path) -> None:
    """To a service that refuses every other client."""
    authority = Authority(tmp_path)
    tls = authority.server()
    tls.load_verify_locations(authority.bundle)
    tls.verify_mode = ssl.CERT_REQUIRED
    with SocketServer(always(answer()), tls=tls) as server:
        for name, settings in (("without", {}), ("with", {"client_certificate": authority.client()})):
            folder = folder_in(tmp_path, name)
            drive(
                folder, server.url, load=LOAD.model_copy(update={"rate_rps": 5}), ca_file=authority.bundle, **settings
            )
            kinds = {"TLS error"} if name == "without" else {""}
            found = set(rows_in(folder)["error"])
            assert found == kinds or (name == "without" and found <= {"TLS error", "connection reset"})

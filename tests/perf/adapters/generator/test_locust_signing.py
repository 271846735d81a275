"""Real signed loads on the reference platform, which checks every signature, timestamp and nonce."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from demo.platform.signed import KEY_ID, SECRET
from include.perf.adapters.http.http_target import HttpTarget
from include.perf.catalogue.scenario.load_profile import LoadProfile
from include.perf.load.feed import Feed, FeedEndpoint, Request
from include.perf.load.service_secrets import ServiceSecrets, SigningKey
from include.perf.load.slots import Slot, marker
from include.perf.runs.results_store import FEED_FILE
from tests.demo_services import demo_service
from tests.distributed_loads import Pool
from tests.real_loads import drive, rows_in, service_at, summary_in

pytestmark = pytest.mark.integration

LOAD = LoadProfile(rate_rps=60, duration_s=10, warmup_s=0, max_concurrency=100, workers=2)
DUE = 600  # 60/s × 10 s

FEED = Feed(
    endpoints=(
        FeedEndpoint(name="orders", method="POST", weight=2, rows=2, slots=(Slot("uuid", (), "json"),)),
        FeedEndpoint(name="positions", method="GET", weight=1, rows=1),
    ),
    requests=(
        tuple(Request("/api/v1/signed", f'{{"id":"{marker(0)}","note":"{text} %"}}'.encode()) for text in ("a", "bc")),
        (Request("/api/v1/signed?instrument=EUR_USD&all", None),),
    ),
)
SERVICE: dict[str, Any] = {
    "connection": "broker",
    "endpoints": [
        {"name": "orders", "method": "POST", "path": "/api/v1/signed"},
        {"name": "positions", "method": "GET", "path": "/api/v1/signed"},
    ],
    "signing": {
        "parts": ["timestamp", "nonce", "method", "target", "body"],
        "header": "X-Signature",
        "timestamp": {"header": "X-Timestamp"},
        "nonce": {"header": "X-Nonce"},
        "key_id": {"header": "X-Key"},
    },
}
KEY = SigningKey(secret=SECRET, key_id=KEY_ID)


@pytest.fixture(scope="module")
def platform() -> Iterator[str]:
    """The URL of a service of the platform."""
    with demo_service("trading-gateway") as service:
        yield service.url


def folder_of(parent: Path) -> Path:
    folder = parent / "signed"
    folder.mkdir()
    FEED.write(folder / FEED_FILE)
    return folder


def test_every_signed_request_of_two_workers_is_accepted(tmp_path: Path, platform: str) -> None:
    """No signature is wrong, no timestamp too old, and no nonce repeats."""
    folder = folder_of(tmp_path)
    drive(folder, platform, load=LOAD, signing_key=KEY, **SERVICE)
    rows = rows_in(folder)
    assert (len(rows), set(rows["status"]), set(rows["error"])) == (DUE, {200}, {""})
    assert summary_in(folder).workers == 2


def test_a_wrong_secret_is_refused_and_recorded(tmp_path: Path, platform: str) -> None:
    """Each request fails with the answer of the service; the secret is in no file of the run."""
    folder = folder_of(tmp_path)
    load = LOAD.model_copy(update={"rate_rps": 10})
    drive(folder, platform, load=load, signing_key=SigningKey(secret="another-secret", key_id=KEY_ID), **SERVICE)
    rows = rows_in(folder)
    assert (len(rows), set(rows["status"]), set(rows["error"])) == (100, {401}, {"HTTP 401"})
    assert summary_in(folder).error_examples["orders HTTP 401"] == '{"detail":"wrong signature"}'
    for file in folder.iterdir():
        assert b"another-secret" not in file.read_bytes()


@pytest.mark.parametrize(("secret", "status"), [(SECRET, 200), ("another-secret", 401)])
def test_a_smoke_run_signs_as_a_load_does(platform: str, secret: str, status: int) -> None:
    service = service_at(platform, **SERVICE)
    secrets = ServiceSecrets(signing_key=SigningKey(secret=secret, key_id=KEY_ID))
    request = Request("/api/v1/signed?instrument=EUR_USD", b'{"a":1}')
    answer = HttpTarget(credentials=lambda _: secrets).send(service, "POST", request, [service.host])
    assert answer.status == status


def test_signed_requests_of_workers_on_other_machines(tmp_path: Path, platform: str) -> None:
    """The key reaches them over the encrypted channel."""
    folder = folder_of(tmp_path)
    with ExitStack() as running:
        pool = Pool(folder=tmp_path, running=running)
        for _ in range(2):
            pool.start()
        load = LOAD.model_copy(update={"workers": None, "rate_rps": 20})
        pool.drive(folder, platform, load=load, workers=2, signing_key=KEY, **SERVICE)
    rows = rows_in(folder)
    assert (len(rows), set(rows["status"])) == (200, {200})
    assert len(summary_in(folder).hosts) == 2

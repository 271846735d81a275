"""What is larger than memory, or becomes so when it is decompressed, is refused early: answers, objects, forms."""

import gzip
import itertools
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from include.load.answer import read_answer, simple_answer
from include.perf.adapters.http.annotation_webhook import MAX_BYTES as MAX_ANNOTATION_BYTES
from include.perf.adapters.http.annotation_webhook import AnnotationWebhook, Webhook
from include.perf.adapters.http.http_target import MAX_BYTES as MAX_TARGET_BYTES
from include.perf.adapters.http.http_target import HttpTarget
from include.perf.adapters.metrics.prometheus_metrics import Prometheus
from include.perf.adapters.metrics.prometheus_rules import PrometheusRules
from include.perf.adapters.metrics.prometheus_session import MAX_BYTES as MAX_PROMETHEUS_BYTES
from include.perf.adapters.s3 import bounded_session, objects
from include.perf.adapters.s3.client import S3Login
from include.perf.adapters.s3.place import S3Place
from include.perf.load.feed import Request
from include.perf.model.errors import DeliveryError, ItemError, PrometheusUnavailable, StoreError
from tests.fakes.clock import START
from tests.loads import sent_load
from tests.object_stores import ObjectStore
from tests.real_loads import service_at
from tests.socket_servers import Script, Serve, Talk, always, answer

MEBIBYTE = 1 << 20
HUGE = 1024 * MEBIBYTE


def one_member() -> bytes:
    """Return 256 MiB in one compressed stream."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts = [compressor.compress(bytes(MEBIBYTE)) for _ in range(256)]
    return b"".join([*parts, compressor.flush()])


def many_members() -> bytes:
    """Return a gibibyte in a thousand compressed streams."""
    return gzip.compress(bytes(MEBIBYTE), mtime=0) * (HUGE // MEBIBYTE)


def compressed(body: bytes, *, encoding: str = "gzip") -> bytes:
    """Return a response with a compressed body."""
    headers = f"Content-Type: application/json\r\nContent-Encoding: {encoding}\r\n"
    return answer(body, headers=headers)


def endless(talk: Talk) -> None:
    """Send a body that does not end, until the client has enough."""
    talk.read_request()
    talk.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    while not talk.closing.is_set():
        talk.send(b"[" * MEBIBYTE)


BOMBS: dict[str, Callable[[], Script]] = {
    "one compressed stream": lambda: always(compressed(one_member())),
    "many compressed streams": lambda: always(compressed(many_members())),
    "deflate": lambda: always(compressed(zlib.compress(bytes(256 * MEBIBYTE), 9), encoding="deflate")),
    "compressed twice": lambda: always(compressed(gzip.compress(one_member(), mtime=0), encoding="gzip, gzip")),
    "without an end": lambda: endless,
}


@contextmanager
def little_memory(limit: int) -> Iterator[None]:
    """Check that no more than a few copies of the limit were in memory at once."""
    tracemalloc.start()
    yield
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * limit + 16 * MEBIBYTE


@pytest.mark.parametrize("bomb", sorted(BOMBS))
def test_prometheus(serve: Serve, bomb: str) -> None:
    """Queries and rules have the same limit; the error names it."""
    url = serve(BOMBS[bomb]()).url
    too_long = f"the response has more than {MAX_PROMETHEUS_BYTES:,} bytes"
    with little_memory(MAX_PROMETHEUS_BYTES):
        with pytest.raises(PrometheusUnavailable, match=too_long):
            Prometheus(url).value("up", at=START)
        with pytest.raises(PrometheusUnavailable, match=too_long):
            PrometheusRules(url).loaded()


@pytest.mark.parametrize("bomb", sorted(BOMBS))
def test_a_receiver_of_annotations(serve: Serve, bomb: str) -> None:
    """The load's end waits for a small answer only."""
    url = serve(BOMBS[bomb]()).url
    observer = AnnotationWebhook(lambda: Webhook(url=url), max_wait_s=60)
    too_long = f"the answer has more than {MAX_ANNOTATION_BYTES:,} bytes"
    with little_memory(MAX_ANNOTATION_BYTES), pytest.raises(DeliveryError, match=too_long):
        observer.load_ended(sent_load(ended_at=START))


@pytest.mark.parametrize("bomb", sorted(BOMBS))
def test_a_service_before_its_load(serve: Serve, bomb: str) -> None:
    """Nothing is decompressed, and a little more than the limit is read."""
    service = service_at(serve(BOMBS[bomb]()).url)
    with little_memory(MAX_TARGET_BYTES):
        body = HttpTarget().send(service, "GET", Request("/", None), [service.host]).body
    assert len(body) <= MAX_TARGET_BYTES + 1


def test_a_service_under_load() -> None:
    """Its answers are judged as they come: a compressed one is not JSON."""
    body = one_member()
    response = compressed(body)
    with little_memory(len(response)):
        read = simple_answer(response) or read_answer(response, method="GET", more=lambda: b"")
    assert read.body == body


def test_an_object(s3: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever may write to the bucket cannot fill the memory of a reader."""
    monkeypatch.setattr(objects, "MAX_BYTES", MEBIBYTE)
    stored = s3.objects()
    stored.write("alerts.json", bytes(8 * MEBIBYTE))
    with little_memory(MEBIBYTE), pytest.raises(ItemError, match=r"alerts\.json: it is larger than 1 MiB$"):
        stored.version("alerts.json")


def refusing_without_end(talk: Talk) -> None:
    """Refuse a request with an error that does not end."""
    talk.read_request()
    talk.send(b"HTTP/1.1 403 Forbidden\r\nContent-Type: application/xml\r\n\r\n<Error>")
    while not talk.closing.is_set():
        talk.send(b"[" * MEBIBYTE)


@pytest.mark.parametrize("script", [endless, refusing_without_end])
@pytest.mark.parametrize(
    "request_of", [lambda o: list(o.listed("a")), lambda o: o.etag("a"), lambda o: o.read("a", limit=4 * MEBIBYTE)]
)
def test_a_listing_or_an_error_of_an_object_store(
    serve: Serve, script: Script, request_of: Callable[[objects.Objects], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library would read all of it; an object is read in parts anyway."""
    monkeypatch.setattr(bounded_session, "MAX_ANSWER_BYTES", 4 * MEBIBYTE)
    login = S3Login(
        access_key_id="key", secret_access_key="secret", endpoint_url=serve(script).url, region_name="us-east-1"
    )
    place = S3Place(bucket="results", prefix="runs")
    store = objects.Objects(place, lambda: login)
    with little_memory(4 * MEBIBYTE), pytest.raises(StoreError, match=r"^cannot (list|read) s3://results/runs/a"):
        request_of(store)


ENDLESS_PAGE = """<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>%d</NextContinuationToken>
<Contents><Key>runs/a/x</Key><Size>1</Size><LastModified>2026-03-02T00:00:00Z</LastModified></Contents>
</ListBucketResult>"""


def test_a_listing_of_endless_pages(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "MAX_PAGES", 20)
    sent = itertools.count()

    def script(talk: Talk) -> None:
        while talk.read_request() is not None:
            talk.send(answer((ENDLESS_PAGE % next(sent)).encode(), headers="Content-Type: application/xml\r\n"))

    login = S3Login(
        access_key_id="key", secret_access_key="secret", endpoint_url=serve(script).url, region_name="us-east-1"
    )
    store = objects.Objects(S3Place(bucket="results", prefix="runs"), lambda: login)
    with pytest.raises(StoreError, match=r"^cannot list s3://results/runs/a/: the listing has no end after 20 pages;"):
        list(store.listed("a"))
    assert next(sent) == 20

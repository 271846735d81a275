"""Annotations at a strict receiver: the requests, and failures that do not harm the load."""

import json
import queue
import threading
from collections.abc import Callable
from datetime import timedelta

import pytest

from include.perf.adapters.http.annotation_webhook import AnnotationWebhook, Webhook, environment_webhook
from include.perf.load.announcing import annotation_of
from include.perf.model.errors import ConfigurationError, DeliveryError
from tests.fakes.clock import START
from tests.loads import sent_load
from tests.socket_servers import Script, Serve, Talk, answer, free_port

TOKEN = "glsa_s3cr3t"
BEGUN = sent_load()
ENDED = sent_load(ended_at=START + timedelta(seconds=1))


class Receiver:
    """Accepts annotations like Grafana, and records every request."""

    def __init__(self, *answers: bytes) -> None:
        self.requests: queue.Queue[tuple[str, dict[str, str], object]] = queue.Queue()
        self._answers = list(answers)

    def __call__(self, talk: Talk) -> None:
        """Respond to the requests of one connection."""
        while (request := talk.read_request()) is not None:
            head, _, body = request.decode().partition("\r\n\r\n")
            request_line, *rest = head.split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
            self.requests.put((request_line.removesuffix(" HTTP/1.1"), headers, json.loads(body)))
            talk.send(self._answers.pop(0) if self._answers else answer())

    def next(self) -> tuple[str, dict[str, str], object]:
        """Return the next request, waiting for it."""
        return self.requests.get(timeout=20)


def webhook(url: str, **options: float) -> AnnotationWebhook:
    """Return an observer that sends to a URL."""
    return AnnotationWebhook(lambda: Webhook(url=f"{url}/api/annotations", token=TOKEN), **options)


def test_the_start_becomes_a_region(serve: Serve) -> None:
    """Grafana returns an id, under which the end is added; both requests have the token."""
    receiver = Receiver(answer(b'{"message": "Annotation added", "id": 7}'))
    observer = webhook(serve(receiver).url)
    observer.load_began(BEGUN)
    line, headers, body = receiver.next()
    assert (line, body) == ("POST /api/annotations", annotation_of(BEGUN))
    assert (headers["authorization"], headers["content-type"]) == (f"Bearer {TOKEN}", "application/json")
    observer.load_ended(ENDED)
    line, headers, body = receiver.next()
    assert (line, body) == ("PATCH /api/annotations/7", annotation_of(ENDED))
    assert headers["authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize("first", [answer(b"ok"), answer(b"[]"), answer(b'{"id": "x"}'), answer(status="503 Busy")])
def test_a_receiver_without_ids_gets_the_region(serve: Serve, first: bytes) -> None:
    """So does a receiver that did not accept the start."""
    receiver = Receiver(first)
    observer = webhook(serve(receiver).url)
    observer.load_began(BEGUN)
    receiver.next()
    observer.load_ended(ENDED)
    line, _, body = receiver.next()
    assert (line, body) == ("POST /api/annotations", annotation_of(ENDED))


def silent(talk: Talk) -> None:
    """Read a request and do not respond."""
    talk.read_request()
    talk.closing.wait(20)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (lambda talk: talk.send(answer(status="401 Unauthorized")), "127.0.0.1 answered an annotation with 401"),
        (
            lambda talk: talk.send(answer(status="302 Found", headers="Location: http://127.0.0.1:1/\r\n")),
            "127.0.0.1 answered an annotation with 302",
        ),
        (lambda talk: talk.reset(), "the annotation was not accepted: the receiver cannot be reached"),
        (silent, r"the annotation was not accepted: no response within 0\.5 s"),
    ],
)
def test_a_failure_is_reported_once_without_secrets(serve: Serve, script: Script, message: str) -> None:
    """At the end of the load and in time, with the remedy."""

    def talking(talk: Talk) -> None:
        script(talk)
        talk.read_request()

    observer = webhook(serve(talking).url, max_wait_s=0.5)
    observer.load_began(BEGUN)
    with pytest.raises(DeliveryError, match=rf"^{message}; check the connection bellwether_annotations") as caught:
        observer.load_ended(ENDED)
    assert TOKEN not in str(caught.value)


def test_a_slow_setting_does_not_delay_the_load() -> None:
    """Reading where annotations go may be slow or fail."""
    requested = threading.Event()
    released = threading.Event()

    def slow() -> Webhook | None:
        requested.set()
        released.wait(20)
        raise OSError("the database is gone")

    observer = AnnotationWebhook(slow, max_wait_s=0.05)
    observer.load_began(BEGUN)
    assert requested.wait(20)
    with pytest.raises(DeliveryError, match=r"^the annotation was not accepted: no response within 0\.05 s"):
        observer.load_ended(ENDED)
    released.set()


def failing(error: Exception) -> Callable[[], Webhook | None]:
    """Return a setting that cannot be read."""

    def read() -> Webhook | None:
        raise error

    return read


def test_an_invalid_setting_is_reported_unchanged() -> None:
    """Its message already has the remedy."""
    observer = AnnotationWebhook(failing(ConfigurationError("it names no host")))
    observer.load_began(BEGUN)
    with pytest.raises(ConfigurationError, match=r"^it names no host$"):
        observer.load_ended(ENDED)


@pytest.mark.parametrize("url", ["not a URL", "http://[", "http://127.0.0.1:{port}/x?secret=s3cr3t"])
def test_the_error_for_an_invalid_url_has_no_secrets(url: str) -> None:
    """Many people read logs."""
    observer = AnnotationWebhook(lambda: Webhook(url=url.format(port=free_port()), token="a\nb"))
    observer.load_began(BEGUN)
    with pytest.raises(DeliveryError) as caught:
        observer.load_ended(ENDED)
    assert "s3cr3t" not in str(caught.value)


def test_without_a_setting_nothing_is_sent() -> None:
    """And no error is raised."""
    observer = AnnotationWebhook(lambda: None)
    observer.load_began(BEGUN)
    observer.load_ended(ENDED)


def test_the_webhook_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the command line; its repr has no secrets."""
    monkeypatch.delenv("BELLWETHER_ANNOTATIONS_URL", raising=False)
    assert environment_webhook() is None
    monkeypatch.setenv("BELLWETHER_ANNOTATIONS_URL", "https://grafana.example/api/annotations")
    monkeypatch.setenv("BELLWETHER_ANNOTATIONS_TOKEN", TOKEN)
    found = environment_webhook()
    assert found == Webhook(url="https://grafana.example/api/annotations", token=TOKEN)
    assert repr(found) == "Webhook()"

"""Annotations at a strict receiver: what it is sent, and what it may do without harm."""

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
    """Takes annotations as Grafana does, and notes every request."""

    def __init__(self, *answers: bytes) -> None:
        self.requests: queue.Queue[tuple[str, dict[str, str], object]] = queue.Queue()
        self._answers = list(answers)

    def __call__(self, talk: Talk) -> None:
        """Answer what one connection asks."""
        while (request := talk.read_request()) is not None:
            head, _, body = request.decode().partition("\r\n\r\n")
            line, *rest = head.split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in rest)}
            self.requests.put((line.removesuffix(" HTTP/1.1"), headers, json.loads(body)))
            talk.send(self._answers.pop(0) if self._answers else answer())

    def next(self) -> tuple[str, dict[str, str], object]:
        """Return the next request, waiting for it."""
        return self.requests.get(timeout=20)


def webhook(url: str, **options: float) -> AnnotationWebhook:
    """Return one that sends to an address."""
    return AnnotationWebhook(lambda: Webhook(url=f"{url}/api/annotations", token=TOKEN), **options)


def test_the_moment_becomes_a_region(serve: Serve) -> None:
    """Grafana gives the moment an id, under which its end is added; both come with the token."""
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
    """And so does one that did not take the moment."""
    receiver = Receiver(first)
    observer = webhook(serve(receiver).url)
    observer.load_began(BEGUN)
    receiver.next()
    observer.load_ended(ENDED)
    line, _, body = receiver.next()
    assert (line, body) == ("POST /api/annotations", annotation_of(ENDED))


def silent(talk: Talk) -> None:
    """Take a request and say nothing."""
    talk.read_request()
    talk.closing.wait(20)


@pytest.mark.parametrize(
    ("script", "told"),
    [
        (lambda talk: talk.send(answer(status="401 Unauthorized")), "127.0.0.1 answered 401 to an annotation"),
        (
            lambda talk: talk.send(answer(status="302 Found", headers="Location: http://127.0.0.1:1/\r\n")),
            "127.0.0.1 answered 302 to an annotation",
        ),
        (lambda talk: talk.reset(), r"the annotation was not taken \(ConnectionError\)"),
        (silent, r"the annotation was not taken \(TimeoutError\)"),
    ],
)
def test_what_goes_wrong_is_told_once_and_without_secrets(serve: Serve, script: Script, told: str) -> None:
    """In time, at the end of the load; where to look is said."""

    def talking(talk: Talk) -> None:
        script(talk)
        talk.read_request()

    observer = webhook(serve(talking).url, patience_s=0.5)
    observer.load_began(BEGUN)
    with pytest.raises(DeliveryError, match=rf"^{told}; check the connection bellwether_annotations") as caught:
        observer.load_ended(ENDED)
    assert TOKEN not in str(caught.value)


def test_a_load_waits_for_nobody() -> None:
    """Whoever is to say where annotations go may take its time, or fail."""
    asked = threading.Event()
    answered = threading.Event()

    def slow() -> Webhook | None:
        asked.set()
        answered.wait(20)
        raise OSError("the database is gone")

    observer = AnnotationWebhook(slow, patience_s=0.05)
    observer.load_began(BEGUN)
    assert asked.wait(20)
    with pytest.raises(DeliveryError, match=r"^the annotation was not taken \(TimeoutError\)"):
        observer.load_ended(ENDED)
    answered.set()


def failing(error: Exception) -> Callable[[], Webhook | None]:
    """Return a setting that cannot be read."""

    def read() -> Webhook | None:
        raise error

    return read


def test_a_wrong_setting_is_told_as_it_is() -> None:
    """It says itself what is to be done."""
    observer = AnnotationWebhook(failing(ConfigurationError("it names no host")))
    observer.load_began(BEGUN)
    with pytest.raises(ConfigurationError, match=r"^it names no host$"):
        observer.load_ended(ENDED)


@pytest.mark.parametrize("url", ["no address", "http://[", "http://127.0.0.1:{port}/x?secret=s3cr3t"])
def test_an_address_that_is_none_keeps_its_secrets(url: str) -> None:
    """Messages go into logs that many read."""
    observer = AnnotationWebhook(lambda: Webhook(url=url.format(port=free_port()), token="a\nb"))
    observer.load_began(BEGUN)
    with pytest.raises(DeliveryError) as caught:
        observer.load_ended(ENDED)
    assert "s3cr3t" not in str(caught.value)


def test_nowhere_is_nowhere() -> None:
    """Without a setting nothing is sent and nothing is told."""
    observer = AnnotationWebhook(lambda: None)
    observer.load_began(BEGUN)
    observer.load_ended(ENDED)


def test_the_environment_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the command line; nothing of it is shown."""
    monkeypatch.delenv("BELLWETHER_ANNOTATIONS_URL", raising=False)
    assert environment_webhook() is None
    monkeypatch.setenv("BELLWETHER_ANNOTATIONS_URL", "https://grafana.example/api/annotations")
    monkeypatch.setenv("BELLWETHER_ANNOTATIONS_TOKEN", TOKEN)
    found = environment_webhook()
    assert found == Webhook(url="https://grafana.example/api/annotations", token=TOKEN)
    assert repr(found) == "Webhook()"

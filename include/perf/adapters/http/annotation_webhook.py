"""Annotations of loads over HTTP in Grafana's format; any receiver of the same two requests works.

They do not delay the load: the start is sent in the background, and the end waits a few seconds at most.
"""

import os
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Thread
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import requests
from requests.auth import AuthBase

from include.perf.adapters.http.bounded import AnswerTooLong, read_body
from include.perf.load.announcing import Annotation, SentLoad, annotation_of
from include.perf.model.errors import BellwetherError, DeliveryError

TIMEOUT_S = 3.0
MAX_BYTES = 64 * 1024
"""An answer has the id of an annotation."""

MAX_WAIT_S = 5.0
"""How long the end of a load may wait in total; resolving an unknown host name takes longer than any timeout."""

URL_VARIABLE = "BELLWETHER_ANNOTATIONS_URL"
TOKEN_VARIABLE = "BELLWETHER_ANNOTATIONS_TOKEN"  # noqa: S105 - the name of a variable, not a token
REMEDY = f"check the connection bellwether_annotations ({URL_VARIABLE} on the command line)"

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """The receiver of annotations.

    Attributes:
        url: such as ``https://grafana.example/api/annotations``.
        token: sent as a bearer token.
    """

    url: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


def environment_webhook() -> Webhook | None:
    """Return the webhook that the environment sets; ``None`` if it sets none."""
    url = os.environ.get(URL_VARIABLE)
    return Webhook(url=url, token=os.environ.get(TOKEN_VARIABLE)) if url else None


class AnnotationWebhook:
    """Annotates one load: a point in time when it starts, which becomes a region when it ends.

    Args:
        webhook: returns the receiver, or ``None`` for none; called in the background when a load starts or ends.
    """

    def __init__(self, webhook: Callable[[], Webhook | None], *, max_wait_s: float = MAX_WAIT_S) -> None:
        self._webhook = webhook
        self._max_wait_s = max_wait_s
        self._started: Future[int | None] | None = None

    def load_began(self, load: SentLoad) -> None:
        """Send the point in time in the background."""
        self._started = _in_background(lambda: self._send(annotation_of(load), annotation_id=None))

    def load_ended(self, load: SentLoad) -> None:
        """Turn the point in time into a region; if it was not accepted, send the whole region.

        Raises:
            DeliveryError: the receiver did not accept the annotation in time.
        """
        annotation_id = self._annotation_id()
        ended = _in_background(lambda: self._send(annotation_of(load), annotation_id=annotation_id))
        try:
            ended.result(timeout=self._max_wait_s)
        except BellwetherError:
            raise
        except Exception as err:
            raise DeliveryError(f"the annotation was not accepted: {self._problem(err)}; {REMEDY}") from err

    def _annotation_id(self) -> int | None:
        """Return the id of the point in time; ``None`` if it was not accepted, since the region reports problems."""
        try:
            return self._started.result(timeout=self._max_wait_s) if self._started else None
        except Exception:  # noqa: BLE001 - the region has all that the point in time had
            return None

    def _problem(self, err: Exception) -> str:
        match err:
            case TimeoutError():
                return f"no response within {self._max_wait_s:g} s"
            case requests.Timeout():
                return f"no response within {TIMEOUT_S:g} s"
            case AnswerTooLong():
                return f"the answer has more than {MAX_BYTES:,} bytes"
            case requests.ConnectionError():
                return "the receiver cannot be reached"
            case ValueError():
                return "the URL or the token is invalid"
            case _:
                return "the request failed"

    def _send(self, annotation: Annotation, *, annotation_id: int | None) -> int | None:
        webhook = self._webhook()
        if webhook is None:
            return None
        url = webhook.url if annotation_id is None else _update_url(webhook.url, annotation_id)
        response = requests.request(
            "POST" if annotation_id is None else "PATCH",
            url,
            json=annotation,
            auth=_Bearer(webhook.token) if webhook.token else None,
            timeout=TIMEOUT_S,
            allow_redirects=False,
            stream=True,
        )
        read_body(response, limit=MAX_BYTES)
        if response.status_code // 100 != 2:
            raise DeliveryError(
                f"{urlsplit(url).hostname} answered an annotation with {response.status_code}; {REMEDY}"
            )
        return _id_in(response)


@dataclass(frozen=True, slots=True)
class _Bearer(AuthBase):
    """A bearer token, which a ``.netrc`` does not replace."""

    token: str = field(repr=False)

    def __call__(self, request: Any) -> Any:
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request


def _update_url(url: str, annotation_id: int) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{annotation_id}"))


def _id_in(response: requests.Response) -> int | None:
    """Return the id in Grafana's response; other receivers need not return one."""
    try:
        found = response.json().get("id")
    except (ValueError, AttributeError):
        return None
    return found if isinstance(found, int) else None


def _in_background(work: Callable[[], T]) -> Future[T]:
    """Call a function in a daemon thread, which does not keep the process alive."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except Exception as err:  # noqa: BLE001 - the future passes it on
            future.set_exception(err)

    Thread(target=run, name="annotation", daemon=True).start()
    return future

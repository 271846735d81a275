"""Annotations of loads over HTTP, as Grafana takes them; any other receiver may take the same two requests.

The load waits for none of it: what begins is told in the background, and for what ends there is a short patience.
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

from include.perf.load.announcing import Annotation, SentLoad, annotation_of
from include.perf.model.errors import BellwetherError, DeliveryError

TIMEOUT_S = 3.0
PATIENCE_S = 5.0
"""So long the end of a load may be waited for in all: names that nobody resolves take longer than any time-out."""

URL_VARIABLE = "BELLWETHER_ANNOTATIONS_URL"
TOKEN_VARIABLE = "BELLWETHER_ANNOTATIONS_TOKEN"  # noqa: S105 - the name of a variable, not a token
REMEDY = f"check the connection bellwether_annotations ({URL_VARIABLE} on the command line)"

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Where annotations go.

    Attributes:
        url: such as ``https://grafana.example/api/annotations``.
        token: sent as a bearer token.
    """

    url: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


def environment_webhook() -> Webhook | None:
    """Return the webhook that the environment names, if it names one."""
    url = os.environ.get(URL_VARIABLE)
    return Webhook(url=url, token=os.environ.get(TOKEN_VARIABLE)) if url else None


class AnnotationWebhook:
    """Tells of one load: a moment when it begins, and a region from then on when it is over.

    Args:
        webhook: says where to; asked in the background and only when a load begins or ends. ``None`` is for nowhere.
    """

    def __init__(self, webhook: Callable[[], Webhook | None], *, patience_s: float = PATIENCE_S) -> None:
        self._webhook = webhook
        self._patience_s = patience_s
        self._begun: Future[int | None] | None = None

    def load_began(self, load: SentLoad) -> None:
        """Send the moment, and wait for nothing."""
        self._begun = _in_background(lambda: self._send(annotation_of(load), known_as=None))

    def load_ended(self, load: SentLoad) -> None:
        """Make the moment a region; where nothing is known of it, send the region.

        Raises:
            DeliveryError: it was not taken in time.
        """
        known_as = self._known_as()
        ended = _in_background(lambda: self._send(annotation_of(load), known_as=known_as))
        try:
            ended.result(timeout=self._patience_s)
        except BellwetherError:
            raise
        except Exception as err:
            raise DeliveryError(f"the annotation was not taken ({type(err).__name__}); {REMEDY}") from err

    def _known_as(self) -> int | None:
        """Return the id that the receiver gave to the moment; what went wrong with it is told with the region."""
        try:
            return self._begun.result(timeout=self._patience_s) if self._begun else None
        except Exception:  # noqa: BLE001 - whatever it was, the region says all that the moment said
            return None

    def _send(self, annotation: Annotation, *, known_as: int | None) -> int | None:
        webhook = self._webhook()
        if webhook is None:
            return None
        url = webhook.url if known_as is None else _address_of(webhook.url, known_as)
        answer = requests.request(
            "POST" if known_as is None else "PATCH",
            url,
            json=annotation,
            auth=_Bearer(webhook.token) if webhook.token else None,
            timeout=TIMEOUT_S,
            allow_redirects=False,
        )
        if answer.status_code // 100 != 2:
            raise DeliveryError(f"{urlsplit(url).hostname} answered {answer.status_code} to an annotation; {REMEDY}")
        return _id_in(answer)


@dataclass(frozen=True, slots=True)
class _Bearer(AuthBase):
    """A bearer token, which no ``.netrc`` takes the place of."""

    token: str = field(repr=False)

    def __call__(self, request: Any) -> Any:
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request


def _address_of(url: str, known_as: int) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{known_as}"))


def _id_in(answer: requests.Response) -> int | None:
    """Return the id in an answer of Grafana's; other receivers need not give one."""
    try:
        found = answer.json().get("id")
    except (ValueError, AttributeError):
        return None
    return found if isinstance(found, int) else None


def _in_background(work: Callable[[], T]) -> Future[T]:
    """Do something in a thread that keeps no process from ending."""
    future: Future[T] = Future()

    def do() -> None:
        try:
            future.set_result(work())
        except Exception as err:  # noqa: BLE001 - whoever waits for the future gets it
            future.set_exception(err)

    Thread(target=do, name="annotation", daemon=True).start()
    return future

"""Send messages to other channels than Slack (mail, Teams, PagerDuty, …) through Apprise.

It is off unless the connection ``bellwether_apprise`` exists. Apprise is imported only then.
"""

import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret

from include.perf.alerts.book import Delivery, Event
from include.perf.model.errors import DeliveryError, DeliveryRefused, DeliveryUnknown

log = logging.getLogger(__name__)

APPRISE_CONNECTION = "bellwether_apprise"
SHORTEST_SECRET = 6
READ_TIMEOUT_S = 30
"""Apprise's own is 4 s, after which a message has often arrived."""

INCIDENT_KEYS = ("dedup", "entity_id", "alias")
"""What Apprise calls the key of an incident; services without one of these have no incidents."""

_AFTER_SENDING = re.compile(
    r"Read timed out|Connection aborted|Connection broken|RemoteDisconnected|Connection unexpectedly closed"
)
"""Errors in the words of Apprise's libraries: the message was sent, at least in part, and not answered."""

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]{0,15})://")


class AppriseChannels:
    """Sends to the addresses of the connection ``bellwether_apprise``: its password, or ``urls`` in its extra.

    The name of an address is its scheme, and its number among the addresses with that scheme: ``mailto:// 2``. It
    stays the same when the secret in the address changes.
    """

    def names(self) -> Sequence[str]:
        """Return the name of each address; none without the connection.

        Raises:
            DeliveryError: the connection has no address.
        """
        return tuple(_addresses())

    def is_repeatable(self, name: str) -> bool:
        """Whether a message that is sent again changes nothing, because it is about the same incident.

        Raises:
            DeliveryError: the connection has no address.
        """
        address = _addresses().get(name)
        return address is not None and _incident_key(_place(address)) is not None

    def send(self, name: str, delivery: Delivery) -> None:
        """Send a message to one address. An incident service gets only what opens, updates or closes an incident.

        Raises:
            DeliveryRefused: the address did not accept it, or the connection does not have it any more. Apprise does
                not report whether a later attempt may work.
            DeliveryUnknown: it was sent and not answered.
            DeliveryError: the connection has no address.
        """
        address, text = _addresses().get(name), delivery.message.text
        if address is None:
            raise DeliveryRefused(f"the connection {APPRISE_CONNECTION} has no address {name}: {text}")
        _hide(address)
        key = _incident_key(_place(address))
        if key is not None and not _is_about_incident(delivery):
            log.info("not sent to %s, which takes only problems: %s", name, text)
            return
        incident = {} if key is None else _incident(key, delivery)
        failures: list[str] = []
        with _apprise_log(failures):
            is_sent = _is_sent(_place(address, rto=str(READ_TIMEOUT_S), **incident), delivery)
        if is_sent:
            log.info("sent to %s through Apprise: %s", name, text)
        elif key is None and any(map(_AFTER_SENDING.search, failures)):
            raise DeliveryUnknown(f"{name} did not confirm the message; it may have arrived: {text}")
        else:
            raise DeliveryRefused(
                f"{name} did not accept the message; check this address in the connection {APPRISE_CONNECTION}: {text}"
            )


def _addresses() -> Mapping[str, str]:
    """Return the addresses by name."""
    try:
        connection = Connection.get(APPRISE_CONNECTION)
    except AirflowNotFoundException:
        return {}
    except PermissionError as err:  # Airflow's callbacks may not read every connection
        raise DeliveryError(
            f"Airflow does not let this process read the connection {APPRISE_CONNECTION}; the next task delivers"
        ) from err
    urls: Any = connection.extra_dejson.get("urls") or (connection.password or "").split()
    if not isinstance(urls, list) or not urls or not all(isinstance(url, str) and url.strip() for url in urls):
        raise DeliveryError(
            f"the connection {APPRISE_CONNECTION} has no address; set its password to an Apprise address, or its extra "
            'to {"urls": […]}'
        )
    addresses, counts = {}, Counter[str]()
    for address in map(str.strip, urls):
        kind = _kind(address)
        counts[kind] += 1
        addresses[kind if counts[kind] == 1 else f"{kind} {counts[kind]}"] = address
    return addresses


def _hide(address: str) -> None:
    """Mask an address and each of its parts in the logs, because libraries log them."""
    mask_secret(address)
    for part in re.split(r"[/:@?&=,\s]+", address.partition("://")[2]):
        if len(part) >= SHORTEST_SECRET:
            mask_secret(part)


def _kind(address: str) -> str:
    """Return the part of an address that is not secret: its scheme."""
    found = _SCHEME.match(address.lower())
    return found[0] if found else "an address without a scheme"


def _place(address: str, **settings: str) -> Any:
    """Return an address as Apprise's object, which is empty if the address is invalid.

    Args:
        settings: those that the address does not have itself.
    """
    import apprise

    given = {pair.partition("=")[0] for pair in address.partition("?")[2].split("&")}
    added = urlencode({name: value for name, value in settings.items() if name not in given})
    separator = "" if not added else "&" if "?" in address else "?"
    place = apprise.Apprise()
    with _apprise_log([]):
        place.add(f"{address}{separator}{added}")
    return place


def _incident_key(place: Any) -> str | None:
    """Return the name of the setting that says which incident a message is about; ``None`` without incidents."""
    known = next(iter(place)).template_args if len(place) else {}
    if "map" not in (known.get("action", {}).get("values") or ()):
        return None
    return next((name for name in INCIDENT_KEYS if name in known), None)


def _is_about_incident(delivery: Delivery) -> bool:
    return delivery.problem_id is not None and (delivery.event.is_page or delivery.event.is_end)


def _incident(key: str, delivery: Delivery) -> dict[str, str]:
    """Return the settings that make all messages about a problem one incident, which the end of the problem closes."""
    return {"action": "map", key: f"bellwether-{sha256(str(delivery.problem_id).encode()).hexdigest()[:32]}"}


@contextmanager
def _apprise_log(kept: list[str]) -> Iterator[None]:
    """Keep what Apprise logs out of every other log, because it holds addresses.

    Args:
        kept: receives the lines.
    """

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            kept.append(record.getMessage())

    logger, handler = logging.getLogger("apprise"), Handler()
    level, propagates, handlers = logger.level, logger.propagate, logger.handlers
    logger.propagate, logger.handlers = False, [handler]
    logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        logger.propagate, logger.handlers = propagates, handlers
        logger.setLevel(level)


def _is_sent(place: Any, delivery: Delivery) -> bool:
    import apprise

    sent = place.notify(
        title=delivery.message.text,
        body=delivery.message.plain or delivery.message.text,
        notify_type=_notify_type(apprise, delivery.event),
        body_format=apprise.NotifyFormat.TEXT,
    )
    return bool(sent)


def _notify_type(apprise: Any, event: Event) -> Any:
    if event.is_page:
        return apprise.NotifyType.FAILURE
    return apprise.NotifyType.SUCCESS if event.is_end else apprise.NotifyType.INFO

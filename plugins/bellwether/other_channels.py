"""Forward messages to other channels than Slack (mail, Teams, PagerDuty, …) through Apprise.

It is off unless the connection ``bellwether_apprise`` exists. Apprise is imported only then.
"""

import logging
import re
from typing import Any

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret

from include.perf.alerts.book import Delivery, Event
from include.perf.model.errors import DeliveryError

log = logging.getLogger(__name__)

APPRISE_CONNECTION = "bellwether_apprise"
SHORTEST_SECRET = 6

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]{0,15})://")


def forward_through_apprise(delivery: Delivery) -> None:
    """Send a message to every address of the connection ``bellwether_apprise``.

    The addresses are its password, or ``urls`` in its extra.

    Raises:
        DeliveryError: an address refused the message, which the others received, or the connection cannot be used.
    """
    addresses = _addresses()
    if not addresses:
        return
    for address in addresses:
        _hide(address)
    failed = [_kind(address) for address in addresses if not _is_sent(address, delivery)]
    if failed:
        raise DeliveryError(
            f"some addresses of the connection {APPRISE_CONNECTION} did not accept the message; check "
            f"{', '.join(failed)}: {delivery.message.text}"
        )
    log.info("sent to %d addresses through Apprise: %s", len(addresses), delivery.message.text)


def _addresses() -> tuple[str, ...]:
    try:
        connection = Connection.get(APPRISE_CONNECTION)
    except AirflowNotFoundException:
        return ()
    urls: Any = connection.extra_dejson.get("urls") or (connection.password or "").split()
    if not isinstance(urls, list) or not urls or not all(isinstance(url, str) and url.strip() for url in urls):
        raise DeliveryError(
            f"the connection {APPRISE_CONNECTION} has no address; set its password to an Apprise address, or its extra "
            'to {"urls": […]}'
        )
    return tuple(url.strip() for url in urls)


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


def _is_sent(address: str, delivery: Delivery) -> bool:
    import apprise

    # Apprise logs addresses.
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    places = apprise.Apprise()
    if not places.add(address):
        return False
    sent = places.notify(
        title=delivery.message.text,
        body=delivery.message.plain or delivery.message.text,
        notify_type=_notify_type(apprise, delivery.event),
        body_format=apprise.NotifyFormat.TEXT,
    )
    return bool(sent)


def _notify_type(apprise: Any, event: Event) -> Any:
    if event.is_page:
        return apprise.NotifyType.FAILURE
    return apprise.NotifyType.SUCCESS if event is Event.RECOVERED else apprise.NotifyType.INFO

"""Takes messages to other places than Slack (mail, Teams, PagerDuty, …) through Apprise.

Off unless there is a connection ``bellwether_apprise``. Apprise is imported only then.
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


def also_through_apprise(delivery: Delivery) -> None:
    """Send a message to every address in the connection ``bellwether_apprise``: its password, or ``urls`` in its extra.

    Raises:
        DeliveryError: not every address took it, or the connection cannot be used; the others have it.
    """
    addresses = _addresses()
    if not addresses:
        return
    for address in addresses:
        _hide(address)
    failed = [_kind(address) for address in addresses if not _is_sent(address, delivery)]
    if failed:
        raise DeliveryError(
            f"not every place of the connection {APPRISE_CONNECTION} took the message: {', '.join(failed)}; check "
            f"these addresses: {delivery.message.text}"
        )
    log.info("told %d places by Apprise: %s", len(addresses), delivery.message.text)


def _addresses() -> tuple[str, ...]:
    try:
        connection = Connection.get(APPRISE_CONNECTION)
    except AirflowNotFoundException:
        return ()
    urls: Any = connection.extra_dejson.get("urls") or (connection.password or "").split()
    if not isinstance(urls, list) or not urls or not all(isinstance(each, str) and each.strip() for each in urls):
        raise DeliveryError(
            f"the connection {APPRISE_CONNECTION} names no address; its password must be an address that Apprise "
            'knows, or its extra {"urls": […]} a list of them'
        )
    return tuple(each.strip() for each in urls)


def _hide(address: str) -> None:
    """Keep an address out of the logs, and each of its parts, because libraries log those by themselves."""
    mask_secret(address)
    for part in re.split(r"[/:@?&=,\s]+", address.partition("://")[2]):
        if len(part) >= SHORTEST_SECRET:
            mask_secret(part)


def _kind(address: str) -> str:
    """Return all of an address that may be told."""
    found = _SCHEME.match(address.lower())
    return found[0] if found else "an address without a scheme"


def _is_sent(address: str, delivery: Delivery) -> bool:
    import apprise

    # It logs addresses.
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

"""Send messages to other channels than Slack (mail, Teams, PagerDuty, …) through Apprise.

It is off unless the connection ``bellwether_apprise`` exists. Apprise is imported only then.
"""

import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret

from include.perf.alerts.book import Delivery, Event
from include.perf.model.errors import DeliveryError, DeliveryRefused

log = logging.getLogger(__name__)

APPRISE_CONNECTION = "bellwether_apprise"
SHORTEST_SECRET = 6

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

    def send(self, name: str, delivery: Delivery) -> None:
        """Send a message to one address.

        Raises:
            DeliveryRefused: the address did not accept it, or the connection does not have it any more. Apprise does
                not report whether a later attempt may work.
            DeliveryError: the connection has no address.
        """
        address = _addresses().get(name)
        if address is None:
            raise DeliveryRefused(f"the connection {APPRISE_CONNECTION} has no address {name}: {delivery.message.text}")
        _hide(address)
        if not _is_sent(address, delivery):
            raise DeliveryRefused(
                f"{name} did not accept the message; check this address in the connection {APPRISE_CONNECTION}: "
                f"{delivery.message.text}"
            )
        log.info("sent to %s through Apprise: %s", name, delivery.message.text)


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

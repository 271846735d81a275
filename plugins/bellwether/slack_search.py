"""Look up a message in Slack by the id of its delivery, which was sent along as metadata."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bellwether.slack_failures import FAILURES, cause, is_missing_scope, kind_of, remedy, source
from include.perf.alerts.book import Delivery, Posted
from include.perf.model.errors import DeliveryError, DeliveryRefused, DeliveryUnknown, ThreadGone

EVENT_TYPE = "bellwether_alert"
PAGE = 200
PAGES = 50

_CHANNEL_ID = re.compile(r"[CDG][A-Z0-9]{6,}\Z")


def find(client: Any, delivery: Delivery, *, thread: Posted | None, connection: str) -> Posted | None:
    """Look up a message that was sent before by its id; return ``None`` when it is not there.

    Needs the scope channels:history (groups:history for a private channel). A channel that is configured by name
    also needs channels:read (groups:read).

    Args:
        client: of Slack; its calls are repeated after a temporary failure.
        connection: id of the Airflow connection, for error messages.

    Raises:
        DeliveryRefused: Slack refused the search.
        DeliveryUnknown: the search failed and may work later.
        ThreadGone: the thread does not exist any more.
    """
    wanted: dict[str, Any] = {"include_all_metadata": True, "limit": PAGE}
    if delivery.since is not None:
        wanted["oldest"] = delivery.since
    try:
        if thread is None:
            channel = _channel_id(client, delivery.channel)
            pages = _pages(client.conversations_history, "messages", channel=channel, **wanted)
        else:
            channel = thread.channel
            pages = _pages(client.conversations_replies, "messages", channel=channel, ts=thread.ts, **wanted)
        found = next((message for message in pages if _id_in(message) == delivery.id), None)
        return Posted(channel, _time_in(found)) if found else None
    except FAILURES as err:
        raise _kind_of_search(err)(
            f"the message may have arrived, but Slack cannot be searched for it ({cause(err)}); "
            f"{remedy(err, connection)}: {delivery.message.text}"
        ) from source(err)


def _channel_id(client: Any, name: str) -> str:
    """Return the ID of a channel, needed to read it; private channels are listed only if no public one matches."""
    if _CHANNEL_ID.match(name):
        return name
    for kind in ("public_channel", "private_channel"):
        listed = _pages(client.conversations_list, "channels", types=kind, exclude_archived=True, limit=PAGE)
        for channel in listed:
            if channel["name"] == name.removeprefix("#"):
                return str(channel["id"])
    raise DeliveryRefused(
        f"a message to {name} may have arrived, but cannot be searched for: Slack lists no such channel; "
        "set its ID (C…) in services.yaml"
    )


def _kind_of_search(err: BaseException) -> type[DeliveryError]:
    """Return the kind of error for a search that failed: only what Slack refuses for good is not tried again."""
    if isinstance(err, _TooManyMessages):
        return DeliveryRefused
    kind = kind_of(err)
    if is_missing_scope(err):
        return DeliveryRefused  # the bot may post without it
    return kind if kind in (DeliveryRefused, ThreadGone) else DeliveryUnknown


class _TooManyMessages(ValueError):
    """The last page was not reached."""


def _pages(call: Callable[..., Any], key: str, **arguments: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the items of a paginated call.

    Raises:
        _TooManyMessages: the last page was not reached.
    """
    cursor = ""
    for _ in range(PAGES):
        answer = call(**arguments, **({"cursor": cursor} if cursor else {}))
        yield from answer[key]
        cursor = (answer.get("response_metadata") or {}).get("next_cursor") or ""
        if not cursor:
            if answer.get("has_more"):
                break
            return
    raise _TooManyMessages(f"the last page of {key} was not reached")


def _time_in(message: Mapping[str, Any]) -> str:
    """Return the time that names a message in its channel."""
    time = message["ts"]
    if not isinstance(time, str):
        raise TypeError("the time of a message is no text")
    return time


def _id_in(message: Mapping[str, Any]) -> str | None:
    metadata = message.get("metadata") or {}
    if metadata.get("event_type") != EVENT_TYPE:
        return None
    found = (metadata.get("event_payload") or {}).get("id")
    return found if isinstance(found, str) else None

"""What a failed call to Slack means: whether the message can be there, and what to do about it.

A message that was sent twice wakes on-call twice, so that one counts as unsure unless something shows that Slack did
not take it: nothing reached it, it answered 429, or it refused by a code of its own. Nothing of an error's own text is
told, because it may hold an address, and a webhook's address is its password.
"""

import errno
import re
import socket
import ssl
from collections.abc import Mapping
from http import HTTPStatus
from http.client import HTTPException, InvalidURL
from typing import Any
from urllib.error import HTTPError, URLError

from slack_sdk.errors import SlackApiError, SlackClientError, SlackRequestError
from slack_sdk.http_retry.builtin_handlers import ConnectionErrorRetryHandler, RateLimitErrorRetryHandler
from slack_sdk.http_retry.request import HttpRequest
from slack_sdk.http_retry.response import HttpResponse
from slack_sdk.http_retry.state import RetryState
from slack_sdk.web import SlackResponse

from include.perf.model.errors import DeliveryError, DeliveryUnknown

FAILURES = (SlackClientError, HTTPException, OSError, ValueError, LookupError)
"""What a call raises: Slack's refusals, broken answers, the network, and answers that cannot be decoded."""

MISSING_SCOPE = "missing_scope"

LONGEST_PAUSE_S = 30
"""Where Slack wants a longer one, the next task delivers."""

_UNREACHED = {errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN}
_CODE = re.compile(r"[a-z0-9_.]{1,80}\Z")
# "It's possible some aspect of the operation succeeded": https://docs.slack.dev/reference/methods/chat.postMessage
_UNSURE_CODES = {"fatal_error", "internal_error", "service_unavailable"}

_TOKEN = "correct the bot token (xoxb-…) in the connection {connection}"  # noqa: S105 - a remedy, no token
_INVITE = "invite the bot to the channel (/invite in Slack), or correct the channel in services.yaml"
_REMEDIES = {
    "account_inactive": _TOKEN,
    "invalid_auth": _TOKEN,
    "not_authed": _TOKEN,
    "token_expired": _TOKEN,
    "token_revoked": _TOKEN,
    "not_allowed_token_type": _TOKEN,
    "channel_not_found": _INVITE,
    "not_in_channel": _INVITE,
    "is_archived": "take the channel out of the archive, or name another in services.yaml",
    "channel_is_archived": "take the channel out of the archive, or name another in services.yaml",
    "restricted_action": "let an administrator allow the bot to post there",
    "thread_not_found": "its thread was deleted; nothing can be added to it",
    "message_not_found": "it was deleted; there is nothing to change",
    "cant_update_message": "only the bot that sent it may change it: restore that bot's token",
    "edit_window_closed": "let an administrator allow messages to be edited at any time",
    "no_service": "the webhook was removed; make a new one and put it into the connection {connection}",
    "no_active_hooks": "the webhook is disabled; make a new one and put it into the connection {connection}",
    "invalid_token": "correct the webhook's address in the connection {connection}",
    "ratelimited": "nothing; it is delivered later",
    "rate_limited": "nothing; it is delivered later",
}
_UNKNOWN = "see https://docs.slack.dev for what this error means"
_PROXY = "check the proxy, and the address in the connection {connection}"
_NETWORK = "check the network, the proxy, and the address in the connection {connection}"


def is_unsent(error: BaseException | None) -> bool:
    """Whether it is sure that no request reached Slack: nobody was there to take it."""
    if isinstance(error, InvalidURL | SlackRequestError):
        return True  # refused by the client itself
    if isinstance(error, HTTPError) or not isinstance(error, URLError):
        return False  # an answer came, or the connection stood already
    reason = error.reason
    if isinstance(reason, socket.gaierror | ssl.SSLCertVerificationError):
        return True
    # urllib names a time-out so only while it connects or sends; one that waits for the answer is no URLError.
    if isinstance(reason, TimeoutError) or (isinstance(reason, OSError) and reason.errno in _UNREACHED):
        return True
    return str(reason).startswith("Tunnel connection failed")  # a proxy's word


class UnsentRetry(ConnectionErrorRetryHandler):
    """Tries again only if it is sure that nothing arrived."""

    def _can_retry(
        self,
        *,
        state: RetryState,
        request: HttpRequest,
        response: HttpResponse | None = None,
        error: Exception | None = None,
    ) -> bool:
        return response is None and is_unsent(error)


class RateLimitRetry(RateLimitErrorRetryHandler):
    """Waits as long as Slack says, if that is not too long."""

    def _can_retry(
        self,
        *,
        state: RetryState,
        request: HttpRequest,
        response: HttpResponse | None = None,
        error: Exception | None = None,
    ) -> bool:
        if response is None or response.status_code != HTTPStatus.TOO_MANY_REQUESTS:
            return False
        return _is_short_pause(response)


def _is_short_pause(response: HttpResponse) -> bool:
    pauses = [values[0] for name, values in response.headers.items() if name.lower() == "retry-after" and values]
    return not pauses or (pauses[0].isdigit() and int(pauses[0]) <= LONGEST_PAUSE_S)


def undelivered(err: BaseException, *, text: str, connection: str) -> DeliveryError:
    """Return what is to be said of a message that Slack did not confirm.

    Args:
        text: the message's first line.
        connection: Airflow's name of it.
    """
    if _is_refused(err):
        return _refused(cause(err), remedy(err, connection), text)
    return _unconfirmed(cause(err), text)


def refused_hook(status: int, body: str, *, text: str, connection: str) -> DeliveryError:
    """Return what is to be said of a webhook's answer other than its consent."""
    code = body if _CODE.match(body) else None
    why = f"error {code}" if code else f"HTTP status {status}"
    if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        advice = _REMEDIES.get(code, _UNKNOWN) if code else _PROXY
        return _refused(why, advice.format(connection=connection), text)
    return _unconfirmed(why, text)


def _refused(why: str, advice: str, text: str) -> DeliveryError:
    return DeliveryError(f"Slack did not take the message ({why}); {advice}: {text}")


def _unconfirmed(why: str, text: str) -> DeliveryUnknown:
    return DeliveryUnknown(f"Slack did not confirm the message ({why}), it may have arrived or not: {text}")


def _is_refused(err: BaseException) -> bool:
    if is_unsent(err):
        return True
    status = _status(err)
    if status is not None and status >= HTTPStatus.BAD_REQUEST:
        return status < HTTPStatus.INTERNAL_SERVER_ERROR
    return _code(err) not in (None, *_UNSURE_CODES)


def _status(err: BaseException) -> int | None:
    if isinstance(err, HTTPError):
        return err.code
    if isinstance(err, SlackApiError) and isinstance(err.response, SlackResponse):
        return err.response.status_code
    return None


def _code(err: BaseException) -> str | None:
    """Return Slack's own word for a refusal; ``None`` where the answer is not Slack's."""
    code = _answered(err).get("error")
    return code if isinstance(code, str) and _CODE.match(code) else None


def _answered(err: BaseException) -> Mapping[str, Any]:
    if isinstance(err, SlackApiError) and isinstance(err.response, SlackResponse):
        return err.response.data if isinstance(err.response.data, dict) else {}
    return {}


def cause(err: BaseException) -> str:
    """Return why a call failed, without anything that could be secret."""
    code, status = _code(err), _status(err)
    if code is not None:
        needed = _answered(err).get("needed")
        return f"error {code}, needs {needed}" if code == MISSING_SCOPE and needed else f"error {code}"
    if status is not None:
        strange = " and an answer that is not Slack's" if status < HTTPStatus.BAD_REQUEST else ""
        return f"HTTP status {status}{strange}"
    if isinstance(err, URLError):
        return f"not reached: {_network(err.reason)}" if is_unsent(err) else _network(err.reason)
    return _network(err)


def _network(reason: object) -> str:
    if isinstance(reason, TimeoutError):
        return "no answer in time"
    if isinstance(reason, ssl.SSLCertVerificationError):
        return "its certificate cannot be verified"
    if isinstance(reason, OSError) and reason.errno and reason.strerror:
        return reason.strerror
    return type(reason).__name__


def remedy(err: BaseException, connection: str) -> str:
    """Return what somebody can do about a refusal."""
    code = _code(err)
    if code == MISSING_SCOPE:
        return f"add the scope {_answered(err).get('needed') or 'it names'} to the Slack app and install it again"
    unanswered = _NETWORK if _status(err) is None else _PROXY
    advice = unanswered if code is None else _REMEDIES.get(code, _UNKNOWN)
    return advice.format(connection=connection)


def is_passing(err: BaseException) -> bool:
    """Whether it may work later without anybody's doing: everything but a refusal in Slack's own word."""
    return _code(err) in (None, "ratelimited", *_UNSURE_CODES)


def source(err: BaseException) -> BaseException | None:
    """Return an error that may be shown as a cause; ``None`` for one whose text may hold a token or an address."""
    if isinstance(err, HTTPError):
        err.close()  # the client leaves its connection open
    return err if isinstance(err, SlackApiError | OSError) else None

"""Interpret failed calls to Slack: may the message have arrived, and what is the remedy?

A duplicate wakes on-call twice. So a failed message counts as unconfirmed unless it is known that Slack did not accept
it: nothing reached Slack, it answered 429, or it refused with an error code. The text of an error is never shown,
because it may hold a webhook's address, which is a secret.
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

from include.perf.model.errors import DeliveryError, DeliveryRefused, DeliveryUnknown, ThreadGone

ODD_ANSWERS = (ValueError, LookupError, AttributeError, TypeError, RecursionError)
"""What Slack's client raises for an answer that is no JSON, or no object with the fields that it expects."""

FAILURES = (SlackClientError, HTTPException, OSError, *ODD_ANSWERS)
"""What a call raises: refusals by Slack, network errors, and odd answers."""

MISSING_SCOPE = "missing_scope"

LONGEST_PAUSE_S = 30
"""The longest pause to wait for. If Slack requires a longer one, the next task delivers."""

_UNREACHED = {errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN}
_CODE = re.compile(r"[a-z0-9_.]{1,80}\Z")
# "It's possible some aspect of the operation succeeded": https://docs.slack.dev/reference/methods/chat.postMessage
_UNSURE_CODES = {"fatal_error", "internal_error", "service_unavailable"}

_OF_THE_CONNECTION = {
    "access_denied",
    "accesslimited",
    "account_inactive",
    "ekm_access_denied",
    "enterprise_is_restricted",
    "invalid_auth",
    "invalid_token",
    "missing_scope",
    "no_active_hooks",
    "no_permission",
    "no_service",
    "no_service_id",
    "no_team",
    "not_allowed_token_type",
    "not_authed",
    "org_login_required",
    "rate_limited",
    "ratelimited",
    "request_timeout",
    "rollup_error",
    "team_access_not_granted",
    "team_added_to_org",
    "team_disabled",
    "token_expired",
    "token_revoked",
    "two_factor_setup_required",
}
"""Refusals of every message alike, until somebody corrects the connection or Slack recovers: nothing is given up."""

_THREAD_GONE = {"cannot_reply_to_message", "invalid_thread_ts", "message_not_found", "thread_not_found"}
"""Refusals because the message to reply to, or to change, does not exist any more."""

# in the order in which they are tried: InvalidURL is an HTTPException, too
_CLIENT_ERRORS = {
    InvalidURL: "the address is invalid",
    SlackRequestError: "the client refused to send the request",
    HTTPException: "the connection was closed without a complete answer",
    ConnectionError: "the connection was closed without a complete answer",
    ValueError: "the answer cannot be decoded",
    LookupError: "the answer is incomplete",
    AttributeError: "the answer is no JSON object",
    TypeError: "the answer is no JSON object",
    RecursionError: "the answer cannot be decoded",
}
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
    "is_archived": "unarchive the channel, or set another one in services.yaml",
    "channel_is_archived": "unarchive the channel, or set another one in services.yaml",
    "restricted_action": "ask an administrator to allow the bot to post in the channel",
    "thread_not_found": "the thread was deleted; no reply is possible",
    "message_not_found": "the message was deleted; there is nothing to update",
    "cant_update_message": "only the bot that posted it can update it: restore that bot's token",
    "edit_window_closed": "ask an administrator to allow editing messages at any time",
    "no_service": "the webhook was removed; create a new one and set it in the connection {connection}",
    "no_active_hooks": "the webhook is disabled; create a new one and set it in the connection {connection}",
    "invalid_token": "correct the webhook's address in the connection {connection}",
    "ratelimited": "no action needed: it is delivered later",
    "rate_limited": "no action needed: it is delivered later",
}
_UNKNOWN = "see https://docs.slack.dev for the meaning of this error"
_PROXY = "check the proxy, and the address in the connection {connection}"
_NETWORK = "check the network, the proxy, and the address in the connection {connection}"


def is_unsent(error: BaseException | None) -> bool:
    """Whether no request can have reached Slack."""
    if isinstance(error, InvalidURL | SlackRequestError):
        return True  # refused by the client itself
    if isinstance(error, HTTPError) or not isinstance(error, URLError):
        return False  # Slack answered, or the connection was established
    reason = error.reason
    if isinstance(reason, socket.gaierror | ssl.SSLCertVerificationError):
        return True
    # urllib wraps a timeout in a URLError only while it connects or sends, not while it waits for the answer.
    if isinstance(reason, TimeoutError) or (isinstance(reason, OSError) and reason.errno in _UNREACHED):
        return True
    return str(reason).startswith("Tunnel connection failed")  # urllib's message when a proxy refuses


class UnsentRetry(ConnectionErrorRetryHandler):
    """Retries only if nothing can have arrived."""

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
    """Waits as long as Slack requires, up to `LONGEST_PAUSE_S`."""

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
    """Return the error for a message that Slack did not confirm.

    Args:
        text: first line of the message.
        connection: id of the Airflow connection.
    """
    if _is_refused(err):
        return _refused(cause(err), remedy(err, connection), text, kind=kind_of(err))
    return _unconfirmed(cause(err), text)


def kind_of(err: BaseException) -> type[DeliveryError]:
    """Return the kind of error for a call that had no effect."""
    return _kind_of_code(_code(err))


def _kind_of_code(code: str | None) -> type[DeliveryError]:
    if code is None or code in _OF_THE_CONNECTION or code in _UNSURE_CODES:
        return DeliveryError
    return ThreadGone if code in _THREAD_GONE else DeliveryRefused


def refused_hook(status: int, body: str, *, text: str, connection: str) -> DeliveryError:
    """Return the error for an unsuccessful answer of a webhook."""
    code = body if _CODE.match(body) else None
    why = f"error {code}" if code else f"HTTP status {status}"
    if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        advice = _REMEDIES.get(code, _UNKNOWN) if code else _PROXY
        return _refused(why, advice.format(connection=connection), text, kind=_kind_of_code(code))
    return _unconfirmed(why, text)


def _refused(why: str, advice: str, text: str, *, kind: type[DeliveryError]) -> DeliveryError:
    return kind(f"Slack did not accept the message ({why}); {advice}: {text}")


def _unconfirmed(why: str, text: str) -> DeliveryUnknown:
    return DeliveryUnknown(f"Slack did not confirm the message ({why}); it may have arrived: {text}")


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
    """Return the error code of a refusal; ``None`` where the answer is not from Slack."""
    code = _answered(err).get("error")
    return code if isinstance(code, str) and _CODE.match(code) else None


def _answered(err: BaseException) -> Mapping[str, Any]:
    if isinstance(err, SlackApiError) and isinstance(err.response, SlackResponse):
        return err.response.data if isinstance(err.response.data, dict) else {}
    return {}


def cause(err: BaseException) -> str:
    """Return why a call failed, without secrets."""
    code, status = _code(err), _status(err)
    if code is not None:
        needed = _answered(err).get("needed")
        return f"error {code}, needs {needed}" if code == MISSING_SCOPE and needed else f"error {code}"
    if status is not None:
        strange = " and an answer that is not from Slack" if status < HTTPStatus.BAD_REQUEST else ""
        return f"HTTP status {status}{strange}"
    if isinstance(err, URLError):
        return f"not reached: {_network(err.reason)}" if is_unsent(err) else _network(err.reason)
    return _network(err)


def _network(reason: object) -> str:
    if isinstance(reason, TimeoutError):
        return "no answer in time"
    if isinstance(reason, ssl.SSLCertVerificationError):
        return "the certificate cannot be verified"
    if isinstance(reason, OSError) and reason.errno and reason.strerror:
        return reason.strerror
    for kind, words in _CLIENT_ERRORS.items():
        if isinstance(reason, kind):
            return words
    return "network error"


def remedy(err: BaseException, connection: str) -> str:
    """Return what to do about a failure."""
    code = _code(err)
    if code == MISSING_SCOPE:
        return f"add the scope {_answered(err).get('needed') or 'that it names'} to the Slack app and reinstall it"
    unanswered = _NETWORK if _status(err) is None else _PROXY
    advice = unanswered if code is None else _REMEDIES.get(code, _UNKNOWN)
    return advice.format(connection=connection)


def is_missing_scope(err: BaseException) -> bool:
    """Whether the token lacks the permission for this call."""
    return _code(err) == MISSING_SCOPE


def source(err: BaseException) -> BaseException | None:
    """Return an error that may be shown as the cause; ``None`` if its text may hold a token or an address."""
    if isinstance(err, HTTPError):
        err.close()  # the client leaves its connection open
    return err if isinstance(err, SlackApiError | OSError) else None

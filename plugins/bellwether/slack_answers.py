"""Answers of Slack with a limit: its client reads them as a whole, whoever answers in Slack's place."""

from functools import partial
from io import BytesIO
from typing import Any
from urllib.request import BaseHandler, HTTPSHandler, ProxyHandler, Request, build_opener
from urllib.response import addinfourl

from slack_sdk import WebClient, WebhookClient
from slack_sdk.errors import SlackRequestError
from slack_sdk.webhook import WebhookResponse

MAX_ANSWER_BYTES = 16 * 1024**2
"""A page of a search has 200 messages, each with at most 40,000 characters."""


class SlackAnswerTooLong(ValueError):
    """An answer has more than `MAX_ANSWER_BYTES`."""


class _BoundedReader(BaseHandler):
    """Reads each answer up to the limit, before anything else looks at it."""

    handler_order = 100

    def http_response(self, _: Request, response: Any) -> Any:
        """Return an answer whose body is in memory.

        Raises:
            SlackAnswerTooLong: it has too many bytes.
        """
        with response:
            body = response.read(MAX_ANSWER_BYTES + 1)
        if len(body) > MAX_ANSWER_BYTES:
            raise SlackAnswerTooLong(f"the answer has more than {MAX_ANSWER_BYTES // 1024**2} MiB")
        answer = addinfourl(BytesIO(body), response.headers, response.url, response.status)
        answer.msg = response.reason  # type: ignore[attr-defined]
        return answer

    https_response = http_response


def bounded_bot(client: WebClient) -> WebClient:
    """Limit the answers to a bot."""
    client._perform_urllib_http_request_internal = partial(_bot_answer, client)  # type: ignore[method-assign]
    return client


def bounded_webhook(client: WebhookClient) -> WebhookClient:
    """Limit the answers to a webhook."""
    client._perform_http_request_internal = partial(_webhook_answer, client)  # type: ignore[method-assign]
    return client


def _bot_answer(client: WebClient, url: str, req: Request) -> dict[str, Any]:
    answer, body = _opened(client, url, req)
    return {"status": answer.status, "headers": answer.headers, "body": body}


def _webhook_answer(client: WebhookClient, url: str, req: Request) -> WebhookResponse:
    answer, body = _opened(client, url, req)
    return WebhookResponse(url=url, status_code=answer.status, body=body, headers=answer.headers)


def _opened(client: WebClient | WebhookClient, url: str, request: Request) -> tuple[Any, str]:
    if not url.lower().startswith(("http://", "https://")):  # urllib would open files, too
        raise SlackRequestError("the address is no URL of HTTP")
    handlers: list[BaseHandler] = [HTTPSHandler(context=client.ssl), _BoundedReader()]
    if client.proxy:
        handlers.append(ProxyHandler({"http": client.proxy, "https": client.proxy}))
    with build_opener(*handlers).open(request, timeout=client.timeout) as answer:
        return answer, answer.read().decode(answer.headers.get_content_charset() or "utf-8")

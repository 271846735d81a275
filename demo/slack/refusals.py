"""The errors of the stand-in, with Slack's error codes."""

from collections.abc import Sequence


class SlackRefusal(Exception):
    """A call to which Slack would respond with ``ok: false``.

    Attributes:
        code: Slack's documented error code, such as ``channel_not_found``.
        details: the problems; they become ``response_metadata.messages``.
    """

    def __init__(self, code: str, details: Sequence[str] = ()) -> None:
        self.code = code
        self.details = tuple(details)
        super().__init__(f"{code}: {'; '.join(self.details)}" if self.details else code)


class RateLimited(SlackRefusal):
    """Too many messages in one channel; the response is HTTP 429.

    Attributes:
        retry_after_s: whole seconds to wait, as sent in ``Retry-After``.
    """

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("ratelimited")
        self.retry_after_s = retry_after_s

"""The size of what browsers send: our forms have a few short fields, and no page takes an upload."""

from fastapi import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 64 * 1024


class BoundedBody:
    """Ends a request whose body is longer than `MAX_BODY_BYTES`, before the rest of it is read.

    FastAPI reads a form as a whole, before it checks permissions.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        read = 0

        async def bounded() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > MAX_BODY_BYTES:
                raise HTTPException(
                    413, f"the request has more than {MAX_BODY_BYTES:,} bytes; our forms are shorter, and take no files"
                )
            return message

        await self._app(scope, bounded, send)

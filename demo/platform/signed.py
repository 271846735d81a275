"""A route that needs a signature: HMAC-SHA256 over timestamp, nonce, method, path with query, and body.

A request is refused if its timestamp is too old or in the future, or if its nonce was used before.
"""

import hashlib
import hmac
from typing import Annotated

from fastapi import APIRouter, Header, Request

from demo.platform.endpoint import Clock
from demo.platform.responses import JsonResponse

KEY_ID = "demo"
SECRET = "demo-signing-secret"  # noqa: S105 - everybody may sign for the demo

WINDOW_S = 5.0
"""How far a timestamp may be from the present."""


class Signatures:
    """Checks signatures, and remembers the nonces of the requests whose timestamps are still valid.

    Args:
        clock: the present, seconds since 1970-01-01 UTC.
    """

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._nonces: dict[str, float] = {}

    def problem_of(self, text: bytes, *, key_id: str, signature: str, timestamp: str, nonce: str) -> str | None:
        """Return why a request is refused; ``None`` if it is accepted.

        Args:
            text: what the signature covers.
            timestamp: in milliseconds since 1970.
        """
        expected = hmac.digest(SECRET.encode(), text, hashlib.sha256).hex()
        if key_id != KEY_ID or not hmac.compare_digest(expected, signature):
            return "wrong signature"
        now = self._clock()
        if not timestamp.isdecimal() or abs(now - int(timestamp) / 1000) > WINDOW_S:
            return "the timestamp is too far from the present"
        if nonce in self._nonces:
            return "the nonce was used before"
        self._forget(now)
        self._nonces[nonce] = now
        return None

    def _forget(self, now: float) -> None:
        """Forget the nonces, oldest first, whose requests are refused for their timestamps by now."""
        while self._nonces and next(iter(self._nonces.values())) < now - 2 * WINDOW_S:
            del self._nonces[next(iter(self._nonces))]


def signed_router(signatures: Signatures) -> APIRouter:
    """Return GET and POST /api/v1/signed, which need a signature and answer with the nonce."""

    async def answer(
        request: Request,
        x_key: Annotated[str, Header()] = "",
        x_timestamp: Annotated[str, Header()] = "",
        x_nonce: Annotated[str, Header()] = "",
        x_signature: Annotated[str, Header()] = "",
    ) -> JsonResponse:
        query = f"?{request.url.query}" if request.url.query else ""
        target = request.scope["raw_path"].decode("ascii") + query
        text = f"{x_timestamp}{x_nonce}{request.method}{target}".encode() + await request.body()
        problem = signatures.problem_of(text, key_id=x_key, signature=x_signature, timestamp=x_timestamp, nonce=x_nonce)
        if problem is not None:
            return JsonResponse({"detail": problem}, status_code=401)
        return JsonResponse({"nonce": x_nonce})

    router = APIRouter(tags=["signed"])
    for method in ("GET", "POST"):
        router.add_api_route("/api/v1/signed", answer, methods=[method], response_model=None)
    return router

"""JSON responses, encoded directly to bytes.

The endpoints return their response themselves: a response model would validate what was just computed.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import numpy as np
from fastapi import HTTPException, Response
from pydantic_core import to_json

from demo.platform.prices import Bars, FloatArray


class JsonResponse(Response):
    """A response whose content is encoded by pydantic's serialiser; NaN becomes null."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Encode the content."""
        return to_json(content, inf_nan_mode="null")


def not_found(kind: str, given: str, known: Iterable[str]) -> HTTPException:
    """Return a 404 that lists the known names.

    Args:
        kind: what was looked for, such as "model_id".
        given: the requested ID.
        known: the ids that exist.
    """
    return HTTPException(status_code=404, detail=f"unknown {kind} {given!r}; known: {', '.join(known)}")


def moment(seconds: float) -> datetime:
    """Return seconds since 1970-01-01 UTC as a time, which the encoder writes as RFC 3339."""
    return datetime.fromtimestamp(seconds, UTC)


def span(bars: Bars) -> dict[str, Any]:
    """Describe the bars that a response was computed from."""
    first = int(bars.times[0])
    return {
        "from": moment(first),
        "to": moment(first + len(bars) * bars.step_s),
        "bars": len(bars),
        "bar_seconds": bars.step_s,
    }


def bar_columns(bars: Bars, decimals: int) -> dict[str, list[Any]]:
    """Write bars as columns of equal length; bar i opens at `from` + i · `bar_seconds` of their span."""
    return {
        "open": rounded(bars.open, decimals),
        "high": rounded(bars.high, decimals),
        "low": rounded(bars.low, decimals),
        "close": rounded(bars.close, decimals),
        "volume": bars.volume.tolist(),
    }


def rounded(values: FloatArray, decimals: int) -> list[float]:
    """Round an array to a list."""
    return list(np.round(values, decimals).tolist())

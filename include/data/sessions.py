"""When the forex market is busy: activity of every currency, minute by minute.

The day is the sum of four overlapping sessions (Dacorogna et al. 1993: East Asia, Europe and America
take turns). Within a session activity is U-shaped: a burst at the open that decays, a lull around
lunch, a smaller rise into the close; the sum over sessions has the "M" shape of Andersen and Bollerslev
(1997), highest where London and New York overlap. Around 17:00 New York, where one value date ends
and the next begins, there are few quotes: activity falls to a twentieth.

Sessions are local wall-clock hours in IANA zones, so both clock changes are handled.

Source: Dacorogna, Müller, Nagler, Olsen, Pictet (1993), Journal of International Money and Finance
12(4), 413–438, doi:10.1016/0261-5606(93)90004-U; Andersen, Bollerslev (1997), Journal of Empirical
Finance 4(2–3), 115–158, doi:10.1016/S0927-5398(97)00004-2.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from types import MappingProxyType
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SESSION_MIN = 540  # nine hours, all four
_DAY_MIN = 1440


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingSession:
    """A trading session: nine hours of local time.

    Attributes:
        share: activity by currency; 1 is that of the euro in London.
    """

    zone: ZoneInfo
    opens_h: int
    share: Mapping[str, float]


SYDNEY = TradingSession(
    zone=ZoneInfo("Australia/Sydney"),
    opens_h=7,
    share=MappingProxyType({"EUR": 0.08, "GBP": 0.06, "USD": 0.10, "JPY": 0.15, "AUD": 0.35, "CHF": 0.05, "CAD": 0.05}),
)
TOKYO = TradingSession(
    zone=ZoneInfo("Asia/Tokyo"),
    opens_h=9,
    share=MappingProxyType({"EUR": 0.22, "GBP": 0.18, "USD": 0.35, "JPY": 0.90, "AUD": 0.80, "CHF": 0.15, "CAD": 0.15}),
)
LONDON = TradingSession(
    zone=ZoneInfo("Europe/London"),
    opens_h=8,
    share=MappingProxyType({"EUR": 1.00, "GBP": 1.00, "USD": 0.90, "JPY": 0.70, "AUD": 0.60, "CHF": 0.90, "CAD": 0.60}),
)
NEW_YORK = TradingSession(
    zone=ZoneInfo("America/New_York"),
    opens_h=8,
    share=MappingProxyType({"EUR": 0.60, "GBP": 0.60, "USD": 1.00, "JPY": 0.60, "AUD": 0.55, "CHF": 0.50, "CAD": 1.00}),
)
SESSIONS = (SYDNEY, TOKYO, LONDON, NEW_YORK)
_MIN_ACTIVITY = 0.04  # there are always some quotes


def minutes_since_open(times: Sequence[datetime], session: TradingSession) -> Floats:
    """Return local minutes from the session's nearest open: (n,) floats in [−720, 720)."""
    local = [t.astimezone(session.zone) for t in times]
    minutes = np.array([t.hour * 60 + t.minute for t in local], dtype=np.float64)
    return (minutes - session.opens_h * 60 + _DAY_MIN / 2) % _DAY_MIN - _DAY_MIN / 2


def rollover(times: Sequence[datetime]) -> Floats:
    """Return the nearness of 17:00 New York: (n,) floats, 1 in the quarter of an hour after it, 0 far from it."""
    minutes = minutes_since_open(times, NEW_YORK) - SESSION_MIN
    minutes = np.where(minutes < -_DAY_MIN / 2, minutes + _DAY_MIN, minutes)
    before = np.exp(np.minimum(minutes, 0.0) / 8.0)
    after = np.exp(-np.maximum(minutes - 15.0, 0.0) / 30.0)
    return np.where(minutes < 0.0, before, after)


def activity(times: Sequence[datetime], instrument: str, *, open_burst: float) -> Floats:
    """Return the instrument's expected activity: (n,) floats, about 1.5 in the busiest hours.

    Args:
        times: (n,) aware datetimes.
        instrument: two currencies, ``EUR_USD``; its share of a session is their geometric mean.
        open_burst: how much busier the start of a session is than its body; 0 is no burst.
    """
    base, quote = instrument.split("_")
    total = np.full(len(times), _MIN_ACTIVITY)
    for session in SESSIONS:
        share = float(np.sqrt(session.share[base] * session.share[quote]))
        total += share * _shape(minutes_since_open(times, session), open_burst=open_burst)
    return np.asarray(total * (1.0 - 0.95 * rollover(times)))


@cache
def usual_activity(instrument: str) -> float:
    """Return the mean activity over a normal day in March: the reference for "busier than usual"."""
    midnight = datetime(2026, 3, 17, tzinfo=UTC)
    day = [midnight + timedelta(minutes=m) for m in range(_DAY_MIN)]
    return float(activity(day, instrument, open_burst=0.5).mean())


def _shape(minutes: Floats, *, open_burst: float) -> Floats:
    """Return the U shape of a session: minutes from its open → activity, 1 in its body, 0 far outside."""
    minutes = np.where(minutes < -180.0, minutes + _DAY_MIN, minutes)  # the evening belongs to the close
    to_close = SESSION_MIN - minutes
    burst = open_burst * np.exp(-np.maximum(minutes, 0.0) / 18.0)
    lull = 0.35 * np.exp(-(((minutes - 225.0) / 80.0) ** 2))
    rise = 0.2 * np.exp(-np.maximum(to_close, 0.0) / 40.0)
    inside = 1.0 + burst - lull + rise
    before = 0.45 * np.exp(np.minimum(minutes, 0.0) / 20.0)
    after = 0.7 * np.exp(np.minimum(to_close, 0.0) / 35.0)
    return np.where(minutes < 0.0, before, np.where(to_close <= 0.0, after, inside))

"""analysis-engine-service: what the market of a window looks like."""

from collections.abc import Sequence
from dataclasses import asdict

from demo.platform import indicators
from demo.platform.endpoint import ApiEndpoint, Clock
from demo.platform.patterns import find_patterns
from demo.platform.regime import detect_regime
from demo.platform.responses import JsonResponse, moment, span
from demo.platform.signals import find_signals, net_score
from demo.platform.windows import RequestWindow

_LISTED = 20
_DECISIVE_SCORE = 0.2


def endpoints(clock: Clock) -> Sequence[ApiEndpoint]:
    """Build the service's endpoints; they keep nothing and do not ask the time."""
    return (
        ApiEndpoint(method="POST", path="/api/v1/analysis/market", handler=market),
        ApiEndpoint(method="POST", path="/api/v1/analysis/patterns", handler=patterns),
        ApiEndpoint(method="POST", path="/api/v1/analysis/signals", handler=signals),
        ApiEndpoint(method="POST", path="/api/v1/analysis/regime", handler=regime),
    )


async def market(window: RequestWindow) -> JsonResponse:
    """Describe the window by the usual indicators at its last bar, prices in the quote currency."""
    bars, decimals = window.bars(), window.pair().decimals
    high, low, close = bars.high.tolist(), bars.low.tolist(), bars.close.tolist()
    fast, slow = indicators.sma(close[-20:], 20)[-1], indicators.sma(close[-50:], 50)[-1]
    bands = indicators.bollinger(close, 20)
    quick = indicators.ema(close, 12)[-1]
    values = {
        "sma_20": fast,
        "sma_50": slow,
        "ema_12": quick,
        "macd": quick - indicators.ema(close, 26)[-1],
        "atr_14": indicators.atr(high, low, close, 14)[-1],
    }
    return JsonResponse(
        {
            "instrument": window.instrument,
            "timeframe": window.timeframe,
            **span(bars),
            "last": close[-1],
            "high": round(max(high), decimals),
            "low": round(min(low), decimals),
            "trend": "up" if fast > slow else "down" if fast < slow else "flat",
            "rsi_14": round(indicators.rsi(close, 14)[-1], 2),
            "bollinger_20": {k: round(v, decimals + 1) for k, v in asdict(bands).items()} if bands else None,
            **{name: round(value, decimals + 1) for name, value in values.items()},
        }
    )


async def patterns(window: RequestWindow) -> JsonResponse:
    """Count the candlestick patterns of the window and list the latest."""
    bars = window.bars()
    found = find_patterns(bars)
    opens = bars.times.tolist()
    return JsonResponse(
        {
            "instrument": window.instrument,
            "timeframe": window.timeframe,
            **span(bars),
            "counts": {f"{kind.direction}_{kind.name}": n for kind, n in found.counts().items()},
            "latest": [
                {"name": kind.name, "direction": kind.direction, "time": moment(opens[bar])}
                for bar, kind in found.latest(_LISTED)
            ],
        }
    )


async def signals(window: RequestWindow) -> JsonResponse:
    """List the latest signals of the window and weigh all into a recommendation."""
    bars = window.bars()
    found = find_signals(bars.close)
    score = net_score(found, bars=len(bars))
    opens, close = bars.times.tolist(), bars.close.tolist()
    return JsonResponse(
        {
            "instrument": window.instrument,
            "timeframe": window.timeframe,
            **span(bars),
            "recommendation": _recommendation(score),
            "score": round(score, 4),
            "total": len(found),
            "latest": [
                {
                    "source": s.source,
                    "action": s.action,
                    "time": moment(opens[s.index]),
                    "price": close[s.index],
                }
                for s in found[-_LISTED:]
            ],
        }
    )


async def regime(window: RequestWindow) -> JsonResponse:
    """Return the volatility regime at the end of the window, and whether there is a trend."""
    bars = window.bars()
    found = detect_regime(bars.close, step_s=bars.step_s)
    return JsonResponse(
        {
            "instrument": window.instrument,
            "timeframe": window.timeframe,
            **span(bars),
            "volatility_regime": found.volatility,
            "direction": found.direction,
            "annualised_volatility": round(found.annualised_volatility, 5),
            "percentile": round(found.percentile, 4),
            "efficiency": round(found.efficiency, 4),
            "regime_changes": found.changes,
        }
    )


def _recommendation(score: float) -> str:
    if abs(score) < _DECISIVE_SCORE:
        return "hold"
    return "buy" if score > 0 else "sell"

"""The services of the platform."""

from collections.abc import Mapping

from demo.platform.endpoint import ServiceFactory
from demo.platform.routers import (
    analysis_engine,
    data_pipeline,
    feature_store,
    ml_integration,
    strategy_execution,
    trading_gateway,
)

_SUFFIX = "-service"

SERVICES: Mapping[str, ServiceFactory] = {
    "analysis-engine-service": analysis_engine.endpoints,
    "trading-gateway-service": trading_gateway.endpoints,
    "feature-store-service": feature_store.endpoints,
    "ml-integration-service": ml_integration.endpoints,
    "strategy-execution-engine": strategy_execution.endpoints,
    "data-pipeline-service": data_pipeline.endpoints,
}


def service_name(text: str) -> str:
    """Return the full name of a service given with or without the -service suffix.

    Raises:
        ValueError: there is no such service.
    """
    for name in (text, text + _SUFFIX):
        if name in SERVICES:
            return name
    raise ValueError(f"unknown service {text!r}; known: {', '.join(SERVICES)}")

"""Builds a service: API, health, metrics and, with --with-faults, fault injection."""

import time
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, FastAPI, Response
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from starlette.types import ASGIApp

from demo.platform.access import LIFE_S, Access, access_knob, access_router
from demo.platform.admin import fault_router
from demo.platform.catalogue import SERVICES
from demo.platform.endpoint import Clock
from demo.platform.faults import PlatformFaults
from demo.platform.metrics import ServiceMetrics
from demo.platform.middleware import FaultInjection, Observation
from demo.platform.responses import JsonResponse
from demo.platform.route import DirectRoute, Shortcut
from demo.platform.signed import Signatures, signed_router


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """The settings of a service.

    Attributes:
        service: full name, a key of the catalogue.
        environment: staging, production …; shown at /healthz.
        version: shown at /healthz and in the metrics.
        data_dir: folder whose file system the metrics measure.
        with_faults: whether faults can be injected.
        token_life_s: how long the tokens of a login are valid.
    """

    service: str
    environment: str = "staging"
    version: str = "2.4.0"
    data_dir: Path = Path()
    with_faults: bool = False
    token_life_s: float = LIFE_S


def create_app(settings: ServiceSettings, *, clock: Clock = time.time, faults: PlatformFaults | None = None) -> ASGIApp:
    """Build a service.

    Args:
        settings: of the service.
        clock: the present, seconds since 1970-01-01 UTC.
        faults: used with `settings.with_faults`; the default is a new one.
    """
    endpoints = SERVICES[settings.service](clock)
    metrics = ServiceMetrics(endpoints, version=settings.version, data_dir=settings.data_dir)
    api = FastAPI(title=settings.service, version=settings.version)
    router = APIRouter(route_class=DirectRoute)
    for endpoint in endpoints:
        router.add_api_route(endpoint.path, endpoint.handler, methods=[endpoint.method], response_model=None)
    api.include_router(router)
    api.include_router(signed_router(Signatures(clock=clock)))
    access = Access(life_s=settings.token_life_s, clock=clock)
    api.include_router(access_router(access))
    _add_health(api, settings)
    _add_metrics(api, metrics)
    app: ASGIApp = Shortcut(api, routes=api.routes)
    if settings.with_faults:
        knob = faults or PlatformFaults()
        api.include_router(fault_router(knob))
        api.include_router(access_knob(access))
        app = FaultInjection(app, endpoints=metrics.series, faults=knob)
    return Observation(app, series=metrics.series, clock=time.perf_counter)


def _add_health(api: FastAPI, settings: ServiceSettings) -> None:
    body = {
        "status": "ok",
        "service": settings.service,
        "version": settings.version,
        "environment": settings.environment,
    }

    async def healthz() -> JsonResponse:
        return JsonResponse(body)

    api.add_api_route("/healthz", healthz, methods=["GET"], response_model=None)


def _add_metrics(api: FastAPI, metrics: ServiceMetrics) -> None:
    async def exposition() -> Response:
        return Response(metrics.exposition(), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    api.add_api_route("/metrics", exposition, methods=["GET"], response_model=None)

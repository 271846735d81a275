"""The routes that set and show faults; a service has them only with --with-faults."""

from fastapi import APIRouter

from demo.platform.faults import PlatformFault, PlatformFaults
from demo.platform.responses import JsonResponse


def fault_router(faults: PlatformFaults) -> APIRouter:
    """Return GET, PUT and DELETE /admin/fault; all respond with the active fault."""

    async def show() -> JsonResponse:
        return JsonResponse(faults.status().model_dump())

    async def put(fault: PlatformFault) -> JsonResponse:
        await faults.set(fault)
        return await show()

    async def delete() -> JsonResponse:
        faults.clear()
        return await show()

    router = APIRouter(prefix="/admin", tags=["admin"])
    for method, handler in (("GET", show), ("PUT", put), ("DELETE", delete)):
        router.add_api_route("/fault", handler, methods=[method], response_model=None)
    return router

"""The route of the Web API: authorisation, dispatch, and responses in Slack's format."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from demo.slack import faults, history, methods, uploads
from demo.slack.arguments import read_arguments
from demo.slack.refusals import RateLimited, SlackRefusal
from demo.slack.standin import StandIn, stand_in

METHODS = methods.METHODS | history.METHODS | uploads.METHODS

router = APIRouter()


@router.api_route("/api/{name}", methods=["GET", "POST"])
async def call(name: str, request: Request) -> Response:
    """Handle a Web API call; the status is 200 unless it is rate-limited or a fault is set."""
    serving = stand_in(request)
    if name not in METHODS:
        return _refused(serving, "unknown", SlackRefusal("unknown_method"))
    fault = serving.faults.take(name)
    if fault is None:
        return await _answered(serving, name, request, is_logged=True)
    if fault.accept:
        await _answered(serving, name, request, is_logged=False)
    answer = await faults.answer(fault, method=name, request=request)
    serving.log_call(name, error=fault.error or f"fault:{fault.kind}", status=answer.status_code)
    return answer


async def _answered(serving: StandIn, name: str, request: Request, *, is_logged: bool) -> Response:
    try:
        result = await _run(serving, name, request)
    except SlackRefusal as refusal:
        return _refused(serving, name if is_logged else None, refusal)
    if is_logged:
        serving.log_call(name)
    return JSONResponse({"ok": True} | result)


async def _run(serving: StandIn, name: str, request: Request) -> dict[str, Any]:
    arguments = await read_arguments(request)
    arguments.require_token()
    method = METHODS[name]
    method.check_names(arguments.values)
    context = methods.Context(workspace=serving.workspace, base_url=str(request.base_url))
    return method.run(context, arguments.values)


def _refused(serving: StandIn, name: str | None, refusal: SlackRefusal) -> Response:
    """Return a refusal as JSON; log the call as ``name`` unless that is None."""
    status = 429 if isinstance(refusal, RateLimited) else 200
    headers = {"Retry-After": str(refusal.retry_after_s)} if isinstance(refusal, RateLimited) else None
    body: dict[str, Any] = {"ok": False, "error": refusal.code}
    if refusal.details:
        body["errors"] = [detail.removeprefix("[ERROR] ") for detail in refusal.details]
        body["response_metadata"] = {"messages": list(refusal.details)}
    if name is not None:
        serving.log_call(name, error=refusal.code, status=status)
    return JSONResponse(body, status_code=status, headers=headers)

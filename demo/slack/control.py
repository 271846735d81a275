"""The stand-in's own routes, for tests: set faults, read and clear what was received."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse, Response

from demo.slack import faults
from demo.slack.standin import stand_in
from demo.slack.state import SlackMessage, Workspace
from demo.slack.web_api import METHODS

router = APIRouter(prefix="/_standin")


@router.put("/fault")
async def set_fault(fault: faults.SlackFault, request: Request) -> Response:
    """Set the active fault, in place of any other."""
    unknown = sorted(set(fault.methods) - set(METHODS) - {faults.UPLOAD, faults.WEBHOOK})
    if unknown:
        raise HTTPException(422, f"methods must be Web API methods, upload or webhook, but has {unknown}")
    stand_in(request).faults.current = fault
    return JSONResponse(fault.model_dump(mode="json"))


@router.get("/fault")
async def get_fault(request: Request) -> Response:
    """Return the active fault with its remaining ``times``, or null."""
    fault = stand_in(request).faults.current
    return JSONResponse(fault.model_dump(mode="json") if fault else None)


@router.delete("/fault", status_code=204)
async def clear_fault(request: Request) -> Response:
    """Remove the active fault."""
    stand_in(request).faults.current = None
    return Response(status_code=204)


@router.get("/messages")
async def get_messages(request: Request) -> Response:
    """Return the stored messages, oldest first."""
    workspace = stand_in(request).workspace
    return JSONResponse({"messages": [_described(workspace, message) for message in workspace.messages()]})


@router.delete("/messages", status_code=204)
async def clear_messages(request: Request) -> Response:
    """Remove all messages and files."""
    stand_in(request).workspace.clear()
    return Response(status_code=204)


@router.get("/calls")
async def get_calls(request: Request) -> Response:
    """Return the latest calls, oldest first."""
    return JSONResponse({"calls": [asdict(call) for call in stand_in(request).workspace.calls]})


@router.delete("/calls", status_code=204)
async def clear_calls(request: Request) -> Response:
    """Empty the calls log."""
    stand_in(request).workspace.calls.clear()
    return Response(status_code=204)


def _described(workspace: Workspace, message: SlackMessage) -> dict[str, Any]:
    files = [workspace.files.find(file_id) for file_id in message.files]
    return {
        "channel": message.channel,
        "channel_name": workspace.channels[message.channel].name,
        "ts": message.ts,
        "thread_ts": message.thread_ts,
        "text": message.text,
        "blocks": message.blocks,
        "attachments": message.attachments,
        "metadata": message.metadata,
        "files": [
            {"id": file.id, "name": file.name, "title": file.title, "size": file.length_bytes}
            for file in files
            if file is not None
        ],
        "reactions": list(message.reactions),
        "reply_broadcast": message.is_broadcast,
        "edited": message.is_edited,
        "via": message.via,
    }

"""The three steps of a file upload: get a URL, send the bytes, share the file.

Source: https://docs.slack.dev/reference/methods/files.getUploadURLExternal and
files.completeUploadExternal.
"""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response
from starlette.datastructures import UploadFile

from demo.slack import faults
from demo.slack.arguments import as_int, as_list, as_text, read_body
from demo.slack.content import check_blocks
from demo.slack.files import ALT_TEXT_CHARACTERS, FILE_BYTES, SNIPPET_BYTES, File
from demo.slack.limits import MESSAGE_CHARACTERS
from demo.slack.methods import Context, Method
from demo.slack.refusals import SlackRefusal
from demo.slack.standin import StandIn, stand_in
from demo.slack.state import SlackChannel, SlackMessage

NAME_CHARACTERS = 255
# The maximum size of a multipart envelope.
_ENVELOPE_BYTES = 64 * 1024

router = APIRouter()


def get_upload_url(context: Context, values: dict[str, Any]) -> dict[str, Any]:
    """files.getUploadURLExternal: return a URL for exactly ``length`` bytes."""
    name = as_text(values, "filename")
    length_bytes = as_int(values, "length")
    alt_text = as_text(values, "alt_txt")
    if length_bytes < 1 or len(name) > NAME_CHARACTERS:
        raise SlackRefusal("invalid_arguments", ["[ERROR] length must be at least 1, filename at most 255"])
    if len(alt_text) > ALT_TEXT_CHARACTERS:
        raise SlackRefusal("alt_txt_too_large")
    if values.get("snippet_type") and length_bytes > SNIPPET_BYTES:
        raise SlackRefusal("snippet_too_large")
    file, ticket = context.workspace.files.declare(name=name, length_bytes=length_bytes, alt_text=alt_text)
    return {"upload_url": f"{context.base_url}upload/v1/{ticket}", "file_id": file.id}


def complete_upload(context: Context, values: dict[str, Any]) -> dict[str, Any]:
    """files.completeUploadExternal: share uploaded files in channels, or make them available to blocks."""
    workspace = context.workspace
    entries = as_list(values["files"], refusal="invalid_arguments") or []
    files = [_uploaded(context, entry) for entry in entries]
    if not files or len({file.id for file in files}) != len(files):
        raise SlackRefusal("invalid_arguments", ["[ERROR] files must name at least one file, and no file twice"])
    channels = _channels(context, values)
    comment = as_text(values, "initial_comment")
    if len(comment) > MESSAGE_CHARACTERS:
        raise SlackRefusal("msg_too_long")
    blocks = as_list(values.get("blocks"), refusal="invalid_blocks_format") or []
    check_blocks(blocks, workspace.files)
    if values.get("thread_ts") and len(channels) != 1:
        raise SlackRefusal("invalid_arguments", ["[ERROR] thread_ts needs exactly one channel"])
    parents = [workspace.thread_parent(channel, values.get("thread_ts")) for channel in channels]
    for file, entry in zip(files, entries, strict=True):
        workspace.files.complete(file, title=as_text(entry, "title"))
    for channel, thread_ts in zip(channels, parents, strict=True):
        workspace.add(
            SlackMessage(
                channel=channel.id,
                ts=workspace.next_ts(),
                text=comment,
                blocks=[] if comment else blocks,
                thread_ts=thread_ts,
                files=tuple(file.id for file in files),
            )
        )
    return {"files": [file.described(context.base_url) for file in files]}


def _uploaded(context: Context, entry: object) -> File:
    if not isinstance(entry, dict) or not set(entry) <= {"id", "title", "highlight_type"}:
        raise SlackRefusal("invalid_arguments", ["[ERROR] an entry of files must have an id, and may have a title"])
    as_text(entry, "title")
    return context.workspace.files.received(as_text(entry, "id"))


def _channels(context: Context, values: dict[str, Any]) -> list[SlackChannel]:
    """Return the channels to share in; they are given by ID, not by name."""
    if values.get("channel_id") and values.get("channels"):
        raise SlackRefusal("invalid_arguments", ["[ERROR] give channel_id or channels, not both"])
    ids = [values["channel_id"]] if values.get("channel_id") else as_text(values, "channels").split(",")
    return [context.workspace.channel(channel_id) for channel_id in ids if channel_id]


METHODS = {
    "files.getUploadURLExternal": Method(
        run=get_upload_url, required=("filename", "length"), optional=("alt_txt", "snippet_type")
    ),
    "files.completeUploadExternal": Method(
        run=complete_upload,
        required=("files",),
        optional=("blocks", "channel_id", "channels", "initial_comment", "thread_ts"),
    ),
}


@router.post("/upload/v1/{ticket}")
async def upload(ticket: str, request: Request) -> Response:
    """Receive the bytes of a declared file, raw or as the only file of a multipart form."""
    serving = stand_in(request)
    fault = serving.faults.take(faults.UPLOAD)
    if fault is None or fault.accept:
        answer = await _take_bytes(serving, ticket, request)
    if fault is not None:
        answer = await faults.answer(fault, method=faults.UPLOAD, request=request)
    error = f"fault:{fault.kind}" if fault else None
    if error is None and answer.status_code != 200:
        error = bytes(answer.body).decode()
    serving.log_call(faults.UPLOAD, error=error, status=answer.status_code)
    return answer


async def _take_bytes(serving: StandIn, ticket: str, request: Request) -> Response:
    file = serving.workspace.files.awaited(ticket)
    if file is None:
        return PlainTextResponse("upload URL unknown, expired or already used", status_code=404)
    try:
        data = await _sent_bytes(request)
    except SlackRefusal as err:
        return PlainTextResponse(str(err), status_code=413)
    if len(data) != file.length_bytes:
        text = f"{file.length_bytes} bytes were declared, but {len(data)} were received"
        return PlainTextResponse(text, status_code=400)
    serving.workspace.files.receive(file, data)
    return PlainTextResponse(f"OK - {len(data)}")


async def _sent_bytes(request: Request) -> bytes:
    body = await read_body(request, FILE_BYTES + _ENVELOPE_BYTES)
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return body
    async with request.form(max_files=1) as form:
        parts = [await part.read() for part in form.values() if isinstance(part, UploadFile)]
    return b"".join(parts)

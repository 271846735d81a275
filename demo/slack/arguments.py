"""Reads the arguments of a call from its query, form or JSON body, as slack_sdk sends them."""

import json
import re
from dataclasses import dataclass
from typing import Any

from fastapi import Request

from demo.slack.refusals import SlackRefusal

BODY_BYTES = 2 * 1024 * 1024
_TOKEN = re.compile(r"xoxb-[A-Za-z0-9\-]+\Z")
_TRUTH = {True: True, False: False, "1": True, "0": False, "true": True, "false": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """The arguments of a call; the token is checked, but not stored."""

    values: dict[str, Any]
    is_authorized: bool
    has_token: bool

    def require_token(self) -> None:
        """Check that the call carried a bot token.

        Raises:
            SlackRefusal: ``not_authed`` without one, ``invalid_auth`` with something else.
        """
        if not self.has_token:
            raise SlackRefusal("not_authed")
        if not self.is_authorized:
            raise SlackRefusal("invalid_auth")


async def read_arguments(request: Request) -> Arguments:
    """Return the arguments of a Web API call.

    Raises:
        SlackRefusal: the body does not match its content type.
    """
    values: dict[str, Any] = dict(request.query_params)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    token = None
    if request.method == "POST" and kind == "application/json":
        values |= decode_object(await read_body(request, BODY_BYTES))
        # Slack reads the token of a JSON call only from the header.
        values.pop("token", None)
    elif request.method == "POST" and kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
        values |= await _read_form(request)
        token = values.pop("token", None)
    elif request.method == "POST" and kind:
        raise SlackRefusal("invalid_post_type")
    else:
        token = values.pop("token", None)
    header = request.headers.get("authorization", "")
    if header:
        token = header.removeprefix("Bearer ") if header.startswith("Bearer ") else "?"
    is_valid = isinstance(token, str) and bool(_TOKEN.match(token))
    return Arguments(values=values, is_authorized=is_valid, has_token=bool(token))


async def read_body(request: Request, most_bytes: int) -> bytes:
    """Return the body.

    Raises:
        SlackRefusal: it is longer than ``most_bytes``, or has no Content-Length.
    """
    if not request.headers.get("content-length", "0").isdigit() or "transfer-encoding" in request.headers:
        raise SlackRefusal("invalid_arguments", ["[ERROR] the body must have a Content-Length"])
    if int(request.headers.get("content-length", "0")) > most_bytes:
        raise SlackRefusal("invalid_arguments", [f"[ERROR] the body must have at most {most_bytes} bytes"])
    return await request.body()


async def _read_form(request: Request) -> dict[str, Any]:
    await read_body(request, BODY_BYTES)
    async with request.form() as form:
        return {key: value for key, value in form.items() if isinstance(value, str)}


def decode_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in ``body``.

    Raises:
        SlackRefusal: ``invalid_json`` or ``json_not_object``.
    """
    try:
        value = _parse(body or b"{}")
    except (ValueError, RecursionError) as err:
        raise SlackRefusal("invalid_json") from err
    if not isinstance(value, dict):
        raise SlackRefusal("json_not_object")
    return value


def _parse(text: str | bytes) -> Any:
    value = json.loads(text, parse_constant=_refuse_constant)
    # Half a surrogate pair is valid JSON, but not valid text: it cannot be stored or shown.
    json.dumps(value, ensure_ascii=False).encode()
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def as_list(value: object, *, refusal: str) -> list[Any] | None:
    """Return a list that may have come as a JSON string; None when nothing was given.

    Raises:
        SlackRefusal: with the code ``refusal``, if it is anything else.
    """
    decoded = _decode(value, refusal)
    if decoded is None or isinstance(decoded, list):
        return decoded
    raise SlackRefusal(refusal)


def as_object(value: object, *, refusal: str) -> dict[str, Any] | None:
    """Return an object that may have come as a JSON string; None when nothing was given.

    Raises:
        SlackRefusal: with the code ``refusal``, if it is anything else.
    """
    decoded = _decode(value, refusal)
    if decoded is None or isinstance(decoded, dict):
        return decoded
    raise SlackRefusal(refusal)


def _decode(value: object, refusal: str) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return _parse(value) if value else None
    except (ValueError, RecursionError) as err:
        raise SlackRefusal(refusal) from err


def as_text(values: dict[str, Any], key: str) -> str:
    """Return the string at ``key``, empty when there is none.

    Raises:
        SlackRefusal: ``invalid_arguments`` for anything but a string.
    """
    value = values.get(key)
    if value is None or isinstance(value, str):
        return value or ""
    raise SlackRefusal("invalid_arguments", [f"[ERROR] must provide a string [json-pointer:/{key}]"])


def as_bool(values: dict[str, Any], key: str, *, default: bool = False) -> bool:
    """Return the boolean at ``key``, which may be ``"1"`` or ``"true"`` in a form.

    Raises:
        SlackRefusal: ``invalid_arguments`` for anything else.
    """
    value = values.get(key)
    if value is None or value == "":
        return default
    if isinstance(value, bool | str) and value in _TRUTH:
        return _TRUTH[value]
    raise SlackRefusal("invalid_arguments", [f"[ERROR] must be a boolean [json-pointer:/{key}]"])


def as_int(values: dict[str, Any], key: str, *, default: int | None = None) -> int:
    """Return the integer ≥ 0 at ``key``, which may be a string in a form.

    Raises:
        SlackRefusal: ``invalid_arguments`` for anything else.
    """
    value = values.get(key, default)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,12}", value):
        return int(value)
    raise SlackRefusal("invalid_arguments", [f"[ERROR] must be an integer [json-pointer:/{key}]"])

"""What Graph calls have in common: bodies that are read, answers that are cut to fields and pages."""

from __future__ import annotations

import json
from typing import Any, Final

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request

from greenline.emulator.errors import MetaError

_PAGE: Final = 25
_ON_REQUEST: Final = ("health_status", "webhook_configuration")


async def read_body(request: Request) -> dict[str, Any]:
    """The parameters of a call, in JSON or as a form. Raises `MetaError` 100."""
    kind = request.headers.get("content-type", "")
    if kind.startswith(("application/x-www-form-urlencoded", "multipart/form-data")):
        return dict(await read_form(request))
    raw = await request.body()
    try:
        body = json.loads(raw, parse_constant=_refuse_constant) if raw else {}
        if b"\\u" in raw:  # escapes can make what is no text: half of a character
            json.dumps(body, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise MetaError(100, "Invalid JSON in the body.") from error
    if not isinstance(body, dict):
        raise MetaError(100, "The body must be a JSON object.")
    return body


async def read_form(request: Request) -> FormData:
    """The parameters of a call as a form. Raises `MetaError` 100."""
    try:
        return await request.form()
    except (HTTPException, MultiPartException, ValueError) as error:
        raise MetaError(100, "The form in the body can't be read.") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def selected(fields: dict[str, Any], request: Request, default: tuple[str, ...] = ()) -> dict[str, Any]:
    """The fields that the call asks for; some are only shown when asked for."""
    wanted = [name for name in request.query_params.get("fields", "").split(",") if name] or list(default)
    if not wanted:
        return {name: value for name, value in fields.items() if name not in _ON_REQUEST}
    return {name: fields[name] for name in [*wanted, "id"] if name in fields}


def paged(rows: list[dict[str, Any]], request: Request) -> dict[str, Any]:
    """A page by Meta's cursors, which here are places. Raises `MetaError` 100 for a wrong limit or cursor."""
    limit, start = _count(request, "limit", _PAGE), _count(request, "after", 0)
    before = _count(request, "before", -1)
    if before >= 0:
        start, limit = max(0, before - limit), min(limit, before)
    page = rows[start : start + limit]
    answer: dict[str, Any] = {"data": page}
    if page:
        answer["paging"] = {"cursors": {"before": str(start), "after": str(start + len(page))}}
        if start + len(page) < len(rows):
            following = request.url.remove_query_params("before").include_query_params(after=start + len(page))
            answer["paging"]["next"] = str(following)
    return answer


def _count(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name)
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise MetaError(100, f"Param {name} must be a number.")
    return int(text)


def health(kind: str, object_id: str) -> dict[str, Any]:
    """``health_status`` of an object without a problem."""
    entity = {"entity_type": kind, "id": object_id, "can_send_message": "AVAILABLE"}
    return {"can_send_message": "AVAILABLE", "entities": [entity]}

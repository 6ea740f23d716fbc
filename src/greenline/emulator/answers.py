"""What Graph calls have in common: bodies that are read, their token, answers that are cut to pages."""

from __future__ import annotations

import contextlib
import json
from typing import Any, Final

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request

from greenline.emulator.errors import MetaError

_PAGE: Final = 25
_OF_EVERY_CALL: Final = ("access_token", "appsecret_proof")
_TEXTS: Final = ("biz_opaque_callback_data",)
"""Parameters that stay a text where they look like JSON."""


async def access_token(request: Request) -> str:
    """The token of a call, or nothing: a parameter, in the address or the body, goes before the header."""
    if token := request.query_params.get("access_token"):
        return token
    token = (await _body(request)).get("access_token")
    return token if isinstance(token, str) and token else bearer(request)


def bearer(request: Request) -> str:
    """The token in the header of a call, or nothing; ``OAuth`` is how uploads write it (Meta: Resumable upload)."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() in ("bearer", "oauth") else ""


async def read_body(request: Request) -> dict[str, Any]:
    """The parameters of a call: in JSON, as a form, or in the address. Raises `MetaError` 100."""
    parameters = {**_with_values(dict(request.query_params)), **await _body(request)}
    for name, value in parameters.items():
        if isinstance(value, UploadFile):
            raise MetaError(100, f"Param {name} must not be a file.")
    return {name: value for name, value in parameters.items() if name not in _OF_EVERY_CALL}


async def _body(request: Request) -> dict[str, Any]:
    kind = request.headers.get("content-type", "")
    if kind.startswith(("application/x-www-form-urlencoded", "multipart/form-data")):
        return _with_values(dict(await read_form(request)))
    raw = await request.body()
    try:
        body = _json(raw) if raw else {}
    except (ValueError, RecursionError) as error:
        raise MetaError(100, "Invalid JSON in the body.") from error
    if not isinstance(body, dict):
        raise MetaError(100, "The body must be a JSON object.")
    return body


def _with_values(form: dict[str, Any]) -> dict[str, Any]:
    """A form whose texts are objects and lists where they are JSON, as ``text={"body": "Hi"}``."""
    return {name: value if name in _TEXTS else _value(value) for name, value in form.items()}


def _value(text: Any) -> Any:
    if isinstance(text, str) and text.lstrip().startswith(("{", "[")):
        with contextlib.suppress(ValueError, RecursionError):  # what is no JSON is judged as the text that it is
            return _json(text.encode())
    return text


def _json(raw: bytes) -> Any:
    value = json.loads(raw, parse_constant=_refuse_constant)
    if b"\\u" in raw:  # escapes can make what is no text: half of a character
        json.dumps(value, ensure_ascii=False).encode()
    return value


async def read_form(request: Request) -> FormData:
    """The parameters of a call as a form. Raises `MetaError` 100."""
    try:
        return await request.form()
    except (HTTPException, MultiPartException, ValueError) as error:
        raise MetaError(100, "The form in the body can't be read.") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


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

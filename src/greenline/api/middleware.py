"""What happens to every request before and after its route: its id, its measure, its limits, its last resort.

Plain ASGI, since a layer of a framework costs more than most routes here.
"""

from __future__ import annotations

import re
import time
from typing import Final

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from greenline.api.errors import error_answer, input_answer
from greenline.api.metrics import REQUESTS
from greenline.errors import GreenlineError
from greenline.ids import new_id
from greenline.json_body import RefusedBody, check_json
from greenline.settings import Settings

log = structlog.get_logger(__name__)

REQUEST_ID: Final = "x-request-id"
_GIVEN_ID: Final = re.compile(r"[\w.-]{1,64}", re.ASCII)


class RequestTooLarge(GreenlineError):
    """The request is larger than this server takes. GREENLINE_REQUEST_MAX_BYTES and GREENLINE_UPLOAD_MAX_BYTES."""

    http_status = 413
    code = "request_too_large"


class Observed:
    """Gives each request an id, logs and measures it, and answers 500 to what nobody else answered."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID, "")
        request_id = given if _GIVEN_ID.fullmatch(given) else new_id("req")
        scope["request_id"] = request_id
        begun = time.perf_counter()
        status = 0

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID] = request_id
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, send_marked)
            except Exception:  # the boundary of one request
                log.exception("http.failed", method=scope["method"], path=scope["path"])
                if status:
                    raise  # half an answer is out: the server can only cut the connection
                error = GreenlineError(request_id=request_id)
                await error_answer(error)(scope, receive, send_marked)
            finally:
                seconds = time.perf_counter() - begun
                route = getattr(scope.get("route"), "path", "")
                REQUESTS.labels(scope["method"], route, str(status)).observe(seconds)
                log.info(
                    "http.request",
                    method=scope["method"],
                    path=scope["path"],
                    status=status,
                    milliseconds=round(seconds * 1000, 1),
                )


class Limited:
    """Refuses what no route of the API should have to think of: huge bodies, JSON that can't be stored, NUL."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._json_limit = settings.request_max_bytes
        self._upload_limit = settings.upload_max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI."""
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
            await self._app(scope, receive, send)
            return
        try:
            _check_address(scope)
            headers = Headers(scope=scope)
            upload = headers.get("content-type", "").lower().startswith("multipart/")
            limit = self._upload_limit if upload else self._json_limit
            if int(headers.get("content-length") or 0) > limit:
                raise RequestTooLarge
            limited = _streamed(receive, limit) if upload else await _whole_json(receive, limit)
        except RequestTooLarge as error:
            await error_answer(error)(scope, receive, send)
        except RefusedBody as error:
            await input_answer([error.item()])(scope, receive, send)
        else:
            await self._app(scope, limited, send)


def receive_limited(receive: Receive, limit: int) -> Receive:
    """``receive`` that raises `RequestTooLarge` when the body exceeds ``limit`` bytes, announced or not."""
    total = 0

    async def counted() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > limit:
            raise RequestTooLarge
        return message

    return counted


def _streamed(receive: Receive, limit: int) -> Receive:
    """As `receive_limited`, for a form: what parses it for the route lets only this class of errors through."""
    limited = receive_limited(receive, limit)

    async def counted() -> Message:
        try:
            return await limited()
        except RequestTooLarge as error:
            raise HTTPException(error.http_status, error.message) from error

    return counted


async def _whole_json(receive: Receive, limit: int) -> Receive:
    """Read the body, check it if it is JSON, and hand it on."""
    counted = receive_limited(receive, limit)
    chunks: list[bytes] = []
    message: Message = {"more_body": True}
    while message.get("more_body"):
        message = await counted()
        if message["type"] == "http.disconnect":
            return counted
        chunks.append(message.get("body", b""))
    body = check_json(b"".join(chunks))
    handed = False

    async def replay() -> Message:
        nonlocal handed
        if handed:
            return await receive()
        handed = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _check_address(scope: Scope) -> None:
    """A NUL can be written in an address as %00, and no name or id has one."""
    if "\0" in scope["path"]:
        raise RefusedBody("string_nul", ["path"], "The address holds a NUL character")
    if b"%00" in scope["query_string"]:
        raise RefusedBody("string_nul", ["query"], "The query holds a NUL character")

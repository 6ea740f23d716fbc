"""Every error in the reference's shape (reference: Errors).

Business errors are ``{"detail": {"status", "message"}}``, refused input is ``{"detail": [{"type", "loc", "msg",
"input"}]}``. Whatever goes wrong inside is a 500 with the id of the request, and a line in the log with the same id.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import asyncpg
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from greenline.errors import GreenlineError, Unavailable
from greenline.text import clean_text

log = structlog.get_logger(__name__)

NAMES: Final = {
    400: "bad_request",
    401: "needs_authorization",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "request_too_large",
    415: "unsupported_media_type",
}
MESSAGES: Final = {
    404: "There is nothing at this address. /docs lists what this server answers.",
    405: "This address does not take this method. The header Allow names those that it takes.",
}
ECHO_DEPTH: Final = 20
ECHO_CHARACTERS: Final = 1000
"""How much of a refused value is sent back: enough to recognise it."""

DATABASE_GONE: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.TransactionRollbackError,
)
"""What a request meets while the database restarts, or beside others: the client may try again."""


class UnstorableText(GreenlineError):
    """A value holds a character that can't be stored (NUL, or half of a surrogate pair). Remove it."""

    http_status = 422
    code = "unstorable_text"


def install(app: FastAPI) -> None:
    """Answer errors in the documented shapes."""
    app.add_exception_handler(GreenlineError, _business)
    app.add_exception_handler(RequestValidationError, _refused_input)
    app.add_exception_handler(HTTPException, _routing)
    app.add_exception_handler(asyncpg.DataError, _unstorable)
    for kind in DATABASE_GONE:
        app.add_exception_handler(kind, _unavailable)
    app.add_exception_handler(OSError, _unreachable)


def error_answer(error: GreenlineError) -> Response:
    """The answer to a request that met ``error``."""
    headers = {"retry-after": "1"} if error.http_status == Unavailable.http_status else None
    return JSONResponse({"detail": error.detail()}, error.http_status, headers)


def input_answer(errors: Sequence[dict[str, Any]]) -> Response:
    """The answer to refused input, from the errors of a validation."""
    detail = [
        {
            "type": error["type"],
            "loc": [_echo(place) for place in error["loc"]],
            "msg": clean_text(error["msg"]),
            "input": _echo(error.get("input")),
        }
        for error in errors
    ]
    return JSONResponse({"detail": detail}, 422)


async def _business(_: Request, error: Exception) -> Response:
    assert isinstance(error, GreenlineError)  # noqa: S101 - registered for this class
    return error_answer(error)


async def _refused_input(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class
    return input_answer(error.errors())


async def _routing(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
    status = error.status_code
    message = MESSAGES.get(status) or str(error.detail)
    detail = {"status": NAMES.get(status, "error"), "message": message}
    return JSONResponse({"detail": detail}, status, error.headers)


async def _unstorable(_: Request, __: Exception) -> Response:
    return error_answer(UnstorableText())


async def _unavailable(_: Request, error: Exception) -> Response:
    log.warning("database.unavailable", error=f"{type(error).__name__}: {error}")
    if isinstance(error, asyncpg.DiskFullError):
        return error_answer(Unavailable("The database has no room on its disk. Make room, then try again."))
    if isinstance(error, asyncpg.TransactionRollbackError):
        return error_answer(Unavailable("Another request changed the same just now. Nothing was done: try again."))
    return error_answer(Unavailable("The database can't be reached at this moment. Try again."))


async def _unreachable(request: Request, error: Exception) -> Response:
    """A connection that could not be made; an `OSError` about a file is a fault of ours."""
    if isinstance(error, OSError) and error.filename is not None:
        raise error
    return await _unavailable(request, error)


def _echo(value: Any, depth: int = 0) -> Any:
    """``value`` as JSON can carry it, cut where it is long or deep."""
    if depth > ECHO_DEPTH:
        return "..."
    if isinstance(value, dict):
        return {clean_text(str(key)): _echo(item, depth + 1) for key, item in list(value.items())[:ECHO_CHARACTERS]}
    if isinstance(value, list | tuple | set):
        return [_echo(item, depth + 1) for item in list(value)[:ECHO_CHARACTERS]]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float) and math.isfinite(value) and abs(value) < 2**63:
        return value
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return clean_text(text[:ECHO_CHARACTERS])

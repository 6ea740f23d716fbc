"""Graph calls of resumable uploads: ``/{app_id}/uploads`` and ``/upload:...`` (Meta: Resumable upload)."""

from __future__ import annotations

from typing import Any

from starlette.requests import ClientDisconnect, Request

from greenline.emulator.answers import bearer, read_body
from greenline.emulator.errors import MetaError, unknown_object
from greenline.emulator.meta import Meta
from greenline.emulator.tokens import Tokens
from greenline.emulator.uploads import PREFIX, Session
from greenline.emulator.world import Token


class UploadCalls:
    """Calls by which an app uploads what is not sent in a message."""

    def __init__(self, meta: Meta, tokens: Tokens) -> None:
        self._uploads = meta.uploads
        self._tokens = tokens

    async def begin(self, request: Request, app_id: str, token: Token) -> dict[str, Any]:
        """``POST /{app_id}/uploads``: a session for one file. Raises `MetaError` 100."""
        if request.method != "POST" or token.app_id != app_id:
            raise unknown_object(f"{app_id}/uploads")
        asked = await read_body(request)
        length = str(asked.get("file_length", ""))
        if not (length.isascii() and length.isdigit() and len(length) < 12):
            raise MetaError(100, "Param file_length must be a number of bytes.")
        return {"id": self._uploads.begin(app_id, str(asked.get("file_type")), int(length)).id}

    async def answer(self, request: Request, name: str) -> dict[str, Any]:
        """``POST /upload:...`` with the bytes, ``GET`` for how many came. The body is no form, whatever it says.

        What came before a connection broke is kept. Raises `MetaError` 100.
        """
        token = self._tokens.of(request.query_params.get("access_token") or bearer(request))
        session = self._uploads.find(name.removeprefix(PREFIX), request.query_params.get("sig"))
        if session is None or session.app_id != token.app_id or request.method not in ("GET", "POST"):
            raise unknown_object(name)
        if request.method == "GET":
            return _progress(session)
        offset = request.headers.get("file_offset", "")
        if offset != str(len(session.data)):
            raise MetaError(100, f"The header file_offset must be {len(session.data)}: so many bytes have come.")
        try:
            async for chunk in request.stream():
                self._uploads.take(session, chunk)
        except ClientDisconnect:
            return _progress(session)
        handle = self._uploads.finish(session)
        return _progress(session) if handle is None else {"h": handle}


def _progress(session: Session) -> dict[str, Any]:
    return {"id": session.id, "file_offset": len(session.data)}

"""Graph calls of media: upload, address, bytes (Meta: Media)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from greenline.emulator.answers import access_token, read_form
from greenline.emulator.errors import MetaError, unknown_object
from greenline.emulator.fault_kinds import MediaExpired
from greenline.emulator.fields import MEDIA, selected
from greenline.emulator.media import UPLOADED_SECONDS, check_upload
from greenline.emulator.meta import Meta
from greenline.emulator.tokens import MESSAGING, Tokens
from greenline.emulator.world import Number, Token


class MediaCalls:
    """Calls on files, and the addresses under which their bytes are."""

    def __init__(self, meta: Meta, tokens: Tokens) -> None:
        self._meta = meta
        self._tokens = tokens

    async def upload(self, request: Request, number: Number) -> dict[str, Any]:
        """``POST /{phone_number_id}/media``. Raises `MetaError` 100 or 131053."""
        form = await read_form(request)
        file = form.get("file")
        if form.get("messaging_product") != "whatsapp" or not isinstance(file, UploadFile):
            raise MetaError(100, "The parameters messaging_product and file are required.")
        data = await file.read()
        mime_type = check_upload(str(form.get("type") or file.content_type or ""), data)
        expires = self._meta.clock.now() + UPLOADED_SECONDS
        return {"id": self._meta.media.add(number.id, mime_type, data, file.filename, expires).id}

    async def answer(self, request: Request, media_id: str, token: Token) -> dict[str, Any]:
        """``GET``/``DELETE /{media_id}``. Raises `MetaError` 100 for a file that isn't there or isn't theirs."""
        meta = self._meta
        media = meta.media.find(media_id, meta.clock.now(), request.query_params.get("phone_number_id"))
        if media is None or request.method not in ("GET", "DELETE"):
            raise unknown_object(media_id)
        self._tokens.permit(token, meta.world.numbers[media.owner].account_id, MESSAGING)
        if request.method == "DELETE":
            meta.media.remove(media_id)
            return {"success": True}
        dead = meta.faults.acting(MediaExpired, media_id=media_id) is not None
        base = str(request.base_url).rstrip("/")
        shown = {
            "messaging_product": "whatsapp",
            "url": meta.media.address(media, base, meta.clock.now(), dead=dead),
            "mime_type": media.mime_type,
            "sha256": media.digest.hex(),
            "file_size": len(media.data),
            "id": media.id,
        }
        return selected(shown, request, MEDIA)

    async def fetch(self, request: Request) -> Response:
        """The bytes behind a media address; the token is needed here too."""
        meta, query = self._meta, request.query_params
        try:
            token = self._tokens.of(await access_token(request))
            media = meta.media.at(query.get("hash", ""), query.get("mid", ""), meta.clock.now())
            if media is None:
                return Response(status_code=404)
            self._tokens.permit(token, meta.world.numbers[media.owner].account_id, MESSAGING)
        except MetaError as error:
            return Response(status_code=401 if error.code == 190 else 404)
        disposition = {"Content-Disposition": _attachment(media.filename or media.id)}
        return Response(media.data, media_type=media.mime_type, headers=disposition)


def _attachment(name: str) -> str:
    """``Content-Disposition`` with a file's name, also one that is not Latin (RFC 6266, RFC 8187)."""
    shown = "".join(character for character in name if character.isprintable())
    plain = shown.encode("ascii", "replace").decode().replace("\\", "_").replace('"', "_")
    extended = "" if plain == shown else f"; filename*=UTF-8''{quote(shown, safe='')}"
    return f'attachment; filename="{plain}"{extended}'

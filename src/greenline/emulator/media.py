"""Media: real bytes, addresses that live five minutes, types and sizes checked by looking inside."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass
from typing import Any, Final

from greenline.emulator.config import Config
from greenline.emulator.errors import MetaError
from greenline.emulator.sniffing import complaint, is_animated
from greenline.emulator.world import digits

URL_SECONDS: Final = 300.0  # Meta: Media
UPLOADED_SECONDS: Final = 30 * 86_400.0
RECEIVED_SECONDS: Final = 7 * 86_400.0
_KB, _MB = 1024, 1024 * 1024
LARGEST_INBOUND: Final = 100 * _MB

TYPES: Final[dict[str, tuple[str, int]]] = {
    "audio/aac": ("audio", 16 * _MB),
    "audio/amr": ("audio", 16 * _MB),
    "audio/mpeg": ("audio", 16 * _MB),
    "audio/mp4": ("audio", 16 * _MB),
    "audio/ogg": ("audio", 16 * _MB),
    "image/jpeg": ("image", 5 * _MB),
    "image/png": ("image", 5 * _MB),
    "video/mp4": ("video", 16 * _MB),
    "video/3gpp": ("video", 16 * _MB),
    "image/webp": ("sticker", 500 * _KB),
    "text/plain": ("document", 100 * _MB),
    "application/pdf": ("document", 100 * _MB),
    "application/msword": ("document", 100 * _MB),
    "application/vnd.ms-excel": ("document", 100 * _MB),
    "application/vnd.ms-powerpoint": ("document", 100 * _MB),
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ("document", 100 * _MB),
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ("document", 100 * _MB),
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ("document", 100 * _MB),
}
"""Type: kind of message and largest size (Meta: Supported media types)."""

_STATIC_STICKER: Final = 100 * _KB  # Meta: Stickers; those that move may have 500 KB
_SAME: Final = {"video/3gp": "video/3gpp"}


@dataclass
class Media:
    """A file at Meta. ``owner`` is the number that may use it."""

    id: str
    owner: str
    mime_type: str
    data: bytes
    filename: str | None
    expires_at: float

    @property
    def digest(self) -> bytes:
        """SHA-256 of the bytes."""
        return hashlib.sha256(self.data).digest()

    def in_webhook(self) -> dict[str, Any]:
        """As an inbound message carries it: the digest in base64."""
        return {"id": self.id, "mime_type": self.mime_type, "sha256": base64.b64encode(self.digest).decode()}


def check_upload(mime_type: str, data: bytes) -> str:
    """The base type of a file that Meta takes. Raises `MetaError` 131053 or 100."""
    base = base_type(mime_type)
    if base not in TYPES:
        raise MetaError(
            100,
            f"Param file must be a file with one of the following types: {', '.join(TYPES)}. "
            f"Received file of type '{mime_type}'.",
        )
    _, limit = TYPES[base]
    if base == "image/webp" and not is_animated(data):
        limit = _STATIC_STICKER
    if len(data) > limit:
        raise MetaError(131053, f"File size {len(data)} is above the limit of {limit} bytes for {base}.")
    if wrong := complaint(base, data):
        raise MetaError(131053, wrong)
    return base


def base_type(mime_type: str) -> str:
    """A type without its parameters, in the spelling of `TYPES`."""
    base = mime_type.split(";")[0].strip().lower()
    return _SAME.get(base, base)


def suits(mime_type: str, kind: str) -> bool:
    """Whether a message of a kind can carry a file of that type: documents may be any that Meta takes."""
    known = TYPES.get(mime_type)
    return known is not None and kind in (known[0], "document")


class MediaStore:
    """Every file, and the addresses under which they can be fetched."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._size = 0
        self._files: dict[str, Media] = {}
        self._urls: dict[str, tuple[str, float]] = {}

    def add(self, owner: str, mime_type: str, data: bytes, filename: str | None, expires_at: float) -> Media:
        """Keep a file; if all of them become too much, the oldest are forgotten."""
        media = Media(digits(), owner, mime_type, data, filename, expires_at)
        self._files[media.id] = media
        self._size += len(data)
        while self._size > self._config.kept_media_bytes and len(self._files) > 1:
            self.remove(next(iter(self._files)))
        return media

    def find(self, media_id: str, now: float, owner: str | None = None) -> Media | None:
        """A file that still lives and belongs to ``owner`` (None: to anybody)."""
        media = self._files.get(media_id)
        if media is None or media.expires_at <= now or owner not in (None, media.owner):
            return None
        return media

    def remove(self, media_id: str) -> None:
        """Forget a file."""
        media = self._files.pop(media_id, None)
        if media is not None:
            self._size -= len(media.data)

    def address(self, media: Media, base_url: str, now: float, *, dead: bool = False) -> str:
        """A new address of a file, good for five minutes."""
        while self._urls and (oldest := next(iter(self._urls.items())))[1][1] <= now:
            del self._urls[oldest[0]]
        key = secrets.token_urlsafe(16)
        expires = now if dead else now + URL_SECONDS
        self._urls[key] = (media.id, expires)
        return f"{base_url}/whatsapp_business/attachments/?mid={media.id}&ext={int(expires)}&hash={key}"

    def at(self, key: str, media_id: str, now: float) -> Media | None:
        """The file of an address that still lives."""
        known, expires = self._urls.get(key, ("", 0.0))
        return self.find(media_id, now) if known == media_id and expires > now else None

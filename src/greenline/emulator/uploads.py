"""Resumable uploads: files that no message carries, as examples in templates (Meta: Resumable upload)."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, field
from typing import Final

from greenline.emulator.config import Config
from greenline.emulator.errors import MetaError
from greenline.emulator.media import TYPES
from greenline.emulator.sniffing import complaint

PREFIX: Final = "upload:"
SUITS: Final = {
    "image/jpeg": "IMAGE",
    "image/jpg": "IMAGE",
    "image/png": "IMAGE",
    "video/mp4": "VIDEO",
    "application/pdf": "DOCUMENT",
}
"""Type of a file that can be uploaded: the template header that it can be an example of."""
_SAME: Final = {"image/jpg": "image/jpeg"}
_KEPT_HANDLES: Final = 10_000


@dataclass
class Session:
    """A file on its way. Its id ends in ``?sig=``, as at Meta: in addresses that is a query."""

    path: str
    signature: str
    app_id: str
    mime_type: str
    length: int
    data: bytearray = field(default_factory=bytearray, repr=False)

    @property
    def id(self) -> str:
        """As the business gets it."""
        return f"{PREFIX}{self.path}?sig={self.signature}"


class Uploads:
    """Files on their way, and the handles of those that are there. Of a file only its type is kept."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._sessions: dict[str, Session] = {}
        self._handles: dict[str, str] = {}

    def begin(self, app_id: str, mime_type: str, length: int) -> Session:
        """Expect a file; the oldest that never came to its end are given up. Raises `MetaError` 100."""
        if mime_type not in SUITS:
            raise MetaError(100, f"Param file_type must be one of {{{', '.join(SUITS)}}}.")
        _, largest = TYPES[_SAME.get(mime_type, mime_type)]
        if not 0 < length <= largest:
            raise MetaError(100, f"Param file_length must be between 1 and {largest} for {mime_type}.")
        path = base64.urlsafe_b64encode(b"attachment:" + secrets.token_bytes(18)).decode()
        session = Session(path, secrets.token_urlsafe(12), app_id, mime_type, length)
        self._sessions[path] = session
        while len(self._sessions) > 1 and self._expected() > self._config.kept_media_bytes:
            del self._sessions[next(iter(self._sessions))]
        return session

    def _expected(self) -> int:
        return sum(session.length for session in self._sessions.values())

    def find(self, path: str, signature: str | None) -> Session | None:
        """A file on its way."""
        session = self._sessions.get(path)
        return session if session is not None and session.signature == signature else None

    def take(self, session: Session, chunk: bytes) -> None:
        """Put a piece after what has come. Raises `MetaError` 100 for more than was told."""
        if len(session.data) + len(chunk) > session.length:
            raise MetaError(100, f"The file is longer than the {session.length} bytes that were told.")
        session.data += chunk

    def finish(self, session: Session) -> str | None:
        """The handle of the file if it is there in full. Raises `MetaError` 100 for bytes of another type."""
        if len(session.data) < session.length:
            return None
        del self._sessions[session.path]
        if wrong := complaint(_SAME.get(session.mime_type, session.mime_type), bytes(session.data)):
            raise MetaError(100, wrong)
        handle = f"4::{base64.b64encode(session.mime_type.encode()).decode()}:{secrets.token_urlsafe(48)}"
        self._handles[handle] = SUITS[session.mime_type]
        if len(self._handles) > _KEPT_HANDLES:
            del self._handles[next(iter(self._handles))]
        return handle

    def header_of(self, handle: str) -> str | None:
        """The template header that a file can be an example of; None for no file that came."""
        return self._handles.get(handle)

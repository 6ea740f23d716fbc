"""Files that clients upload into a conversation: what is taken, and links under which they are served."""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Final
from urllib.parse import quote

from greenline.agents.service import get_version
from greenline.clock import Clock
from greenline.conversations.files import (
    SQL,
    ConversationFile,
    clean_filename,
    delete_files,
    insert_file,
    open_file,
    write_file,
)
from greenline.conversations.models import (
    ConversationNotFound,
    ConversationOver,
    EmptyFile,
    FileInputDisabled,
    FileInUse,
    FileNotFound,
    LinkExpired,
    TooManyFiles,
    UnsupportedFile,
)
from greenline.conversations.service import find
from greenline.ids import new_id
from greenline.store.objects import Objects, StorageFault
from greenline.store.pool import Connection, Pool
from greenline.store.vault import SecretUnreadable, Vault

LINK_LIFE: Final = timedelta(minutes=15)  # reference: signed URLs of files live about 15 minutes
PATIENCE: Final = timedelta(hours=1)
"""How long an upload may take to the storage: the largest file (`media_max_bytes`) needs minutes on a poor line."""
TEXT_TYPES: Final = frozenset({"application/json", "application/xml", "application/yaml", "application/x-yaml"})
"""Types beside ``text/*`` whose content is text."""


async def upload(
    pool: Pool,
    clock: Clock,
    objects: Objects,
    workspace_id: str,
    conversation_id: str,
    *,
    filename: str,
    declared_type: str | None,
    data: bytes,
) -> ConversationFile:
    """Add a file to an open conversation.

    No connection is held while the bytes are written, however slow the storage is; the row follows them. Bytes that
    get no row are erased: at once when they are refused, by the keeper when this process or the database fails.

    Raises `ConversationNotFound`, `ConversationOver`, `FileInputDisabled`, `TooManyFiles`, `EmptyFile`,
    `UnsupportedFile` or `StorageFault`.
    """
    conversation = await find(pool, workspace_id, conversation_id)
    mime_type = detect_type(data, declared_type)
    version = await get_version(pool, workspace_id, conversation.version_id)
    allowed = version.conversation_config.conversation.file_input
    if not allowed.enabled:
        raise FileInputDisabled
    limit = allowed.max_files_per_conversation
    await _admit(pool, workspace_id, conversation_id, limit)  # spares the storage what would be refused later
    file_id, now = new_id("file"), clock.now()
    await pool.execute(SQL["begin_upload"], workspace_id, file_id, now + PATIENCE)
    written = await write_file(objects, workspace_id, file_id, data)
    file = ConversationFile(
        id=file_id,
        workspace_id=workspace_id,
        conversation_id=conversation_id,
        filename=clean_filename(filename),
        mime_type=mime_type,
        size_bytes=written.size_bytes,
        sha256=written.sha256,
        created_at=now,
    )
    try:
        await _commit(pool, file, limit)
    except (ConversationNotFound, ConversationOver, TooManyFiles):
        with contextlib.suppress(StorageFault):  # the keeper erases them when the storage is back
            await delete_files(objects, workspace_id, [file_id])
            await pool.execute(SQL["end_upload"], workspace_id, file_id)
        raise
    return file


async def _commit(pool: Pool, file: ConversationFile, limit: int | None) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await _admit(connection, file.workspace_id, file.conversation_id, limit)
        if await connection.fetchval(SQL["end_upload"], file.workspace_id, file.id) is None:
            raise StorageFault("The storage of files took too long to write this one. Upload it again.")
        await insert_file(connection, file)


async def _admit(connection: Pool | Connection, workspace_id: str, conversation_id: str, limit: int | None) -> None:
    """Refuse what a conversation may not have. In a transaction it holds until the end: uploads queue up here."""
    if await _lock(connection, workspace_id, conversation_id) not in ("initiated", "in-progress"):
        raise ConversationOver
    # Counted after the lock, in a statement of its own: one snapshot for both would not see the last upload.
    count = await connection.fetchval(SQL["count"], workspace_id, conversation_id)
    if limit is not None and 0 <= limit <= count:
        raise TooManyFiles


async def remove(pool: Pool, objects: Objects, workspace_id: str, conversation_id: str, file_id: str) -> None:
    """Take an uploaded file away again. Raises `FileNotFound`, or `FileInUse` once it was part of a message."""
    async with pool.acquire() as connection, connection.transaction():
        await _lock(connection, workspace_id, conversation_id)
        if await open_file(connection, workspace_id, conversation_id, file_id) is None:
            raise FileNotFound
        if await connection.fetchval(SQL["is_used"], workspace_id, conversation_id, file_id):
            raise FileInUse
        await connection.execute(SQL["delete"], workspace_id, conversation_id, file_id)
        await connection.execute(SQL["orphan"], workspace_id, file_id)
    with contextlib.suppress(StorageFault):  # as above
        await delete_files(objects, workspace_id, [file_id])
        await pool.execute(SQL["forget_orphan"], workspace_id, file_id)


async def find_file(pool: Pool, workspace_id: str, conversation_id: str, file_id: str) -> ConversationFile:
    """A file of a conversation. Raises `FileNotFound`."""
    file = await open_file(pool, workspace_id, conversation_id, file_id)
    if file is None:
        raise FileNotFound
    return file


def link_maker(vault: Vault, clock: Clock, base: str) -> Callable[[ConversationFile], str]:
    """What makes links that open a file without a key, for a quarter of an hour; ``base`` is the server's address."""

    def link(file: ConversationFile) -> str:
        place = f"/v1/convai/conversations/{quote(file.conversation_id)}/files/{quote(file.id)}/content"
        return f"{base.rstrip('/')}{place}?token={make_token(vault, clock, file)}"

    return link


def make_token(vault: Vault, clock: Clock, file: ConversationFile) -> str:
    """A token for a link that opens one file without a key, for a quarter of an hour."""
    expires = int((clock.now() + LINK_LIFE).timestamp())
    sealed = vault.seal(f"{expires}:{file.workspace_id}", _context(file.conversation_id, file.id))
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


def open_token(vault: Vault, clock: Clock, token: str, conversation_id: str, file_id: str) -> str:
    """The workspace of the file that ``token`` opens. Raises `LinkExpired`, also for a token of another file."""
    try:
        sealed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        expires, workspace_id = vault.open(sealed, _context(conversation_id, file_id)).split(":", 1)
    except (binascii.Error, ValueError, SecretUnreadable):
        raise LinkExpired from None
    if clock.now().timestamp() > int(expires):
        raise LinkExpired
    return workspace_id


def detect_type(data: bytes, declared: str | None) -> str:
    """The MIME type of an upload, by its first bytes; text keeps the type that the client declares.

    Raises `EmptyFile` or `UnsupportedFile`.
    """
    if not data:
        raise EmptyFile
    for start, mime_type in _STARTS:
        if start.match(data):
            return mime_type
    kind = (declared or "").split(";", 1)[0].strip().lower()
    if not _is_text(data):
        raise UnsupportedFile
    if kind in ("", "application/octet-stream"):
        return "text/plain"
    if not kind.startswith("text/") and kind not in TEXT_TYPES:
        raise UnsupportedFile(f"{UnsupportedFile().message} This one is declared as {kind[:100]}.")
    return kind


_STARTS: Final = (
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), "image/webp"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"%PDF-"), "application/pdf"),
)


def _is_text(data: bytes) -> bool:
    try:
        return "\x00" not in data.decode()
    except UnicodeDecodeError:
        return False


async def _lock(connection: Pool | Connection, workspace_id: str, conversation_id: str) -> str:
    """The status of the conversation. Uploads queue up here, and no file is used while it is removed."""
    status: str | None = await connection.fetchval(SQL["lock_conversation"], workspace_id, conversation_id)
    if status is None:
        raise ConversationNotFound
    return status


def _context(conversation_id: str, file_id: str) -> str:
    return f"file:{conversation_id}/{file_id}"

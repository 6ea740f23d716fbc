"""Files of conversations: what a person sent, or a client uploaded.

Bytes are objects ``files/<workspace>/<file id>`` in the data directory or a bucket, both names made by the server:
what people call their files is kept in the database and never becomes a path. A file appears whole or not at all, so
a turn that is resumed may write the same file again.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from greenline.store.objects import Objects
from greenline.store.pool import Connection, Pool, Record
from greenline.store.sql import load_sql
from greenline.text import clean_text

SQL = load_sql(__package__, "files.sql")

MAX_FILENAME: Final = 255
_UNSHOWN: Final = re.compile("C|Zl|Zp")
"""Unicode categories of what is no part of a name: control characters, marks of direction, line breaks."""
_SAFE: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")


@dataclass(frozen=True, slots=True)
class ConversationFile:
    """A file as the database knows it. ``filename`` is what the person called it; ``sha256`` is the digest.

    ``seconds`` is how long it sounds, None where that is not known.
    """

    id: str
    workspace_id: str
    conversation_id: str
    filename: str
    mime_type: str
    size_bytes: int
    sha256: bytes
    created_at: datetime
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """What is kept after `write_file`."""

    size_bytes: int
    sha256: bytes


async def write_file(objects: Objects, workspace_id: str, file_id: str, data: bytes) -> WrittenFile:
    """Return when ``data`` is kept for good. Writing the same file again replaces it.

    Raises `greenline.store.objects.StorageFault`, as everything here that touches bytes.
    """
    await objects.put(file_key(workspace_id, file_id), data)
    return WrittenFile(len(data), hashlib.sha256(data).digest())


async def insert_file(connection: Connection, file: ConversationFile) -> None:
    """Write the row that names bytes which are kept already. A file that is there already stays as it is."""
    await connection.execute(
        SQL["insert"],
        file.id,
        file.workspace_id,
        file.conversation_id,
        file.filename,
        file.mime_type,
        file.size_bytes,
        file.sha256,
        file.created_at,
    )


async def open_file(
    pool: Pool | Connection, workspace_id: str, conversation_id: str, file_id: str
) -> ConversationFile | None:
    """What is known of a file, None when the conversation has none of this id. `read_file` gives its bytes."""
    row = await pool.fetchrow(SQL["one"], workspace_id, conversation_id, file_id)
    return _file(row) if row else None


async def known_files(
    pool: Pool | Connection, workspace_id: str, conversation_id: str, file_ids: Sequence[str]
) -> set[str]:
    """Those of ``file_ids`` that are files of the conversation."""
    return {row["id"] for row in await pool.fetch(SQL["known"], workspace_id, conversation_id, list(file_ids))}


async def list_files(
    pool: Pool | Connection, workspace_id: str, conversation_id: str
) -> tuple[ConversationFile, ...]:
    """The files of a conversation, oldest first."""
    return tuple(map(_file, await pool.fetch(SQL["all"], workspace_id, conversation_id)))


async def read_file(objects: Objects, file: ConversationFile) -> bytes:
    """The bytes of a file. Raises `greenline.store.objects.ObjectMissing` when the storage lost it."""
    return await objects.get(file_key(file.workspace_id, file.id))


def read_part(objects: Objects, file: ConversationFile, start: int, end: int) -> AsyncIterator[bytes]:
    """The bytes from ``start`` to before ``end``, in pieces. Raises as `read_file` does."""
    return objects.read(file_key(file.workspace_id, file.id), start, end)


async def delete_files(objects: Objects, workspace_id: str, file_ids: Sequence[str]) -> None:
    """Erase the bytes of files; those that are gone already are passed over."""
    for file_id in file_ids:
        await objects.delete(file_key(workspace_id, file_id))


async def give_up_uploads(pool: Pool, now: datetime) -> None:
    """Leave the bytes of uploads that did not come to their end in time to `erase_orphans`."""
    await pool.execute(SQL["give_up_uploads"], now)


async def erase_orphans(pool: Pool, objects: Objects, limit: int = 100) -> None:
    """Erase files that nothing names any more. What a crash leaves is there for the next time."""
    for row in await pool.fetch(SQL["orphans"], limit):
        await delete_files(objects, row["workspace_id"], [row["file_id"]])
        await pool.execute(SQL["forget_orphan"], row["workspace_id"], row["file_id"])


def file_key(workspace_id: str, file_id: str) -> str:
    """Where the bytes of a file lie. Raises ``ValueError`` for anything that is not an id of the server."""
    if not _SAFE.fullmatch(workspace_id) or not _SAFE.fullmatch(file_id):
        raise ValueError("not an id of a workspace and a file")
    return f"files/{workspace_id}/{file_id}"


def clean_filename(name: str) -> str:
    """The last part of ``name`` without control characters, no longer than a file system takes."""
    base = re.split(r"[/\\]", clean_text(name))[-1]
    visible = "".join(character for character in base if not _UNSHOWN.match(unicodedata.category(character))).strip()
    return visible[:MAX_FILENAME] if visible.strip(". ") else "file"


def _file(row: Record) -> ConversationFile:
    return ConversationFile(**row)

"""Recordings of conversations: where they lie, and how they are read, kept and erased."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from greenline.conversations.models import NoAudio
from greenline.store.objects import ObjectMissing, Objects
from greenline.store.pool import Connection, Pool
from greenline.store.sql import load_sql

_sql = load_sql(__package__, "recordings.sql")

MIME_TYPE: Final = "audio/mpeg"


@dataclass(frozen=True, slots=True)
class Recording:
    """An MP3 file: the person on the left channel and the agent on the right, as they talked.

    ``has_user`` and ``has_agent`` tell who is to be heard.
    """

    conversation_id: str
    workspace_id: str
    object_key: str
    size_bytes: int
    seconds: float
    has_user: bool
    has_agent: bool
    created_at: datetime


async def find_recording(pool: Pool | Connection, workspace_id: str, conversation_id: str) -> Recording | None:
    """The recording of a conversation, None when there is none."""
    row = await pool.fetchrow(_sql["find"], workspace_id, conversation_id)
    return Recording(**row) if row else None


async def keep_recording(
    pool: Pool,
    objects: Objects,
    workspace_id: str,
    conversation_id: str,
    mp3: bytes,
    *,
    seconds: float,
    has_user: bool,
    has_agent: bool,
    now: datetime,
) -> bool:
    """Write the bytes, then the row that names them. False: the conversation is to have no recording any more.

    Raises `greenline.store.objects.StorageFault`.
    """
    key = object_key(workspace_id, conversation_id)
    await objects.put(key, mp3)
    about = (key, len(mp3), seconds, has_user, has_agent, now)
    kept = await pool.fetchval(_sql["keep"], workspace_id, conversation_id, *about)
    if kept is None:
        await objects.delete(key)
    return kept is not None


async def read_recording(objects: Objects, recording: Recording, start: int, end: int) -> AsyncIterator[bytes]:
    """The bytes from ``start`` to before ``end``. Raises `NoAudio` or `greenline.store.objects.StorageFault`."""
    try:
        async for piece in objects.read(recording.object_key, start, end):
            yield piece
    except ObjectMissing as error:
        raise NoAudio("The recording of this conversation is not in the storage any more.") from error


async def erase_recording(connection: Connection, objects: Objects, workspace_id: str, conversation_id: str) -> None:
    """Bytes first: after a fault in between, the row still tells what is to be erased."""
    recording = await find_recording(connection, workspace_id, conversation_id)
    if recording is not None:
        await objects.delete(recording.object_key)
        await connection.execute(_sql["forget"], workspace_id, conversation_id)


async def over(pool: Pool, workspace_id: str, conversation_ids: list[str]) -> set[str]:
    """Those of the conversations that are running no more: ended, or not there."""
    return {row["id"] for row in await pool.fetch(_sql["over"], workspace_id, conversation_ids)}


def object_key(workspace_id: str, conversation_id: str) -> str:
    """Where a recording lies."""
    return f"recordings/{workspace_id}/{conversation_id}.mp3"

"""Files of conversations that are there before anything happens."""

from __future__ import annotations

from datetime import datetime

from greenline.conversations.files import ConversationFile, clean_filename, insert_file, write_file
from greenline.ids import new_id
from greenline.store.objects import Objects
from greenline.store.pool import Pool
from support.rows import WORKSPACE


async def save_file(
    pool: Pool,
    objects: Objects,
    data: bytes,
    now: datetime,
    *,
    workspace_id: str = WORKSPACE,
    conversation_id: str = "conv_1",
    filename: str = "a.txt",
    mime_type: str = "text/plain",
    file_id: str | None = None,
) -> ConversationFile:
    """Write the bytes and the row that names them."""
    file_id = file_id or new_id("file")
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
    async with pool.acquire() as connection:
        await insert_file(connection, file)
    return file

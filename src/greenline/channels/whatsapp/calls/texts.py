"""What a person writes in the chat while they speak with the agent belongs to the call (reference: calls).

The message moves to the mailbox of the call. What the call can't hear any more moves back, and is answered in the
chat: so a message is in one place at any time.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from greenline.store.mailbox import ring
from greenline.store.pool import Pool
from greenline.store.sql import load_sql

CALL_TEXT: Final = "call_text"
"""Kind of such an item of the inbox."""

_sql = load_sql(__package__, "calls.sql")


async def feed_call(
    pool: Pool, workspace_id: str, chat_id: str, call_mailbox_id: str, item_ids: Sequence[int], now: datetime
) -> set[int]:
    """Give messages of a chat to its call; returns the ids of those that went."""
    async with pool.acquire() as connection, connection.transaction():
        rows = await connection.fetch(_sql["feed_texts"], workspace_id, chat_id, list(item_ids), call_mailbox_id)
        if rows:
            await ring(connection, mailbox_id=call_mailbox_id, workspace_id=workspace_id, kind="call", due_at=now)
    return {row["id"] for row in rows}


async def return_texts(pool: Pool, workspace_id: str, chat_id: str, call_mailbox_id: str, now: datetime) -> None:
    """What the agent did not hear any more goes back to the chat."""
    async with pool.acquire() as connection, connection.transaction():
        if await connection.fetch(_sql["return_texts"], workspace_id, call_mailbox_id, chat_id):
            await ring(connection, mailbox_id=chat_id, workspace_id=workspace_id, kind="chat", due_at=now)

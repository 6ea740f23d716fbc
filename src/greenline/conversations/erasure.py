"""Erasure: what a conversation left in other tables, and who a chat was with once its last conversation is gone.

Meta repeats webhook events. Those that are erased are known by the digests of their keys, so that a repeated one is
neither answered again nor brings the person back.
"""

from __future__ import annotations

from datetime import datetime

from greenline.store.pool import Connection, Pool
from greenline.store.sql import load_sql

_sql = load_sql(__package__, "erasure.sql")


async def forget_traces(connection: Connection, workspace_id: str, conversation_id: str, now: datetime) -> str | None:
    """Erase what messages, calls, events and memories tell of a conversation, before the conversation itself.

    Returns the id of its chat, which is to be forgotten if it was the last one.
    """
    key = (workspace_id, conversation_id)
    await connection.execute(_sql["forget_events"], *key, now)
    await connection.execute(_sql["forget_messages"], *key, now)
    await connection.execute(_sql["forget_calls"], *key)
    await connection.execute(_sql["forget_memories"], *key)
    chat_id: str | None = await connection.fetchval(_sql["leave_chat"], *key)
    return chat_id


async def forget_person(connection: Connection, workspace_id: str, chat_id: str, now: datetime) -> bool:
    """Erase who the chat is with, if it has no conversation any more; returns whether that could be done now.

    Needs a transaction.
    """
    await connection.execute(_sql["hold_chat"], workspace_id, chat_id)
    return await connection.fetchval(_sql["forget_person"], workspace_id, chat_id, now) is not None


async def forget_people(pool: Pool, now: datetime, limit: int) -> int:
    """Forget those with whom something was still under way when their last conversation went; returns how many."""
    forgotten = 0
    for row in await pool.fetch(_sql["to_be_forgotten"], limit):
        async with pool.acquire() as connection, connection.transaction():
            forgotten += await forget_person(connection, row["workspace_id"], row["id"], now)
    return forgotten

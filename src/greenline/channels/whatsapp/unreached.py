"""Conversations that the business began, and of which nothing reached the person."""

from __future__ import annotations

from typing import Any

from greenline.channels.whatsapp.chat import Chat
from greenline.channels.whatsapp.commit import TurnCommit, sql
from greenline.conversations.deliveries import delivery_error, failure_reason
from greenline.conversations.events import Ended
from greenline.conversations.lifecycle import NOT_REACHED
from greenline.store.pool import Pool


async def end_unreached(pool: Pool, chat: Chat, commit: TurnCommit) -> bool:
    """End those of the chat as failed; whether there were any.

    Others that are open go on: the person knows nothing of these.
    """
    waiting = {row.id: row for row in chat.open if row.awaiting_first_user_message}
    found = await pool.fetch(sql["unreached"], chat.workspace_id, list(waiting)) if waiting else []
    for row in found:
        conversation = waiting[row["conversation_id"]]
        commit.record(conversation, Ended(reason=NOT_REACHED, status="failed", error=_error(row["error"])))
    return bool(found)


def _error(told: dict[str, Any] | None) -> dict[str, Any]:
    error = delivery_error(told)
    return {"code": error.code if error else None, "reason": failure_reason(error)}

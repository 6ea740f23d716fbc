"""Privacy settings that an agent had: conversations that began under them follow them (reference: Retention)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from greenline.store.pool import Connection
from greenline.store.sql import load_sql

_sql = load_sql(__package__, "past_privacy.sql")
_RETENTION: Final = ("retention_days", "delete_transcript_and_pii", "delete_audio", "zero_retention_mode")


async def keep_past(
    connection: Connection,
    workspace_id: str,
    agent_id: str,
    *,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    now: datetime,
) -> None:
    """Remember the settings ``before`` a change for the conversations that there are.

    With ``apply_to_existing_conversations`` the settings ``after`` it hold for these too.
    """
    if after["apply_to_existing_conversations"]:
        await connection.execute(_sql["forget"], workspace_id, agent_id)
    elif any(before.get(name) != after[name] for name in _RETENTION):
        await connection.execute(_sql["keep"], workspace_id, agent_id, now, before)


async def keep_last(connection: Connection, workspace_id: str, agent_id: str) -> None:
    """Remember the settings of an agent that is about to be deleted: its conversations stay."""
    await connection.execute(_sql["keep_for_ever"], workspace_id, agent_id)


async def end_last(connection: Connection, workspace_id: str, agent_id: str, now: datetime) -> None:
    """Have the settings of a deleted agent hold no longer than until ``now``, when it is there again."""
    await connection.execute(_sql["end_last"], workspace_id, agent_id, now)

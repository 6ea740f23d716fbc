"""How many conversations an agent may hold at once and begin in a day (reference: ``platform_settings.call_limits``).

Counted in the database over all servers. Two servers that admit at the same moment may go one over the limit: it
protects a budget, not a lock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from greenline.agents.models import AgentVersion
from greenline.errors import Conflict
from greenline.store.pool import Pool
from greenline.store.sql import load_sql

TEXT_SHARE: Final = 25
"""Chats for each call that an agent may hold (reference: their own pool, 25 times as large)."""
DAY: Final = timedelta(days=1)

_sql = load_sql(__package__, "limits.sql")


class AgentAtLimit(Conflict):
    """The agent holds as many calls as ``call_limits.agent_concurrency_limit`` allows. Wait until one has ended."""

    code = "agent_at_limit"


class AgentDailyLimit(Conflict):
    """The agent has held as many calls in 24 hours as ``call_limits.daily_limit`` allows. Try again later."""

    code = "agent_daily_limit"


@dataclass(frozen=True, slots=True)
class Room:
    """What the limits leave of an agent; None where there is no limit."""

    at_once: int | None
    today: int | None


async def room_of(
    pool: Pool, workspace_id: str, version: AgentVersion, now: datetime, *, text_only: bool, besides: str = ""
) -> Room:
    """How many more conversations an agent may hold, and begin today; ``besides`` is one that does not count."""
    limits = version.platform_settings.call_limits
    at_once = limits.agent_concurrency_limit * (TEXT_SHARE if text_only else 1)
    if at_once < 0 and limits.daily_limit < 0:
        return Room(None, None)
    row = await pool.fetchrow(_sql["load"], workspace_id, version.agent_id, text_only, now - DAY, besides)
    assert row is not None  # noqa: S101 - counts always give a row
    return Room(
        None if at_once < 0 else at_once - int(row["open"]),
        None if limits.daily_limit < 0 else limits.daily_limit - int(row["today"]),
    )


async def check_call(pool: Pool, workspace_id: str, version: AgentVersion, now: datetime, besides: str = "") -> None:
    """Whether the agent may take another call. Raises `AgentAtLimit` or `AgentDailyLimit`."""
    room = await room_of(pool, workspace_id, version, now, text_only=False, besides=besides)
    if room.today is not None and room.today <= 0:
        raise AgentDailyLimit
    if room.at_once is not None and room.at_once <= 0:
        raise AgentAtLimit

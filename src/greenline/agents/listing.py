"""Lists and summaries of agents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from greenline.agents.models import CALL_COUNT_PERIOD, MAX_NAME, AgentSummary
from greenline.clock import Clock
from greenline.store import cursor as cursors
from greenline.store.pool import Pool, Record
from greenline.store.sql import load_sql

SQL = load_sql(__package__, "listing.sql")

SortBy: TypeAlias = Literal["name", "created_at", "updated_at", "call_count_7d"]
SortDirection: TypeAlias = Literal["asc", "desc"]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which agents: ``search`` is part of a name in any case, ``tags`` any of them; None takes all."""

    search: str | None = None
    archived: bool | None = None
    tags: tuple[str, ...] | None = None
    created_by: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the list; ``next_cursor`` is None on the last one."""

    agents: tuple[AgentSummary, ...]
    next_cursor: str | None


async def list_agents(
    pool: Pool,
    clock: Clock,
    workspace_id: str,
    which: Filter,
    *,
    sort_by: SortBy = "created_at",
    direction: SortDirection = "desc",
    page_size: int = 30,
    cursor: str | None = None,
) -> Page:
    """A page of agents. Raises `greenline.store.cursor.InvalidCursor`.

    Pages follow the sort key of the last row seen, so agents that appear or go meanwhile shift nothing.
    """
    order = f"agents:{sort_by}:{direction}"
    after = cursors.decode(cursor, order, str, int, str) if cursor is not None else (None, None, None)
    rows = await pool.fetch(
        SQL[f"page_{direction}"],
        workspace_id,
        which.search,
        which.archived,
        None if which.tags is None else list(which.tags),
        which.created_by,
        sort_by,
        clock.now() - CALL_COUNT_PERIOD,
        *after,
        page_size + 1,
        MAX_NAME,
    )
    shown, more = rows[:page_size], len(rows) > page_size
    last = shown[-1] if more else None
    next_cursor = cursors.encode(order, last["text_key"], last["number_key"], last["id"]) if last else None
    return Page(tuple(map(_summary, shown)), next_cursor)


async def summaries(pool: Pool, workspace_id: str, agent_ids: Sequence[str]) -> dict[str, AgentSummary]:
    """The agents of these ids that are in the workspace, by id."""
    rows = await pool.fetch(SQL["summaries"], workspace_id, list(agent_ids))
    return {row["id"]: _summary(row) for row in rows}


def _summary(row: Record) -> AgentSummary:
    return AgentSummary(
        id=row["id"],
        name=row["name"],
        voice_id=row["voice_id"],
        tags=tuple(row["tags"]),
        archived=row["archived"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        last_call_at=row["last_call_at"],
    )

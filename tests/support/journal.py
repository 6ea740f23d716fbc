"""Conversations as a test writes them: events at moments, in the rows that the server itself would write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from greenline.conversations.events import Entry, Event, Started, dump_event
from greenline.conversations.projection import Projection, fold
from greenline.store.pool import Pool

BEGIN = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)

Timed: TypeAlias = tuple[float, Event]
"""An event and the seconds after the start at which it happened."""


def projection(conversation_id: str = "conv_1", **changes: Any) -> Projection:
    """An inbound conversation on WhatsApp before its first event."""
    row = Projection(
        id=conversation_id,
        workspace_id="ws_1",
        agent_id="agent_1",
        branch_id="agtbrch_1",
        version_id="agtvrsn_1",
        source="whatsapp",
        started_at=BEGIN,
        accepted_at=BEGIN,
        direction="inbound",
        phone_number_id="100200300",
        user_id="4917012345678",
        authorization_method="whatsapp",
    )
    return replace(row, **changes)


def started(row: Projection, **changes: Any) -> Started:
    """The first event of the conversation."""
    event = Started(
        agent_id=row.agent_id,
        branch_id=row.branch_id,
        version_id=row.version_id,
        source=row.source,
        direction=row.direction,
        user_id=row.user_id,
    )
    return event.model_copy(update=changes)


def journal(events: Sequence[Timed], begin: datetime = BEGIN) -> tuple[Entry, ...]:
    """The events in their places."""
    return tuple(
        Entry(seq=place, at=begin + timedelta(seconds=seconds), event=event)
        for place, (seconds, event) in enumerate(events, start=1)
    )


async def write(pool: Pool, row: Projection, events: Sequence[Timed], **columns: Any) -> Projection:
    """Insert the conversation after its events, and the events; ``columns`` are those that no event changes."""
    entries = journal(events, row.started_at)
    for entry in entries:
        row = fold(row, [entry.event], entry.at)
    if row.status == "processing":  # as after its analysis
        row = replace(row, status="done")
    values = {**asdict(row), "tool_names": list(row.tool_names), "last_seq": len(entries), **columns}
    places = ", ".join(f"${place}" for place in range(1, len(values) + 1))
    await pool.execute(f"insert into conversation({', '.join(values)}) values ({places})", *values.values())
    await pool.executemany(
        "insert into conversation_event(conversation_id, seq, workspace_id, at, kind, data)"
        " values ($1, $2, $3, $4, $5, $6)",
        [(row.id, e.seq, row.workspace_id, e.at, e.event.kind, dump_event(e.event)) for e in entries],
    )
    return row

"""The journal of a live conversation, written as things happen by the process that holds it.

What is recorded is in memory at once and durable a moment later: appends of many conversations share a commit. The
epoch of the conversation's mailbox fences them, so that a process whose lease was lost writes nothing more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from greenline.clock import Clock
from greenline.conversations.events import Event, dump_event
from greenline.conversations.projection import Projection, fold
from greenline.store.batch import Batcher
from greenline.store.mailbox import Claim, LeaseLost
from greenline.store.pool import Pool
from greenline.store.sql import load_sql

sql: Final = load_sql(__package__, "live.sql")


@dataclass(frozen=True, slots=True)
class _Append:
    claim: Claim
    conversation: Projection
    events: tuple[dict[str, Any], ...]
    done: tuple[int, ...]
    ended: bool

    def row(self) -> dict[str, Any]:
        return {
            "mailbox_id": self.claim.mailbox_id,
            "workspace_id": self.conversation.workspace_id,
            "epoch": self.claim.epoch,
            "conversation": {**asdict(self.conversation), "events": len(self.events)},
            "events": self.events,
            "done": self.done,
            "ended": self.ended,
        }


class JournalWriter:
    """Commits appends of all live conversations of the process in groups."""

    def __init__(self, pool: Pool, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock
        self._batcher: Batcher[_Append, bool] = Batcher(self._write, limit=100)

    async def append(self, append: _Append) -> None:
        """Return when it is durable. Raises `LeaseLost`."""
        if not await self._batcher.put(append):
            raise LeaseLost(append.claim.mailbox_id)

    async def _write(self, appends: list[_Append]) -> Sequence[bool]:
        rows = await self._pool.fetch(sql["append"], [append.row() for append in appends], self._clock.now())
        kept = {row["mailbox_id"] for row in rows}
        return [append.claim.mailbox_id in kept for append in appends]


class LiveJournal:
    """One conversation: what was said, and its row. Everything is recorded in the order of the calls."""

    def __init__(
        self,
        writer: JournalWriter,
        clock: Clock,
        claim: Claim,
        conversation: Projection,
        events: Iterable[Event] = (),
    ) -> None:
        self._writer = writer
        self._clock = clock
        self._claim = claim
        self.conversation = conversation
        self.events: list[Event] = list(events)
        self._pending: list[dict[str, Any]] = []
        self._done: list[int] = []
        self._ended = False
        self._task: asyncio.Task[None] | None = None
        self.broken: asyncio.Event = asyncio.Event()
        """Set when something could not be written: the conversation can't go on here."""

    def record(self, *events: Event) -> None:
        """Add events; they are written in the background. `flush` tells whether they were."""
        now = self._clock.now()
        self.conversation = fold(self.conversation, events, now)
        self.events.extend(events)
        self._pending.extend({"at": now, "kind": event.kind, "data": dump_event(event)} for event in events)
        self._begin()

    def obeyed(self, item_id: int) -> None:
        """An order of the inbox was carried out; written with what it brought about."""
        self._done.append(item_id)
        self._begin()

    async def flush(self) -> None:
        """Return when everything is durable. Raises `LeaseLost`, or the database's error."""
        while self._task is not None:
            await asyncio.shield(self._task)

    async def close(self, *events: Event) -> None:
        """Record the end and let go of the conversation. Raises as `flush` does."""
        self._ended = True
        self.record(*events)
        await self.flush()

    def _begin(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write())

    async def _write(self) -> None:
        try:
            while self._pending or self._done:
                events, done = tuple(self._pending), tuple(self._done)
                self._pending, self._done = [], []
                await self._writer.append(_Append(self._claim, self.conversation, events, done, self._ended))
        except BaseException:
            self.broken.set()
            raise
        self._task = None

"""The journal of a live conversation, written as things happen by the process that holds it.

What is recorded is in memory at once and durable a moment later: appends of many conversations share a commit. The
epoch of the conversation's mailbox fences them, so that a process whose lease was lost writes nothing more. While
the database is away they wait and are repeated; their numbers keep one of unknown outcome from being written twice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from greenline.clock import Clock
from greenline.conversations.events import Event, dump_event
from greenline.conversations.projection import Projection, fold
from greenline.store.batch import Batcher
from greenline.store.mailbox import Claim, LeaseLost
from greenline.store.outage import DATABASE_ERRORS, OUTAGE, passes
from greenline.store.pool import Pool
from greenline.store.sql import load_sql

sql: Final = load_sql(__package__, "live.sql")

MOST_WAITING: Final = 5_000
"""Events that wait for the database at most: what a client may bring about while it is away, and a good deal more."""
LAST_TRY_SECONDS: Final = 1.0
"""For what follows once patience has run out: the last words, and the end."""
FIRST_PAUSE_SECONDS: Final = 0.1
MAX_PAUSE_SECONDS: Final = 1.0
WRITE_SECONDS: Final = 2.5
"""A commit takes milliseconds: one that takes so long went to a server that does not answer any more. Two of them fit
into the patience of the default lease, 6 s."""


class JournalUnwritten(Exception):
    """The database has not taken the journal for so long that the conversation can't go on here."""


@dataclass(frozen=True, slots=True)
class _Append:
    claim: Claim
    number: int
    conversation: Projection
    events: tuple[dict[str, Any], ...]
    done: tuple[int, ...]
    ended: bool

    def row(self) -> dict[str, Any]:
        return {
            "mailbox_id": self.claim.mailbox_id,
            "workspace_id": self.conversation.workspace_id,
            "epoch": self.claim.epoch,
            "number": self.number,
            "conversation": {**self.conversation.columns(), "events": len(self.events)},
            "events": self.events,
            "done": self.done,
            "ended": self.ended,
        }


class JournalWriter:
    """Commits appends of all live conversations of the process in groups.

    ``patience``: seconds for which an append is repeated while the database is away. It has to be shorter than a
    lease lasts after its last renewal, else somebody else may hold the conversation by then.
    """

    def __init__(
        self, pool: Pool, clock: Clock, *, patience: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.patience = patience
        self._pool = pool
        self._clock = clock
        self._now = now
        self._batcher: Batcher[_Append, bool] = Batcher(self._write, limit=100)

    async def append(self, append: _Append, patience: float) -> None:
        """Return when it is durable. Raises `LeaseLost`, or `JournalUnwritten` after ``patience``."""
        deadline, pause = self._now() + patience, FIRST_PAUSE_SECONDS
        while True:
            try:
                if not await self._attempt(append, deadline - self._now()):
                    raise LeaseLost(append.claim.mailbox_id)
                return
            except DATABASE_ERRORS as error:
                if not passes(error) or self._now() >= deadline:
                    raise JournalUnwritten(str(error)) from error
                OUTAGE.tell(error, "journal")
            await asyncio.sleep(pause)
            pause = min(2 * pause, MAX_PAUSE_SECONDS)

    async def _attempt(self, append: _Append, seconds: float) -> bool:
        """Whether it is written. What a hanging database does with it is its own affair after ``seconds``."""
        written = self._batcher.submit(append)
        await asyncio.wait({written}, timeout=seconds)
        if not written.done():
            written.cancel()
            raise TimeoutError("the database does not answer")
        return written.result()

    async def _write(self, appends: list[_Append]) -> Sequence[bool]:
        rows = [append.row() for append in appends]
        found = await self._pool.fetch(sql["append"], rows, self._clock.now(), timeout=WRITE_SECONDS)
        kept = {(row["mailbox_id"], row["epoch"]) for row in found}
        return [(append.claim.mailbox_id, append.claim.epoch) in kept for append in appends]


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
        self._numbers = 0
        self._append: _Append | None = None
        self._task: asyncio.Task[None] | None = None
        self.broken: asyncio.Event = asyncio.Event()
        """Set when something could not be written: the conversation can't go on here."""

    def record(self, *events: Event) -> None:
        """Add events; they are written in the background. `flush` tells whether they were."""
        self._record(self._clock.now(), events)

    def _record(self, at: datetime, events: Sequence[Event]) -> None:
        self.conversation = fold(self.conversation, events, at)
        self.events.extend(events)
        self._pending.extend({"at": at, "kind": event.kind, "data": dump_event(event)} for event in events)
        if len(self._pending) > MOST_WAITING:
            self.broken.set()
        self._begin()

    def obeyed(self, item_id: int) -> None:
        """An order of the inbox was carried out; written with what it brought about."""
        self._done.append(item_id)
        self._begin()

    async def flush(self) -> None:
        """Return when everything is durable. Raises `LeaseLost` or `JournalUnwritten`."""
        while self._task is not None:
            await asyncio.shield(self._task)

    async def close(self, *events: Event, at: datetime | None = None) -> None:
        """Record the end, which is now or was ``at``, and let go of the conversation. Raises as `flush` does."""
        self._ended = True
        self._record(at or self._clock.now(), events)
        await self.flush()

    def _begin(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write())
            self._task.add_done_callback(_seen)

    async def _write(self) -> None:
        try:
            while self._append or self._pending or self._done:
                self._append = self._append or self._next()
                patience = LAST_TRY_SECONDS if self.broken.is_set() else self._writer.patience
                await self._writer.append(self._append, patience)
                self._append = None
        except BaseException:  # the boundary of the writer: told of, and raised by `flush`
            self.broken.set()
            raise
        self._task = None

    def _next(self) -> _Append:
        events, done = tuple(self._pending), tuple(self._done)
        self._pending, self._done = [], []
        self._numbers += 1
        return _Append(self._claim, self._numbers, self.conversation, events, done, self._ended)


def _seen(task: asyncio.Task[None]) -> None:
    """`LiveJournal.broken` tells of a failure, to whoever waits for nothing else."""
    if not task.cancelled():
        task.exception()

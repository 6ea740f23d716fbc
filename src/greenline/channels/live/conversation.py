"""What those share who take part in a live conversation: its journal, who is told of it, what runs beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, Final

import structlog

from greenline.channels.live.journal import LiveJournal
from greenline.channels.live.models import CODE_CRASH, Listener, LiveEvent, SessionEnded
from greenline.conversations.events import Event
from greenline.errors import where

log = structlog.get_logger(__name__)

FAULT: Final = SessionEnded(CODE_CRASH, "The server met an unexpected error.", "unknown_websocket_crash")


class Conversation:
    """One that runs. `end` decides why it is over, which `ended` waits for; after `close` nothing more happens."""

    def __init__(self, journal: LiveJournal) -> None:
        self._journal = journal
        self._listeners: list[Listener] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._end: asyncio.Future[SessionEnded] = asyncio.get_running_loop().create_future()
        self.closed = False

    @property
    def id(self) -> str:
        """As in the journal."""
        return self._journal.conversation.id

    @property
    def journal(self) -> tuple[Event, ...]:
        """What has happened."""
        return tuple(self._journal.events)

    @property
    def over(self) -> bool:
        """Whether it has ended, or is about to: nothing new begins."""
        return self._end.done()

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Tell ``listener`` what happens from now on; call what is returned to stop."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def record(self, *events: Event) -> None:
        """Add to the journal; nothing comes after the end."""
        if events and not self.closed:
            self._journal.record(*events)

    def tell(self, event: LiveEvent) -> None:
        """Tell the listeners."""
        for listener in list(self._listeners):
            listener(event)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run beside the conversation; a failure ends it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def end(self, ended: SessionEnded) -> None:
        """It is over; the first reason counts."""
        if not self.over:
            self._end.set_result(ended)

    async def ended(self) -> SessionEnded:
        """Return why it is over, once it is."""
        return await self._end

    async def stop_tasks(self) -> None:
        """Cancel all that runs beside it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self, *events: Event) -> None:
        """Write down its last ``events``. Raises as `LiveJournal.close` does."""
        self.closed = True
        await self._journal.close(*events)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("live.failed", conversation_id=self.id, exc_info=error)
            self.end(replace(FAULT, debug=where(error)))

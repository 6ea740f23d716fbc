"""Who waits at an agent that holds as many conversations as it may (reference: Burst pricing, Queueing).

The limits hold over all servers (`greenline.channels.limits`); who waits, waits in the order of arrival at this one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any, Final

from greenline.agents.models import AgentVersion
from greenline.channels.limits import TEXT_SHARE, room_of
from greenline.channels.live.sessions import unless_away
from greenline.channels.socket.client_messages import ClientMessage
from greenline.channels.socket.errors import OPERATIONAL, Restarting, SocketClosed
from greenline.channels.socket.server_messages import queue_status
from greenline.channels.socket.wire import Wire
from greenline.clock import Clock
from greenline.store.pool import Pool

TIMED_OUT: Final = 4300
LOOK_SECONDS: Final = 0.5


class AtLimit(SocketClosed):
    """The agent holds as many conversations as it may."""

    def __init__(self, limit: int) -> None:
        reason = f"The agent is at its limit of {limit} conversations at once. Try again later."
        super().__init__(OPERATIONAL, "http_exception", reason)


class DailyLimit(SocketClosed):
    """The agent has held as many conversations in a day as it may."""

    def __init__(self, limit: int) -> None:
        super().__init__(OPERATIONAL, "http_exception", f"The agent is at its limit of {limit} conversations a day.")


class WaitedTooLong(SocketClosed):
    """No conversation ended in time."""

    def __init__(self) -> None:
        super().__init__(TIMED_OUT, "queue_timeout", "All lines are busy. Try again later.")


class Queue:
    """Who waits for which agent at this server."""

    def __init__(self, pool: Pool, clock: Clock, draining: asyncio.Event, *, patience: float) -> None:
        """``draining`` is set when the server leaves: nobody waits any more.

        ``patience``: seconds for which a database may be away without anybody losing their place.
        """
        self._pool = pool
        self._patience = patience
        self._clock = clock
        self._draining = draining
        self._lines: dict[tuple[str, bool], list[object]] = {}

    @contextlib.asynccontextmanager
    async def place(
        self,
        wire: Wire,
        version: AgentVersion,
        workspace_id: str,
        *,
        text_only: bool,
        check: Callable[[], Awaitable[None]],
        announce: Callable[[], None],
        hold: Callable[[], Coroutine[Any, Any, None]],
        keep: Callable[[ClientMessage], None],
    ) -> AsyncIterator[float | None]:
        """Hold a place for a conversation that begins within the block; wait for it where callers wait.

        Gives the seconds that were waited, None where nobody had to. ``check`` is asked whether it is worth the wait,
        ``announce`` is called before the client is told to wait, ``hold`` runs while it waits, and ``keep`` is given
        what it sends then. Raises `DailyLimit`, `AtLimit` where nobody waits, `WaitedTooLong`,
        `greenline.channels.socket.errors.Restarting`, `greenline.channels.live.sessions.DatabaseAway`, and what
        ``check``, ``keep`` and `Wire.receive` raise.
        """
        key = (version.agent_id, text_only)
        me, line = object(), self._lines.setdefault(key, [])
        line.append(me)
        settings = version.platform_settings

        async def has_room() -> bool:
            return await self._has_room(version, workspace_id, line.index(me), text_only=text_only)

        waited: float | None = None
        try:
            if not await has_room():
                if text_only or not settings.queueing_config.enabled:
                    raise AtLimit(settings.call_limits.agent_concurrency_limit * (TEXT_SHARE if text_only else 1))
                await check()
                announce()
                came = self._clock.now()
                await self._wait(wire, has_room, hold, keep, settings.queueing_config.wait_timeout_seconds)
                waited = (self._clock.now() - came).total_seconds()
            yield waited
        finally:
            line.remove(me)
            if not line:
                self._lines.pop(key, None)

    async def _has_room(self, version: AgentVersion, workspace_id: str, before: int, *, text_only: bool) -> bool:
        room = await unless_away(
            lambda: room_of(self._pool, workspace_id, version, self._clock.now(), text_only=text_only), self._patience
        )
        if room.today is not None and room.today <= 0:
            raise DailyLimit(version.platform_settings.call_limits.daily_limit)
        return room.at_once is None or before < room.at_once

    async def _wait(
        self,
        wire: Wire,
        has_room: Callable[[], Awaitable[bool]],
        hold: Callable[[], Coroutine[Any, Any, None]],
        keep: Callable[[ClientMessage], None],
        seconds: float,
    ) -> None:
        """Return when there is room."""
        deadline = self._clock.now() + timedelta(seconds=seconds)
        wire.outgoing.put(queue_status("waiting"))
        work = (_read(wire, keep), wire.send_all(), hold())
        tasks = [asyncio.create_task(task) for task in work]
        leaving = asyncio.create_task(self._draining.wait())
        try:
            while not await has_room():
                if self._clock.now() >= deadline:
                    wire.outgoing.put(queue_status("timed_out"))
                    raise WaitedTooLong
                looking = asyncio.create_task(self._clock.sleep(LOOK_SECONDS))
                await asyncio.wait({*tasks, leaving, looking}, return_when=asyncio.FIRST_COMPLETED)
                looking.cancel()
                if self._draining.is_set():
                    raise Restarting
                for task in tasks:
                    if task.done():
                        task.result()
        finally:
            for waiting in (*tasks, leaving):
                waiting.cancel()
            await asyncio.gather(*tasks, leaving, return_exceptions=True)
        wire.outgoing.put(queue_status("admitted"))


async def _read(wire: Wire, keep: Callable[[ClientMessage], None]) -> None:
    while True:
        keep(await wire.receive())

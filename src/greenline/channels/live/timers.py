"""Named timers of a session, by its clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any

from greenline.clock import Clock, later


class Timers:
    """Each name has one timer at most: setting it again begins anew. ``spawn`` owns them, with what they call."""

    def __init__(self, clock: Clock, spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]) -> None:
        self._clock = clock
        self._spawn = spawn
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def set(self, name: str, seconds: float, then: Callable[[], None]) -> None:
        """Call ``then`` in ``seconds``."""
        self.stop(name)
        moment = later(self._clock.now(), seconds)
        self._tasks[name] = self._spawn(self._wait(moment, then))

    def is_set(self, name: str) -> bool:
        """Whether a timer runs."""
        task = self._tasks.get(name)
        return task is not None and not task.done()

    def stop(self, name: str) -> None:
        """Forget a timer, if it is set."""
        task = self._tasks.pop(name, None)
        if task is not None:
            task.cancel()

    def stop_all(self) -> None:
        """Forget all."""
        for name in list(self._tasks):
            self.stop(name)

    async def _wait(self, moment: datetime, then: Callable[[], None]) -> None:
        await self._clock.sleep_until(moment)
        then()

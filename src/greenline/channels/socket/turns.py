"""Whose sound is worked on: all conversations of a process share one event loop.

Judging a second of noise takes about 50 ms of it. Sound that comes as fast as it plays is worked on as it comes; what
comes faster waits its turn, one piece after the other of whichever conversation, and together they get a part of the
loop's time. So a flood costs the others little, and its own conversation a delay.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

SHARE: Final = 0.25
"""Of the loop's time for all that comes too fast: five seconds of noise in a second."""


class Turns:
    """Those of one process. ``now`` gives seconds of a clock that never jumps."""

    def __init__(
        self,
        now: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._now = now
        self._sleep = sleep
        self._one = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def take(self, *, ahead: bool) -> AsyncIterator[None]:
        """Work on a piece within the block, without waiting there; ``ahead`` tells that it came too fast.

        Everybody else has had a turn before the next piece.
        """
        if not ahead:
            yield
            await asyncio.sleep(0)
            return
        async with self._one:
            begun = self._now()
            yield
            await self._sleep((self._now() - begun) * (1 - SHARE) / SHARE)

"""The emulator's time: the machine's, plus an offset that the control API moves forward."""

from __future__ import annotations

import asyncio
import time


class MovableClock:
    """Seconds since the epoch. Waits end when the clock has been moved past them."""

    def __init__(self) -> None:
        self._offset = 0.0
        self._moved = asyncio.Event()

    def now(self) -> float:
        """Unix time in seconds."""
        return time.time() + self._offset

    def advance(self, seconds: float) -> None:
        """Move forward and wake those whose moment has come."""
        self._offset += seconds
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def sleep(self, seconds: float) -> None:
        """Return when `now` has advanced by ``seconds``."""
        until = self.now() + seconds
        while (left := until - self.now()) > 0:
            try:
                async with asyncio.timeout(left):
                    await self._moved.wait()
            except TimeoutError:
                return

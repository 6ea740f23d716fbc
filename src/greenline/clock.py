"""Time as a dependency.

Rooms take a `Clock` and never ask the system for the time, so that a test can move a conversation by
fifteen minutes, or a retention rule by two years, without waiting.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

END_OF_TIME: Final = datetime.max.replace(tzinfo=UTC)


class Clock(Protocol):
    """Wall-clock time and waiting."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return when `now` has advanced by ``seconds``."""
        ...

    async def sleep_until(self, moment: datetime) -> None:
        """Return when `now` has reached ``moment``, which may be past. For a timer that a task starts later."""
        ...


def later(moment: datetime, seconds: float) -> datetime:
    """``moment`` and ``seconds`` more; the last one of the calendar, where it has none so late."""
    try:
        return moment + timedelta(seconds=seconds)
    except OverflowError:
        return END_OF_TIME


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        """As `asyncio.sleep`."""
        await asyncio.sleep(seconds)

    async def sleep_until(self, moment: datetime) -> None:
        """Return when the machine's clock has reached ``moment``."""
        await asyncio.sleep(max(0.0, (moment - self.now()).total_seconds()))


class ManualClock:
    """A clock that stands still until `advance` moves it: for tests and simulations."""

    def __init__(self, start: datetime = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)) -> None:
        self._now = start
        self._order = itertools.count()
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        """The moment that the test has set."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Wait until `advance` has carried the clock past the moment."""
        await self.sleep_until(self._now + timedelta(seconds=seconds))

    async def sleep_until(self, moment: datetime) -> None:
        """Wait until `advance` has carried the clock to ``moment``."""
        if moment <= self._now:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (moment, next(self._order), future))
        await future

    @property
    def next_due(self) -> datetime | None:
        """The moment of the sleeper who is the next to wake."""
        return min((moment for moment, _, future in self._sleepers if not future.done()), default=None)

    def advance(self, delta: timedelta) -> None:
        """Move forward by ``delta`` and wake every sleeper whose moment has come, in order."""
        self._now += delta
        while self._sleepers and self._sleepers[0][0] <= self._now:
            _, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                future.set_result(None)

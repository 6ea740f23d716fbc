"""The emulator's time: real time plus an offset that the control API moves, and timers that obey it."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field

Action = Callable[[], None]


class Clock:
    """Unix time in seconds, shifted by `advance`."""

    def __init__(self) -> None:
        self.offset = 0.0

    def now(self) -> float:
        """Unix seconds of the emulator."""
        return time.time() + self.offset

    def advance(self, seconds: float) -> None:
        """Move time forward. Time never goes back: a negative value raises ``ValueError``."""
        if seconds < 0:
            raise ValueError("time only moves forward")
        self.offset += seconds


@dataclass(order=True, slots=True)
class Timer:
    """Something that will happen; `cancel` prevents it."""

    at: float
    number: int
    action: Action | None = field(compare=False)

    def cancel(self) -> None:
        """Let the time pass without doing anything."""
        self.action = None


class Scheduler:
    """Runs actions at emulator time, those of one instant in the order in which they were set.

    Actions are short and synchronous. What one of them raises goes to ``on_error``: a fault in the life of one
    message must not stop the others.
    """

    def __init__(self, clock: Clock, on_error: Callable[[Exception], None]) -> None:
        self._clock = clock
        self._on_error = on_error
        self._timers: list[Timer] = []
        self._numbers = itertools.count()
        self._changed = asyncio.Event()

    def after(self, seconds: float, action: Action) -> Timer:
        """Run ``action`` when ``seconds`` of emulator time have passed."""
        return self.at(self._clock.now() + seconds, action)

    def at(self, moment: float, action: Action) -> Timer:
        """Run ``action`` at ``moment`` (emulator Unix seconds), or at once if that is past."""
        timer = Timer(moment, next(self._numbers), action)
        heapq.heappush(self._timers, timer)
        if self._timers[0] is timer:
            self._changed.set()
        return timer

    def wake(self) -> None:
        """Look at the clock again: it was moved."""
        self._changed.set()

    def clear(self) -> None:
        """Forget all timers."""
        self._timers.clear()

    async def run(self) -> None:
        """Run due actions until cancelled."""
        while True:
            self._changed.clear()
            self._run_due()
            wait = self._timers[0].at - self._clock.now() if self._timers else None
            with contextlib.suppress(TimeoutError):
                # A long wait is cut, so that a change of the machine's own time is noticed.
                await asyncio.wait_for(self._changed.wait(), None if wait is None else min(max(wait, 0.0), 60.0))

    def _run_due(self) -> None:
        while self._timers and self._timers[0].at <= self._clock.now():
            action = heapq.heappop(self._timers).action
            if action is None:
                continue
            try:
                action()
            except Exception as error:  # noqa: BLE001 - the boundary of one action; the journal shows the failure
                self._on_error(error)

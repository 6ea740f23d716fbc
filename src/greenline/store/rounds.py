"""Loops of a process that look, again and again, for what is due."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod

import structlog

from greenline.clock import Clock
from greenline.store.objects import StorageFault
from greenline.store.outage import OUTAGE, passes

log = structlog.get_logger(__name__)


class Rounds(ABC):
    """A part of the server that works in rounds. One that raises is recorded, and the next comes all the same."""

    def __init__(self, clock: Clock, name: str, seconds: float) -> None:
        """``name`` is what `/readyz` and the log call it; ``seconds`` lie between two rounds."""
        self._clock = clock
        self._name = name
        self._seconds = seconds
        self._task: asyncio.Task[None] | None = None

    @abstractmethod
    async def round(self) -> bool:
        """Do what is due; whether there may be more, so that the next round comes at once."""

    def start(self) -> None:
        """Begin; the first round comes at once."""
        self._task = asyncio.create_task(self._loop())

    async def stop(self, seconds: float) -> None:
        """End at once: what is due stays due."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def state(self) -> dict[str, bool]:
        """Whether the loop is alive, for `/readyz`."""
        return {self._name: self._task is not None and not self._task.done()}

    async def _loop(self) -> None:
        while True:
            try:
                more = await self.round()
            except StorageFault as error:
                log.error("rounds.storage_away", part=self._name, error=error.reason)
                more = False
            except Exception as error:  # the boundary of a round: recorded, and the next one comes
                if passes(error):
                    OUTAGE.met(error, self._name)
                else:
                    log.exception("rounds.fault", part=self._name)
                more = False
            else:
                OUTAGE.over(self._name)
            if not more:
                await self._clock.sleep(self._seconds)

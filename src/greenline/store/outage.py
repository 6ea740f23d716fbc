"""Errors of the database that pass: it restarts, fails over, or can't be reached for a moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import asyncpg
import structlog

from greenline.errors import Unavailable
from greenline.store.objects import StorageFault

log = structlog.get_logger(__name__)
T = TypeVar("T")

DATABASE_ERRORS: Final = (
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    Unavailable,
)
"""All that a statement can raise, `greenline.store.batch.QueueFull` included; an internal error of asyncpg's, where
the connection breaks in the moment in which it begins."""

REFUSALS: Final = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, asyncpg.ProgramLimitExceededError)
"""What a row itself raises, however often it is written; the last, where a text is too long for an index."""

TOLD_EVERY_SECONDS: Final = 60.0
FIRST_PAUSE_SECONDS: Final = 0.1
MAX_PAUSE_SECONDS: Final = 1.0
_PASSING: Final = ("08", "25006", "40", "53", "55", "57", "58")
"""SQLSTATE classes: connection, read-only after a failover, rolled back, no room, not ready, shut down, system."""


def passes(error: BaseException) -> bool:
    """Whether the same statement may succeed in a moment. Its outcome is unknown.

    What a file or the storage of files raises is nothing of the database's.
    """
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "").startswith(_PASSING)
    if isinstance(error, StorageFault) or (isinstance(error, OSError) and error.filename is not None):
        return False
    return isinstance(error, DATABASE_ERRORS)


class Outage:
    """What the log says of a database that is away: a line when that begins, one a minute, and one when it is over.

    A process has one, `OUTAGE`: all that works in it meets the same, and tries again several times a second.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self.waiting: set[str] = set()
        """Parts that go without the database."""
        self._began = self._told = -TOLD_EVERY_SECONDS

    def met(self, error: BaseException, part: str) -> None:
        """A part of the process that works for ever met ``error``; it calls `over` once it has not."""
        if not self.waiting:
            self._began = self._now()
        self.waiting.add(part)
        self.tell(error, part)

    def over(self, part: str) -> None:
        """The part has its answer from the database."""
        if part in self.waiting:
            self.waiting.discard(part)
            if not self.waiting:
                self._told = -TOLD_EVERY_SECONDS
                log.warning("database.back", seconds=round(self._now() - self._began, 1))

    def tell(self, error: BaseException, part: str) -> None:
        """As `met`, for work that comes to an end, whether it is answered or not."""
        now = self._now()
        if now - self._told >= TOLD_EVERY_SECONDS:
            self._told = now
            seconds = round(now - self._began, 1) if self.waiting else 0.0
            log.warning("database.away", part=part, seconds=seconds, error=f"{type(error).__name__}: {error}")


OUTAGE: Final = Outage()


async def patiently(work: Callable[[], Awaitable[T]], seconds: float) -> T:
    """The answer of ``work``, which is repeated while the database is away and must not mind that.

    Raises what the last attempt raised, after ``seconds``.
    """
    time = asyncio.get_running_loop().time
    deadline, pause = time() + seconds, FIRST_PAUSE_SECONDS
    while True:
        try:
            return await work()
        except DATABASE_ERRORS as error:
            if not passes(error) or time() >= deadline:
                raise
            OUTAGE.tell(error, "patience")
        await asyncio.sleep(pause)
        pause = min(2 * pause, MAX_PAUSE_SECONDS)

"""Errors of the database that pass: it restarts, fails over, or can't be reached for a moment."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import asyncpg
import structlog

from greenline.errors import Unavailable

log = structlog.get_logger(__name__)
T = TypeVar("T")

DATABASE_ERRORS: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, Unavailable)
"""All that a statement can raise, `greenline.store.batch.QueueFull` included."""

REFUSALS: Final = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, asyncpg.ProgramLimitExceededError)
"""What a row itself raises, however often it is written; the last, where a text is too long for an index."""

FIRST_PAUSE_SECONDS: Final = 0.1
MAX_PAUSE_SECONDS: Final = 1.0
_PASSING: Final = ("08", "25006", "40", "53", "55", "57", "58")
"""SQLSTATE classes: connection, read-only after a failover, rolled back, no room, not ready, shut down, system."""


def passes(error: BaseException) -> bool:
    """Whether the same statement may succeed in a moment. Its outcome is unknown."""
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "").startswith(_PASSING)
    return isinstance(error, DATABASE_ERRORS)


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
            log.warning("database.away", error=str(error))
        await asyncio.sleep(pause)
        pause = min(2 * pause, MAX_PAUSE_SECONDS)

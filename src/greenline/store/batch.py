"""Group commit: concurrent writers share one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import asyncpg

from greenline.errors import Unavailable
from greenline.store.outage import REFUSALS

Row = TypeVar("Row")
Result = TypeVar("Result")

_DEADLOCK_RETRIES = 5
_CONFLICTS = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)


async def despite_conflicts(write: Callable[[], Awaitable[Result]]) -> Result:
    """Repeat a transaction that lost a deadlock or a conflict with another: nothing of it was done."""
    for _ in range(_DEADLOCK_RETRIES):
        try:
            return await write()
        except _CONFLICTS:
            continue
    return await write()


class QueueFull(Unavailable):
    """The server has more waiting writes than it can take. Deliver again in a moment."""

    code = "system_busy"


class Batcher(Generic[Row, Result]):
    """Collects rows while a write is under way and writes them together in the next one, without a timer.

    ``write`` takes rows and answers with one result for each, in order, from one transaction. A row that the
    database refuses (`REFUSALS`) fails alone: its batch is halved until it is found. After any other error the
    outcome of the batch is unknown, and every writer in it gets the error.
    """

    def __init__(
        self, write: Callable[[list[Row]], Awaitable[Sequence[Result]]], *, limit: int = 200, depth: int = 20_000
    ) -> None:
        self._write = write
        self._limit = limit
        self._depth = depth
        self._waiting: list[tuple[Row, asyncio.Future[Result]]] = []
        self._task: asyncio.Task[None] | None = None

    async def put(self, row: Row) -> Result:
        """Return when ``row`` is committed. Raises `QueueFull` at once when ``depth`` rows wait."""
        return await self.submit(row)

    def submit(self, row: Row) -> asyncio.Future[Result]:
        """Queue ``row``; the future resolves after its commit. Raises `QueueFull`."""
        if len(self._waiting) >= self._depth:
            raise QueueFull
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((row, future))
        if self._task is None:
            self._task = asyncio.create_task(self._drain())
        return future

    async def aclose(self) -> None:
        """Wait until everything that was queued is written."""
        if self._task is not None:
            await self._task

    async def _drain(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[: self._limit], self._waiting[self._limit :]
                await self._commit(batch)
        finally:
            self._task = None

    async def _commit(self, batch: list[tuple[Row, asyncio.Future[Result]]]) -> None:
        try:
            results = await self._attempt([row for row, _ in batch])
        except REFUSALS as error:
            if len(batch) == 1:
                _fail(batch, error)
            else:
                middle = len(batch) // 2
                await self._commit(batch[:middle])
                await self._commit(batch[middle:])
        except Exception as error:  # noqa: BLE001 - the boundary of a commit: handed to every writer
            _fail(batch, error)
        else:
            for (_, future), result in zip(batch, results, strict=True):
                if not future.done():
                    future.set_result(result)

    async def _attempt(self, rows: list[Row]) -> Sequence[Result]:
        return await despite_conflicts(lambda: self._write(rows))


def _fail(batch: Sequence[tuple[object, asyncio.Future[Result]]], error: BaseException) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)

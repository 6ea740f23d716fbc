"""Reading a stream in a task of its own, so that who waits for it is never held by how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Final, TypeVar

import structlog

log = structlog.get_logger(__name__)

CLOSE_SECONDS: Final = 1.0
"""For a stream to close its connection. One that takes longer is left to itself: somebody waits for an answer."""
_LEFT: Final[set[asyncio.Task[None]]] = set()
"""What is being closed, and may not be waited for any more. The event loop alone would not keep it."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _End:
    error: Exception | None = None


class Reader(AsyncIterator[_T]):
    """What ``stream`` gives, one ahead of who reads it, and what it raises. `aclose` closes both.

    To cancel who reads is enough to stop waiting. A stream whose library loses a cancellation, or never ends its
    cleaning up, would hold whoever reads it directly, whatever time limit they have set.
    """

    def __init__(self, stream: AsyncIterator[_T], name: str) -> None:
        """``name`` tells an operator which stream was left open."""
        self._stream = stream
        self._name = name
        self._read: asyncio.Queue[_T | _End] = asyncio.Queue(1)
        self._over = False
        self._task = asyncio.create_task(self._run())

    async def __anext__(self) -> _T:
        if self._over:
            raise StopAsyncIteration
        item = await self._read.get()
        if not isinstance(item, _End):
            return item
        self._over = True
        raise item.error or StopAsyncIteration

    async def aclose(self) -> None:
        """Close the stream; return when it is closed, or has had its time for that."""
        self._over = True
        self._task.cancel()
        _LEFT.add(self._task)
        self._task.add_done_callback(_LEFT.discard)
        _, left = await asyncio.wait({self._task}, timeout=CLOSE_SECONDS)
        if left:
            log.error("stream.left_open", stream=self._name, seconds=CLOSE_SECONDS)

    async def _run(self) -> None:
        try:
            try:
                async for item in self._stream:
                    if self._over:  # it did not hear that it was cancelled
                        break
                    await self._read.put(item)
            finally:
                if isinstance(self._stream, AsyncGenerator):
                    await self._stream.aclose()
        except Exception as error:  # noqa: BLE001 - between two tasks: it is raised where the stream is read, or logged
            if not self._over:
                await self._read.put(_End(error))
            else:
                log.warning("stream.not_closed", stream=self._name, error=repr(error))
        else:
            if not self._over:
                await self._read.put(_End())

"""Waiting for a condition, never for a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE_SECONDS = 60.0
"""What a machine may take that does much else. A condition that comes true is waited for no longer than it takes."""


async def until(
    condition: Callable[[], Awaitable[T | None]], *, seconds: float = PATIENCE_SECONDS, every: float = 0.02
) -> T:
    """The first true answer of ``condition``, asked ``every`` so many seconds. Raises ``TimeoutError``."""
    async with asyncio.timeout(seconds):
        while not (answer := await condition()):  # noqa: ASYNC110 - the world outside gives no event
            await asyncio.sleep(every)
        return answer


async def eventually(condition: Callable[[], object], *, seconds: float = PATIENCE_SECONDS) -> None:
    """Return when ``condition``, which asks nobody outside of this process, is true. Raises ``TimeoutError``."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is watched gives no event
            await asyncio.sleep(0.01)

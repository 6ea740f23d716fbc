"""A recogniser that only keeps what it is given."""

from __future__ import annotations

from collections.abc import AsyncIterator

from greenline.speech.models import Hint


class Tape:
    """A recogniser that keeps what it is given."""

    provider = "tape"

    def __init__(self) -> None:
        self.pushed = bytearray()

    def push(self, pcm: bytes) -> None:
        self.pushed += pcm

    async def finish(self) -> str:
        return ""

    async def hints(self) -> AsyncIterator[Hint]:
        hints: tuple[Hint, ...] = ()
        for hint in hints:
            yield hint

    async def aclose(self) -> None: ...

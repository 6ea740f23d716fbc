"""PCM as it comes over a network."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator


async def whole_samples(pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """The same sound in pieces of whole samples of 16 bit; half a sample at the end is left out."""
    rest = b""
    async with contextlib.aclosing(pieces):
        async for piece in pieces:
            sound = rest + piece
            whole = len(sound) // 2 * 2
            rest = sound[whole:]
            if whole:
                yield sound[:whole]

"""What a running server knows of its own life: what works in the background, and whether it is about to leave."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol


class Workers(Protocol):
    """A part of the server that works in the background."""

    def start(self) -> None:
        """Begin to work."""
        ...

    async def stop(self, seconds: float) -> None:
        """Take no new work and finish what runs within ``seconds``. May be called again."""
        ...

    def state(self) -> dict[str, bool]:
        """Which of its loops are alive."""
        ...


@dataclass
class Lifecycle:
    """Shared by the process, that drains, and the routes, that tell of it."""

    workers: Sequence[Workers] = field(default=())
    draining: bool = False

    async def drain(self, seconds: float) -> None:
        """Stop the workers within ``seconds``, in the reverse of the order of their start; HTTP goes on.

        A second call, while the first runs or after it, gives what still runs no more time.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (0.0 if self.draining else seconds)
        self.draining = True
        for part in reversed(self.workers):
            await part.stop(max(0.0, deadline - loop.time()))

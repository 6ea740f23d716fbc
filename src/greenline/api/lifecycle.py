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
    """Shared by the process, that drains, and the routes, that tell of it.

    ``sessions`` are parts that people are connected to at this moment: they end first, all at once and in a time of
    their own, while everything else still works for them.
    """

    workers: Sequence[Workers] = field(default=())
    sessions: Sequence[Workers] = field(default=())
    draining: bool = False

    @property
    def parts(self) -> tuple[Workers, ...]:
        """Everything, in the order of the start."""
        return (*self.workers, *self.sessions)

    async def drain(self, seconds: float) -> None:
        """Stop the workers within ``seconds``, in the reverse of the order of their start; HTTP goes on.

        A second call, while the first runs or after it, gives what still runs no more time.
        """
        loop = asyncio.get_running_loop()
        given = 0.0 if self.draining else seconds
        self.draining = True
        await asyncio.gather(*(part.stop(given) for part in self.sessions))
        deadline = loop.time() + given
        for part in reversed(self.workers):
            await part.stop(max(0.0, deadline - loop.time()))

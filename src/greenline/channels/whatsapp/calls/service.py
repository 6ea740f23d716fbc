"""Calls as one part of the server: what it is made of, and how it starts and stops."""

from __future__ import annotations

import secrets
from typing import Final

from greenline.channels.whatsapp.calls.agent import CallAgents
from greenline.channels.whatsapp.calls.handler import CallHandler
from greenline.channels.whatsapp.calls.hang_up import HangUps
from greenline.channels.whatsapp.calls.permission import Permissions
from greenline.channels.whatsapp.calls.run import HANG_UP_SECONDS, CallParts
from greenline.channels.whatsapp.calls.settle import Settlement
from greenline.channels.whatsapp.calls.store import CallStore
from greenline.channels.whatsapp.calls.talk import FAREWELL_SECONDS
from greenline.channels.whatsapp.commit import Committer
from greenline.channels.whatsapp.graph_calls import GraphCalls
from greenline.channels.whatsapp.graph_token import TokenDied
from greenline.clock import Clock
from greenline.settings import Settings
from greenline.store.mailbox import Mailboxes
from greenline.store.pool import Pool
from greenline.store.vault import Vault
from greenline.store.wakeups import Wakeups
from greenline.store.worker import Worker

ABANDONED_SECONDS: Final = 2.0
"""A call that comes while this process leaves, and that no other takes within this time, is rejected at once."""
FULL_SECONDS: Final = 0.5
"""A process without a free line leaves new calls to the others for so long, and rejects what is left."""
WAITING_ROOM: Final = 50
"""Claims beyond the capacity: a call that can't be taken must be claimed to be rejected at once."""


class Calls:
    """Everything of the calls that runs. ``start`` after the store is open, ``stop`` before it closes."""

    def __init__(
        self,
        *,
        pool: Pool,
        wakeups: Wakeups,
        vault: Vault,
        token_died: TokenDied,
        agents: CallAgents,
        clock: Clock,
        settings: Settings,
    ) -> None:
        mailboxes = Mailboxes(pool, lease_seconds=settings.lease_seconds)
        store = CallStore(pool)
        committer = Committer(pool, wakeups, clock)
        self._drain_seconds = settings.call_drain_seconds
        self._graph = GraphCalls(settings, token_died)
        settlement = Settlement(store, mailboxes, committer, HangUps(self._graph, clock), clock, settings.call_prices)
        parts = CallParts(store, mailboxes, self._graph, agents, clock, settings)
        self._handler = CallHandler(pool, vault, parts, Permissions(parts, committer, settlement), settlement)
        self._worker = Worker(
            mailboxes,
            wakeups,
            clock,
            kind="call",
            owner=secrets.token_hex(8),
            handler=self._handler.handle,
            give_up=self._handler.give_up,
            room=settings.call_capacity + WAITING_ROOM,
            patience=lambda: FULL_SECONDS if self._handler.full else 0.0,
        )

    @property
    def active(self) -> int:
        """Calls that this process holds, ringing ones included."""
        return len(self._handler.running)

    def start(self) -> None:
        """Begin to take calls."""
        self._worker.start()

    async def stop(self, seconds: float) -> None:
        """Take no new calls. What runs has ``call_drain_seconds`` to end if that is more, unless ``seconds`` is 0."""
        patience = self._drain_seconds + FAREWELL_SECONDS + HANG_UP_SECONDS
        seconds = max(seconds, patience) if seconds and self.active else seconds
        await self._worker.stop(seconds, abandoned=ABANDONED_SECONDS)
        await self._graph.aclose()

    def state(self) -> dict[str, bool]:
        """Whether it is alive, for `/readyz`."""
        return {"calls": self._worker.running}

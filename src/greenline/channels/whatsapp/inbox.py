"""The inbox: an event is durable before Meta gets its 200, and is kept once however often it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import structlog

from greenline.channels.whatsapp.payload import Event, Poison, parse_envelope
from greenline.channels.whatsapp.throughput import Inflow
from greenline.clock import Clock
from greenline.store.batch import Batcher
from greenline.store.mailbox import ITEMS_PER_CLAIM, read_claim
from greenline.store.outage import REFUSALS
from greenline.store.pool import Pool
from greenline.store.precedence import Delay
from greenline.store.sql import load_sql
from greenline.store.vault import Vault
from greenline.store.worker import Lease, Worker

log = structlog.get_logger(__name__)

ORDERED_KINDS = frozenset({"message", "standby", "user_preferences", "identity"})
"""Events that have a place in the order of a chat; the others are facts, applied in any order."""

NOBODY: Final = Lease("", 0.0, 0)

_sql = load_sql(__package__, "inbox.sql")


class Inbox:
    """Takes webhook bodies. Concurrent requests share one commit.

    ``turns``: the worker of this process, which has the chats that nobody works on claimed by that commit too.
    ``inflow`` is told of each message, for the rate of its number; ``delay`` of each commit.
    """

    def __init__(
        self,
        pool: Pool,
        clock: Clock,
        vault: Vault,
        turns: Worker | None = None,
        inflow: Inflow | None = None,
        delay: Delay | None = None,
        *,
        limit: int = 200,
        depth: int = 20_000,
    ) -> None:
        self._pool = pool
        self._pepper = vault.derive("chat ids").hex()
        self._clock = clock
        self._turns = turns
        self._inflow = inflow or Inflow()
        self._delay = delay or Delay()
        self._batcher: Batcher[Event, None] = Batcher(self._ingest, limit=limit, depth=depth)

    async def accept(self, body: bytes) -> None:
        """Return when every event of ``body`` is durable, or set aside with its bytes.

        Raises `greenline.store.batch.QueueFull`, or a database error when the outcome of the commit is not known:
        the sender must then deliver again, and the unique key absorbs what was kept.
        """
        events = []
        for event in parse_envelope(body):
            if isinstance(event, Poison):
                await self._set_aside(event.reason, event.body)
            else:
                events.append(event)
                if event.kind == "message" and event.phone_number_id is not None:
                    self._inflow.note(event.phone_number_id, self._clock.now())
        commits = [self._batcher.submit(event) for event in events]
        outcomes = await asyncio.gather(*commits, return_exceptions=True)
        for event, outcome in zip(events, outcomes, strict=True):
            if isinstance(outcome, REFUSALS):
                await self._set_aside(f"refused by the database: {outcome}", event.payload.encode(errors="replace"))
            elif isinstance(outcome, BaseException):
                raise outcome

    async def forget_old(self, before: datetime) -> int:
        """Delete events that were done before a moment; returns how many. Meta repeats none older than 7 days.

        What could not be read, and the digests of erased events, are kept as long.
        """
        return int(await self._pool.fetchval(_sql["forget_old"], before))

    async def _set_aside(self, reason: str, body: bytes) -> None:
        log.warning("inbox.set_aside", reason=reason, bytes=len(body))
        await self._pool.execute(_sql["set_aside"], self._clock.now(), reason.replace("\x00", ""), body)

    async def _ingest(self, events: list[Event]) -> Sequence[None]:
        columns = (
            [event.dedupe for event in events],
            [event.kind for event in events],
            [event.phone_number_id for event in events],
            [event.wa_id for event in events],
            [event.bsuid for event in events],
            [event.group_id for event in events],
            [event.payload for event in events],
            [event.kind in ORDERED_KINDS for event in events],
        )
        calls = [event.call_id for event in events]
        lease = self._turns.lease if self._turns else NOBODY
        claiming = (lease.owner, lease.seconds, lease.limit, ITEMS_PER_CLAIM)
        with self._delay.operation(asyncio.get_running_loop().time):
            rows = await self._pool.fetch(_sql["ingest"], *columns, self._clock.now(), calls, self._pepper, *claiming)
        if self._turns is not None:
            self._turns.adopt(read_claim(row) for row in rows if row["id"] is not None)
        return [None] * len(events)

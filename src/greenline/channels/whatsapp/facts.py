"""Applies the events that need no order: statuses of sent messages, news of accounts and templates."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime
from typing import Any, Final

import structlog

from greenline.channels.whatsapp.accounts import apply_account_event
from greenline.channels.whatsapp.delivery import raise_states, read_status, sql
from greenline.checkpoints import checkpoint
from greenline.clock import Clock
from greenline.store.outage import OUTAGE, passes
from greenline.store.pool import Pool, Record
from greenline.store.wakeups import POLL_SECONDS, Wakeups
from greenline.text import clean_data

log = structlog.get_logger(__name__)

FACTS_PER_COMMIT: Final = 100
"""Reading so many keeps the event loop for about 2 ms, in which no webhook is answered."""
GATHER_SECONDS: Final = 0.1
"""Pause between commits: three statuses a message come in a trickle, and one commit serves many. The first one after
a silence is applied at once."""
KINDS: Final = ("status", "account", "template", "number", "errors", "call_permission", "handover", "unknown")


class Facts:
    """One loop in each process; rows are shared out by ``skip locked``."""

    def __init__(self, pool: Pool, wakeups: Wakeups, clock: Clock) -> None:
        self._pool = pool
        self._wake = wakeups.event("facts")
        self._clock = clock
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Whether the loop is alive, for `/readyz`."""
        return self._task is not None and not self._task.done()

    def start(self) -> None:
        """Begin to apply."""
        self._task = asyncio.create_task(self._loop())

    async def stop(self) -> None:
        """Stop after what is under way is rolled back or committed."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def apply_waiting(self, limit: int = FACTS_PER_COMMIT) -> int:
        """Apply one batch; returns its size. All of it is one transaction."""
        now = self._clock.now()
        async with self._pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(sql["claim_facts"], list(KINDS), limit)
            if not rows:
                return 0
            checkpoint("statuses.claimed")
            errors = await self._apply(connection, rows, now)
            await connection.execute(sql["done"], [row["id"] for row in rows], now, errors)
        checkpoint("statuses.applied")
        return len(rows)

    async def _apply(self, connection: Any, rows: list[Record], now: datetime) -> list[str | None]:
        """Apply all at once; where something can't be applied, one by one, so that it fails alone."""
        try:
            async with connection.transaction():
                return await self._apply_together(connection, rows, now)
        except Exception as error:  # the boundary of one fact: recorded, and the others don't wait for it
            if passes(error):
                raise
            if len(rows) == 1:
                log.error("facts.refused", inbox_id=rows[0]["id"], kind=rows[0]["kind"], exc_info=error)
                return [f"{type(error).__name__}: {error}".replace("\x00", "")]
        return [error for row in rows for error in await self._apply(connection, [row], now)]

    async def _apply_together(self, connection: Any, rows: list[Record], now: datetime) -> list[str | None]:
        statuses = [row for row in rows if row["kind"] == "status"]
        await raise_states(connection, [read_status(row["payload"], now) for row in statuses], now)
        return [await self._apply_other(connection, row) for row in rows]

    async def _apply_other(self, connection: Any, row: Record) -> str | None:
        if row["kind"] == "status":
            return None
        if row["kind"] in ("account", "template", "number", "errors"):
            await apply_account_event(connection, row["workspace_id"], row["kind"], clean_data(row["payload"]))
            return None
        log.info("facts.kept", kind=row["kind"], inbox_id=row["id"])
        return "kept, not acted on"

    async def _loop(self) -> None:
        while True:
            self._wake.clear()
            try:
                applied = await self.apply_waiting()
            except Exception as error:  # the boundary of the loop: recorded and tried again
                if passes(error):
                    OUTAGE.met(error, "facts")
                else:
                    log.exception("facts.fault")
                applied = 0
                await asyncio.sleep(POLL_SECONDS)
            else:
                OUTAGE.over("facts")
            if 0 < applied < FACTS_PER_COMMIT:
                await asyncio.sleep(GATHER_SECONDS)
            elif applied == 0:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL_SECONDS):
                        await self._wake.wait()

"""The news that there is work for this process, as Postgres notifies of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import asyncpg
import structlog

from greenline.store.mailbox import CHANNEL
from greenline.store.outage import DATABASE_ERRORS, OUTAGE
from greenline.store.pool import Connection

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.5
"""Delayed work and lost notifications are found within this time."""
KEPT_ALIVE = {"tcp_keepalives_idle": "5", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "2"}
"""Locks of a process whose machine is gone without a word are free after 15 seconds, instead of two hours."""


class Wakeups:
    """One ``LISTEN`` connection of the process, shared by its workers. Wakes only; rows are the truth."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._events: dict[str, asyncio.Event] = {}
        self._holders: dict[str, Callable[[str], bool]] = {}
        self._on_listening: list[Callable[[], None]] = []
        self._locks: list[Callable[[], tuple[int, int]]] = []
        self._stir = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def event(self, kind: str) -> asyncio.Event:
        """The event that is set when work of ``kind`` may be there."""
        return self._events.setdefault(kind, asyncio.Event())

    def held_by(self, kind: str, tell: Callable[[str], bool]) -> None:
        """``tell`` passes news on to the holder of a mailbox of ``kind``; it answers False where there is none."""
        self._holders[kind] = tell

    def on_listening(self, tell: Callable[[], None]) -> None:
        """``tell`` is called whenever the connection has begun to listen: what was notified before went unheard."""
        self._on_listening.append(tell)

    def hold(self, lock: Callable[[], tuple[int, int]]) -> None:
        """Share an advisory lock as long as this process lives and is connected.

        ``lock`` tells its keys, and is asked again whenever a lost connection has been taken up again.
        """
        self._locks.append(lock)
        self._stir.set()

    def tell(self, kind: str, mailbox_id: str) -> None:
        """Tell this process's holder of a mailbox of its news, without the way through the database.

        Where this process does not hold it, whoever may claim it learns of it by the notification.
        """
        if kind in self._holders:
            self._holders[kind](mailbox_id)

    async def start(self) -> None:
        """Begin to listen; a lost connection is taken up again."""
        self._task = asyncio.create_task(self._listen())

    async def aclose(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _listen(self) -> None:
        while True:
            try:
                connection = await asyncpg.connect(self._dsn, server_settings=KEPT_ALIVE)
                try:
                    connection.add_termination_listener(lambda *_: self._stir.set())
                    await connection.add_listener(CHANNEL, self._notified)
                    OUTAGE.over("wakeups")
                    for tell in self._on_listening:
                        tell()
                    await self._hold_locks(connection)
                    log.warning("wakeups.lost")
                finally:
                    connection.terminate()
            except DATABASE_ERRORS as error:
                OUTAGE.met(error, "wakeups")
                await asyncio.sleep(POLL_SECONDS)

    async def _hold_locks(self, connection: Connection) -> None:
        """Take every lock, and those that are added, until the connection is lost."""
        held = 0
        while not connection.is_closed():
            self._stir.clear()
            for lock in self._locks[held:]:
                await connection.execute("select pg_advisory_lock_shared($1, $2)", *lock())
                held += 1
            await self._stir.wait()

    def _notified(self, *args: Any) -> None:
        kind, _, mailbox_id = str(args[-1]).partition(" ")
        if not (mailbox_id and kind in self._holders and self._holders[kind](mailbox_id)):
            self.event(kind).set()

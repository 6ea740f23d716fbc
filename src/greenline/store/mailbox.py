"""Mailboxes: ordered work of many keys, shared by all processes on one Postgres.

A mailbox is claimed by one worker at a time. The claim is a lease that the worker renews, and an epoch: whoever
commits with an older epoch changes nothing. Notifications only wake; the rows are the truth.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from greenline.store.batch import Batcher
from greenline.store.pool import Connection, Pool, Record
from greenline.store.sql import load_sql

CHANNEL = "greenline_work"
ITEMS_PER_CLAIM = 100
"""Events that one turn merges at most: a person who sends more in one breath is answered in several turns."""

_sql = load_sql(__package__, "mailbox.sql")


class LeaseLost(Exception):
    """Another worker has taken the mailbox over; this one must not touch the world any more."""


@dataclass(frozen=True, slots=True)
class Item:
    """A waiting event of the inbox."""

    id: int
    kind: str
    received_at: datetime
    payload: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class Step:
    """The recorded result of one effect of a turn. ``inputs`` are the inbox ids that the turn answers."""

    number: int
    inputs: tuple[int, ...]
    kind: str
    has_effect: bool
    result: Any = field(repr=False)
    at: datetime


@dataclass(slots=True)
class Claim:
    """A mailbox in this worker's hands. ``arrivals`` and ``items`` are those of the last look."""

    mailbox_id: str
    workspace_id: str
    epoch: int
    attempt: int
    arrivals: int
    items: tuple[Item, ...]
    steps: tuple[Step, ...]
    context: Any = field(default=None, repr=False)
    """What the handler of its kind begins with, read with the items (``mailbox_context`` in the database)."""
    arrived: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    """Set by the worker when something came in since the last look."""
    closing: bool = False
    """Set by the worker when the process stops: begin nothing new, finish what runs."""
    lost: bool = False
    """Set by the worker when somebody else has the mailbox, or nobody ever will: it was deleted."""
    returning: bool = False
    """Set when the mailbox is given back: that it is not held any more, before that was heard, is no loss then."""


class Mailboxes:
    """The statements on mailboxes, with group commit where many turns write at once."""

    def __init__(self, pool: Pool, *, lease_seconds: float) -> None:
        self.pool = pool
        self.lease_seconds = lease_seconds
        self._steps: Batcher[dict[str, Any], bool] = Batcher(self._save_steps)

    async def claim(
        self, owner: str, kind: str, now: datetime, limit: int, *, held: Iterable[str] = ()
    ) -> list[Claim]:
        """At most ``limit`` mailboxes of ``kind`` with work due at ``now``, longest due first.

        Those of ``held`` only where they were given back.
        """
        rows = await self.pool.fetch(
            _sql["claim"], owner, kind, now, limit, self.lease_seconds, ITEMS_PER_CLAIM, list(held)
        )
        return [read_claim(row) for row in rows]

    async def hold(self, owner: str, kind: str, mailbox_id: str, workspace_id: str, now: datetime) -> Claim:
        """A new mailbox that ``owner`` holds from its beginning. Raises `LeaseLost` when it is there already.

        May be repeated when its outcome is unknown, where no other hold has the same ``owner``.
        """
        epoch = await self.pool.fetchval(_sql["hold"], mailbox_id, workspace_id, kind, now, owner, self.lease_seconds)
        if epoch is None:
            raise LeaseLost(mailbox_id)
        return Claim(mailbox_id, workspace_id, epoch, attempt=1, arrivals=0, items=(), steps=())

    async def look_again(self, claim: Claim) -> None:
        """Bring ``claim.items`` and ``claim.arrivals`` up to date. Raises `LeaseLost`."""
        claim.arrived.clear()
        row = await self.pool.fetchrow(_sql["pending"], claim.mailbox_id, claim.epoch, ITEMS_PER_CLAIM)
        if row is None:
            raise LeaseLost(claim.mailbox_id)
        claim.arrivals, claim.items = row["arrivals"], _items(row["items"])

    async def arrivals(self, mailbox_ids: Iterable[str]) -> dict[str, int]:
        """The arrival counters of mailboxes."""
        rows = await self.pool.fetch(_sql["arrivals"], list(mailbox_ids))
        return {row["id"]: row["arrivals"] for row in rows}

    async def renew(self, claims: Iterable[Claim]) -> set[str]:
        """Prolong leases; returns the ids that are still held."""
        held = list(claims)
        ids, epochs = [claim.mailbox_id for claim in held], [claim.epoch for claim in held]
        rows = await self.pool.fetch(_sql["renew"], ids, epochs, self.lease_seconds)
        return {row["id"] for row in rows}

    async def release(
        self, claim: Claim, now: datetime, timer: datetime | None = None, rests_until: datetime | None = None
    ) -> None:
        """Give the mailbox back, due at ``timer``, or at once if something came in since the last look.

        ``rests_until``: nobody may claim it before.
        """
        claim.returning = True
        moments = (timer, now, rests_until)
        due = await self.pool.fetchval(_sql["release"], claim.mailbox_id, claim.epoch, claim.arrivals, *moments)
        if due is not None and due <= now:
            claim.arrived.set()

    async def postpone(self, claim: Claim, until: datetime) -> None:
        """Give the mailbox back after a failure; the number of attempts is kept."""
        claim.returning = True
        await self.pool.execute(_sql["postpone"], claim.mailbox_id, claim.epoch, until)

    async def save_step(self, claim: Claim, step: Step) -> None:
        """Record the result of an effect durably. Raises `LeaseLost` when the mailbox was taken over."""
        saved = await self._steps.put(
            {
                "mailbox_id": claim.mailbox_id,
                "epoch": claim.epoch,
                "number": step.number,
                "inputs": step.inputs,
                "kind": step.kind,
                "has_effect": step.has_effect,
                "result": step.result,
                "at": step.at,
            }
        )
        if not saved:
            raise LeaseLost(claim.mailbox_id)

    async def drop_steps(self, claim: Claim) -> None:
        """Forget the steps of a turn that new messages have superseded."""
        await self.pool.execute(_sql["drop_steps"], claim.mailbox_id, claim.epoch)

    async def _save_steps(self, rows: list[dict[str, Any]]) -> list[bool]:
        saved = await self.pool.fetch(_sql["save_steps"], rows)
        keys = {(row["mailbox_id"], row["epoch"], row["number"]) for row in saved}
        return [(row["mailbox_id"], row["epoch"], row["number"]) in keys for row in rows]


async def ring(
    connection: Connection | Pool, *, mailbox_id: str, workspace_id: str, kind: str, due_at: datetime
) -> None:
    """Give a mailbox work from outside of a turn, in the caller's transaction, and wake a worker after it."""
    await connection.execute(_sql["ring"], mailbox_id, workspace_id, kind, due_at)
    await connection.execute(_sql["notify"], kind)


def read_claim(row: Record) -> Claim:
    """A row of the statement ``claim``, or of another that claims mailboxes on its way."""
    return Claim(
        mailbox_id=row["id"],
        workspace_id=row["workspace_id"],
        epoch=row["epoch"],
        attempt=row["attempt"],
        arrivals=row["arrivals"],
        items=_items(row["items"]),
        steps=tuple(
            Step(
                number=step["number"],
                inputs=tuple(step["inputs"]),
                kind=step["kind"],
                has_effect=step["has_effect"],
                result=step["result"],
                at=datetime.fromisoformat(step["at"]),
            )
            for step in row["steps"] or ()
        ),
        context=row["context"],
    )


def _items(rows: list[dict[str, Any]] | None) -> tuple[Item, ...]:
    return tuple(
        Item(row["id"], row["kind"], datetime.fromisoformat(row["received_at"]), row["payload"]) for row in rows or ()
    )

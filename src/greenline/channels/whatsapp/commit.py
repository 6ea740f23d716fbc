"""The one transaction that ends a turn: journal, conversation, outbox, inbox and mailbox, all or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from greenline.agents.models import AgentVersion
from greenline.channels.whatsapp.compose import Composed
from greenline.channels.whatsapp.held_number import Booking
from greenline.checkpoints import checkpoint
from greenline.clock import Clock
from greenline.conversations.events import Event, dump_event
from greenline.conversations.projection import Projection, fold
from greenline.engine.figures import TURNS, CameTo
from greenline.ids import derived_id
from greenline.store.batch import Batcher, QueueFull
from greenline.store.mailbox import Claim, LeaseLost
from greenline.store.pool import Pool
from greenline.store.sql import load_sql
from greenline.store.wakeups import Wakeups
from greenline.tools.initiation_webhook import Brought

sql = load_sql(__package__, "turns.sql")


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """A message for the outbox. ``chat_id``: whom it is for, where that is not the chat of the turn's mailbox."""

    id: str
    phone_number_id: str
    conversation_id: str
    message: Composed
    chat_id: str | None = None

    @property
    def fallback_ids(self) -> tuple[str, ...]:
        """The ids of the messages that may have to take its place: the same, however often it fails."""
        return tuple(derived_id("out", self.id, place) for place in range(len(self.message.fallback)))

    @property
    def fallback(self) -> list[dict[str, Any]] | None:
        """Those messages, for the outbox."""
        if not self.message.fallback:
            return None
        return [
            {"id": fallback_id, "kind": message.kind, "body": message.body}
            for fallback_id, message in zip(self.fallback_ids, self.message.fallback, strict=True)
        ]


@dataclass(slots=True)
class TurnCommit:
    """What a turn changes. Built up while it runs, written once."""

    claim: Claim
    now: datetime
    arrivals: int = field(init=False)
    timer_at: datetime | None = None
    chat: dict[str, Any] = field(default_factory=dict)
    done: dict[int, str | None] = field(default_factory=dict)
    conversations: dict[str, Projection] = field(default_factory=dict)
    events: list[tuple[str, Event]] = field(default_factory=list)
    files: list[dict[str, Any]] = field(default_factory=list)
    outbox: list[QueuedMessage] = field(default_factory=list)
    person: dict[str, Any] = field(default_factory=dict)
    """How the chat's person is reached and paced, as the turn found it: for `Sender.book`."""
    booking: Booking | None = None
    came_to: CameTo | None = None
    """What the agent's turn came to, if it was its turn."""
    versions: dict[str, AgentVersion] = field(default_factory=dict, repr=False)
    """Agents that the turn has read, so that it reads each once."""
    brought: dict[str, Brought] = field(default_factory=dict, repr=False)
    """Start data of conversations that may begin, by id: a turn that begins anew asks for none again."""

    def __post_init__(self) -> None:
        # What is looked up later in the turn may be newer than what the turn answers: it stays due.
        self.arrivals = self.claim.arrivals

    def record(self, conversation: Projection, *events: Event) -> Projection:
        """Add ``events`` to the journal of ``conversation``; returns it as it is after them."""
        after = fold(self.conversations.get(conversation.id, conversation), events, self.now)
        self.conversations[conversation.id] = after
        self.events.extend((conversation.id, event) for event in events)
        return after

    def row(self) -> dict[str, Any]:
        """As the statement ``commit`` takes it."""
        counts: dict[str, int] = {}
        for conversation_id, _ in self.events:
            counts[conversation_id] = counts.get(conversation_id, 0) + 1
        return {
            "mailbox_id": self.claim.mailbox_id,
            "workspace_id": self.claim.workspace_id,
            "epoch": self.claim.epoch,
            "arrivals": self.arrivals,
            "timer_at": self.timer_at,
            "chat": self.chat or None,
            "done": [{"id": item_id, "error": error} for item_id, error in self.done.items()],
            "conversations": [
                {**conversation.columns(), "events": counts.get(conversation.id, 0)}
                for conversation in self.conversations.values()
            ],
            "events": [
                {"conversation_id": conversation_id, "at": self.now, "kind": event.kind, "data": dump_event(event)}
                for conversation_id, event in self.events
            ],
            "files": self.files,
            "outbox": [
                {
                    "id": queued.id,
                    "phone_number_id": queued.phone_number_id,
                    "chat_id": queued.chat_id or self.claim.mailbox_id,
                    "conversation_id": queued.conversation_id,
                    "kind": queued.message.kind,
                    "body": queued.message.body,
                    "fallback": queued.fallback,
                }
                for queued in self.outbox
            ],
            "booking": self.booking.row if self.booking else None,
        }

    def head(self) -> tuple[str, dict[str, Any]] | None:
        """The number and, as a row of ``heads``, the first message to the turn's own chat."""
        queued = next((queued for queued in self.outbox if queued.chat_id is None), None)
        if queued is None or not self.person:
            return None
        told = {name: value for name, value in self.chat.items() if name in self.person}
        before, after = self.person["last_user_message_at"], told.get("last_user_message_at")
        if before and after:
            told["last_user_message_at"] = max(before, after)
        head = {"id": queued.id, "kind": queued.message.kind, "body": queued.message.body}
        new = {"chat_id": self.claim.mailbox_id, "state": "queued", "attempt": 0, "unknown_outcomes": 0}
        times = {"created_at": self.now, "due_at": self.now}
        return queued.phone_number_id, {**self.person, **told, **head, **new, **times}


Book = Callable[[str, Mapping[str, Any]], Booking | None]
"""`Sender.book`."""


class Committer:
    """Writes turn commits in groups. With ``book`` the first message of a turn may leave with its commit."""

    def __init__(self, pool: Pool, wakeups: Wakeups, clock: Clock, book: Book | None = None) -> None:
        self._pool = pool
        self._wakeups = wakeups
        self._clock = clock
        self._book = book
        self._batcher: Batcher[TurnCommit, _Written | None] = Batcher(self._write, limit=100)

    async def commit(self, turn: TurnCommit) -> None:
        """Return when ``turn`` is durable. Raises `LeaseLost` when another worker has the mailbox."""
        checkpoint("turn.finishing")
        turn.claim.returning = True
        head = turn.head() if self._book else None
        turn.booking = self._book(*head) if self._book and head else None
        try:
            writing = self._batcher.submit(turn)
        except QueueFull:
            if turn.booking is not None:
                turn.booking.settle(leaves=False)
            raise
        if turn.booking is not None:
            writing.add_done_callback(partial(_settle, turn.booking))
        written = await asyncio.shield(writing)  # whoever cancels the turn can't take back what is being written
        if written is None:
            raise LeaseLost(turn.claim.mailbox_id)
        checkpoint("turn.finished")
        if turn.came_to is not None:
            TURNS.labels(turn.came_to).inc()
        if written.has_more or (turn.timer_at is not None and turn.timer_at <= turn.now):
            turn.claim.arrived.set()
        gone = turn.booking.row["id"] if turn.booking and written.leaves else None
        for phone_number_id in {queued.phone_number_id for queued in turn.outbox if queued.id != gone}:
            self._wakeups.tell("sender", f"sender:{phone_number_id}")

    async def _write(self, turns: list[TurnCommit]) -> Sequence[_Written | None]:
        rows = await self._pool.fetch(sql["commit"], [turn.row() for turn in turns], self._clock.now())
        written = {(row["mailbox_id"], row["epoch"]): _Written(row["has_more"], row["leaves"]) for row in rows}
        return [written.get((turn.claim.mailbox_id, turn.claim.epoch)) for turn in turns]


@dataclass(frozen=True, slots=True)
class _Written:
    """``has_more``: something came in during the turn. ``leaves``: the booked message is marked as leaving."""

    has_more: bool
    leaves: bool


def _settle(booking: Booking, writing: asyncio.Future[_Written | None]) -> None:
    written = None if writing.cancelled() or writing.exception() is not None else writing.result()
    booking.settle(leaves=written is not None and written.leaves)

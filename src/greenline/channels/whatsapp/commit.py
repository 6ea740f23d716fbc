"""The one transaction that ends a turn: journal, conversation, outbox, inbox and mailbox, all or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from greenline.agents.models import AgentVersion
from greenline.channels.whatsapp.compose import Composed
from greenline.checkpoints import checkpoint
from greenline.clock import Clock
from greenline.conversations.events import Event, dump_event
from greenline.conversations.projection import Projection, fold
from greenline.store.batch import Batcher
from greenline.store.mailbox import Claim, LeaseLost
from greenline.store.pool import Pool
from greenline.store.sql import load_sql
from greenline.store.worker import Wakeups

sql = load_sql(__package__, "turns.sql")


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """A message for the outbox. ``chat_id``: whom it is for, where that is not the chat of the turn's mailbox."""

    id: str
    phone_number_id: str
    conversation_id: str
    message: Composed
    chat_id: str | None = None


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
    versions: dict[str, AgentVersion] = field(default_factory=dict, repr=False)
    """Agents that the turn has read, so that it reads each once."""

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
                {**asdict(conversation), "events": counts.get(conversation.id, 0)}
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
                }
                for queued in self.outbox
            ],
        }


class Committer:
    """Writes turn commits in groups."""

    def __init__(self, pool: Pool, wakeups: Wakeups, clock: Clock) -> None:
        self._pool = pool
        self._wakeups = wakeups
        self._clock = clock
        self._batcher: Batcher[TurnCommit, bool | None] = Batcher(self._write, limit=100)

    async def commit(self, turn: TurnCommit) -> None:
        """Return when ``turn`` is durable. Raises `LeaseLost` when another worker has the mailbox."""
        checkpoint("turn.finishing")
        has_more = await self._batcher.put(turn)
        if has_more is None:
            raise LeaseLost(turn.claim.mailbox_id)
        checkpoint("turn.finished")
        if has_more or (turn.timer_at is not None and turn.timer_at <= turn.now):
            turn.claim.arrived.set()
        for phone_number_id in {queued.phone_number_id for queued in turn.outbox}:
            self._wakeups.tell("sender", f"sender:{phone_number_id}")

    async def _write(self, turns: list[TurnCommit]) -> Sequence[bool | None]:
        rows = await self._pool.fetch(sql["commit"], [turn.row() for turn in turns], self._clock.now())
        more = {row["mailbox_id"]: bool(row["has_more"]) for row in rows}
        return [more.get(turn.claim.mailbox_id) for turn in turns]

"""What a turn of a chat takes out of its mailbox, and what it keeps of that before anything is answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from greenline.channels.whatsapp.chat import Chat
from greenline.channels.whatsapp.commit import TurnCommit
from greenline.channels.whatsapp.inbound import (
    UNKNOWN_TIME,
    InboundMessage,
    read_identity,
    read_message,
    read_preference,
)
from greenline.channels.whatsapp.people import numbers_gone
from greenline.store.mailbox import ITEMS_PER_CLAIM, Claim, Item


@dataclass(frozen=True, slots=True)
class Batch:
    """What a turn answers: all that waits, or exactly what a resumed turn had begun to answer."""

    messages: tuple[tuple[Item, InboundMessage], ...]
    others: tuple[Item, ...]
    leaves_more: bool
    begun: tuple[int, ...] | None = None

    @property
    def inputs(self) -> tuple[int, ...]:
        """The inbox ids by which the turn is known: of the messages, or of what else brought it about."""
        if self.begun is not None:
            return self.begun
        return tuple(item.id for item, _ in self.messages) or tuple(item.id for item in self.others)


def read_batch(claim: Claim) -> Batch:
    """Of a turn that was begun before, what it was begun with."""
    begun = claim.steps[0].inputs if claim.steps else None
    messages, others = [], []
    for item in claim.items:
        if item.kind != "message":
            others.append(item)
        elif begun is None or item.id in begun:
            messages.append((item, read_message(item.payload)))
    taken = len(messages) + len(others)
    leaves_more = taken < len(claim.items) or len(claim.items) >= ITEMS_PER_CLAIM
    return Batch(tuple(messages), tuple(others), leaves_more, begun)


def is_plain(message: InboundMessage) -> bool:
    """Whether it is words alone."""
    return not (message.silent or message.unsupported or message.files or message.is_voice_note)


def note_person(chat: Chat, inbound: Sequence[InboundMessage], commit: TurnCommit) -> None:
    """Keep what the messages tell of the person."""
    for message in inbound:
        told = {
            "profile_name": message.profile_name,
            "username": message.username,
            "wa_id": message.wa_id if message.wa_id != chat.wa_id else None,
            "bsuid": message.bsuid if message.bsuid != chat.bsuid else None,
            "last_inbound_wamid": message.wamid,
        }
        commit.chat.update({name: value for name, value in told.items() if value is not None})
        if message.type == "system" and (gone := numbers_gone(chat.wa_id, message.wa_id)):
            commit.chat["forget"] = gone
        if message.type != "system":  # a changed number is no word of the person
            _open_window(message, commit)


def note_others(items: Sequence[Item], commit: TurnCommit) -> None:
    """Events of a chat that are no message to us."""
    for item in items:
        commit.done[item.id] = None
        if item.kind == "standby":  # a copy for whoever answers instead of us: it opens the window all the same
            _open_window(read_message(item.payload), commit)
        elif item.kind == "user_preferences":
            preference = read_preference(item.payload)
            if preference is not None and preference[1] >= commit.chat.get("marketing_changed_at", preference[1]):
                commit.chat["marketing_stopped"], commit.chat["marketing_changed_at"] = preference
        elif item.kind == "identity" and (bsuid := read_identity(item.payload)):
            commit.chat["bsuid"] = bsuid


def _open_window(message: InboundMessage, commit: TurnCommit) -> None:
    """The person wrote: free messages are allowed for 24 hours from then (not from a future that nobody has seen)."""
    at = commit.now if message.at == UNKNOWN_TIME else min(message.at, commit.now)
    before = commit.chat.get("last_user_message_at")
    commit.chat["last_user_message_at"] = max(before, at) if before else at

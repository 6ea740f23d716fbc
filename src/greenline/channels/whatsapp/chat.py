"""What is known of a chat when a turn begins."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from greenline.channels.whatsapp.commit import TurnCommit, sql
from greenline.conversations.events import Event, Remembered, UserMessage
from greenline.conversations.heard import Heard
from greenline.conversations.journal import read_event
from greenline.conversations.projection import Projection, read_projection
from greenline.engine.language import switched_to
from greenline.settings import Settings
from greenline.store.pool import Pool


@dataclass(frozen=True, slots=True)
class Chat:
    """A person on a number, the number's switches, and the conversations that are open between them."""

    id: str
    workspace_id: str
    phone_number_id: str
    wa_id: str | None
    bsuid: str | None
    profile_name: str | None
    unsupported_told_in: str | None
    group_id: str | None
    last_user_message_at: datetime | None
    pair_clock: datetime | None
    """Up to when the rate of the pair is used up (see `greenline.channels.whatsapp.pacing`)."""
    assigned_agent_id: str | None
    enable_messaging: bool
    enable_typing_indicator: bool
    enable_audio_message_response: bool
    is_token_expired: bool
    sealed_token: bytes = field(repr=False)
    open: tuple[Projection, ...] = ()
    """Newest first."""
    journal: tuple[Event, ...] = field(default=(), repr=False)
    """Of the newest open conversation."""
    version: Mapping[str, Any] | None = field(default=None, repr=False)
    """The row of the newest open conversation's agent version, for `greenline.agents.versions.to_version`."""
    joined_to: str | None = None
    """The chat in which all of this one is now."""
    call_mailbox_id: str | None = None
    """Of the call in which the person and the agent speak now."""

    @property
    def person(self) -> dict[str, Any]:
        """How the person is reached and paced: what a row of ``heads`` has of the chat."""
        names = ("wa_id", "bsuid", "group_id", "last_user_message_at", "pair_clock")
        return {name: getattr(self, name) for name in names}

    def language_of(self, conversation: Projection) -> str | None:
        """The language to which an open conversation has switched; of older ones nothing is known."""
        newest = self.open[0].id if self.open else None
        return switched_to(self.journal) if conversation.id == newest else None

    def so_far(self, conversation: Projection, commit: TurnCommit) -> tuple[Event, ...]:
        """A conversation by its journal, and what the turn of ``commit`` adds to it."""
        newest = self.open[0].id if self.open else None
        added = (event for owner, event in commit.events if owner == conversation.id)
        return (*(self.journal if conversation.id == newest else ()), *added)

    @property
    def user_id(self) -> str:
        """The person as ``user_id`` and ``whatsapp_user_id`` name them: digits, or the BSUID without a number."""
        return self.wa_id or self.bsuid or self.id.split(":", 1)[-1]


async def load_chat(pool: Pool, workspace_id: str, chat_id: str) -> Chat | None:
    """The chat with its open conversations; None when its account was removed."""
    return read_chat(await pool.fetchval(sql["load"], workspace_id, chat_id))


def read_chat(data: Mapping[str, Any] | None) -> Chat | None:
    """The chat of what ``whatsapp_turn`` in the database answers."""
    if data is None:
        return None
    chat = data["chat"]
    events = (read_event(entry["kind"], entry["data"]) for entry in data["journal"] or ())
    return Chat(
        id=chat["id"],
        workspace_id=chat["workspace_id"],
        phone_number_id=chat["phone_number_id"],
        wa_id=chat["wa_id"],
        bsuid=chat["bsuid"],
        profile_name=chat["profile_name"],
        unsupported_told_in=chat["unsupported_told_in"],
        group_id=chat["group_id"],
        last_user_message_at=_moment(chat["last_user_message_at"]),
        pair_clock=_moment(chat["pair_clock"]),
        assigned_agent_id=data["assigned_agent_id"],
        enable_messaging=data["enable_messaging"],
        enable_typing_indicator=data["enable_typing_indicator"],
        enable_audio_message_response=data["enable_audio_message_response"],
        is_token_expired=data["is_token_expired"],
        sealed_token=b64decode(data["token"]),
        open=tuple(read_projection(row) for row in data["conversations"] or ()),
        journal=tuple(event for event in events if event is not None),
        version=data["version"],
        joined_to=chat["joined_to"],
        call_mailbox_id=data["call_mailbox_id"],
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


async def thread(
    pool: Pool, chat: Chat, settings: Settings, now: datetime, *, but: str | None = None
) -> tuple[str | None, tuple[Remembered, ...]]:
    """The summary and the last messages of the chat's conversations, oldest first, as settings allow.

    ``but`` is the conversation that is to remember the others. Of what was cut short is remembered what was heard.
    """
    if settings.thread_memory == "forget":
        return None, ()
    since = now - timedelta(days=settings.thread_max_age_days)
    rows = await pool.fetch(sql["remembered"], chat.workspace_id, chat.id, since, settings.thread_exchanges, but)
    if not rows:
        return None, ()
    summary = await pool.fetchval(sql["last_summary"], chat.workspace_id, chat.id, since)
    read = ((row["conversation_id"], row["at"], read_event(row["kind"], row["data"])) for row in rows)
    said = [(conversation_id, at, event) for conversation_id, at, event in read if event is not None]
    # The calls of tools have ids that are unique in their conversation only.
    heard = {
        conversation_id: Heard(event for place, _, event in said if place == conversation_id)
        for conversation_id in {place for place, _, _ in said}
    }
    remembered = (
        Remembered(role="user" if isinstance(event, UserMessage) else "agent", text=text, at=at)
        for conversation_id, at, event in said
        if (text := heard[conversation_id].text(event))
    )
    return summary, tuple(remembered)


async def quoted_text(pool: Pool, chat: Chat, wamid: str) -> str | None:
    """What was said in the message ``wamid`` of this chat."""
    text: str | None = await pool.fetchval(sql["quoted"], chat.workspace_id, chat.id, wamid)
    return text

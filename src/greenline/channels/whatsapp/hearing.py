"""What a person said on WhatsApp as events of the journal: quotes looked up, files kept, voice notes heard."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from greenline.channels.whatsapp.chat import Chat, quoted_text
from greenline.channels.whatsapp.commit import TurnCommit
from greenline.channels.whatsapp.dialogue import Dialogue
from greenline.channels.whatsapp.files import Fetched, FetchedFile, FileFetcher
from greenline.channels.whatsapp.inbound import InboundMessage
from greenline.channels.whatsapp.voice_notes import VoiceNotes
from greenline.conversations.events import Event, Noted, UserMessage
from greenline.engine.files import Room
from greenline.ids import new_id
from greenline.llm.models import FilePart
from greenline.store.pool import Pool


class Hearing:
    """Reads the messages of a turn. Writes only into the `TurnCommit` that it is given."""

    def __init__(self, pool: Pool, files: FileFetcher, voice_notes: VoiceNotes) -> None:
        self._pool = pool
        self._files = files
        self._voice_notes = voice_notes

    async def hear(
        self, chat: Chat, dialogue: Dialogue, inbound: Sequence[InboundMessage], commit: TurnCommit
    ) -> tuple[Event, ...]:
        """The events of ``inbound``; their files are fetched and kept, for the model too where it takes them."""
        events: list[Event] = []
        for message in inbound:
            written = as_written(message, commit.now)
            if isinstance(written, UserMessage):
                written = await self._message(chat, dialogue, message, written, commit)
            events.append(written)
        await self._recall(chat, dialogue)
        return tuple(events)

    async def _message(
        self, chat: Chat, dialogue: Dialogue, message: InboundMessage, written: UserMessage, commit: TurnCommit
    ) -> UserMessage:
        fetched = await self._fetch(chat, dialogue, message)
        text, label, recogniser = message.text, "", ""
        if message.medium == "audio":
            for file in fetched.files:  # there is one
                text, label, recogniser = await self._words(dialogue, message, file)
        else:
            dialogue.files |= {file.id: file.part for file in fetched.files}
        commit.files.extend(file.row for file in fetched.files if file.row is not None)
        if message.quoted_wamid and (quoted := await quoted_text(self._pool, chat, message.quoted_wamid)):
            text = f"[In reply to: “{_short(quoted)}”]\n{text}"
        # A picture that could not be kept is shown to the model all the same, by its id.
        file_ids = tuple(file.id for file in fetched.files if file.row is not None or message.medium != "audio")
        update = {"text": "\n".join([text, *fetched.remarks]), "file_ids": file_ids, "label": label}
        return written.model_copy(update={**update, "recogniser": recogniser})

    async def _words(self, dialogue: Dialogue, message: InboundMessage, file: FetchedFile) -> tuple[str, str, str]:
        """What was said, the label under which the model is told of it, and who heard it."""
        heard = await self._voice_notes.hear(file, dialogue.config, dialogue.usage)
        if heard is not None and file.row is not None:
            file.row["seconds"] = heard.seconds
        if heard is None:
            return f"{message.text[:-1]}, which could not be listened to]", "", ""
        words = heard.text.strip()
        if not words:
            return f"{message.text[:-1]}, in which no words could be understood]", "", heard.provider
        lead, _, label = message.text.rpartition("\n")
        return f"{lead}\n{words}" if lead else words, label, heard.provider

    async def _fetch(self, chat: Chat, dialogue: Dialogue, message: InboundMessage) -> Fetched:
        """The files of a message, as far as the agent takes files; what is spoken is no file to it."""
        limits = dialogue.config.conversation.file_input
        kept = len(dialogue.files) + len(_earlier(dialogue))
        most = limits.max_files_per_conversation
        full = not limits.enabled or (most is not None and kept + len(message.files) > most)
        if message.files and message.medium != "audio" and full:
            return Fetched(remarks=("[The file was not opened: this agent takes no more files.]",))
        may_keep = message.medium != "audio" or dialogue.keeps_voice
        return await self._files.fetch(chat, dialogue.conversation.id, message, may_keep=may_keep)

    async def _recall(self, chat: Chat, dialogue: Dialogue) -> None:
        """The newest files of earlier messages, as many as the agent keeps in mind, and the names of the others."""
        room = Room(dialogue.config.conversation.file_input.max_files_in_memory)
        for new in dialogue.files.values():
            room.takes(len(new.data) if isinstance(new, FilePart) else 0)
        earlier = _earlier(dialogue)
        if earlier:
            dialogue.files |= await self._files.recall(chat, dialogue.conversation.id, earlier, room)


def as_written(message: InboundMessage, now: datetime) -> UserMessage | Noted:
    """A message as an event of the journal, before its files are fetched and its quote is looked up."""
    if message.silent:
        return Noted(what=message.type, detail={"text": message.text})
    return UserMessage(
        id=new_id("msg"),
        text=message.text,
        medium=message.medium,
        type=message.type,
        wamid=message.wamid,
        sent_at=message.at,
        received_at=now,
    )


def _earlier(dialogue: Dialogue) -> list[str]:
    said = (event for event in dialogue.journal if isinstance(event, UserMessage) and event.medium != "audio")
    return [file_id for event in said for file_id in event.file_ids]


def _short(text: str, limit: int = 200) -> str:
    return text if len(text) <= limit else f"{text[:limit].rstrip()}…"

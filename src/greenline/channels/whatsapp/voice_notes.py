"""Voice notes: a person's is heard before the turn, the agent's answer is spoken after it.

Hearing and speaking fail softly. What can't be understood is told to the model in words, what can't be spoken goes
out as text.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import structlog

from greenline.agents.config import ConversationConfig
from greenline.agents.speech import recognition_of, voice_of, voices_of
from greenline.channels.whatsapp.chat import Chat
from greenline.channels.whatsapp.compose import NoteToSend
from greenline.channels.whatsapp.files import FetchedFile, FileFetcher
from greenline.channels.whatsapp.graph import GraphClient
from greenline.channels.whatsapp.graph_errors import GraphError
from greenline.channels.whatsapp.graph_token import open_token
from greenline.conversations.events import Voiced
from greenline.engine.turn import Spoken
from greenline.ids import derived_id
from greenline.llm.models import FilePart
from greenline.settings import Settings
from greenline.speech.aloud import needs_reading, speakable
from greenline.speech.errors import SpeechError
from greenline.speech.labels import spans
from greenline.speech.models import Speech, Transcript, Voice
from greenline.speech.notes import NOTE_BYTES, VoiceNote, encode_note
from greenline.speech.resample import Resampler
from greenline.speech.sentences import passages
from greenline.speech.usage import SpeechUsage
from greenline.store.vault import Vault
from greenline.tools.models import Text

log = structlog.get_logger(__name__)

HEARD_KEPT: Final = 200
"""Transcripts that are kept for a turn that begins anew because a fragment followed."""
FILENAME: Final = "answer.ogg"


@dataclass(frozen=True, slots=True)
class SpokenNote:
    """An answer that was spoken: the message to send, the events that it says, and the file if it is kept.

    ``voice_id`` and ``synthesiser`` are those that began.
    """

    to_send: NoteToSend
    event_ids: tuple[str, ...]
    voice_id: str
    synthesiser: str
    file: FetchedFile | None = field(default=None, repr=False)

    @property
    def voiced(self) -> tuple[Voiced, ...]:
        """By whom it was spoken, for the journal."""
        return tuple(
            Voiced(message_id=name, voice_id=self.voice_id, synthesiser=self.synthesiser) for name in self.event_ids
        )


class VoiceNotes:
    """Hears and speaks for chats."""

    def __init__(
        self, graph: GraphClient, vault: Vault, files: FileFetcher, speech: Speech, settings: Settings
    ) -> None:
        self._graph = graph
        self._vault = vault
        self._files = files
        self._speech = speech
        self._text_beside = settings.voice_note_text
        self._heard: OrderedDict[str, tuple[Transcript, SpeechUsage]] = OrderedDict()

    async def hear(self, file: FetchedFile, config: ConversationConfig, usage: SpeechUsage) -> Transcript | None:
        """What a voice note says; None when nobody could hear it. Never raises `SpeechError`.

        ``usage`` counts what it took, also where it was heard for a turn that began anew: only one is committed.
        """
        if file.id not in self._heard:
            used = SpeechUsage()
            options = replace(recognition_of(config), usage=used)
            try:
                recogniser = self._speech.recogniser(options)
                transcript = await recogniser.transcribe(file.part.data, file.part.mime_type, options)
            except SpeechError as error:
                log.warning("voice_note.not_heard", file_id=file.id, error=str(error))
                return None
            self._heard[file.id] = transcript, used
            while len(self._heard) > HEARD_KEPT:
                self._heard.popitem(last=False)
        transcript, used = self._heard[file.id]
        usage.add(used)
        return transcript

    async def speak(
        self,
        chat: Chat,
        conversation_id: str,
        config: ConversationConfig,
        spoken: Sequence[Spoken],
        *,
        labels: Collection[str],
        usage: SpeechUsage,
        may_keep: bool,
    ) -> SpokenNote | None:
        """The texts of an answer as a voice note at Meta; None when there is nothing to speak, or it failed.

        ``labels`` are those of the agent's further voices, in all of its languages. ``usage`` counts what was spoken.
        """
        texts = [piece for piece in spoken if isinstance(piece.say, Text)]
        text = "\n".join(piece.say.text for piece in texts)
        aloud = list(_aloud(text, config, labels, usage))
        if not aloud:
            return None
        try:
            note, synthesiser = await self._synthesise(aloud)
            if len(note.data) > NOTE_BYTES:
                log.info("voice_note.too_long", conversation_id=conversation_id, seconds=round(note.seconds))
                return None
            token = open_token(self._vault, chat.workspace_id, chat.phone_number_id, chat.sealed_token)
            media_id = await self._graph.upload_media(
                chat.phone_number_id, token, note.data, mime_type=note.mime_type, filename=FILENAME
            )
        except (SpeechError, GraphError) as error:
            log.warning("voice_note.not_spoken", conversation_id=conversation_id, error=str(error))
            return None
        event_ids = tuple(piece.event_id for piece in texts)
        file = None
        if may_keep:
            part = FilePart("audio/ogg", FILENAME, note.data)
            file_id = derived_id("file", conversation_id, *event_ids)
            file = await self._files.keep(chat, conversation_id, file_id, part, note.seconds)
        _, voice = aloud[0]
        return SpokenNote(NoteToSend(media_id, self._says_all(text)), event_ids, voice.voice_id, synthesiser, file)

    async def _synthesise(self, aloud: Sequence[tuple[str, Voice]]) -> tuple[VoiceNote, str]:
        """The note, and who began to speak it.

        One after the other: a provider takes only so much text at once. The rate is that of the first voice.
        """
        _, first = aloud[0]
        rate = self._speech.synthesiser(first).rate
        pcm, spoken_by = bytearray(), ""
        for words, voice in aloud:
            synthesiser = self._speech.synthesiser(voice)
            resampler = Resampler(synthesiser.rate, rate)
            async for chunk in synthesiser.say(words, voice):
                pcm += resampler.push(chunk.pcm)
                spoken_by = spoken_by or chunk.provider or synthesiser.name
            pcm += resampler.flush()
        return await asyncio.to_thread(encode_note, bytes(pcm), rate), spoken_by

    def _says_all(self, text: str) -> bool:
        if self._text_beside == "always":
            return False
        return self._text_beside == "never" or not needs_reading(text)


def _aloud(
    text: str, config: ConversationConfig, labels: Collection[str], usage: SpeechUsage
) -> Iterator[tuple[str, Voice]]:
    """What is spoken, in passages, and by whom: labels in the text name further voices of the agent."""
    own, others = voice_of(config), voices_of(config)
    for span in spans(text, labels):
        voice = replace(others.get(span.label or "", own), usage=usage)
        for passage in passages(speakable(span.text)):
            yield passage.strip(), voice

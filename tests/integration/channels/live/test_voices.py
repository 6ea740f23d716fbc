"""Agents with several voices: each speaks what the model wrote for it, and nobody sees how the model does that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from greenline.channels.live.models import (
    AgentResponse,
    Interruption,
    ResponseComplete,
    ResponseCorrection,
    ResponsePart,
)
from greenline.conversations.events import AgentInterrupted, AgentMessage, PartsBegan
from greenline.llm.models import ModelReply, ModelRequest, StreamEvent, TextDelta
from support.live import Opens, Room, told_of
from support.spoken import SpokenSpeech, ask, voice
from support.wait import eventually

VOICES = {
    "voice_id": "alba",
    "supported_voices": [
        {"label": "Joe", "voice_id": "joe", "description": "an old sailor"},
        {"label": "Eva", "voice_id": "eva", "language": "de"},
    ],
}


@dataclass
class StreamingModel:
    """Writes ``pieces``, and ``later`` once ``released``."""

    pieces: Sequence[str]
    later: Sequence[str] = ()
    released: asyncio.Event = field(default_factory=asyncio.Event)
    requests: list[ModelRequest] = field(default_factory=list)

    async def complete(self, request: ModelRequest) -> ModelReply:
        raise AssertionError("a conversation by voice streams")

    async def stream(self, request: ModelRequest) -> AsyncIterator[StreamEvent]:
        self.requests.append(request)
        for piece in self.pieces:
            yield TextDelta(piece)
        if self.later:
            await self.released.wait()
        for piece in self.later:
            yield TextDelta(piece)
        yield ModelReply(request.model, "".join((*self.pieces, *self.later)))


def spoken(speech: SpokenSpeech) -> list[tuple[str, str]]:
    return [(voice.voice_id, text) for voice, text in zip(speech.voices, speech.said, strict=True)]


async def test_each_voice_speaks_its_words_before_its_label_is_closed(opens: Opens, speech: SpokenSpeech) -> None:
    model = StreamingModel(["He says: <J", "oe>Ahoy! And th"], ["en, go.</Joe><Eva>Hallo", ".</Eva> Bye."])
    async with opens({"tts": VOICES}, models=model) as live:
        session, told = await live.begin(Room())
        await ask(session, speech, "Do you sell tea?")
        await eventually(lambda: ("joe", "Ahoy!") in spoken(speech))
        assert not [event for event in told if isinstance(event, AgentResponse)]
        model.released.set()
        await told_of(told, ResponseComplete)
        assert spoken(speech) == [
            ("alba", "He says:"),
            ("joe", "Ahoy!"),
            ("joe", "And then, go."),
            ("eva", "Hallo."),
            ("alba", "Bye."),
        ]
        assert [voice.language for voice in speech.voices] == ["en", "en", "en", "de", "en"]
        assert all(voice.usage is speech.voices[0].usage is not None for voice in speech.voices)
        (answer,) = await told_of(told, AgentResponse)
        assert answer.text == "He says: Ahoy! And then, go. Hallo. Bye."
        assert "".join(event.text for event in told if isinstance(event, ResponsePart)) == answer.text
        assert not [event for event in told if isinstance(event, ResponseCorrection)]
        (message,) = [event for event in await live.journal(session) if isinstance(event, AgentMessage)]
        assert message.text == answer.text
        assert [(part.label, part.text.strip()) for part in message.parts] == [
            (None, "He says:"),
            ("Joe", "Ahoy! And then, go."),
            ("Eva", "Hallo."),
            (None, "Bye."),
        ]
        await ask(session, speech, "And coffee?")
        await told_of(told, ResponseComplete, 2)
        system, *dialogue = model.requests[-1].messages
        assert "<Joe>Hello.</Joe>: Joe (an old sailor); Eva." in system.text
        assert dialogue[1].text == "He says: <Joe>Ahoy! And then, go.</Joe> <Eva>Hallo.</Eva> Bye."


async def test_of_an_answer_by_several_voices_what_was_heard_is_kept(opens: Opens, speech: SpokenSpeech) -> None:
    model = StreamingModel(["I say. <Joe>Ahoy you there!</Joe> So he said."])
    async with opens({"tts": VOICES}, models=model) as live:
        room = Room(at_once=False)
        session, told = await live.begin(room)
        await ask(session, speech, "Do you sell tea?")
        await eventually(lambda: room.seconds >= 1.59)
        room.played = 0.85  # of 0.2 s a word
        voice(session, 0.2)
        await told_of(told, Interruption)
        (correction,) = await told_of(told, ResponseCorrection)
        assert correction.original == "I say. Ahoy you there! So he said."
        assert correction.corrected == "I say. Ahoy you"
        cut = [event for event in await live.journal(session) if isinstance(event, AgentInterrupted)]
        assert [event.heard for event in cut] == ["I say. Ahoy you"]
        await ask(session, speech, "And coffee?")
        await eventually(lambda: len(model.requests) == 2)
        assert model.requests[-1].messages[2].text == "I say. <Joe>Ahoy you</Joe>"


@pytest.mark.parametrize("eager", [False, True], ids=["known", "guessed"])
async def test_when_each_voice_began_is_kept(opens: Opens, speech: SpokenSpeech, eager: bool) -> None:
    """By what is queued before it; also of an answer that was spoken on suspicion and held."""
    model = StreamingModel(["I say. <Joe>Ahoy you there!</Joe> So he said."])
    async with opens({"tts": VOICES}, models=model) as live:
        room = Room(at_once=False)
        session, told = await live.begin(room)
        if eager:
            await ask(session, speech, "Do you sell tea?")
        else:
            session.user_message("Do you sell tea?")
        await eventually(lambda: room.seconds >= 1.59)  # 2, 3 and 3 words of 0.2 s
        room.played = room.seconds
        await told_of(told, ResponseComplete)
        journal = await live.journal(session)
        (message,) = [event for event in journal if isinstance(event, AgentMessage)]
        user, agent = await live.transcript(session)
        assert (
            user.conversation_turn_metrics is None or user.conversation_turn_metrics.convai_asr_provider == "script"
        )
        assert (user.conversation_turn_metrics is not None) == eager
        metrics = agent.conversation_turn_metrics
        assert metrics is not None
        assert (metrics.voice_id, metrics.convai_tts_model) == ("alba", "script")
        assert metrics.convai_asr_provider == ("script" if eager else None)
        (began,) = [event for event in journal if isinstance(event, PartsBegan)]
        assert (began.message_id, len(began.at)) == (message.id, 3)
        first, joe, last = began.at
        assert (joe - first).total_seconds() > 0.399
        assert (last - joe).total_seconds() > 0.599


async def test_who_reads_sees_no_labels(opens: Opens) -> None:
    model = StreamingModel(["<Joe>Ahoy!</Joe> We sell tea."])
    config = {"tts": VOICES, "agent": {"first_message": "<Eva>Hallo!</Eva>"}}
    async with opens(config, models=model) as live:
        session, told = await live.begin()
        await told_of(told, ResponseComplete)
        session.user_message("Do you sell tea?")
        greeting, answer = await told_of(told, AgentResponse, 2)
        assert (greeting.text, answer.text) == ("Hallo!", "Ahoy! We sell tea.")
        assert "<" not in "".join(event.text for event in told if isinstance(event, ResponsePart))
        await told_of(told, ResponseComplete, 2)
        said = [event.text for event in await live.journal(session) if isinstance(event, AgentMessage)]
        assert said == [greeting.text, answer.text]


@pytest.mark.parametrize(
    ("tts", "provider", "told", "untold"),
    [
        ({}, "script", ["in words"], ["[laughs]"]),
        ({"text_normalisation_type": "elevenlabs"}, "script", [], ["in words", "[laughs]"]),
        ({}, "elevenlabs:eleven_v3", ["in words", "[laughs]", "[excited] (for news); [calm]"], []),
        ({"expressive_mode": False}, "elevenlabs:eleven_v3", ["in words"], ["[laughs]"]),
    ],
)
async def test_the_model_is_told_how_the_voice_wants_its_words(
    opens: Opens, speech: SpokenSpeech, tts: dict[str, Any], provider: str, told: list[str], untold: list[str]
) -> None:
    speech.name = provider
    tags = [{"tag": "excited", "description": "for news"}, {"tag": "calm"}]
    async with opens({"tts": {"suggested_audio_tags": tags, **tts}}) as live:
        session, events = await live.begin(Room())
        await ask(session, speech, "Do you sell tea?")
        await told_of(events, ResponseComplete)
        (request,) = live.model.requests
        assert [words for words in told if words not in request.messages[0].text] == []
        assert [words for words in untold if words in request.messages[0].text] == []

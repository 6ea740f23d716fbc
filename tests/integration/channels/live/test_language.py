"""A live conversation whose agent switches to the language of the person."""

from __future__ import annotations

import asyncio

from greenline.channels.live.models import AgentResponse, ResponseComplete, ToolResponse
from greenline.conversations.events import ToolReturned
from greenline.llm.models import ModelReply, ModelRequest, ToolCall
from support.live import Opens, Room, told_of
from support.spoken import SpokenSpeech, ask, voice
from support.wait import eventually

CONFIG = {
    "agent": {"prompt": {"prompt": "You sell tea.", "built_in_tools": {"language_detection": {}}}},
    "tts": {"voice_id": "alba"},
    "language_presets": {
        "de": {
            "overrides": {
                "asr": {"keywords": ["Darjeeling"]},
                "tts": {"voice_id": "hans", "supported_voices": [{"label": "Eva", "voice_id": "eva"}]},
                "agent": {
                    "prompt": {"prompt": "Du verkaufst Tee."},
                    "max_conversation_duration_message": "Auf Wiedersehen.",
                },
            }
        }
    },
}


def switches(request: ModelRequest) -> ModelReply | str:
    """Switch when German is spoken; else answer in the language of the prompt."""
    last = request.messages[-1]
    if last.role == "user" and "Tee" in last.text:
        call = ToolCall("call_1", "language_detection", {"reason": "They speak it.", "language": "de"})
        return ModelReply(request.model, "One moment.", (call,))
    return "Gern. <Eva>Ja!</Eva>" if "Du verkaufst" in request.messages[0].text else "Sure."


async def test_the_rest_of_the_turn_is_in_the_language_of_the_person(opens: Opens, speech: SpokenSpeech) -> None:
    async with opens(CONFIG) as live:
        live.model.say = switches
        session, told = await live.begin(Room())
        await ask(session, speech, "Haben Sie Tee?")
        await told_of(told, ResponseComplete)
        spoken = [
            (voice.voice_id, voice.language, text) for voice, text in zip(speech.voices, speech.said, strict=True)
        ]
        assert spoken == [("alba", "en", "One moment."), ("hans", "de", "Gern."), ("eva", "de", "Ja!")]
        assert [answer.text for answer in await told_of(told, AgentResponse, 2)] == ["One moment.", "Gern. Ja!"]
        (result,) = await told_of(told, ToolResponse)
        assert (result.tool_name, result.tool_type, result.is_error) == ("language_detection", "system", False)
        assert [event.language for event in await live.journal(session) if isinstance(event, ToolReturned)] == ["de"]
        assert await live.pool.fetchval("select main_language from conversation") == "de"
        await eventually(lambda: len(speech.streams) == 2 and speech.streams[0].closed)
        english, german = speech.options
        assert (english.language, english.others, english.keywords) == ("en", ("de",), ())
        assert (german.language, german.others, german.keywords) == ("de", ("en",), ("Darjeeling",))
        await ask(session, speech, "Danke")
        await told_of(told, ResponseComplete, 2)
        assert speech.streams[1].pushed > speech.streams[0].pushed * 0.9
        assert speech.voices[-1].voice_id == "eva"
        assert session.config.agent.max_conversation_duration_message == "Auf Wiedersehen."


async def test_who_speaks_while_the_language_changes_is_heard_to_the_end(opens: Opens, speech: SpokenSpeech) -> None:
    async with opens({**CONFIG, "conversation": {"client_events": ["audio"]}}) as live:
        live.model.say = switches
        live.model.hold = asyncio.Event()
        session, told = await live.begin(Room())
        session.user_message("Haben Sie Tee?")
        await eventually(lambda: bool(speech.streams and live.model.requests))
        voice(session, 0.3)
        live.model.hold.set()
        await told_of(told, ToolResponse)
        assert len(speech.streams) == 1
        await ask(session, speech, "Danke")
        await eventually(lambda: len(speech.streams) == 2)
        assert speech.streams[1].pushed == 0


async def test_who_writes_is_answered_in_their_language(opens: Opens) -> None:
    async with opens(CONFIG) as live:
        live.model.say = switches
        session, told = await live.begin()
        session.user_message("Haben Sie Tee?")
        await told_of(told, ResponseComplete)
        session.user_message("Danke")
        answers = await told_of(told, AgentResponse, 3)
        assert [answer.text for answer in answers] == ["One moment.", "Gern. Ja!", "Gern. Ja!"]


async def test_a_label_of_the_language_before_is_not_read_aloud(opens: Opens, speech: SpokenSpeech) -> None:
    joe = {"voice_id": "alba", "supported_voices": [{"label": "Joe", "voice_id": "joe"}]}
    async with opens({**CONFIG, "tts": joe}) as live:
        live.model.say = lambda request: (
            "<Joe>Ahoy!</Joe> Ja." if "Du" in request.messages[0].text else switches(request)
        )
        session, told = await live.begin(Room())
        await ask(session, speech, "Haben Sie Tee?")
        await told_of(told, ResponseComplete)
        await ask(session, speech, "Danke")
        await told_of(told, ResponseComplete, 2)
        spoken = [(voice.voice_id, text) for voice, text in zip(speech.voices, speech.said, strict=True)]
        assert spoken == [("alba", "One moment."), *[("hans", "Ahoy!"), ("hans", "Ja.")] * 2]
        assert [answer.text for answer in await told_of(told, AgentResponse, 3)][1:] == ["Ahoy! Ja."] * 2

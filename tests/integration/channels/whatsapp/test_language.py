"""A chat whose agent switches to the language of the person."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from greenline.clock import ManualClock
from greenline.conversations.events import AgentMessage, ToolReturned
from greenline.llm.models import ModelReply, ModelRequest, ToolCall
from greenline.settings import Settings
from greenline.store.pool import Pool
from support.channel import Channel, running_channel
from support.scripted_speech import ScriptedSpeech

GERMAN = {
    "overrides": {
        "tts": {"voice_id": "hans", "supported_voices": []},
        "agent": {"prompt": {"prompt": "Du verkaufst Tee."}},
    },
    "first_message_translation": {"source_hash": "h", "text": "Guten Tag!"},
}


@pytest.fixture
def speech() -> ScriptedSpeech:
    return ScriptedSpeech()


@pytest.fixture
async def channel(
    pool: Pool, dsn: str, clock: ManualClock, settings: Settings, speech: ScriptedSpeech
) -> AsyncIterator[Channel]:
    agent = {
        "first_message": "Welcome!",
        "prompt": {"prompt": "You sell tea.", "built_in_tools": {"language_detection": {}}},
    }
    async with running_channel(pool, dsn, clock, settings, agent, speech=speech) as running:
        await running.configure({"tts": {"voice_id": "alba"}, "language_presets": {"de": GERMAN}})
        running.model.say = switches
        yield running


def switches(request: ModelRequest) -> ModelReply | str:
    """Switch when German is written; else answer in the language of the prompt."""
    last = request.messages[-1]
    if last.role == "user" and "Tee" in last.text:
        return ModelReply(request.model, "", (ToolCall("call_1", "language_detection", {"language": "de"}),))
    return "Gern." if "Du verkaufst" in request.messages[0].text else "Sure."


async def test_a_chat_goes_on_in_the_language_of_the_person(channel: Channel) -> None:
    await channel.hear("Haben Sie Tee?")
    assert await channel.told(1) == ["Guten Tag!\n\nGern."]
    await channel.quiet()
    await channel.hear("Danke")
    assert (await channel.told(2))[1] == "Gern."
    (conversation,) = await channel.conversations()
    assert conversation["main_language"] == "de"
    journal = await channel.journal(conversation["id"])
    greeting = next(event for event in journal if isinstance(event, AgentMessage))
    assert (greeting.text, greeting.origin) == ("Guten Tag!", "first_message")
    assert [event.language for event in journal if isinstance(event, ToolReturned)] == ["de"]
    description = next(tool.description for tool in channel.model.requests[-1].tools)
    assert "present language is de" in description


async def test_notes_are_heard_and_spoken_in_the_language_of_the_chat(
    channel: Channel, speech: ScriptedSpeech
) -> None:
    speech.words = "Haben Sie Tee?"
    await channel.speak()
    await channel.told(1)
    await channel.quiet()
    speech.words = "Danke"
    await channel.speak()
    await channel.told(2)
    assert [(heard.language, heard.others) for heard in speech.options] == [("en", ("de",)), ("de", ("en",))]
    assert {(voice.voice_id, voice.language) for voice in speech.voices} == {("hans", "de")}
    assert speech.said == ["Guten Tag!\nGern.", "Gern."]


async def test_a_chat_that_never_switched_stays_as_it_is(channel: Channel) -> None:
    await channel.hear("Do you sell coffee?")
    assert await channel.told(1) == ["Welcome!\n\nSure."]


async def test_a_label_of_the_language_before_is_neither_read_nor_spoken(
    channel: Channel, speech: ScriptedSpeech
) -> None:
    joe = {"voice_id": "alba", "supported_voices": [{"label": "Joe", "voice_id": "joe"}]}
    await channel.configure({"tts": joe, "language_presets": {"de": GERMAN}})
    channel.model.say = lambda request: (
        "<Joe>Ahoy!</Joe> Gern." if "Du verkaufst" in request.messages[0].text else switches(request)
    )
    await channel.hear("Haben Sie Tee?")
    assert await channel.told(1) == ["Guten Tag!\n\nAhoy! Gern."]
    await channel.quiet()
    speech.words = "Danke"
    await channel.speak()
    await channel.told(2)
    assert [(voice.voice_id, text) for voice, text in zip(speech.voices, speech.said, strict=True)] == [
        ("hans", "Ahoy!"),
        ("hans", "Gern."),
    ]

"""A person speaks a voice note and is answered by one; what fails, fails softly."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from greenline.clock import ManualClock
from greenline.conversations.events import AgentMessage, UserMessage
from greenline.settings import Settings
from greenline.speech.notes import decode_recording
from greenline.store.pool import Pool
from support.channel import Channel, running_channel
from support.graph_stand_in import meta_error
from support.scripted_speech import ScriptedSpeech


@pytest.fixture
def speech() -> ScriptedSpeech:
    return ScriptedSpeech()


@pytest.fixture
async def channel(
    pool: Pool, dsn: str, clock: ManualClock, settings: Settings, speech: ScriptedSpeech
) -> AsyncIterator[Channel]:
    async with running_channel(pool, dsn, clock, settings, speech=speech) as running:
        running.meta.media["900"] = b"OggS of Ann"
        yield running


async def speak(channel: Channel, **more: Any) -> None:
    """A voice note of Ann arrives."""
    audio = {"id": "900", "mime_type": "audio/ogg; codecs=opus", "voice": True, **more}
    await channel.hear("", type="audio", audio=audio)


async def messages(channel: Channel) -> tuple[UserMessage, AgentMessage]:
    (conversation,) = await channel.conversations()
    journal = await channel.journal(conversation["id"])
    said = next(event for event in journal if isinstance(event, UserMessage))
    answered = next(event for event in journal if isinstance(event, AgentMessage) and event.origin == "model")
    return said, answered


async def test_a_voice_note_is_heard_and_answered_by_one(channel: Channel, speech: ScriptedSpeech) -> None:
    channel.model.say = lambda request: "Yes, we sell eleven kinds of tea."
    await speak(channel)
    assert await channel.told(1) == ["[media_1]"]
    assert channel.meta.sent[0]["audio"] == {"id": "media_1", "voice": True}
    assert channel.model.requests[-1].messages[-1].text == "Do you sell tea?"
    assert speech.heard == [b"OggS of Ann"]
    note = channel.meta.uploads[0]
    start = note.index(b"OggS")
    assert decode_recording(note[start:]).seconds == pytest.approx(0.7, abs=0.1)
    assert b'filename="answer.ogg"' in note
    said, answered = await messages(channel)
    assert (said.text, said.medium, len(said.file_ids)) == ("Do you sell tea?", "audio", 1)
    assert (answered.text, answered.medium, len(answered.file_ids)) == (
        "Yes, we sell eleven kinds of tea.",
        "audio",
        1,
    )
    kept = await channel.pool.fetch("select filename, mime_type from conversation_file order by filename")
    assert [tuple(row) for row in kept] == [("answer.ogg", "audio/ogg"), ("audio.ogg", "audio/ogg")]


async def test_links_come_in_writing_as_well(channel: Channel, speech: ScriptedSpeech) -> None:
    channel.model.say = lambda request: "See https://tea.example for all kinds."
    await speak(channel)
    assert await channel.told(2) == ["[media_1]", "See https://tea.example for all kinds."]
    assert speech.said == ["See for all kinds."]


async def test_a_text_is_answered_by_text(channel: Channel) -> None:
    await channel.hear("Do you sell tea?")
    assert await channel.told(1) == ["Hello!"]


async def test_a_sound_file_is_heard_and_answered_by_text(channel: Channel) -> None:
    await speak(channel, voice=False)
    assert await channel.told(1) == ["Hello!"]
    assert channel.model.requests[-1].messages[-1].text == "Do you sell tea?"


async def test_the_switch_of_the_number_turns_spoken_answers_off(channel: Channel) -> None:
    await channel.pool.execute("update whatsapp_account set enable_audio_message_response = false")
    await speak(channel)
    assert await channel.told(1) == ["Hello!"]


async def test_without_a_voice_the_answer_is_text(channel: Channel, speech: ScriptedSpeech) -> None:
    speech.hums = False
    await speak(channel)
    assert await channel.told(1) == ["Hello!"]
    _, answered = await messages(channel)
    assert (answered.medium, answered.file_ids) == ("text", ())


async def test_when_meta_takes_no_upload_the_answer_is_text(channel: Channel) -> None:
    channel.meta.refuse_upload = meta_error(131053)
    await speak(channel)
    assert await channel.told(1) == ["Hello!"]


async def test_what_is_not_understood_is_told_to_the_model(channel: Channel, speech: ScriptedSpeech) -> None:
    speech.words = None
    await speak(channel)
    await channel.told(1)
    assert channel.model.requests[-1].messages[-1].text == "[Voice message, in which no words could be understood]"


async def test_a_note_that_meta_has_lost_is_told_to_the_model(channel: Channel) -> None:
    await channel.hear("", type="audio", audio={"id": "901", "voice": True})
    await channel.told(1)
    text = channel.model.requests[-1].messages[-1].text
    assert text == "[Voice message]\n[The file audio could not be opened.]"

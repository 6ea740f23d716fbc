"""A person speaks a voice note and is answered by one."""

import asyncio

import pytest

from greenline.channels.orders import Order, place
from greenline.channels.whatsapp import voice_notes
from greenline.clock import ManualClock
from greenline.conversations.events import SpeechUsed, UserMessage, Voiced
from greenline.settings import Settings
from greenline.speech.notes import decode_recording
from greenline.store.pool import Pool
from support.channel import VOICE_NOTE, Channel, running_channel
from support.rows import WORKSPACE
from support.scripted_speech import ScriptedSpeech
from support.wait import eventually


@pytest.fixture
def speech() -> ScriptedSpeech:
    return ScriptedSpeech()


async def test_a_voice_note_is_heard_and_answered_by_one(channel: Channel, speech: ScriptedSpeech) -> None:
    channel.model.say = lambda request: "Yes, we sell eleven kinds of tea."
    await channel.speak()
    assert await channel.told(1) == ["[media_1]"]
    assert channel.meta.sent[0]["audio"] == {"id": "media_1", "voice": True}
    assert channel.model.requests[-1].messages[-1].text == "[Voice message] Do you sell tea?"
    assert speech.heard == [VOICE_NOTE]
    note = channel.meta.uploads[0]
    start = note.index(b"OggS")
    assert decode_recording(note[start:]).seconds == pytest.approx(0.7, abs=0.1)
    assert b'filename="answer.ogg"' in note
    said, answered = await channel.exchange()
    assert (said.text, said.medium, len(said.file_ids)) == ("Do you sell tea?", "audio", 1)
    assert (answered.text, answered.medium, len(answered.file_ids)) == (
        "Yes, we sell eleven kinds of tea.",
        "audio",
        1,
    )
    assert said.recogniser == "script"
    (conversation,) = await channel.conversations()
    (voiced,) = [e for e in await channel.journal(conversation["id"]) if isinstance(e, Voiced)]
    assert (voiced.message_id, voiced.synthesiser) == (answered.id, "script")
    kept = await channel.pool.fetch("select filename, mime_type, seconds from conversation_file order by filename")
    assert [tuple(row) for row in kept] == [("answer.ogg", "audio/ogg", 0.7), ("audio.ogg", "audio/ogg", 1.0)]


async def test_links_come_in_writing_as_well(channel: Channel, speech: ScriptedSpeech) -> None:
    channel.model.say = lambda request: "See https://tea.example for all kinds."
    await channel.speak()
    assert await channel.told(2) == ["[media_1]", "See https://tea.example for all kinds."]
    assert speech.said == ["See tea.example for all kinds."]


async def test_a_text_is_answered_by_text(channel: Channel) -> None:
    await channel.hear("Do you sell tea?")
    assert await channel.told(1) == ["Hello!"]


async def test_a_sound_file_is_heard_and_answered_by_text(channel: Channel) -> None:
    await channel.speak(audio={"voice": False})
    assert await channel.told(1) == ["Hello!"]
    assert channel.model.requests[-1].messages[-1].text == "[Audio file] Do you sell tea?"


async def test_the_switch_of_the_number_turns_spoken_answers_off(channel: Channel) -> None:
    await channel.pool.execute("update whatsapp_account set enable_audio_message_response = false")
    await channel.speak()
    assert await channel.told(1) == ["Hello!"]


@pytest.mark.parametrize(
    ("setting", "answer", "told"),
    [
        ("always", "Yes.", ["[media_1]", "Yes."]),
        ("never", "See https://tea.example today.", ["[media_1]"]),
    ],
)
async def test_the_operator_decides_what_comes_in_writing_as_well(
    pool: Pool, dsn: str, clock: ManualClock, settings: Settings, setting: str, answer: str, told: list[str]
) -> None:
    settings = settings.model_copy(update={"voice_note_text": setting})
    async with running_channel(pool, dsn, clock, settings, speech=ScriptedSpeech()) as channel:
        channel.model.say = lambda request: answer
        await channel.speak()
        await channel.told(len(told))
        await channel.quiet()
        assert channel.meta.texts() == told


async def test_the_model_knows_that_its_answer_is_read_aloud(channel: Channel) -> None:
    await channel.speak()
    await channel.told(1)
    await channel.hear("And coffee?")
    await channel.told(2)
    spoken, typed = (request.messages[0].text for request in channel.model.requests)
    assert "read aloud" in spoken
    assert "as a person would type it" not in spoken
    assert "read aloud" not in typed
    assert [message.text for message in channel.model.requests[-1].messages[1:]] == [
        "[Voice message] Do you sell tea?",
        "Hello!",
        "And coffee?",
    ]


async def test_a_note_that_whatsapp_would_not_play_goes_as_text(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voice_notes, "NOTE_BYTES", 100)
    await channel.speak()
    assert await channel.told(1) == ["Hello!"]
    assert channel.meta.uploads == []


async def test_a_long_answer_is_spoken_in_passages(channel: Channel, speech: ScriptedSpeech) -> None:
    answer = "We have many kinds of tea from everywhere in the world. " * 40
    channel.model.say = lambda request: answer
    await channel.speak()
    assert await channel.told(1) == ["[media_1]"]
    assert len(speech.said) > 1
    assert all(len(passage) <= 600 for passage in speech.said)
    assert " ".join(speech.said) == answer.strip()
    note = channel.meta.uploads[0]
    assert decode_recording(note[note.index(b"OggS") :]).seconds == pytest.approx(44.0, abs=0.5)


async def test_the_agents_voice_and_words_are_used(channel: Channel, speech: ScriptedSpeech) -> None:
    await channel.configure(
        {
            "agent": {"language": "de"},
            "asr": {"keywords": ["Darjeeling"]},
            "tts": {"voice_id": "alba", "model_id": "eleven_v3", "speed": 1.1},
        }
    )
    await channel.speak()
    await channel.told(1)
    (heard,), (voice,) = speech.options, speech.voices
    assert (heard.language, heard.keywords) == ("de", ("Darjeeling",))
    assert (voice.voice_id, voice.model_id, voice.language, voice.speed) == ("alba", "eleven_v3", "de", 1.1)


async def test_several_voices_speak_what_the_model_gives_them(channel: Channel, speech: ScriptedSpeech) -> None:
    joe = {"label": "Joe", "voice_id": "voice_of_joe", "description": "an old sailor"}
    await channel.configure({"tts": {"voice_id": "alba", "supported_voices": [joe]}})
    channel.model.say = lambda request: "Joe says: <Joe>Ahoy!</Joe> That was Joe."
    await channel.speak()
    assert await channel.told(1) == ["[media_1]"]
    assert list(zip(speech.said, (voice.voice_id for voice in speech.voices), strict=True)) == [
        ("Joe says:", "alba"),
        ("Ahoy!", "voice_of_joe"),
        ("That was Joe.", "alba"),
    ]
    assert "<Joe>Hello.</Joe>: Joe (an old sailor)" in channel.model.requests[0].messages[0].text
    await channel.hear("In writing, please")
    assert (await channel.told(2))[1] == "Joe says: Ahoy! That was Joe."
    _, answered = await channel.exchange()
    assert answered.text == "Joe says: Ahoy! That was Joe."


async def test_what_was_heard_and_spoken_is_in_the_cost(channel: Channel, speech: ScriptedSpeech) -> None:
    speech.name = "openai:gpt-4o-mini-transcribe"
    for count in (1, 2):
        channel.meta.media[f"90{count}"] = VOICE_NOTE
        await channel.speak(f"90{count}")
        await channel.told(count)
        await channel.quiet()
    (conversation,) = await channel.conversations()
    used = [event for event in await channel.journal(conversation["id"]) if isinstance(event, SpeechUsed)]
    assert [event.transcribed_seconds for event in used] == [{speech.name: 1.0}] * 2
    assert [event.spoken_characters for event in used] == [{speech.name: len("Hello!")}] * 2
    prices = [event.price for event in used]
    assert prices[0]
    assert conversation["speech_price"] == pytest.approx(2 * prices[0])


async def test_a_note_of_a_turn_that_began_anew_is_heard_and_counted_once(
    channel: Channel, speech: ScriptedSpeech
) -> None:
    channel.model.hold = asyncio.Event()
    await channel.speak()
    await eventually(lambda: channel.model.requests)
    await channel.hear("And coffee?")
    await eventually(lambda: len(channel.model.requests) == 2)
    channel.model.hold.set()
    await channel.told(1)
    await channel.quiet()
    assert len(speech.heard) == 1
    (conversation,) = await channel.conversations()
    used = [event for event in await channel.journal(conversation["id"]) if isinstance(event, SpeechUsed)]
    assert [event.transcribed_seconds for event in used] == [{"script": 1.0}]


async def test_a_note_to_a_human_who_has_taken_over_is_heard_and_not_answered(channel: Channel) -> None:
    await channel.hear("Hi")
    await channel.told(1)
    (conversation,) = await channel.conversations()
    await place(channel.pool, channel.clock, WORKSPACE, conversation["id"], Order("enable_human_takeover", ""))
    await channel.speak()
    await channel.quiet()
    assert channel.meta.texts() == ["Hello!"]
    *_, said, used = await channel.journal(conversation["id"])
    assert isinstance(said, UserMessage)
    assert (said.text, said.medium, len(said.file_ids)) == ("Do you sell tea?", "audio", 1)
    assert isinstance(used, SpeechUsed)


async def test_without_leave_to_record_the_words_stay_and_the_sound_does_not(
    channel: Channel, speech: ScriptedSpeech, settings: Settings
) -> None:
    await channel.configure(privacy={"record_voice": False})
    await channel.speak()
    assert await channel.told(1) == ["[media_1]"]
    await channel.quiet()
    said, answered = await channel.exchange()
    assert (said.text, said.medium, said.file_ids) == ("Do you sell tea?", "audio", ())
    assert (answered.text, answered.medium, answered.file_ids) == ("Hello!", "audio", ())
    assert await channel.pool.fetchval("select count(*) from conversation_file") == 0
    assert not (settings.data_dir / "files").exists()


async def test_in_a_group_the_writer_is_named(channel: Channel) -> None:
    await channel.speak(group_id="group_1")
    await channel.quiet()
    assert channel.model.requests[-1].messages[-1].text == "[Voice message] [Ann in the group]\nDo you sell tea?"

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from greenline.errors import ConfigurationError
from greenline.settings import Settings
from greenline.speech.errors import SpeechNotConfigured
from greenline.speech.factory import MAX_PARTS, SpeechServices, build_speech
from greenline.speech.models import HEARING_RATE, RecognitionOptions, Voice
from greenline.speech.resample import resample
from support.sounds import noise


@pytest.fixture
async def speech() -> AsyncIterator[SpeechServices]:
    services = build_speech(Settings(_env_file=None), environ={})
    yield services
    await services.aclose()


async def test_without_a_key_a_spoken_sentence_is_heard(speech: SpeechServices) -> None:
    await speech.warm_hearing()
    await speech.warm_speaking()
    options = RecognitionOptions("scribe_realtime", "en")
    voice = Voice(voice_id="cjVigY5qzO86Huf0OWal", model_id="eleven_flash_v2", language="en")
    synthesiser, recogniser = speech.synthesiser(voice), speech.recogniser(options)
    stream = await recogniser.open(options)
    for text in ("Where is my order?", "Do you deliver?"):
        pcm = b"".join([chunk.pcm async for chunk in synthesiser.say(text, voice)])
        stream.push(resample(pcm, synthesiser.rate, HEARING_RATE))
        assert await stream.finish() == text
    assert (synthesiser.name, recogniser.name, stream.provider) == ("embedded", "embedded", "embedded")
    await stream.aclose()


def test_each_stream_has_its_own_detector(speech: SpeechServices) -> None:
    one, other = speech.detector(), speech.detector()
    one.score(noise(0.1, HEARING_RATE))
    assert other.score(bytes(1_024)) == [0.0]


async def test_the_same_provider_is_made_once(speech: SpeechServices) -> None:
    voice = Voice()
    async for _ in speech.synthesiser(voice).say("one", voice):
        pass
    async for _ in speech.synthesiser(voice).say("two", voice):
        pass
    assert len(speech._synthesisers._parts) == 1


async def test_models_that_agents_make_up_do_not_pile_up() -> None:
    keyed = build_speech(Settings(_env_file=None), environ={"OPENAI_API_KEY": "o"})
    for number in range(200):
        keyed.synthesiser(Voice(model_id=f"openai:made-up-{number}"))
    assert len(keyed._synthesisers._parts) <= MAX_PARTS
    assert keyed.synthesiser(Voice(model_id="openai:made-up-0")).name == "openai:made-up-0"
    await keyed.aclose()


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"stt": "deepgram"}, "DEEPGRAM_API_KEY is not set"),
        ({"tts": "openai"}, "OPENAI_API_KEY is not set"),
        ({"tts_map": {"*": "elevenlabs"}}, "ELEVENLABS_API_KEY is not set"),
        ({"stt": "whisper"}, "GREENLINE_WHISPER_MODEL must be a folder"),
        ({"stt": "whisper", "whisper_model": Path("/nowhere")}, "GREENLINE_WHISPER_MODEL must be a folder"),
        ({"vad_model": Path("/nowhere.onnx")}, "GREENLINE_VAD_MODEL"),
        ({"stt": "siri"}, "Known providers"),
    ],
)
def test_a_setting_that_can_not_work_stops_the_start(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        build_speech(Settings(_env_file=None, **wrong), environ={})


@pytest.mark.parametrize("provider", ["deepgram", "elevenlabs", "openai"])
@pytest.mark.parametrize("role", ["stt", "tts"])
def test_a_key_that_http_can_not_carry_stops_the_start(provider: str, role: str) -> None:
    name, chosen = f"{provider.upper()}_API_KEY", dict[str, Any]({role: provider})
    with pytest.raises(ConfigurationError, match=f"{name} has characters") as raised:
        build_speech(Settings(_env_file=None, **chosen), environ={name: "se\ncret"})
    assert "cret" not in str(raised.value)


def test_an_agent_that_names_a_provider_without_a_key_gets_an_error_to_hear_and_our_voice_to_speak(
    speech: SpeechServices,
) -> None:
    with pytest.raises(SpeechNotConfigured, match="DEEPGRAM_API_KEY is not set"):
        speech.recogniser(RecognitionOptions("deepgram:nova-3"))
    assert speech.synthesiser(Voice(model_id="deepgram:aura-2-thalia-en")).name == "embedded"


async def test_phrases_of_the_settings_are_understood() -> None:
    speech = build_speech(Settings(_env_file=None, stt_phrases="Open the door\nClose the window"), environ={})
    voice, options = Voice(), RecognitionOptions()
    pcm = b"".join([chunk.pcm async for chunk in speech.synthesiser(voice).say("Close the window", voice)])
    stream = await speech.recogniser(options).open(options)
    stream.push(resample(pcm, 22_050, HEARING_RATE))
    assert await stream.finish() == "Close the window"
    await stream.aclose()
    await speech.aclose()

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator

import pytest

from greenline.clock import ManualClock
from greenline.speech.cascade import Rests, SynthesiserCascade
from greenline.speech.errors import SpeechNotConfigured, SynthesisError
from greenline.speech.espeak import EspeakProcess, EspeakSynthesiser
from greenline.speech.models import Chunk, Voice
from greenline.speech.resample import resample
from greenline.speech.spare import Spare
from support.sounds import rms
from support.wait import eventually


@pytest.fixture
async def process() -> AsyncIterator[EspeakProcess]:
    running = EspeakProcess()
    yield running
    await running.stop()


@pytest.fixture
def voice(process: EspeakProcess) -> EspeakSynthesiser:
    return EspeakSynthesiser(process=process)


async def spoken(voice: EspeakSynthesiser, text: str, how: Voice | None = None) -> list[Chunk]:
    return [chunk async for chunk in voice.say(text, how or Voice())]


def seconds(chunks: list[Chunk]) -> float:
    return sum(len(chunk.pcm) for chunk in chunks) / 2 / EspeakSynthesiser.rate


def pid(process: EspeakProcess) -> int:
    assert process.pid is not None
    return process.pid


async def test_a_sentence_is_heard(voice: EspeakSynthesiser) -> None:
    chunks = await spoken(voice, "Good morning, how can I help you?")
    assert 1.5 < seconds(chunks) < 3
    assert rms(b"".join(chunk.pcm for chunk in chunks)) > 1_000
    assert {chunk.provider for chunk in chunks} == {"embedded"}


async def test_each_character_has_its_time(voice: EspeakSynthesiser) -> None:
    text = "Grüße aus Köln: 25 € 😀 please."
    chunks = await spoken(voice, text, Voice(language="de"))
    said = ""
    for chunk in chunks:
        assert chunk.alignment is not None
        said += "".join(chunk.alignment.chars)
        end = chunk.alignment.starts_ms[-1] + chunk.alignment.durations_ms[-1]
        assert end == len(chunk.pcm) // 2 * 1_000 // voice.rate
        assert chunk.alignment.starts_ms[0] == 0
    assert said == text


async def test_speed_is_heard(voice: EspeakSynthesiser) -> None:
    text = "This is a rather long sentence that can be spoken slowly or quickly."
    slow = seconds(await spoken(voice, text, Voice(speed=0.7)))
    quick = seconds(await spoken(voice, text, Voice(speed=1.2)))
    assert slow / quick == pytest.approx(1.2 / 0.7, rel=0.15)


@pytest.mark.parametrize(
    "language", ["en", "de", "es", "fr", "pt-br", "pt", "zh", "zh-hk", "ar", "hi", "ja", "no", "fil", "uk"]
)
async def test_languages_of_agents_are_spoken(voice: EspeakSynthesiser, language: str) -> None:
    assert seconds(await spoken(voice, "Taxi, 12 : 你好 مرحبا", Voice(language=language))) > 0.5


@pytest.mark.parametrize(
    ("regional", "plain"),
    [
        ("de-DE", "de"),
        ("es-MX", "es"),
        ("fr-FR", "fr"),
        ("ja-JP", "ja"),
        ("zh-CN", "zh"),
        ("xx-YY", "en"),
        ("?!", "en"),
    ],
)
async def test_a_language_of_a_country_is_spoken_as_the_language_and_an_unknown_one_as_english(
    voice: EspeakSynthesiser, regional: str, plain: str
) -> None:
    named, base = [await spoken(voice, "Taxi 21 你好", Voice(language=code)) for code in (regional, plain)]
    assert seconds(named) > 0.3
    # The voice of no other language in this list is as long.
    assert seconds(named) == pytest.approx(seconds(base), abs=0.01)


async def test_a_default_voice_that_is_not_there_is_an_error_in_words_and_the_next_sentence_is_spoken(
    process: EspeakProcess,
) -> None:
    with pytest.raises(SynthesisError, match="no voice 'nobody'"):
        await spoken(EspeakSynthesiser("nobody", process), "Hello")
    assert seconds(await spoken(EspeakSynthesiser(process=process), "Hello")) > 0.3


@pytest.mark.parametrize("text", ["", " ", "...", "\x00\x1b[31m", "\ud800", "<speak>hi</speak>", "[[_^_]]", "@1f500"])
async def test_strange_text_is_spoken_or_silent_and_never_fails(voice: EspeakSynthesiser, text: str) -> None:
    await spoken(voice, text)
    assert seconds(await spoken(voice, "Hello")) > 0.3


async def test_many_speak_at_once_and_each_hears_only_their_own(voice: EspeakSynthesiser) -> None:
    texts = ["number one", "a good deal longer than number one", "and number three is a very long sentence indeed"]
    alone = [seconds(await spoken(voice, text)) for text in texts]
    together = await asyncio.gather(*(spoken(voice, text) for text in texts))
    assert [seconds(chunks) for chunks in together] == pytest.approx(alone, abs=0.05)


async def test_what_was_cut_does_not_leak_into_the_next_sentence(
    voice: EspeakSynthesiser, process: EspeakProcess
) -> None:
    expected = seconds(await spoken(voice, "The next sentence."))
    async with contextlib.aclosing(
        voice.say("A long sentence that somebody interrupts at once. " * 20, Voice())
    ) as cut:
        await anext(cut)
    assert seconds(await spoken(voice, "The next sentence.")) == pytest.approx(expected, abs=0.05)
    assert process.requests == 0


async def test_a_process_that_died_is_replaced(voice: EspeakSynthesiser, process: EspeakProcess) -> None:
    await spoken(voice, "Hello")
    first = pid(process)
    os.kill(first, signal.SIGKILL)
    assert seconds(await spoken(voice, "Still here")) > 0.3
    assert pid(process) != first


async def test_a_sentence_whose_process_dies_before_it_is_heard_is_spoken_by_the_next(
    voice: EspeakSynthesiser, process: EspeakProcess
) -> None:
    await voice.warm()
    os.kill(pid(process), signal.SIGSTOP)
    sentence = asyncio.create_task(spoken(voice, "Hello"))
    await eventually(lambda: process.requests)
    os.kill(pid(process), signal.SIGKILL)
    assert seconds(await sentence) > 0.3


async def test_a_process_that_hangs_is_replaced_while_a_person_still_waits(
    voice: EspeakSynthesiser, process: EspeakProcess
) -> None:
    await voice.warm()
    first = pid(process)
    os.kill(first, signal.SIGSTOP)
    assert seconds(await spoken(voice, "Hello")) > 0.3
    assert pid(process) != first


async def test_a_process_that_dies_in_the_middle_fails_the_sentence_and_not_the_next(
    voice: EspeakSynthesiser, process: EspeakProcess
) -> None:
    sentence = voice.say("A long sentence that will not come to its end. " * 400, Voice())
    await anext(sentence)
    os.kill(pid(process), signal.SIGKILL)
    with pytest.raises(SynthesisError, match="the process of the voice has died"):
        async for _ in sentence:
            pass
    assert seconds(await spoken(voice, "Hello")) > 0.3


async def test_of_a_process_that_died_in_the_middle_another_says_the_rest(
    voice: EspeakSynthesiser, process: EspeakProcess, clock: ManualClock
) -> None:
    text = "Every word of this long sentence is to be heard, whatever becomes of the process that speaks. " * 30
    cascade = SynthesiserCascade([voice], Rests(clock), seconds=6.0)
    said = ""
    async for chunk in cascade.say(text, Voice()):
        if not said:
            os.kill(pid(process), signal.SIGKILL)
        assert chunk.alignment is not None
        said += "".join(chunk.alignment.chars)
    assert said == text


async def test_a_sentence_that_was_made_ahead_needs_no_process(
    voice: EspeakSynthesiser, process: EspeakProcess
) -> None:
    spare = Spare("Sorry, I can't answer.", voice)
    await spare.make("en")
    await process.stop()
    assert seconds([Chunk(resample(spare.sound("en", 8_000), 8_000, voice.rate))]) > 1
    assert spare.sound("de", 8_000) == b""
    assert process.pid is None


async def test_closing_leaves_no_process(voice: EspeakSynthesiser, process: EspeakProcess) -> None:
    await voice.warm()
    number = pid(process)
    await voice.aclose()
    assert process.pid == number, "it is shared"
    await process.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)


async def test_voices_of_one_process_sound_different(process: EspeakProcess) -> None:
    low, high = EspeakSynthesiser("en-us", process), EspeakSynthesiser("en-us+f3", process)
    man, woman = await spoken(low, "Hello there"), await spoken(high, "Hello there")
    assert seconds(man) == pytest.approx(seconds(woman), rel=0.2)
    assert [chunk.pcm for chunk in man] != [chunk.pcm for chunk in woman]


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "en us", "x" * 50])
def test_what_can_be_no_name_of_a_voice_is_refused(name: str) -> None:
    with pytest.raises(SpeechNotConfigured, match="no name of a voice"):
        EspeakSynthesiser(name)

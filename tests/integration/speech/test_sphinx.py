from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from greenline.speech.errors import RecognitionError
from greenline.speech.espeak import EspeakSynthesiser
from greenline.speech.models import HEARING_RATE, RecognitionOptions, Voice
from greenline.speech.notes import encode_note
from greenline.speech.phrases import demo_phrases, read_phrases
from greenline.speech.resample import resample
from greenline.speech.sphinx import SphinxRecogniser
from support.sounds import mixed, noise, sine


@pytest.fixture
async def voice() -> AsyncIterator[EspeakSynthesiser]:
    synthesiser = EspeakSynthesiser()
    yield synthesiser
    await synthesiser.aclose()


async def spoken(voice: EspeakSynthesiser, text: str) -> bytes:
    pcm = b"".join([chunk.pcm async for chunk in voice.say(text, Voice())])
    return resample(pcm, voice.rate, HEARING_RATE)


async def heard(recogniser: SphinxRecogniser, pcm: bytes, keywords: tuple[str, ...] = ()) -> str:
    stream = await recogniser.open(RecognitionOptions(keywords=keywords))
    for at in range(0, len(pcm), 640):
        stream.push(pcm[at : at + 640])
    return await stream.finish()


@pytest.fixture
def recogniser() -> SphinxRecogniser:
    return SphinxRecogniser()


async def test_every_phrase_of_the_demo_comes_back_as_it_is_written(
    voice: EspeakSynthesiser, recogniser: SphinxRecogniser
) -> None:
    wrong = {}
    for phrase in demo_phrases().phrases:
        text = await heard(recogniser, await spoken(voice, phrase))
        if text != phrase:
            wrong[phrase] = text
    assert wrong == {}


@pytest.mark.parametrize("loudness", [0.1, 1.0])
@pytest.mark.parametrize("margin", [0.0, 0.5])
async def test_silence_around_and_a_low_voice_do_no_harm(
    voice: EspeakSynthesiser, recogniser: SphinxRecogniser, loudness: float, margin: float
) -> None:
    import numpy as np

    pcm = (np.frombuffer(await spoken(voice, "Where is my order?"), "<i2") * loudness).astype("<i2").tobytes()
    silence = bytes(int(margin * HEARING_RATE) * 2)
    assert await heard(recogniser, silence + pcm + silence) == "Where is my order?"


async def test_a_phrase_with_pauses_is_heard_as_one(voice: EspeakSynthesiser, recogniser: SphinxRecogniser) -> None:
    pcm = await spoken(voice, "Are you open on Saturday?")
    stream = await recogniser.open(RecognitionOptions())
    texts = []
    for part in (pcm[:10_000], pcm[10_000:20_000], pcm[20_000:]):
        stream.push(part)
        texts.append(await stream.finish())
    assert texts == ["", "", "Are you open on Saturday?"]
    stream.push(await spoken(voice, "Do you deliver?"))
    assert await stream.finish() == "Do you deliver?"


async def test_a_noise_before_a_phrase_does_no_harm(voice: EspeakSynthesiser, recogniser: SphinxRecogniser) -> None:
    stream = await recogniser.open(RecognitionOptions())
    stream.push(noise(0.5, HEARING_RATE))
    assert await stream.finish() == ""
    stream.push(await spoken(voice, "Do you deliver?"))
    assert await stream.finish() == "Do you deliver?"


async def test_other_speech_is_nearly_always_nothing(voice: EspeakSynthesiser, recogniser: SphinxRecogniser) -> None:
    others = [
        "The weather is nice today",
        "I have bought a new car",
        "Could you tell me a joke",
        "My sister likes fish",
        "We went to the beach yesterday",
        "Computer science is hard",
        "The train leaves at nine",
        "Blue elephants dance quietly",
    ]
    understood = [text for other in others if (text := await heard(recogniser, await spoken(voice, other)))]
    assert len(understood) <= 1


@pytest.mark.parametrize("sound", [bytes(32_000), noise(1.0, HEARING_RATE), sine(1.0, HEARING_RATE), b"\1\0"])
async def test_what_is_no_speech_is_nothing(recogniser: SphinxRecogniser, sound: bytes) -> None:
    assert await heard(recogniser, sound) == ""


async def test_keywords_of_an_agent_are_understood_by_that_agent_only(
    voice: EspeakSynthesiser, recogniser: SphinxRecogniser
) -> None:
    pcm = await spoken(voice, "Cancel the subscription")
    assert await heard(recogniser, pcm, ("Cancel the subscription",)) == "Cancel the subscription"
    assert await heard(recogniser, pcm) != "Cancel the subscription"


async def test_a_keyword_that_nobody_can_pronounce_is_left_out(
    voice: EspeakSynthesiser, recogniser: SphinxRecogniser
) -> None:
    keywords = ("Xyzzyplugh", "42", "Größe")
    assert await heard(recogniser, await spoken(voice, "Do you deliver?"), keywords) == "Do you deliver?"


async def test_agents_with_many_different_keywords_take_turns(
    voice: EspeakSynthesiser, recogniser: SphinxRecogniser
) -> None:
    words = [
        f"{one} {two}" for one in ("red", "blue", "green", "white") for two in ("car", "bus", "train", "ship", "bike")
    ]
    for word in words:
        await heard(recogniser, noise(0.1, HEARING_RATE), (word,))
    assert await heard(recogniser, await spoken(voice, "White ship"), ("white ship",)) == "white ship"


async def test_phrases_of_a_setting_replace_those_of_the_demo(voice: EspeakSynthesiser) -> None:
    own = SphinxRecogniser(read_phrases("Greenline rocks\ngreenline = G R IY N L AY N"))
    assert await heard(own, await spoken(voice, "Green line rocks")) == "Greenline rocks"
    assert await heard(own, await spoken(voice, "Do you deliver?")) == ""


async def test_a_voice_note_is_transcribed(voice: EspeakSynthesiser, recogniser: SphinxRecogniser) -> None:
    pcm = mixed(await spoken(voice, "My plant has yellow leaves"), noise(3.0, HEARING_RATE, amplitude=60))
    note = encode_note(pcm, HEARING_RATE)
    transcript = await recogniser.transcribe(note.data, note.mime_type, RecognitionOptions())
    assert transcript.text == "My plant has yellow leaves"
    assert transcript.seconds == pytest.approx(note.seconds, abs=0.01)
    assert transcript.provider == "embedded"


async def test_a_voice_note_holds_all_that_was_said_in_it(
    voice: EspeakSynthesiser, recogniser: SphinxRecogniser
) -> None:
    """Questions, of which the second stops in the middle, and something else between them."""
    slowly, pause = await spoken(voice, "Are you open on Saturday?"), bytes(2 * HEARING_RATE * 2)
    said = [
        await spoken(voice, "How much is the monstera?"),
        await spoken(voice, "The whale swam through colder water."),
        slowly[:20_000] + bytes(2 * HEARING_RATE * 6 // 10) + slowly[20_000:],
        await spoken(voice, "Do you deliver?"),
    ]
    sound = pause.join([b"", *said, b""])
    note = encode_note(mixed(sound, noise(len(sound) / 2 / HEARING_RATE, HEARING_RATE, amplitude=60)), HEARING_RATE)
    transcript = await recogniser.transcribe(note.data, note.mime_type, RecognitionOptions())
    assert transcript.text == "How much is the monstera? Are you open on Saturday? Do you deliver?"


async def test_a_recogniser_that_is_closed_says_so(recogniser: SphinxRecogniser) -> None:
    await recogniser.aclose()
    with pytest.raises(RecognitionError, match="embedded"):
        await heard(recogniser, noise(0.1, HEARING_RATE))

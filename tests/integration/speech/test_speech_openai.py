from __future__ import annotations

import io
import wave

import pytest

from greenline.llm.sdk import Address
from greenline.speech.errors import RecognitionError, SynthesisError
from greenline.speech.models import RecognitionOptions, Voice
from greenline.speech.notes import NOTE_MIME_TYPE, encode_note
from greenline.speech.openai import OpenAiRecogniser, OpenAiSynthesiser
from support.coded_speech import coded, decoded
from support.sounds import pitch, sine, sound_file
from support.speech_http import Answer, says, speech_http
from support.wait import PATIENCE_SECONDS, eventually

OPTIONS = RecognitionOptions(language="pt-br", keywords=("Monstera", "Calathea"))


def recogniser(url: str) -> OpenAiRecogniser:
    return OpenAiRecogniser(
        "openai", "gpt-4o-mini-transcribe", Address(url, "sk-secret1234"), seconds=PATIENCE_SECONDS
    )


def synthesiser(url: str, **voices: str) -> OpenAiSynthesiser:
    return OpenAiSynthesiser(
        "openai", "tts-1", Address(url, "sk-secret1234"), seconds=PATIENCE_SECONDS, voices=voices
    )


def pcm_of(wav: bytes) -> bytes:
    with wave.open(io.BytesIO(wav)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        pcm: bytes = file.readframes(file.getnframes())
        return pcm


async def test_an_utterance_is_sent_whole_and_its_text_comes_back() -> None:
    async with speech_http(says({"text": " Where is it? "}), says({"text": "Yes."})) as server:
        openai = recogniser(server.url)
        stream = await openai.open(OPTIONS)
        stream.push(coded("where is"))
        stream.push(coded("it"))
        assert await stream.finish() == "Where is it?"
        stream.push(coded("yes"))
        assert await stream.finish() == "Yes."
        await openai.aclose()
    first, second = server.seen
    assert decoded(pcm_of(first.part("file"))) == "where is it"
    assert decoded(pcm_of(second.part("file"))) == "yes"
    assert first.path == "/audio/transcriptions"
    assert first.headers["authorization"] == "Bearer sk-secret1234"
    assert (first.part("model"), first.part("language")) == (b"gpt-4o-mini-transcribe", b"pt")
    assert first.part("prompt") == b"Monstera, Calathea"


async def test_a_voice_note_goes_as_it_is_and_what_the_api_does_not_take_as_wav() -> None:
    note = encode_note(sine(1.0, 16_000), 16_000)
    amr = sound_file(sine(1.0, 8_000), 8_000, container="amr", codec="libopencore_amrnb")
    async with speech_http(says({"text": "ok"})) as server:
        openai = recogniser(server.url)
        heard = await openai.transcribe(note.data, NOTE_MIME_TYPE, OPTIONS)
        await openai.transcribe(amr, "audio/amr", OPTIONS)
        await openai.aclose()
    assert heard.seconds == pytest.approx(1.0, abs=0.01)
    assert heard.provider == "openai:gpt-4o-mini-transcribe"
    assert server.seen[0].part("file") == note.data
    assert b'filename="speech.ogg"' in server.seen[0].body
    assert len(pcm_of(server.seen[1].part("file"))) == pytest.approx(32_000, rel=0.05)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (says({"error": {"message": "Incorrect API key sk-secret1234"}}, 401), r"auth: HTTP 401.*\*\*\*"),
        (says({"error": {"message": "slow down"}}, 429), "rate_limit: HTTP 429: slow down"),
        (says({"nothing": 1}), "no answer of this API"),
        (says(b"<html>"), "openai:gpt-4o-mini-transcribe: "),
        (Answer([b'{"te'], cut_after=1), "connection"),
    ],
)
async def test_a_recognition_that_fails_says_why(answer: Answer, told: str) -> None:
    async with speech_http(answer) as server:
        openai = recogniser(server.url)
        stream = await openai.open(OPTIONS)
        stream.push(coded("yes"))
        with pytest.raises(RecognitionError, match=told) as raised:
            await stream.finish()
        await openai.aclose()
    assert "sk-secret1234" not in str(raised.value)


async def test_a_sentence_is_spoken_as_the_sound_comes() -> None:
    pcm = coded("where is my order", 24_000)
    async with speech_http(Answer([pcm[:999], pcm[999:]])) as server:
        openai = synthesiser(server.url, **{"*": "openai:nova"})
        how = Voice(voice_id="cjVigY5qzO86Huf0OWal", speed=1.2)
        chunks = [chunk async for chunk in openai.say("Where is my order?", how)]
        await openai.aclose()
    assert decoded(b"".join(chunk.pcm for chunk in chunks)) == "where is my order"
    assert len(chunks) > 3
    assert server.seen[0].path == "/audio/speech"
    assert server.seen[0].json == {
        "input": "Where is my order?",
        "model": "tts-1",
        "voice": "nova",
        "response_format": "pcm",
        "speed": 1.2,
    }


@pytest.mark.parametrize(
    ("container", "codec", "kind"),
    [
        ("wav", "pcm_s16le", None),
        ("mp3", "libmp3lame", "audio/mpeg"),
        ("ogg", "libopus", "audio/ogg"),
        ("flac", "flac", None),
    ],
)
async def test_a_server_that_knows_no_pcm_is_heard_as_it_speaks(container: str, codec: str, kind: str | None) -> None:
    file = sound_file(sine(2.0, 22_050), 22_050, container=container, codec=codec, file_rate=48_000)
    async with speech_http(Answer([file[:100], file[100:]], content_type=kind)) as server:
        own = synthesiser(server.url)
        pieces = [chunk.pcm async for chunk in own.say("Where is my order?", Voice())]
        await own.aclose()
    pcm = b"".join(pieces)
    assert max(map(len, pieces)) < len(pcm) / 10
    assert len(pcm) / 2 / own.rate == pytest.approx(2.0, abs=0.1)
    assert pitch(pcm, own.rate) == pytest.approx(440, abs=2)


async def test_pcm_that_begins_like_an_mp3_is_pcm() -> None:
    pcm = b"\xff\xfb" + sine(0.5, 24_000)
    async with speech_http(Answer([pcm], content_type="audio/pcm")) as server:
        openai = synthesiser(server.url)
        assert b"".join([chunk.pcm async for chunk in openai.say("Yes.", Voice())]) == pcm
        await openai.aclose()


async def test_stopping_to_listen_stops_the_provider() -> None:
    async with speech_http(Answer([coded("where is my order", 24_000)], hang_after=1)) as server:
        openai = synthesiser(server.url)
        sentence = openai.say("Where is my order?", Voice())
        await anext(sentence)
        await sentence.aclose()
        await eventually(server.seen[0].closed.is_set)
        await openai.aclose()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (says({"error": {"message": "no such voice"}}, 400), "bad_request: HTTP 400: no such voice"),
        (says({"error": {"message": "busy"}}, 503), "overloaded: HTTP 503: busy"),
        (Answer([coded("yes", 24_000)], cut_after=1), "connection"),
        (Answer([b"<h1>Bad gateway</h1>" * 99], content_type="text/html; charset=utf-8"), "text.*Bad gateway"),
        (Answer([b'{"error": {"message": "no model"}}'], content_type="application/json"), "sound: no model"),
        (Answer([b"RIFF, and nothing of it" * 99]), "can't be read"),
    ],
)
async def test_a_voice_that_fails_says_why(answer: Answer, told: str) -> None:
    async with speech_http(answer) as server:
        openai = synthesiser(server.url)
        with pytest.raises(SynthesisError, match=told):
            async for _ in openai.say("Hello", Voice()):
                pass
        await openai.aclose()


async def test_a_server_of_ones_own_gets_no_key() -> None:
    async with speech_http(says({"text": "Yes."})) as server:
        own = OpenAiRecogniser("my-box", "whisper", Address(server.url), seconds=PATIENCE_SECONDS)
        stream = await own.open(RecognitionOptions())
        stream.push(coded("yes"))
        assert await stream.finish() == "Yes."
        await own.aclose()
    assert "authorization" not in server.seen[0].headers
    assert own.name == "my-box:whisper"

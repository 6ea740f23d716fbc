from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from greenline.speech.elevenlabs import ElevenLabsRecogniser, ElevenLabsSynthesiser
from greenline.speech.errors import RecognitionError, SynthesisError
from greenline.speech.http import Address
from greenline.speech.models import Partial, RecognitionOptions, Voice
from greenline.speech.notes import NOTE_MIME_TYPE, encode_note
from support.coded_speech import coded, decoded
from support.sounds import sine
from support.speech_http import Answer, says, speech_http
from support.speech_sockets import Faults, Scribe, hearing
from support.wait import PATIENCE_SECONDS, eventually

OPTIONS = RecognitionOptions(language="pt-br", keywords=("Monstera", "a keyword that is too long for Scribe"))
KEY = {"xi-api-key": "secret-key"}


@pytest.fixture
async def scribe() -> AsyncIterator[Scribe]:
    fake = Scribe()
    async with hearing(fake):
        yield fake


def recogniser(url: str, model: str = "scribe_v2_realtime") -> ElevenLabsRecogniser:
    return ElevenLabsRecogniser(model, Address(url, KEY), seconds=PATIENCE_SECONDS)


def line(text: str, begin: float, rate: int = 24_000) -> tuple[bytes, float]:
    """A line of the answer with the times of its characters from the beginning of the whole, and where it ends."""
    pcm = coded(text, rate)
    end = begin + len(pcm) / 2 / rate
    step = (end - begin) / len(text)
    times = {
        "characters": list(text),
        "character_start_times_seconds": [begin + place * step for place in range(len(text))],
        "character_end_times_seconds": [begin + (place + 1) * step for place in range(len(text))],
    }
    body = {"audio_base64": base64.b64encode(pcm).decode(), "alignment": times, "normalized_alignment": times}
    return json.dumps(body).encode() + b"\n", end


async def test_utterances_come_back_one_by_one(scribe: Scribe) -> None:
    stream = await recogniser(scribe.url).open(OPTIONS)
    for text in ("where is my order", "yes", "it is late please"):
        pcm = coded(text)
        for at in range(0, len(pcm), 640):
            stream.push(pcm[at : at + 640])
        assert await stream.finish() == text
    assert await stream.finish() == ""
    await stream.aclose()
    await eventually(lambda: scribe.open == 0)


async def test_the_connection_says_what_to_expect(scribe: Scribe) -> None:
    stream = await recogniser(scribe.url).open(OPTIONS)
    assert scribe.requests[0].headers["xi-api-key"] == "secret-key"
    assert scribe.query["model_id"] == ["scribe_v2_realtime"]
    assert (scribe.query["audio_format"], scribe.query["commit_strategy"]) == (["pcm_16000"], ["manual"])
    assert scribe.query["language_code"] == ["pt"]
    assert scribe.query["keyterms"] == ["Monstera"]
    await stream.aclose()


async def test_scribe_tells_languages_apart_where_several_may_be_spoken(scribe: Scribe) -> None:
    stream = await recogniser(scribe.url).open(RecognitionOptions(language="en", others=("de",)))
    assert "language_code" not in scribe.query
    await stream.aclose()


async def test_hints_tell_what_is_said_so_far(scribe: Scribe) -> None:
    stream = await recogniser(scribe.url).open(OPTIONS)
    stream.push(coded("where is my order please"))
    assert await anext(stream.hints()) == Partial("where is my order please")
    await stream.aclose()


async def test_what_waited_to_be_heard_goes_in_pieces_that_scribe_takes(scribe: Scribe) -> None:
    stream = await recogniser(scribe.url).open(OPTIONS)
    stream.push(coded("where is my order please repeat that late"))
    assert await stream.finish() == "where is my order please repeat that late"
    await stream.aclose()


async def test_what_scribe_commits_by_itself_belongs_to_the_utterance(scribe: Scribe) -> None:
    """It does so in the middle of who speaks for long without a pause."""
    scribe.own_commit_seconds = 0.8
    stream = await recogniser(scribe.url).open(OPTIONS)
    hints = stream.hints()
    stream.push(coded("where is"))
    stream.push(coded("my order"))
    stream.push(coded("please repeat that"))
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await anext(hints) == Partial("where is my order please repeat that")
    assert await stream.finish() == "where is my order please repeat that"
    stream.push(coded("yes"))
    assert await stream.finish() == "yes"
    await stream.aclose()


async def test_an_error_that_answers_no_commit_takes_no_words_away(scribe: Scribe) -> None:
    scribe.faults = Faults(frames_first=['{"message_type": "insufficient_audio_activity", "error": "silence"}'])
    stream = await recogniser(scribe.url).open(OPTIONS)
    stream.push(coded("where is my order"))
    async with asyncio.timeout(PATIENCE_SECONDS):
        await anext(stream.hints())
    assert await stream.finish() == "where is my order"
    stream.push(coded("yes"))
    assert await stream.finish() == "yes"
    await stream.aclose()


async def test_the_connection_stays_while_nobody_speaks(scribe: Scribe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("greenline.speech.scribe.KEEP_ALIVE_SECONDS", 0.02)
    stream = await recogniser(scribe.url).open(OPTIONS)
    await eventually(lambda: len(scribe.texts) > 2)
    assert not any(scribe.sound)
    assert not any(message["commit"] for message in scribe.texts)
    stream.push(coded("yes"))
    assert await stream.finish() == "yes"
    await stream.aclose()


@pytest.mark.parametrize(
    ("faults", "told"),
    [
        (
            Faults(frames_first=['{"message_type": "quota_exceeded", "error": "no credit left"}']),
            "quota_exceeded: no",
        ),
        (Faults(frames_first=['{"message_type": "brand_new_error", "error": "why"}']), "brand_new_error: why"),
        (Faults(frames_first=['{"message_type": "committed_transcript"}']), "not as its API says"),
        (Faults(refuse=(403, {"detail": {"status": "x", "message": "not allowed"}})), "may not do that.*not allowed"),
        (Faults(cut_after_seconds=0.1), "closed the connection"),
    ],
)
async def test_what_goes_wrong_is_told(scribe: Scribe, faults: Faults, told: str) -> None:
    scribe.faults = faults
    with pytest.raises(RecognitionError, match=told):
        await _one_utterance(scribe)


async def _one_utterance(scribe: Scribe) -> None:
    stream = await recogniser(scribe.url).open(OPTIONS)
    try:
        stream.push(coded("where is my order"))
        await stream.finish()
    finally:
        await stream.aclose()


async def test_a_recording_goes_as_it_is() -> None:
    note = encode_note(sine(1.0, 16_000), 16_000)
    async with speech_http(says({"language_code": "por", "text": " Onde está? ", "words": []})) as server:
        eleven = recogniser(server.url)
        transcript = await eleven.transcribe(note.data, NOTE_MIME_TYPE, OPTIONS)
        await eleven.aclose()
    assert transcript.text == "Onde está?"
    assert transcript.seconds == pytest.approx(1.0, abs=0.01)
    request = server.seen[0]
    assert request.path == "/v1/speech-to-text"
    assert request.headers["xi-api-key"] == "secret-key"
    assert (request.part("model_id"), request.part("language_code")) == (b"scribe_v2", b"pt")
    assert request.part("keyterms") == b"Monstera"
    assert request.part("file") == note.data


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (says({"detail": {"status": "invalid_api_key", "message": "Invalid API key"}}, 401), "the key was refused"),
        (says({"words": []}), "the answer has no text"),
        (says(b"<html>"), "the answer is no JSON"),
    ],
)
async def test_a_recording_that_fails_says_why(answer: Answer, told: str) -> None:
    note = encode_note(sine(0.2, 16_000), 16_000)
    async with speech_http(answer) as server:
        eleven = recogniser(server.url)
        with pytest.raises(RecognitionError, match=told):
            await eleven.transcribe(note.data, NOTE_MIME_TYPE, OPTIONS)
        await eleven.aclose()


async def test_a_sentence_is_spoken_with_the_time_of_each_character() -> None:
    first, middle = line("where is ", 0.0)
    second, _ = line("my order", middle)
    whole = first + second
    async with speech_http(Answer([whole[:10], whole[10:700], whole[700:]])) as server:
        voice = ElevenLabsSynthesiser(
            "eleven_flash_v2_5", Address(server.url, KEY), seconds=PATIENCE_SECONDS, voices={}
        )
        how = Voice(voice_id="cjVigY5qzO86Huf0OWal", language="pt-br", speed=1.1, stability=0.3, similarity_boost=0.6)
        chunks = [chunk async for chunk in voice.say("where is my order", how)]
        await voice.aclose()
    assert decoded(b"".join(chunk.pcm for chunk in chunks)) == "where is my order"
    for chunk, text in zip(chunks, ("where is ", "my order"), strict=True):
        assert chunk.alignment is not None
        assert "".join(chunk.alignment.chars) == text
        assert chunk.alignment.starts_ms[0] == 0
        end = chunk.alignment.starts_ms[-1] + chunk.alignment.durations_ms[-1]
        assert end == pytest.approx(len(chunk.pcm) / 48, abs=2)
    request = server.seen[0]
    assert request.path == "/v1/text-to-speech/cjVigY5qzO86Huf0OWal/stream/with-timestamps?output_format=pcm_24000"
    assert request.json == {
        "text": "where is my order",
        "model_id": "eleven_flash_v2_5",
        "language_code": "pt",
        "voice_settings": {"stability": 0.3, "similarity_boost": 0.6, "speed": 1.1},
    }


@pytest.mark.parametrize(("model", "normalises"), [("eleven_v3", True), ("eleven_flash_v2_5", False)])
async def test_the_agents_dictionaries_and_normalisation_are_asked_for(model: str, normalises: bool) -> None:
    async with speech_http(Answer([line("yes", 0.0)[0]])) as server:
        voice = ElevenLabsSynthesiser(model, Address(server.url, KEY), seconds=PATIENCE_SECONDS, voices={})
        async for _ in voice.say("yes", Voice(dictionaries=(("dict_1", "v_1"), ("dict_2", None)), normalise=True)):
            pass
        await voice.aclose()
    body = server.seen[0].json
    assert body["pronunciation_dictionary_locators"] == [
        {"pronunciation_dictionary_id": "dict_1", "version_id": "v_1"},
        {"pronunciation_dictionary_id": "dict_2"},
    ]
    assert body.get("apply_text_normalization") == ("on" if normalises else None)


@pytest.mark.parametrize(
    ("model", "asked_for"), [("eleven_v3", 0.5), ("eleven_v3_conversational", 0.5), ("eleven_flash_v2_5", 0.4)]
)
async def test_a_model_is_asked_for_a_stability_that_it_has(model: str, asked_for: float) -> None:
    async with speech_http(Answer([line("yes", 0.0)[0]])) as server:
        voice = ElevenLabsSynthesiser(model, Address(server.url, KEY), seconds=PATIENCE_SECONDS, voices={})
        async for _ in voice.say("yes", Voice(stability=0.4)):
            pass
        await voice.aclose()
    assert server.seen[0].json["voice_settings"]["stability"] == asked_for


async def test_a_voice_id_is_a_name_and_no_path() -> None:
    async with speech_http(Answer([line("yes", 0.0)[0]])) as server:
        voice = ElevenLabsSynthesiser("eleven_v3", Address(server.url, KEY), seconds=PATIENCE_SECONDS, voices={})
        async for _ in voice.say("yes", Voice(voice_id="../../v1/voices?x=1")):
            pass
        await voice.aclose()
    assert server.seen[0].path.startswith("/v1/text-to-speech/..%2F..%2Fv1%2Fvoices%3Fx%3D1/stream/with-timestamps?")


async def test_stopping_to_listen_stops_the_provider() -> None:
    async with speech_http(Answer([line("where", 0.0)[0]], hang_after=1)) as server:
        voice = ElevenLabsSynthesiser("eleven_v3", Address(server.url, KEY), seconds=PATIENCE_SECONDS, voices={})
        sentence = voice.say("where is it", Voice())
        await anext(sentence)
        await sentence.aclose()
        await eventually(server.seen[0].closed.is_set)
        await voice.aclose()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (says({"detail": {"status": "quota_exceeded", "message": "out of credits"}}, 401), "refused.*out of credits"),
        (says({"detail": [{"loc": ["body"], "msg": "bad"}]}, 422), "the request was refused"),
        (says(b"not json\n"), "no JSON"),
        (says({"audio_base64": "AAAA", "alignment": {"characters": ["a"]}}), "not as the API says"),
        (says({"nothing": 1}), "not as the API says"),
        (Answer([line("where", 0.0)[0], line("is", 0.3)[0]], cut_after=1), "not reached"),
    ],
)
async def test_a_voice_that_fails_says_why(answer: Answer, told: str) -> None:
    async with speech_http(answer) as server:
        voice = ElevenLabsSynthesiser("eleven_v3", Address(server.url, KEY), seconds=PATIENCE_SECONDS, voices={})
        with pytest.raises(SynthesisError, match=told) as raised:
            async for _ in voice.say("Hello", Voice()):
                pass
        await voice.aclose()
    assert "secret-key" not in str(raised.value)


async def test_sound_without_times_is_spoken_too() -> None:
    body: dict[str, Any] = {"audio_base64": base64.b64encode(coded("yes", 24_000)).decode(), "alignment": None}
    async with speech_http(says(body)) as server:
        voice = ElevenLabsSynthesiser("eleven_v3", Address(server.url, KEY), seconds=PATIENCE_SECONDS, voices={})
        chunks = [chunk async for chunk in voice.say("yes", Voice())]
        await voice.aclose()
    assert [decoded(chunk.pcm) for chunk in chunks] == ["yes"]
    assert chunks[0].alignment is None


async def test_a_sample_that_two_pieces_share_is_whole() -> None:
    pcm = coded("yes", 24_000)
    pieces = [{"audio_base64": base64.b64encode(part).decode()} for part in (pcm[:1001], pcm[1001:])]
    async with speech_http(Answer([json.dumps(piece).encode() + b"\n" for piece in pieces])) as server:
        voice = ElevenLabsSynthesiser("eleven_v3", Address(server.url, KEY), seconds=PATIENCE_SECONDS, voices={})
        heard = b"".join([chunk.pcm async for chunk in voice.say("yes", Voice())])
        await voice.aclose()
    assert heard == pcm

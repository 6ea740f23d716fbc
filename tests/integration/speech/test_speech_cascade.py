"""Providers that die while people speak and listen: somebody else goes on."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from greenline.clock import ManualClock
from greenline.settings import Settings
from greenline.speech.deepgram import NovaStream
from greenline.speech.errors import AudioError, RecognitionError, SpeechError, SynthesisError
from greenline.speech.factory import SpeechServices, build_speech
from greenline.speech.models import HEARING_RATE, Chunk, Partial, RecognitionOptions, Voice
from greenline.speech.notes import encode_note
from greenline.speech.resample import resample
from greenline.speech.usage import SpeechUsage
from support.coded_speech import coded, decoded
from support.sounds import rms, sine
from support.speech_http import Answer, SpeechHttp, says, speech_http
from support.speech_sockets import Faults, Nova, Scribe, hearing
from support.wait import PATIENCE_SECONDS, eventually

KEYS = {"DEEPGRAM_API_KEY": "d", "ELEVENLABS_API_KEY": "e", "OPENAI_API_KEY": "o"}
FAILED = says({"error": {"message": "out of order"}}, 503)


def speech(clock: ManualClock, urls: Mapping[str, str], **settings: Any) -> SpeechServices:
    """Speech whose providers are at ``urls``, and no other has a key."""
    keys = {name: key for name, key in KEYS.items() if name.partition("_")[0].lower() in urls}
    settings = {"speech_timeout_seconds": PATIENCE_SECONDS, **settings}
    configured = Settings(_env_file=None, speech_base_urls=dict(urls), **settings)
    return build_speech(configured, clock, keys)


async def heard_of(chunks: list[Chunk], rate: int) -> str:
    """What the embedded recogniser understands of what was spoken, however long it takes."""
    listener, options = speech(ManualClock(), {}), RecognitionOptions("embedded")
    stream = await listener.recogniser(options).open(options)
    stream.push(resample(b"".join(chunk.pcm for chunk in chunks), rate, HEARING_RATE))
    text = await stream.finish()
    await listener.aclose()
    return text


async def say(services: SpeechServices, text: str) -> tuple[list[Chunk], int]:
    voice = Voice(model_id="eleven_flash_v2")
    synthesiser = services.synthesiser(voice)
    return [chunk async for chunk in synthesiser.say(text, voice)], synthesiser.rate


@pytest.fixture
async def voice_server() -> AsyncIterator[SpeechHttp]:
    async with speech_http(FAILED) as server:
        yield server


@pytest.mark.parametrize(
    "answer", [FAILED, says(b"", 401), Answer([], hang_after=0), Answer([], cut_after=0), Answer([])]
)
async def test_when_the_voice_fails_the_embedded_voice_says_the_sentence(
    clock: ManualClock, voice_server: SpeechHttp, answer: Answer
) -> None:
    voice_server.answers = [answer]
    patience = PATIENCE_SECONDS if answer.hang_after is None else 1.0
    services = speech(clock, {"openai": voice_server.url}, speech_timeout_seconds=patience)
    chunks, rate = await say(services, "Where is my order?")
    assert rate == 24_000
    assert {chunk.provider for chunk in chunks} == {"embedded"}
    assert await heard_of(chunks, rate) == "Where is my order?"
    await services.aclose()


@pytest.mark.parametrize(
    ("model", "written", "asked_for"),
    [
        ("eleven_v3", "[sad] Where is my order?", "[sad] Where is my order?"),
        ("eleven_flash_v2_5", "[sad] Where is my order?", "Where is my order?"),
        ("eleven_v3", "Where is <break time='1s'/>my order?", "Where is [pause] my order?"),
        ("eleven_flash_v2_5", "Where <break time='1s'/> is my order?", "Where <break time='1s'/> is my order?"),
    ],
)
async def test_a_tag_reaches_a_voice_that_acts_and_no_other(
    clock: ManualClock, voice_server: SpeechHttp, model: str, written: str, asked_for: str
) -> None:
    services = speech(clock, {"elevenlabs": voice_server.url})
    voice = Voice(model_id=model)
    synthesiser = services.synthesiser(voice)
    chunks = [chunk async for chunk in synthesiser.say(written, voice)]
    assert voice_server.seen[0].json["text"] == asked_for
    assert await heard_of(chunks, synthesiser.rate) == "Where is my order?"  # by the embedded voice
    assert await say(services, "[sad]") == ([], synthesiser.rate)
    await services.aclose()


def timed(characters: str, pcm: bytes) -> bytes:
    """A piece of sound as ElevenLabs sends it, with the times of its characters."""
    edges = [place / 26 for place in range(len(characters) + 1)]
    times = {
        "characters": list(characters),
        "character_start_times_seconds": edges[:-1],
        "character_end_times_seconds": edges[1:],
    }
    line = {"audio_base64": base64.b64encode(pcm).decode(), "alignment": times}
    return json.dumps(line).encode() + b"\n"


@pytest.mark.parametrize(
    ("heard", "end"),
    [
        ("Hello there. ", Answer([b"{"], cut_after=1)),
        ("Hello there. Whe", Answer([b"{"], cut_after=1)),
        ("Hello there. ", Answer([])),
    ],
    ids=["cut", "cut in a word", "over"],
)
async def test_a_voice_that_breaks_off_is_taken_over_with_the_rest_from_a_whole_word(
    clock: ManualClock, voice_server: SpeechHttp, heard: str, end: Answer
) -> None:
    voice_server.answers = [replace(end, pieces=[timed(heard, coded("hello", 24_000)), *end.pieces])]
    services = speech(clock, {"elevenlabs": voice_server.url})
    chunks, rate = await say(services, "Hello there. Where is my order?")
    first = [chunk for chunk in chunks if chunk.provider.startswith("elevenlabs")]
    rest = [chunk for chunk in chunks if chunk.provider == "embedded"]
    assert decoded(b"".join(chunk.pcm for chunk in first)) == "hello"
    assert await heard_of(rest, rate) == "Where is my order?"
    await services.aclose()


@pytest.mark.parametrize(
    ("model", "text", "told"),
    [("eleven_flash_v2", "Where is my order?", ""), ("eleven_v3", "[laughs softly] Yes!", "Yes!")],
)
async def test_a_sentence_is_not_said_again_where_times_are_not_told(
    clock: ManualClock, voice_server: SpeechHttp, model: str, text: str, told: str
) -> None:
    voice_server.answers = [Answer([timed(told, sine(1.0, 24_000))])]
    services = speech(clock, {"elevenlabs": voice_server.url})
    voice = Voice(model_id=model)
    chunks = [chunk async for chunk in services.synthesiser(voice).say(text, voice)]
    assert {chunk.provider for chunk in chunks} == {f"elevenlabs:{model}"}
    await services.aclose()


async def test_a_voice_that_never_ends_is_stopped(clock: ManualClock, voice_server: SpeechHttp) -> None:
    voice_server.answers = [Answer([sine(10.0, 24_000)] * 30)]
    services = speech(clock, {"openai": voice_server.url})
    chunks, rate = await say(services, "Where is my order?")
    first = [chunk for chunk in chunks if chunk.provider != "embedded"]
    rest = [chunk for chunk in chunks if chunk.provider == "embedded"]
    assert 20 < sum(len(chunk.pcm) for chunk in first) / 2 / rate < 40
    assert await heard_of(rest, rate) == "Where is my order?"
    await services.aclose()


@pytest.mark.parametrize(("letters_a_second", "speakers"), [(40, {"openai:tts"}), (60, {"openai:tts", "embedded"})])
async def test_a_sound_that_is_too_short_for_its_words_is_not_all_of_them(
    clock: ManualClock, voice_server: SpeechHttp, letters_a_second: int, speakers: set[str]
) -> None:
    text = "Where is my order?"
    letters = sum(char.isalpha() for char in text)
    voice_server.answers = [Answer([sine(letters / letters_a_second, 24_000)])]
    services = speech(clock, {"openai": voice_server.url})
    with capture_logs() as entries:
        voice = Voice(model_id="openai:tts")
        chunks = [chunk async for chunk in services.synthesiser(voice).say(text, voice)]
    assert {chunk.provider for chunk in chunks} == speakers
    told = [entry["error"] for entry in entries if entry["event"] == "speech.provider_failed"]
    assert told == ["openai:tts: the sound ends before the words do"] * (len(speakers) - 1)
    await services.aclose()


async def test_a_voice_that_failed_rests_and_is_tried_again_later(
    clock: ManualClock, voice_server: SpeechHttp
) -> None:
    services = speech(clock, {"openai": voice_server.url})
    await say(services, "one")
    await say(services, "two")
    assert len(voice_server.seen) == 1, "the second sentence does not wait for a provider that just failed"
    clock.advance(timedelta(seconds=31))
    voice_server.answers = [Answer([coded("yes", 24_000)])]
    chunks, _ = await say(services, "three")
    assert decoded(b"".join(chunk.pcm for chunk in chunks)) == "yes"
    await services.aclose()


async def test_one_agents_wrong_voice_is_nothing_to_the_others(clock: ManualClock, voice_server: SpeechHttp) -> None:
    voice_server.answers = [says({"error": {"message": "no such voice"}}, 400), Answer([coded("yes", 24_000)])]
    services = speech(clock, {"openai": voice_server.url})
    wrong, _ = await say(services, "one")
    right, _ = await say(services, "two")
    assert {chunk.provider for chunk in wrong} == {"embedded"}
    assert {chunk.provider for chunk in right} == {"openai:gpt-4o-mini-tts"}
    await services.aclose()


async def test_backups_speak_at_the_rate_of_the_first(clock: ManualClock, voice_server: SpeechHttp) -> None:
    services = speech(clock, {"openai": voice_server.url}, tts="openai", tts_backups=("embedded",))
    synthesiser = services.synthesiser(Voice())
    chunks, rate = await say(services, "That is all")
    assert (synthesiser.rate, rate) == (24_000, 24_000)
    assert rms(b"".join(chunk.pcm for chunk in chunks)) > 500
    assert await heard_of(chunks, rate) == "That is all"
    await services.aclose()


async def test_stopping_to_listen_stops_the_whole_cascade(clock: ManualClock, voice_server: SpeechHttp) -> None:
    voice_server.answers = [Answer([coded("where is my order", 24_000)], hang_after=1)]
    services = speech(clock, {"openai": voice_server.url})
    sentence = services.synthesiser(Voice()).say("Where is my order?", Voice())
    await anext(sentence)
    await sentence.aclose()
    await eventually(voice_server.seen[0].closed.is_set)
    await services.aclose()


async def test_when_nobody_can_speak_the_first_error_is_told(clock: ManualClock) -> None:
    services = speech(clock, {}, tts="embedded:nobody")
    with pytest.raises(SynthesisError, match="no voice 'nobody'"):
        async for _ in services.synthesiser(Voice()).say("Hello", Voice()):
            pass
    await services.aclose()


@pytest.fixture
async def nova() -> AsyncIterator[Nova]:
    fake = Nova()
    async with hearing(fake):
        yield fake


@pytest.mark.parametrize(
    "faults",
    [
        Faults(cut_after_seconds=0.3),
        Faults(close_after_seconds=(0.3, 1011, "sorry")),
        Faults(deaf=True, cut_after_seconds=0.3),
        Faults(deaf=True),
        Faults(refuse=(429, {"err_msg": "too many"})),
        Faults(frames_first=["no JSON"]),
    ],
)
async def test_when_the_recogniser_dies_another_hears_the_whole_utterance(
    clock: ManualClock, nova: Nova, faults: Faults
) -> None:
    nova.faults = faults
    other = Scribe()
    async with hearing(other):
        urls = {"deepgram": nova.url, "elevenlabs": other.url}
        patience = 1.0 if faults == Faults(deaf=True) else PATIENCE_SECONDS  # below that of Nova's own stream
        services = speech(clock, urls, stt="deepgram", speech_timeout_seconds=patience)
        options = RecognitionOptions()
        stream = await services.recogniser(options).open(options)
        for word in ("where", "is", "my", "order"):
            stream.push(coded(word))
        assert await stream.finish() == "where is my order"
        assert stream.provider == "elevenlabs:scribe_v2_realtime"
        stream.push(coded("yes please"))
        assert await stream.finish() == "yes please"
        await stream.aclose()
        await services.aclose()
        await eventually(lambda: (nova.open, other.open) == (0, 0))


async def test_who_speaks_on_while_another_takes_over_is_heard_next(clock: ManualClock, nova: Nova) -> None:
    nova.faults = Faults(cut_after_seconds=0.1, deaf=True)
    other = Scribe()
    async with hearing(other):
        services = speech(clock, {"deepgram": nova.url, "elevenlabs": other.url}, stt="deepgram")
        options = RecognitionOptions()
        stream = await services.recogniser(options).open(options)
        stream.push(coded("where is it"))
        first = asyncio.create_task(stream.finish())
        await asyncio.sleep(0)
        words = coded("yes please repeat that")
        for at in range(0, len(words), 640):
            stream.push(words[at : at + 640])
            await asyncio.sleep(0)
        assert await first == "where is it"
        assert await stream.finish() == "yes please repeat that"
        await stream.aclose()
        await services.aclose()


async def test_a_connection_that_was_only_cut_is_made_again(clock: ManualClock, nova: Nova) -> None:
    services = speech(clock, {"deepgram": nova.url})
    options = RecognitionOptions()
    stream = await services.recogniser(options).open(options)
    stream.push(coded("hello"))
    assert await stream.finish() == "hello"
    nova.faults = Faults(cut_after_seconds=0.5)
    stream.push(coded("where is it"))
    nova.faults = Faults()
    assert await stream.finish() == "where is it"
    assert stream.provider == "deepgram:nova-3"
    await stream.aclose()
    await services.aclose()


async def test_hints_go_on_after_a_change(clock: ManualClock, nova: Nova) -> None:
    nova.faults = Faults(cut_after_seconds=0.1, deaf=True)
    other = Scribe()
    async with hearing(other):
        services = speech(clock, {"deepgram": nova.url, "elevenlabs": other.url}, stt="deepgram")
        options = RecognitionOptions()
        stream = await services.recogniser(options).open(options)
        hints = stream.hints()
        stream.push(coded("where is it"))
        await stream.finish()
        stream.push(coded("yes please yes"))
        assert isinstance(await anext(hints), Partial)
        await stream.aclose()
        async with asyncio.timeout(PATIENCE_SECONDS):
            async for _ in hints:
                pass
        await services.aclose()


async def test_nobody_waits_until_a_stream_that_hangs_is_closed(
    clock: ManualClock, nova: Nova, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave, close = asyncio.Event(), NovaStream.aclose

    async def hang(stream: NovaStream) -> None:
        await leave.wait()
        await close(stream)

    monkeypatch.setattr(NovaStream, "aclose", hang)
    nova.faults = Faults(frames_first=["no JSON"])
    other = Scribe()
    async with hearing(other):
        services = speech(clock, {"deepgram": nova.url, "elevenlabs": other.url}, stt="deepgram")
        options = RecognitionOptions()
        stream = await services.recogniser(options).open(options)
        stream.push(coded("where is it"))
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await stream.finish() == "where is it"
        leave.set()
        await stream.aclose()
        await services.aclose()
        await eventually(lambda: (nova.open, other.open) == (0, 0))


async def test_when_nobody_hears_the_first_error_is_told_and_the_stream_lives_on(
    clock: ManualClock, nova: Nova
) -> None:
    nova.faults = Faults(frames_first=["no JSON"])
    services = speech(clock, {"deepgram": nova.url})
    options = RecognitionOptions()
    stream = await services.recogniser(options).open(options)
    stream.push(coded("where is it"))
    with pytest.raises(RecognitionError, match="no JSON object"):
        await stream.finish()
    nova.faults = Faults()
    stream.push(coded("yes"))
    assert await stream.finish() == "yes"
    await stream.aclose()
    await services.aclose()


async def test_after_an_outage_nobody_waits_for_the_stream_that_is_closed(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("greenline.speech.scribe.COMMIT_SECONDS", 0.1)
    scribe = Scribe()
    scribe.faults = Faults(deaf=True)
    async with hearing(scribe):
        services = speech(clock, {"elevenlabs": scribe.url})
        options = RecognitionOptions(usage=SpeechUsage())
        stream = await services.recogniser(options).open(options)
        scribe.faults = Faults(deaf=True, refuse=(503, {"detail": "busy"}))
        stream.push(coded("where is it"))
        with pytest.raises(RecognitionError, match="no transcript"):
            await stream.finish()
        monkeypatch.undo()
        scribe.faults = Faults()
        with capture_logs() as entries:
            stream.push(coded("yes"))
            assert await stream.finish() == "yes"
        assert not entries
        assert options.usage is not None
        assert options.usage.heard_seconds == {stream.provider: pytest.approx(0.66 + 0.22)}
        await stream.aclose()
        await services.aclose()


async def test_nobody_opens(clock: ManualClock, nova: Nova) -> None:
    nova.faults = Faults(refuse=(401, {"err_msg": "Invalid credentials"}))
    services = speech(clock, {"deepgram": nova.url})
    with pytest.raises(RecognitionError, match="the key was refused"):
        await services.recogniser(RecognitionOptions()).open(RecognitionOptions())
    await services.aclose()


async def test_a_recording_is_heard_by_the_next_and_junk_by_nobody(clock: ManualClock) -> None:
    note = encode_note(sine(0.5, 16_000), 16_000)
    async with speech_http(FAILED) as broken, speech_http(says({"text": "Yes."})) as well:
        services = speech(clock, {"deepgram": broken.url, "openai": well.url})
        recogniser = services.recogniser(RecognitionOptions())
        transcript = await recogniser.transcribe(note.data, note.mime_type, RecognitionOptions())
        assert (transcript.text, transcript.provider) == ("Yes.", "openai:gpt-4o-mini-transcribe")
        with pytest.raises(AudioError):
            await recogniser.transcribe(os.urandom(100), "audio/ogg", RecognitionOptions())
        assert len(well.seen) == 1
        well.answers = [FAILED]
        with pytest.raises(SpeechError):
            await recogniser.transcribe(note.data, note.mime_type, RecognitionOptions())
        await services.aclose()


async def test_a_recording_whose_connection_was_only_cut_is_heard_all_the_same(clock: ManualClock) -> None:
    note = encode_note(sine(0.5, 16_000), 16_000)
    async with speech_http(Answer([], cut_after=0), says({"text": "Yes."})) as server:
        services = speech(clock, {"openai": server.url})
        recogniser = services.recogniser(RecognitionOptions())
        transcript = await recogniser.transcribe(note.data, note.mime_type, RecognitionOptions())
        await services.aclose()
    assert transcript.text == "Yes."


@pytest.mark.parametrize("provider", ["deepgram", "elevenlabs", "openai"])
async def test_who_hears_no_recording_in_time_or_refuses_it_is_not_asked_again(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch, provider: str
) -> None:
    monkeypatch.setattr("greenline.speech.deepgram.RECORDING_SECONDS", 0.2)
    monkeypatch.setattr("greenline.speech.elevenlabs.RECORDING_SECONDS", 0.2)
    monkeypatch.setattr("greenline.speech.providers.RECORDING_SECONDS", 0.2)
    note = encode_note(sine(0.5, 16_000), 16_000)
    for answer in (Answer([], hang_after=0), says({"error": {"message": "too large"}}, 413)):
        async with speech_http(answer) as server:
            services = speech(clock, {provider: server.url})
            recogniser = services.recogniser(RecognitionOptions())
            with pytest.raises(RecognitionError):
                await recogniser.transcribe(note.data, note.mime_type, RecognitionOptions())
            await services.aclose()
        assert len(server.seen) == 1


async def test_whoever_heard_and_spoke_is_on_the_meter(
    clock: ManualClock, nova: Nova, voice_server: SpeechHttp
) -> None:
    nova.faults = Faults(cut_after_seconds=0.1, deaf=True)
    other = Scribe()
    async with hearing(other):
        urls = {"deepgram": nova.url, "elevenlabs": other.url, "openai": voice_server.url}
        services = speech(clock, urls, stt="deepgram", tts="openai", tts_backups=("embedded",))
        usage = SpeechUsage()
        options = RecognitionOptions(usage=usage)
        stream = await services.recogniser(options).open(options)
        stream.push(coded("where is it"))
        await stream.finish()
        await stream.aclose()
        voice = Voice(usage=usage)
        seconds = 0.0
        async for chunk in services.synthesiser(voice).say("Hello there", voice):
            seconds += len(chunk.pcm) / 2 / 24_000
        await services.aclose()
    heard = pytest.approx(0.66)
    figures = {
        provider: REGISTRY.get_sample_value("greenline_speech_failures_total", {"provider": provider})
        for provider in ("deepgram", "openai")
    }
    assert all(figures.values())
    assert REGISTRY.get_sample_value("greenline_speech_sound_seconds_count", {"provider": "embedded"})
    assert REGISTRY.get_sample_value("greenline_speech_text_seconds_count", {"provider": "elevenlabs"})
    assert usage.heard_seconds == {"deepgram:nova-3": heard, "elevenlabs:scribe_v2_realtime": heard}
    assert usage.spoken_characters == {"embedded": 11}
    assert usage.spoken_seconds == {"embedded": pytest.approx(seconds, abs=0.01)}


async def test_a_recording_is_on_the_meter(clock: ManualClock) -> None:
    note = encode_note(sine(0.5, 16_000), 16_000)
    async with speech_http(says({"text": "Yes."})) as server:
        services = speech(clock, {"openai": server.url})
        options = RecognitionOptions(usage=SpeechUsage())
        await services.recogniser(options).transcribe(note.data, note.mime_type, options)
        await services.aclose()
    assert options.usage is not None
    assert options.usage.transcribed_seconds == {"openai:gpt-4o-mini-transcribe": pytest.approx(0.5, abs=0.01)}


async def test_a_recording_is_on_the_meter_of_the_model_that_heard_it(clock: ManualClock) -> None:
    """Flux only listens live: it has Nova hear recordings, which costs something else."""
    note = encode_note(sine(0.5, 16_000), 16_000)
    heard = {"results": {"channels": [{"alternatives": [{"transcript": "Yes."}]}]}}
    async with speech_http(says(heard)) as server:
        services = speech(clock, {"deepgram": server.url}, stt="deepgram:flux-general-en")
        options = RecognitionOptions(usage=SpeechUsage())
        await services.recogniser(options).transcribe(note.data, note.mime_type, options)
        await services.aclose()
    assert options.usage is not None
    assert options.usage.transcribed_seconds == {"deepgram:nova-3": pytest.approx(0.5, abs=0.01)}

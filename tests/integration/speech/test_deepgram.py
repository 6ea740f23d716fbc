from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from greenline.speech import deepgram
from greenline.speech.deepgram import DeepgramRecogniser, DeepgramSynthesiser, NovaStream
from greenline.speech.errors import AudioError, RecognitionError, SynthesisError
from greenline.speech.http import Address
from greenline.speech.models import HEARING_RATE, Partial, RecognitionOptions, Voice
from greenline.speech.notes import NOTE_MIME_TYPE, encode_note
from support.coded_speech import coded, decoded, silence
from support.sounds import noise, sine
from support.speech_http import Answer, says, speech_http
from support.speech_sockets import Faults, Nova, hearing
from support.wait import PATIENCE_SECONDS, eventually

OPTIONS = RecognitionOptions(language="pt-br", keywords=("Monstera", "Fern & Field"))
TOKEN = {"Authorization": "Token secret-key"}


@pytest.fixture
async def nova() -> AsyncIterator[Nova]:
    fake = Nova()
    async with hearing(fake):
        yield fake


def recogniser(fake: Nova, model: str = "nova-3") -> DeepgramRecogniser:
    return DeepgramRecogniser(model, Address(fake.url, TOKEN), seconds=PATIENCE_SECONDS)


def final_result(begin: float, end: float, text: str, words: Sequence[object] = ()) -> dict[str, Any]:
    channel = {"alternatives": [{"transcript": text, "words": words}]}
    return {"type": "Results", "is_final": True, "start": begin, "duration": end - begin, "channel": channel}


async def test_utterances_come_back_one_by_one(nova: Nova) -> None:
    stream = await recogniser(nova).open(OPTIONS)
    for text in ("where is my order", "yes", "it is late please"):
        pcm = coded(text)
        for at in range(0, len(pcm), 640):
            stream.push(pcm[at : at + 640])
        assert await stream.finish() == text
    assert await stream.finish() == ""
    await stream.aclose()


async def test_the_connection_says_what_to_expect(nova: Nova) -> None:
    stream = await recogniser(nova).open(OPTIONS)
    assert nova.requests[0].headers["Authorization"] == "Token secret-key"
    assert nova.query["model"] == ["nova-3"]
    assert nova.query["language"] == ["pt-BR"]
    assert nova.query["keyterm"] == ["Monstera", "Fern & Field"]
    assert (nova.query["encoding"], nova.query["sample_rate"]) == (["linear16"], ["16000"])
    await stream.aclose()
    await eventually(lambda: nova.open == 0)


@pytest.mark.parametrize("word", ["Monstera deliciosa", "Fern"])
async def test_an_agent_with_many_keywords_is_heard(nova: Nova, word: str) -> None:
    keywords = tuple(f"{word} {number}" for number in range(200))
    stream = await recogniser(nova).open(RecognitionOptions(language="en", keywords=keywords))
    sent = nova.query["keyterm"]
    assert sent == list(keywords[: len(sent)])
    assert len(sent) >= 40
    await stream.aclose()


@pytest.mark.parametrize(
    ("language", "others", "heard_as"),
    [("en", ("de", "es-mx"), "multi"), ("pl", ("en",), "pl"), ("en", ("pl",), "en")],
)
async def test_languages_that_nova_can_tell_apart_are_all_heard(
    nova: Nova, language: str, others: tuple[str, ...], heard_as: str
) -> None:
    stream = await recogniser(nova).open(RecognitionOptions(language=language, others=others))
    assert nova.query["language"] == [heard_as]
    await stream.aclose()


async def test_who_speaks_on_while_the_text_is_awaited_is_heard_next(nova: Nova) -> None:
    stream = await recogniser(nova).open(OPTIONS)
    stream.push(coded("where is it"))
    first = asyncio.create_task(stream.finish())
    await asyncio.sleep(0)
    stream.push(coded("yes please yes"))
    assert await first == "where is it"
    assert await stream.finish() == "yes please yes"
    await stream.aclose()


async def test_no_silence_comes_into_what_is_said_while_a_finalize_is_not_answered(
    nova: Nova, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deepgram, "FINALIZE_SECONDS", 0.1)
    nova.faults = Faults(deaf=True)
    stream = await recogniser(nova).open(OPTIONS)
    assert isinstance(stream, NovaStream)
    stream.push(coded("where is it"))
    asked = asyncio.create_task(stream.finish())
    await asyncio.sleep(0)
    stream.push(coded("yes"))
    said = stream._sent
    with pytest.raises(RecognitionError, match="no result"):
        await asked
    assert stream._sent == said
    await stream.aclose()


async def test_a_finalize_that_is_not_answered_gives_what_was_understood_so_far(nova: Nova) -> None:
    nova.least_to_finalize = 10
    stream = await recogniser(nova).open(OPTIONS)
    stream.push(coded("where is my"))
    stream.push(coded("order"))
    assert await stream.finish() == "where is my order"
    await stream.aclose()


@pytest.mark.parametrize(("further", "heard"), [([], "yes"), (["Please", "hurry."], "Please hurry. yes")])
async def test_what_is_final_only_after_it_was_told_is_not_told_twice(
    nova: Nova, monkeypatch: pytest.MonkeyPatch, further: list[str], heard: str
) -> None:
    monkeypatch.setattr(deepgram, "FINALIZE_SECONDS", 0.1)
    stream = await recogniser(nova).open(OPTIONS)
    assert isinstance(stream, NovaStream)
    stream.push(coded("where is it"))
    assert await anext(stream.hints()) == Partial("where is it")
    nova.faults = Faults(deaf=True)
    assert await stream.finish() == "where is it"
    words = [{"word": word, "start": 0.2 * place} for place, word in enumerate(("where", "is", "it"))]
    words += [{"word": word.lower(), "punctuated_word": word, "start": stream._sent} for word in further]
    stream.push(silence(0.5))
    stream.on_message(final_result(0.0, stream._sent, " ".join(["where is it", *further]), words))
    begin = stream._sent
    stream.push(coded("yes"))
    stream.on_message(final_result(begin, stream._sent, "yes"))
    assert await stream.finish() == heard
    await stream.aclose()


async def test_hints_tell_what_is_said_so_far(nova: Nova) -> None:
    stream = await recogniser(nova).open(OPTIONS)
    hints = stream.hints()
    pcm = coded("where is my order please")
    for at in range(0, len(pcm), 640):
        stream.push(pcm[at : at + 640])
    first = await anext(hints)
    assert isinstance(first, Partial)
    assert "where is my order please".startswith(first.text)
    await stream.aclose()
    assert all([isinstance(hint, Partial) async for hint in hints])


async def test_silence_is_bridged(nova: Nova, monkeypatch: pytest.MonkeyPatch) -> None:
    from greenline.speech.socket import KeepAlive

    monkeypatch.setattr(deepgram, "_KEEP_ALIVE", KeepAlive('{"type": "KeepAlive"}', 0.02))
    stream = await recogniser(nova).open(OPTIONS)
    await eventually(lambda: nova.texts.count({"type": "KeepAlive"}) > 2)
    stream.push(coded("yes"))
    assert await stream.finish() == "yes"
    await stream.aclose()


@pytest.mark.parametrize(
    ("faults", "told"),
    [
        (Faults(cut_after_seconds=0.1), "closed the connection"),
        (Faults(close_after_seconds=(0.1, 1011, "NET-0001")), "1011: NET-0001"),
        (Faults(frames_first=["this is no JSON"]), "no JSON object"),
        (Faults(close_after_seconds=(0.1, 1008, "no such key: secret-key")), r"1008: no such key: \*\*\*\)"),
        (Faults(frames_first=["[1, 2]"]), "no JSON object"),
        (Faults(frames_first=["no such key: secret-key"]), r"no such key: \*\*\*'"),
        (Faults(frames_first=['{"type": "Results", "start": "?"}']), "not as its API says"),
        (Faults(frames_first=['{"type": "Error", "description": "out of credit"}']), "out of credit"),
        (Faults(frames_first=['{"type": "Error", "description": "secret-key is out"}']), r"\*\*\* is out"),
    ],
)
async def test_what_goes_wrong_in_the_middle_is_told(nova: Nova, faults: Faults, told: str) -> None:
    nova.faults = faults
    stream = await recogniser(nova).open(OPTIONS)
    stream.push(coded("where is my order please"))
    with pytest.raises(RecognitionError, match=told):
        await stream.finish()
    assert all([isinstance(hint, Partial) async for hint in stream.hints()]), "and then they end"
    stream.push(coded("yes"))
    await stream.aclose()
    await stream.aclose()


async def test_a_provider_that_is_deaf_is_told_apart_from_a_person_who_is_silent(nova: Nova) -> None:
    nova.least_to_finalize = 10
    stream = await recogniser(nova).open(OPTIONS)
    stream.push(silence(1.2))
    assert await stream.finish() == ""
    nova.faults = Faults(deaf=True)
    stream.push(coded("where is my order please"))
    with pytest.raises(RecognitionError, match=r"no result for 1\.1 s of sound"):
        await stream.finish()
    await stream.aclose()


async def test_half_a_sentence_of_which_nothing_more_is_told_is_not_what_was_said(nova: Nova) -> None:
    stream = await recogniser(nova).open(OPTIONS)
    hints = stream.hints()
    stream.push(coded("where is it"))
    assert await anext(hints) == Partial("where is it")
    nova.faults = Faults(deaf=True)
    stream.push(coded("please repeat that no no"))
    with pytest.raises(RecognitionError, match=r"no result for 1\.1 s of sound"):
        await stream.finish()
    await stream.aclose()


@pytest.mark.parametrize("so_far", ["", "where is it"])
async def test_one_short_word_is_enough_to_notice_that_nobody_hears_it(
    nova: Nova, monkeypatch: pytest.MonkeyPatch, so_far: str
) -> None:
    monkeypatch.setattr(deepgram, "FINALIZE_SECONDS", 0.1)
    stream = await recogniser(nova).open(OPTIONS)
    hints = stream.hints()
    if so_far:
        stream.push(coded(so_far))
        assert await anext(hints) == Partial(so_far)
    nova.faults = Faults(deaf=True)
    stream.push(coded("yes"))
    with pytest.raises(RecognitionError, match=r"no result for 0\.\d s of sound"):
        await stream.finish()
    await stream.aclose()


async def test_frames_that_nobody_expects_are_passed_over(nova: Nova) -> None:
    nova.faults = Faults(frames_first=[b"\0\1", '{"type": "Metadata"}', '{"type": "SomethingNew", "x": 1}'])
    stream = await recogniser(nova).open(OPTIONS)
    stream.push(coded("yes"))
    assert await stream.finish() == "yes"
    await stream.aclose()


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (401, {"err_msg": "Invalid credentials: secret-key."}, r"the key was refused.*Invalid credentials: \*\*\*"),
        (429, {"err_msg": "Too many requests"}, "too many requests"),
        (503, {}, "out of order"),
    ],
)
async def test_a_refused_connection_is_told_without_the_key(
    nova: Nova, status: int, body: dict[str, str], told: str
) -> None:
    nova.faults = Faults(refuse=(status, body))
    with pytest.raises(RecognitionError, match=told) as raised:
        await recogniser(nova).open(OPTIONS)
    assert "secret-key" not in str(raised.value)


async def test_nobody_there_is_told() -> None:
    nobody = DeepgramRecogniser("nova-3", Address("http://127.0.0.1:9"), seconds=2)
    with pytest.raises(RecognitionError, match="not reached"):
        await nobody.open(OPTIONS)


async def test_a_recording_goes_as_it_is() -> None:
    note = encode_note(sine(1.0, 16_000), 16_000)
    heard = {"results": {"channels": [{"alternatives": [{"transcript": "Where is my order?"}]}]}}
    async with speech_http(says(heard)) as server:
        deepgram = DeepgramRecogniser("nova-3", Address(server.url, TOKEN), seconds=PATIENCE_SECONDS)
        transcript = await deepgram.transcribe(note.data, NOTE_MIME_TYPE, OPTIONS)
        await deepgram.aclose()
    assert transcript.text == "Where is my order?"
    assert transcript.seconds == pytest.approx(1.0, abs=0.01)
    assert transcript.provider == "deepgram:nova-3"
    request = server.seen[0]
    assert request.body == note.data
    assert request.headers["content-type"] == "audio/ogg"
    assert request.headers["authorization"] == "Token secret-key"
    assert parse_qs(urlsplit(request.path).query)["language"] == ["pt-BR"]


@pytest.mark.parametrize("body", [b"<html>", {}, {"results": {"channels": []}}, []])
async def test_an_answer_without_a_transcript_is_told(body: object) -> None:
    note = encode_note(sine(0.2, 16_000), 16_000)
    async with speech_http(says(body)) as server:
        deepgram = DeepgramRecogniser("nova-3", Address(server.url, TOKEN), seconds=PATIENCE_SECONDS)
        with pytest.raises(RecognitionError, match="deepgram:nova-3: the answer"):
            await deepgram.transcribe(note.data, NOTE_MIME_TYPE, OPTIONS)
        await deepgram.aclose()


async def test_what_is_no_sound_is_not_sent() -> None:
    async with speech_http(says({})) as server:
        deepgram = DeepgramRecogniser("nova-3", Address(server.url, TOKEN), seconds=PATIENCE_SECONDS)
        with pytest.raises(AudioError):
            await deepgram.transcribe(b"<html>", NOTE_MIME_TYPE, OPTIONS)
    assert server.seen == []


async def test_a_sentence_is_spoken_as_the_sound_comes() -> None:
    pcm = coded("where is my order", 24_000)
    pieces = [pcm[:1], pcm[1:1_000], pcm[1_000:1_003], pcm[1_003:]]
    async with speech_http(Answer(pieces)) as server:
        voice = DeepgramSynthesiser(
            "aura-2-thalia-en",
            Address(server.url, TOKEN),
            seconds=PATIENCE_SECONDS,
            voices={"*": "deepgram:aura-2-zeus-en"},
        )
        chunks = [chunk async for chunk in voice.say("Where is my order?", Voice())]
        await voice.aclose()
    assert decoded(b"".join(chunk.pcm for chunk in chunks)) == "where is my order"
    assert all(len(chunk.pcm) % 2 == 0 for chunk in chunks)
    assert {chunk.provider for chunk in chunks} == {"deepgram:aura-2-thalia-en"}
    query = parse_qs(urlsplit(server.seen[0].path).query)
    assert query["model"] == ["aura-2-zeus-en"]
    assert (query["encoding"], query["sample_rate"], query["container"]) == (["linear16"], ["24000"], ["none"])
    assert server.seen[0].json == {"text": "Where is my order?"}


async def test_stopping_to_listen_stops_the_provider() -> None:
    async with speech_http(Answer([coded("where is my order", 24_000)], hang_after=1)) as server:
        voice = DeepgramSynthesiser(
            "aura-2-thalia-en", Address(server.url, TOKEN), seconds=PATIENCE_SECONDS, voices={}
        )
        sentence = voice.say("Where is my order?", Voice())
        await anext(sentence)
        await sentence.aclose()
        await eventually(server.seen[0].closed.is_set)
        await voice.aclose()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (says({"err_msg": "No such model"}, 400), "the request was refused.*No such model"),
        (says({"err_msg": "Slow down"}, 429), "too many requests.*Slow down"),
        (says({"err_msg": "secret-key may not speak"}, 403), r"\*\*\* may not speak"),
        (says(b"oops", 502), "out of order.*oops"),
        (Answer([silence(0.1)], cut_after=1), "not reached"),
        (Answer([b"<h1>Bad gateway</h1>" * 99], content_type="text/html"), "text.*Bad gateway"),
        (Answer([b'{"err_msg": "no voice"}'], content_type="application/json"), "sound: no voice"),
    ],
)
async def test_a_voice_that_fails_says_why(answer: Answer, told: str) -> None:
    async with speech_http(answer) as server:
        voice = DeepgramSynthesiser(
            "aura-2-thalia-en", Address(server.url, TOKEN), seconds=PATIENCE_SECONDS, voices={}
        )
        with pytest.raises(SynthesisError, match=told):
            async for _ in voice.say("Hello", Voice()):
                pass
        await voice.aclose()


async def test_a_connection_whose_other_side_takes_nothing_any_more_is_closed_all_the_same(nova: Nova) -> None:
    nova.faults = Faults(reads=False)
    stream = await recogniser(nova).open(OPTIONS)
    assert isinstance(stream, NovaStream)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while stream._socket._waiting < 1_000_000:  # more than sockets and buffers hold
            stream.push(noise(0.5, HEARING_RATE))
            await asyncio.sleep(0)
    with pytest.raises(RecognitionError, match="no result for"):
        await stream.finish()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await stream.aclose()

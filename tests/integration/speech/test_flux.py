from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from greenline.speech.errors import RecognitionError
from greenline.speech.flux import FluxRecogniser
from greenline.speech.http import Address
from greenline.speech.models import EndOfTurn, Hint, Partial, RecognitionOptions, RecognitionStream, TurnResumed
from greenline.speech.notes import NOTE_MIME_TYPE, encode_note
from greenline.speech.socket import KeepAlive
from support.coded_speech import coded, silence
from support.sounds import sine
from support.speech_http import says, speech_http
from support.speech_sockets import Faults, Flux, hearing
from support.wait import PATIENCE_SECONDS, eventually

OPTIONS = RecognitionOptions(language="es-mx", keywords=("Monstera",))


@pytest.fixture
async def flux() -> AsyncIterator[Flux]:
    fake = Flux()
    async with hearing(fake):
        yield fake


def recogniser(fake: Flux, model: str = "flux-general-en") -> FluxRecogniser:
    return FluxRecogniser(model, Address(fake.url, {"Authorization": "Token k"}), seconds=PATIENCE_SECONDS)


def push(stream: RecognitionStream, pcm: bytes) -> None:
    for at in range(0, len(pcm), 640):
        stream.push(pcm[at : at + 640])


async def until_end(hints: AsyncIterator[Hint]) -> list[Hint]:
    """The hints until a turn has ended for good."""
    found: list[Hint] = []
    async for hint in hints:
        found.append(hint)
        if isinstance(hint, EndOfTurn) and not hint.eager:
            break
    return found


async def test_our_own_end_of_turn_is_obeyed(flux: Flux) -> None:
    stream = await recogniser(flux).open(OPTIONS)
    for text in ("where is my order", "no", "it is late please"):
        push(stream, coded(text))
        assert await stream.finish() == text
    assert await stream.finish() == ""
    await stream.aclose()
    assert {"type": "CloseStream"} in flux.texts


async def test_an_end_of_turn_of_our_own_is_no_word_of_flux(flux: Flux) -> None:
    stream = await recogniser(flux).open(OPTIONS)
    push(stream, coded("where is it"))
    assert await stream.finish() == "where is it"
    assert {"type": "ForceEndTurn"} in flux.texts
    await stream.aclose()
    assert {type(hint) async for hint in stream.hints()} == {Partial}


async def test_a_turn_that_flux_has_ended_is_taken(flux: Flux) -> None:
    stream = await recogniser(flux).open(OPTIONS)
    hints = stream.hints()
    push(stream, coded("where is it") + silence(1.0))
    found = await until_end(hints)
    assert [type(hint) for hint in found if not isinstance(hint, Partial)] == [EndOfTurn, EndOfTurn]
    assert found[-2:] == [EndOfTurn("where is it", eager=True), EndOfTurn("where is it")]
    assert {hint.over for hint in found if not isinstance(hint, TurnResumed)} == {0.5}
    assert await stream.finish() == "where is it"
    assert {"type": "ForceEndTurn"} not in flux.texts
    await stream.aclose()


async def test_nothing_is_lost_or_said_twice_when_somebody_speaks_on_while_the_text_is_awaited(flux: Flux) -> None:
    stream = await recogniser(flux).open(OPTIONS)
    push(stream, coded("where is it"))
    first = asyncio.create_task(stream.finish())
    await asyncio.sleep(0)
    push(stream, coded("yes please") + silence(0.3))
    texts = [await first, await stream.finish()]
    assert " ".join(filter(None, texts)) == "where is it yes please"
    await stream.aclose()


async def test_the_silence_that_keeps_the_connection_counts_as_time(
    flux: Flux, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("greenline.speech.flux._KEEP_ALIVE", KeepAlive(bytes(3_200), 0.02))
    stream = await recogniser(flux).open(OPTIONS)
    await eventually(lambda: len(flux.sound) > 16_000)
    for text in ("where is it", "no"):
        push(stream, coded(text))
        assert await stream.finish() == text
    await stream.aclose()


async def test_a_person_who_goes_on_is_told(flux: Flux) -> None:
    stream = await recogniser(flux).open(OPTIONS)
    push(stream, coded("where is it") + silence(0.4) + coded("please") + silence(1.0))
    found = await until_end(stream.hints())
    kinds = [hint for hint in found if not isinstance(hint, Partial)]
    assert kinds[0] == EndOfTurn("where is it", eager=True)
    assert kinds[1] == TurnResumed()
    assert kinds[-1] == EndOfTurn("where is it please")
    await stream.aclose()


async def test_the_connection_says_what_to_expect(flux: Flux) -> None:
    stream = await recogniser(flux, "flux-general-multi").open(OPTIONS)
    assert flux.requests[0].path.startswith("/v2/listen?")
    assert flux.query["model"] == ["flux-general-multi"]
    assert flux.query["language_hint"] == ["es"]
    assert flux.query["keyterm"] == ["Monstera"]
    assert flux.query["eager_eot_threshold"] == ["0.5"]
    await stream.aclose()
    await eventually(lambda: flux.open == 0)


async def test_an_agent_with_many_keywords_is_heard(flux: Flux) -> None:
    options = RecognitionOptions(language="en", keywords=tuple(f"Fern {number}" for number in range(200)))
    stream = await recogniser(flux).open(options)
    assert flux.query["keyterm"][0] == "Fern 0"
    await stream.aclose()


@pytest.mark.parametrize(
    ("language", "others", "hints"),
    [("es-mx", ("en",), ["es", "en"]), ("pl", ("en-gb", "en-us"), ["en"]), ("pl", (), [])],
)
async def test_every_language_that_may_be_spoken_is_a_hint_if_flux_knows_it(
    flux: Flux, language: str, others: tuple[str, ...], hints: list[str]
) -> None:
    options = RecognitionOptions(language=language, others=others)
    stream = await recogniser(flux, "flux-general-multi").open(options)
    assert flux.query.get("language_hint", []) == hints
    await stream.aclose()


@pytest.mark.parametrize(
    ("faults", "told"),
    [
        (Faults(deaf=True), "no update in 1 s"),
        (Faults(cut_after_seconds=0.1), "closed the connection"),
        (Faults(frames_first=['{"type": "Error", "code": "X", "description": "bad model"}']), "bad model"),
        (Faults(frames_first=['{"type": "TurnInfo"}']), "not as its API says"),
    ],
)
async def test_what_goes_wrong_is_told(flux: Flux, faults: Faults, told: str) -> None:
    flux.faults = faults
    stream = await recogniser(flux).open(OPTIONS)
    push(stream, coded("where is my order"))
    with pytest.raises(RecognitionError, match=told):
        await stream.finish()
    await stream.aclose()


@pytest.mark.parametrize("rest", ["my order", "my order please repeat that"])
async def test_half_a_turn_of_which_nothing_more_is_told_is_not_what_was_said(flux: Flux, rest: str) -> None:
    stream = await recogniser(flux).open(OPTIONS)
    hints = stream.hints()
    push(stream, coded("where is"))
    assert await anext(hints) == Partial("where is")
    flux.faults = Faults(deaf=True)
    push(stream, coded(rest))
    with pytest.raises(RecognitionError, match="no update in 1 s"):
        await stream.finish()
    await stream.aclose()


async def test_a_recording_is_heard_by_nova() -> None:
    note = encode_note(sine(0.5, 16_000), 16_000)
    async with speech_http(says({"results": {"channels": [{"alternatives": [{"transcript": "Yes."}]}]}})) as server:
        flux = FluxRecogniser("flux-general-en", Address(server.url), seconds=PATIENCE_SECONDS)
        assert (await flux.transcribe(note.data, NOTE_MIME_TYPE, OPTIONS)).text == "Yes."
        await flux.aclose()
    assert "model=nova-3" in server.seen[0].path

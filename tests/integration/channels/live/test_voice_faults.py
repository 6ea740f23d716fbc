"""Providers that die or hang in the middle of a conversation: the person hears a sentence, not silence."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx2
import pytest
import structlog

from greenline.channels.live.models import (
    AgentResponse,
    Interruption,
    ResponseComplete,
    ResponseCorrection,
    UserTranscript,
)
from greenline.channels.live.session import LiveSession
from greenline.channels.live.turn import start_left
from greenline.clock import ManualClock
from greenline.conversations.events import AgentInterrupted, AgentMessage, TurnFailed
from greenline.llm.cascade import Models
from greenline.llm.errors import AllModelsFailed
from greenline.llm.factory import build_models
from greenline.llm.models import Cascade, Message, ModelReply, ModelRequest, StreamEvent, TextPart
from greenline.settings import Settings
from support.fake_llm import FakeLlm, fake_llm
from support.fake_llm import says as fake_says
from support.live import Opens, Room, Stage, told_of
from support.spoken import ANSWER, SPARE_SECONDS, SpokenSpeech, ask, pause, voice
from support.wait import PATIENCE_SECONDS, eventually


@contextlib.asynccontextmanager
async def models_at(endpoint: FakeLlm) -> AsyncIterator[Models]:
    """All models, at one endpoint."""
    asked = Settings(_env_file=None, llm_base_urls={"fake": endpoint.url}, llm_map={"*": "fake:fake"})
    async with httpx2.AsyncClient() as http:
        models, endpoints = build_models(asked, {}, http)
        plays, endpoint.plays = endpoint.plays, [fake_says("Ready")]  # loading the client takes seconds
        hello = (Message("user", (TextPart("Hello"),)),)
        await models.complete(ModelRequest("any", hello, cascade=Cascade((), PATIENCE_SECONDS)))
        endpoint.will(*plays)
        endpoint.seen.clear()
        yield models
        await endpoints.aclose()


async def test_when_recognition_fails_the_person_hears_a_sentence(live: Stage, speech: SpokenSpeech) -> None:
    session, told = await live.begin(Room())
    speech.deaf = True
    await ask(session, speech, "Do you sell tea?")
    (answer,) = await told_of(told, AgentResponse)
    assert "sorry" in answer.text.lower()
    speech.deaf = False
    speech.texts.clear()
    await told_of(told, ResponseComplete)
    await ask(session, speech, "Do you sell tea?")
    responses = await told_of(told, AgentResponse, 2)
    assert responses[-1].text == ANSWER
    assert [e.code for e in await live.journal(session) if isinstance(e, TurnFailed)] == ["recognition_failed"]


async def test_recognition_that_could_not_be_opened_is_opened_later(
    live: Stage, speech: SpokenSpeech, clock: ManualClock
) -> None:
    speech.absent = True
    session, told = await live.begin(Room())
    await eventually(lambda: speech.attempts)
    voice(session, 0.5)
    pause(session, 0.7)
    (answer,) = await told_of(told, AgentResponse)
    assert "sorry" in answer.text.lower()
    await told_of(told, ResponseComplete)
    session.user_message("Do you sell tea?")
    responses = await told_of(told, AgentResponse, 2)
    assert responses[-1].text == ANSWER
    await told_of(told, ResponseComplete, 2)
    speech.absent = False
    clock.advance(timedelta(seconds=2))
    await ask(session, speech, "And coffee?")
    typed, heard = await told_of(told, UserTranscript, 2)
    assert (typed.medium, heard.medium, heard.text) == ("text", "audio", "And coffee?")
    await told_of(told, ResponseComplete, 3)


async def test_the_agent_greets_while_recognition_opens_and_hears_what_was_said_meanwhile(
    opens: Opens, speech: SpokenSpeech
) -> None:
    speech.opening = asyncio.Event()
    async with opens({"agent": {"first_message": "Hello, this is Luma."}}) as live:
        session, told = await live.begin(Room())
        await told_of(told, ResponseComplete)
        speech.texts.append("Do you sell tea?")
        voice(session, 0.5)
        pause(session, 0.7)
        assert not speech.streams
        speech.opening.set()
        (heard,) = await told_of(told, UserTranscript)
        assert heard.text == "Do you sell tea?"
        assert speech.streams[0].pushed >= 2 * 16_000 * 1.1


async def test_a_person_can_interrupt_before_recognition_is_open(opens: Opens, speech: SpokenSpeech) -> None:
    speech.opening = asyncio.Event()
    async with opens({"agent": {"first_message": ANSWER}}) as live:
        room = Room(at_once=False)
        session, told = await live.begin(room)
        await eventually(lambda: room.seconds >= 1.79)
        voice(session, 0.2)
        await told_of(told, Interruption)


async def test_recognition_that_hangs_is_given_up_with_a_sentence(
    opens: Opens, settings: Settings, speech: SpokenSpeech
) -> None:
    speech.thinking = asyncio.Event()
    async with opens(settings=settings.model_copy(update={"speech_patience_seconds": 0.2})) as live:
        session, told = await live.begin(Room())
        await ask(session, speech, "Do you sell tea?")
        (answer,) = await told_of(told, AgentResponse)
        assert "sorry" in answer.text.lower()
        (failed,) = [e for e in await live.journal(session) if isinstance(e, TurnFailed)]
        assert failed.code == "recognition_failed"
        assert "no text in" in failed.reason


async def test_a_fault_of_a_provider_s_library_is_told_as_well(live: Stage, speech: SpokenSpeech) -> None:
    speech.fault = ValueError("a bug")
    with structlog.testing.capture_logs() as entries:
        session, told = await live.begin(Room())
        await ask(session, speech, "Do you sell tea?")
        (answer,) = await told_of(told, AgentResponse)
    assert "sorry" in answer.text.lower()
    assert [entry["event"] for entry in entries if entry["log_level"] == "error"] == ["listening.failed"]
    await told_of(told, ResponseComplete)
    speech.fault = None
    speech.texts.clear()
    await ask(session, speech, "Do you sell tea?")
    responses = await told_of(told, AgentResponse, 2)
    assert responses[-1].text == ANSWER


async def say_a_part(session: LiveSession, speech: SpokenSpeech) -> None:
    """The person makes a pause that does not end their turn, and recognition is asked for the text."""
    asked = sum(stream.finished for stream in speech.streams)
    voice(session, 0.5)
    pause(session, 0.3)
    await eventually(lambda: sum(stream.finished for stream in speech.streams) > asked)


async def test_who_pauses_while_nobody_hears_them_is_told_once_when_they_have_finished(
    live: Stage, speech: SpokenSpeech
) -> None:
    session, told = await live.begin(Room())
    await eventually(lambda: bool(speech.streams))
    speech.deaf = True
    for _ in range(2):
        await say_a_part(session, speech)
    await live.journal(session)
    assert not [event for event in told if isinstance(event, AgentResponse)], "they may go on"
    voice(session, 0.5)
    pause(session, 0.7)
    (answer,) = await told_of(told, AgentResponse)
    await told_of(told, ResponseComplete)
    assert [e.code for e in await live.journal(session) if isinstance(e, TurnFailed)] == ["recognition_failed"]
    assert " ".join(speech.said) == answer.text


async def test_half_of_what_was_said_is_in_the_transcript_and_is_not_answered(
    live: Stage, speech: SpokenSpeech
) -> None:
    session, told = await live.begin(Room())
    await eventually(lambda: bool(speech.streams))
    speech.texts.append("Cancel my order")
    await say_a_part(session, speech)
    speech.deaf = True
    await say_a_part(session, speech)
    pause(session, 0.4)
    (answer,) = await told_of(told, AgentResponse)
    assert "sorry" in answer.text.lower()
    (heard,) = await told_of(told, UserTranscript)
    assert heard.text == "Cancel my order"
    await told_of(told, ResponseComplete)
    speech.deaf = False
    await ask(session, speech, "no, my other one")
    await told_of(told, ResponseComplete, 2)
    roles = [(message.role, message.text) for message in live.model.requests[-1].messages[1:]]
    assert roles == [("user", "Cancel my order"), ("assistant", answer.text), ("user", "no, my other one")]


async def test_who_may_not_interrupt_is_not_told_that_they_were_not_heard(opens: Opens, speech: SpokenSpeech) -> None:
    greeting = {"first_message": ANSWER, "disable_first_message_interruptions": True}
    async with opens({"agent": greeting}) as live:
        room = Room(at_once=False)
        session, told = await live.begin(room)
        await eventually(lambda: room.seconds >= 1.79)
        speech.deaf = True
        await ask(session, speech, "Do you sell tea?")
        await eventually(lambda: any(isinstance(event, TurnFailed) for event in session._conversation.journal))
        room.at_once = True
        await told_of(told, ResponseComplete)
        assert [event.text for event in told if isinstance(event, AgentResponse)] == [ANSWER]
        assert not [event for event in told if isinstance(event, Interruption)]


async def test_a_voice_that_hangs_is_given_up_with_the_sentence_made_ahead(
    opens: Opens, settings: Settings, speech: SpokenSpeech
) -> None:
    speech.voiceless = asyncio.Event()
    async with opens(settings=settings.model_copy(update={"speech_patience_seconds": 0.2})) as live:
        live.model.say = lambda request: "One. Two. Three."
        room = Room()
        session, told = await live.begin(room)
        await ask(session, speech, "Count!")
        await told_of(told, ResponseComplete)
        assert speech.said == ["One."]
        assert room.seconds == pytest.approx(SPARE_SECONDS)
        (failed,) = [e for e in await live.journal(session) if isinstance(e, TurnFailed)]
        assert failed.reason.startswith("script: nobody spoke within")


async def test_when_nobody_can_speak_the_text_goes_out_and_a_sentence_made_ahead_is_heard(
    live: Stage, speech: SpokenSpeech
) -> None:
    speech.mute = True
    room = Room()
    session, told = await live.begin(room)
    await ask(session, speech, "Do you sell tea?")
    (answer,) = await told_of(told, AgentResponse)
    assert answer.text == ANSWER
    await told_of(told, ResponseComplete)
    assert room.seconds == pytest.approx(SPARE_SECONDS)
    (correction,) = await told_of(told, ResponseCorrection)
    assert (correction.original, correction.corrected) == (ANSWER, "")
    journal = await live.journal(session)
    assert [e.code for e in journal if isinstance(e, TurnFailed)] == ["synthesis_failed"]
    assert [e.heard for e in journal if isinstance(e, AgentInterrupted)] == [""]


async def test_a_voice_that_breaks_off_says_the_next_sentence(live: Stage, speech: SpokenSpeech) -> None:
    """What was not heard of the answer is neither in the transcript nor known to the model."""
    live.model.say = lambda request: "We open at nine. On Sundays we are closed. Come by!"
    speech.breaks["Sundays"] = 5
    room = Room()
    session, told = await live.begin(room)
    await ask(session, speech, "When do you open?")
    await told_of(told, ResponseComplete)
    assert speech.said == ["We open at nine.", "On Sundays we are closed.", "Come by!"]
    assert room.seconds == pytest.approx(4 * 0.2 + 5 * 0.1 + 2 * 0.2, abs=0.02), (
        "the end was spoken: nothing stands in"
    )
    heard = "We open at nine. On Come by!"
    (correction,) = await told_of(told, ResponseCorrection)
    assert correction.corrected == heard
    journal = await live.journal(session)
    assert [e.code for e in journal if isinstance(e, TurnFailed)] == ["synthesis_failed"]
    assert [e.heard for e in journal if isinstance(e, AgentInterrupted)] == [heard]


async def test_after_two_sentences_that_nobody_could_say_the_rest_is_left(live: Stage, speech: SpokenSpeech) -> None:
    live.model.say = lambda request: "One. Two. Three. Four."
    speech.mute = True
    room = Room()
    session, told = await live.begin(room)
    await ask(session, speech, "Count!")
    await told_of(told, ResponseComplete)
    assert speech.said == ["One.", "Two."]
    assert room.seconds == pytest.approx(SPARE_SECONDS)


async def test_when_all_models_fail_the_sentence_is_spoken(live: Stage, speech: SpokenSpeech) -> None:
    def fail(request: Any) -> ModelReply:
        raise AllModelsFailed(())

    live.model.say = fail
    room = Room()
    session, told = await live.begin(room)
    await ask(session, speech, "Do you sell tea?")
    (answer,) = await told_of(told, AgentResponse)
    await told_of(told, ResponseComplete)
    assert " ".join(speech.said) == answer.text
    assert room.seconds > 1


async def test_a_model_that_dies_while_it_speaks_has_said_what_it_said(opens: Opens, speech: SpokenSpeech) -> None:
    play = fake_says("We open at nine. ", "And ")
    play.cut_after = len(play.events) - 2
    async with fake_llm(play) as endpoint, models_at(endpoint) as models, opens(models=models) as live:
        room = Room()
        session, told = await live.begin(room)
        await ask(session, speech, "When do you open?")
        said, sorry = await told_of(told, AgentResponse, 2)
        assert said.text == "We open at nine. And"
        assert "sorry" in sorry.text.lower()
        await told_of(told, ResponseComplete)
        assert " ".join(speech.said) == f"We open at nine. And {sorry.text}"
        messages = [event for event in await live.journal(session) if isinstance(event, AgentMessage)]
        assert [(message.text, message.origin) for message in messages] == [
            (said.text, "model"),
            (sorry.text, "failure"),
        ]
        assert {message.event_id for message in messages} == {said.event_id}


async def test_who_asks_again_and_again_does_not_begin_to_wait_anew(opens: Opens, speech: SpokenSpeech) -> None:
    """Else a model that hangs would leave a person in silence for as long as they ask whether anybody is there."""
    starts: list[float] = []

    @dataclass
    class Watched:
        models: Models

        async def complete(self, request: ModelRequest) -> ModelReply:
            return await self.models.complete(request)

        async def stream(self, request: ModelRequest) -> AsyncGenerator[StreamEvent, None]:
            starts.append(request.cascade.start or 0.0)
            async with contextlib.aclosing(self.models.stream(request)) as events:
                async for event in events:
                    yield event

    hangs, answers = fake_says("We open at nine.", hang_after=0), fake_says("We open at nine.")
    async with fake_llm(hangs) as endpoint, models_at(endpoint) as models, opens(models=Watched(models)) as live:
        session, told = await live.begin(Room())
        await ask(session, speech, "When do you open?")
        await eventually(lambda: len(endpoint.seen) == 1)
        endpoint.will(answers, answers)
        await ask(session, speech, "Hello?")
        await told_of(told, ResponseComplete)
        await ask(session, speech, "And when do you close?")
        await told_of(told, ResponseComplete, 2)
    first, again, after = starts
    assert first == after == 15.0
    assert again < first


@pytest.mark.parametrize(("waited", "left"), [(0.0, 15.0), (6.0, 9.0), (14.0, 2.0), (40.0, 2.0)])
def test_a_model_that_is_well_has_the_time_for_it(waited: float, left: float) -> None:
    assert start_left(15.0, waited, timeout=4.0) == left
    assert start_left(1.0, waited, timeout=4.0) == 1.0


@pytest.mark.parametrize(
    ("hang_after", "limits"),
    [
        pytest.param(0, {"llm_start_seconds": 0.3}, id="before its first word"),
        pytest.param(2, {"llm_start_seconds": 30.0, "llm_stall_seconds": 1.0}, id="after its first word"),
    ],
)
async def test_a_model_that_hangs_is_given_up_with_a_sentence(
    opens: Opens, settings: Settings, speech: SpokenSpeech, hang_after: int, limits: dict[str, float]
) -> None:
    """Long before the limit of a whole generation, which is a minute."""
    quick = settings.model_copy(update=limits)
    async with (
        fake_llm(fake_says("We open ", "at nine.", hang_after=hang_after)) as endpoint,
        models_at(endpoint) as models,
        opens(models=models, settings=quick) as live,
    ):
        session, told = await live.begin(Room())
        await ask(session, speech, "When do you open?")
        *begun, sorry = await told_of(told, AgentResponse, 2 if hang_after else 1)
        assert [response.text for response in begun] == (["We open"] if hang_after else [])
        assert "sorry" in sorry.text.lower()
        await told_of(told, ResponseComplete)
        assert speech.said[-1] in sorry.text
        await eventually(endpoint.seen[0].closed.is_set)

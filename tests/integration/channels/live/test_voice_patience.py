"""What an agent does while it waits: for a slow model, for who spells something out, for words in a noise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from greenline.channels.live.hearing import UNCLEAR
from greenline.channels.live.models import AgentResponse, ResponseComplete, SessionEnded, UserTranscript
from greenline.clock import ManualClock
from greenline.conversations.events import AgentMessage, Noted, UserSilent
from greenline.llm.models import ModelReply, ModelRequest, StreamEvent, ToolCall, Usage
from greenline.settings import Settings
from greenline.speech.models import HEARING_RATE, EndOfTurn
from support.live import Opens, Room, Stage, told_of
from support.spoken import SpokenSpeech, ask, pause, voice
from support.wait import eventually, until

SOFT: dict[str, Any] = {"timeout_seconds": 2, "message": "One moment.", "use_llm_generated_message": True}
LOUD = "It is loud where you are."
WAV_HEADER = 44
NOISY = {"turn": {"noisy_environment_detection": True, "noisy_environment_message": LOUD}}


@dataclass
class TwoMinds:
    """Answers when it is let, and writes what bridges that wait."""

    bridge: str = "Let me look at the tea."
    answer: asyncio.Event = field(default_factory=asyncio.Event)
    bridging: asyncio.Event | None = None
    asked: list[ModelRequest] = field(default_factory=list)
    cancelled: int = 0

    async def complete(self, request: ModelRequest) -> ModelReply:
        self.asked.append(request)
        if self.bridging is not None:
            try:
                await self.bridging.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        return ModelReply("small", self.bridge, usage=Usage(30, 7))

    async def stream(self, request: ModelRequest) -> AsyncIterator[StreamEvent]:
        await self.answer.wait()
        yield ModelReply(request.model, "Yes.")


async def test_a_model_writes_what_bridges_the_wait(opens: Opens, clock: ManualClock, speech: SpokenSpeech) -> None:
    minds = TwoMinds()
    soft = {**SOFT, "llm_generated_message_prompt_override": "Bridge it."}
    async with opens({"turn": {"soft_timeout_config": soft}}, models=minds) as live:
        session, told = await live.begin(Room())
        await ask(session, speech, "Do you sell tea?")

        async def written() -> list[Noted]:
            return [e for e in await live.journal(session) if isinstance(e, Noted) and e.what == "filler_written"]

        (filler,) = await until(written)
        assert (filler.model, filler.usage["output"]) == ("small", 7)
        (request,) = minds.asked
        assert [message.text for message in request.messages] == ["Bridge it.", "Do you sell tea?"]
        assert (request.tools, request.max_tokens) == ((), 40)
        clock.advance(timedelta(seconds=2))
        await eventually(lambda: speech.said == [minds.bridge])
        minds.answer.set()
        await told_of(told, ResponseComplete)
        assert speech.said == [minds.bridge, "Yes."]
        assert [e.text for e in await live.journal(session) if isinstance(e, AgentMessage)] == ["Yes."]
        assert (await live.row(session))["llm_usage"]["small"]["output"] == 7


async def test_what_is_not_written_in_time_is_replaced_and_stopped(
    opens: Opens, clock: ManualClock, speech: SpokenSpeech
) -> None:
    minds = TwoMinds(bridging=asyncio.Event())
    async with opens({"turn": {"soft_timeout_config": SOFT}}, models=minds) as live:
        session, told = await live.begin(Room())
        await ask(session, speech, "Do you sell tea?")
        await eventually(lambda: minds.asked)
        clock.advance(timedelta(seconds=2))
        await eventually(lambda: speech.said == ["One moment."])
        minds.answer.set()
        await told_of(told, ResponseComplete)
        await eventually(lambda: minds.cancelled == 1)


async def test_who_spells_something_out_is_given_time(opens: Opens, speech: SpokenSpeech) -> None:
    async with opens() as live:
        session, told = await live.begin(Room())
        await eventually(lambda: bool(speech.streams))
        speech.texts.extend(["The order is 4 4", "7 1"])
        voice(session, 0.5)
        pause(session, 0.3)
        await eventually(lambda: live.model.requests)
        pause(session, 0.4)
        assert not [event for event in told if isinstance(event, UserTranscript)]
        voice(session, 0.5)
        pause(session, 0.3)
        await eventually(lambda: not speech.texts)
        pause(session, 1.3)
        (heard,) = await told_of(told, UserTranscript)
        assert heard.text == "The order is 4 4 7 1"


async def test_a_provider_that_ends_a_turn_in_the_middle_of_a_number_is_not_believed(
    opens: Opens, speech: SpokenSpeech
) -> None:
    async with opens() as live:
        session, told = await live.begin(Room())
        await eventually(lambda: bool(speech.streams))
        speech.texts.append("It is 4 4 7")
        voice(session, 0.5)
        pause(session, 0.1)
        speech.tell.put_nowait(EndOfTurn("It is 4 4 7"))
        await eventually(lambda: not speech.texts)
        pause(session, 0.9)
        assert not [event for event in told if isinstance(event, UserTranscript)]
        pause(session, 0.6)
        await told_of(told, UserTranscript)


@pytest.mark.parametrize(("patience", "finished"), [("auto", False), ("off", True)])
async def test_an_agent_may_be_told_not_to_wait_for_spelling(
    opens: Opens, speech: SpokenSpeech, patience: str, finished: bool
) -> None:
    async with opens({"turn": {"spelling_patience": patience}}) as live:
        session, told = await live.begin(Room())
        await eventually(lambda: bool(speech.streams))
        speech.texts.append("It is 4 4 7")
        voice(session, 0.5)
        pause(session, 0.3)
        await eventually(lambda: live.model.requests)
        pause(session, 0.4)
        assert any(isinstance(event, UserTranscript) for event in told) is finished


async def test_a_noise_without_words_is_told_once(opens: Opens, speech: SpokenSpeech) -> None:
    async with opens(NOISY) as live:
        session, told = await live.begin(Room())
        for _ in range(3):
            await ask(session, speech, "")
            await eventually(lambda: not speech.texts)
        (answer,) = await told_of(told, AgentResponse)
        assert answer.text == LOUD
        await told_of(told, ResponseComplete)
        for _ in range(4):
            await ask(session, speech, "")
            await eventually(lambda: not speech.texts)
        await ask(session, speech, "Do you sell tea?")
        responses = await told_of(told, AgentResponse, 2)
        assert [response.text for response in responses] == [LOUD, "Hello!"]
        notice, _ = (event for event in await live.journal(session) if isinstance(event, AgentMessage))
        assert notice.origin == "notice"


async def test_who_spoke_and_was_not_understood_is_asked_to_say_it_again(opens: Opens, speech: SpokenSpeech) -> None:
    """Twice in a row at most: what goes on then is no person who is unclear. A cough is no words at all."""
    async with opens() as live:
        session, told = await live.begin(Room())
        for asked in (1, 2, 2):
            await ask(session, speech, "", seconds=1.0)
            await eventually(lambda: not speech.texts)
            await told_of(told, ResponseComplete, asked)
        await ask(session, speech, "Do you sell tea?")
        await told_of(told, ResponseComplete, 3)
        await ask(session, speech, "")
        await eventually(lambda: not speech.texts)
        await ask(session, speech, "Do you sell coffee?")
        responses = await told_of(told, AgentResponse, 4)
        assert [response.text for response in responses] == [UNCLEAR["en"], UNCLEAR["en"], "Hello!", "Hello!"]
        noted = [event.what for event in await live.journal(session) if isinstance(event, Noted)]
        assert noted == ["not_understood"] * 2


async def test_who_is_gone_is_asked_nothing(opens: Opens, speech: SpokenSpeech) -> None:
    async with opens(NOISY) as live:
        session, told = await live.begin(Room())
        for _ in range(2):
            await ask(session, speech, "")
            await eventually(lambda: not speech.texts)
        voice(session, 1.0)
        session.end("The person has hung up")
        await told_of(told, SessionEnded)
        assert not [event for event in await live.journal(session) if isinstance(event, Noted)]


@pytest.mark.parametrize(
    ("setting", "language", "said"),
    [(None, "pt-br", UNCLEAR["pt"]), (None, "ja", None), ("Pardon?", "ja", "Pardon?"), ("", "en", None)],
)
async def test_how_a_person_is_asked_again_is_a_setting(
    opens: Opens, settings: Settings, speech: SpokenSpeech, setting: str | None, language: str, said: str | None
) -> None:
    own = settings.model_copy(update={"unclear_message": setting})
    config = {"agent": {"language": language}, "tts": {"model_id": "eleven_flash_v2_5"}}
    async with opens(config, settings=own) as live:
        session, told = await live.begin(Room())
        await ask(session, speech, "", seconds=1.0)
        await eventually(lambda: not speech.texts)
        await ask(session, speech, "Do you sell tea?")
        responses = await told_of(told, AgentResponse, 1 if said is None else 2)
        assert [response.text for response in responses] == [*([] if said is None else [said]), "Hello!"]


async def test_words_in_between_are_no_noise(opens: Opens, speech: SpokenSpeech) -> None:
    async with opens(NOISY) as live:
        session, told = await live.begin(Room())
        for text in ("", "", "Tea?", "", ""):
            await ask(session, speech, text)
            await eventually(lambda: not speech.texts)
            if text:
                await told_of(told, ResponseComplete)
        await ask(session, speech, "Coffee?")
        await told_of(told, ResponseComplete, 2)
        assert [event.text for event in told if isinstance(event, AgentResponse)] == ["Hello!"] * 2


def skipping(seconds: float | None) -> dict[str, Any]:
    params = {} if seconds is None else {"params": {"wait_timeout_secs": seconds}}
    tools = {"built_in_tools": {"skip_turn": params}}
    return {"agent": {"prompt": tools}, "turn": {"turn_timeout": 7, "silence_end_call_timeout": 20}}


def skips(request: ModelRequest) -> ModelReply | str:
    """Leave the turn out when the person asks for a moment."""
    if request.messages[-1].text == "One moment":
        return ModelReply(request.model, "", (ToolCall("call_1", "skip_turn", {"reason": "They think."}),))
    return "Ready?"


async def skipped(live: Stage, speech: SpokenSpeech) -> tuple[Any, list[Any]]:
    """A person who has asked for a moment, and got it."""
    live.model.say = skips
    session, told = await live.begin(Room())
    await ask(session, speech, "One moment")
    await told_of(told, ResponseComplete)
    return session, told


async def test_after_a_skipped_turn_the_agent_asks_when_its_wait_is_over(
    opens: Opens, clock: ManualClock, speech: SpokenSpeech
) -> None:
    async with opens(skipping(30)) as live:
        session, told = await skipped(live, speech)
        for seconds in (8, 21):  # neither its turn timeout nor silence counts meanwhile
            clock.advance(timedelta(seconds=seconds))
            await live.journal(session)
        assert len(live.model.requests) == 1
        clock.advance(timedelta(seconds=1))
        (answer,) = await told_of(told, AgentResponse)
        assert answer.text == "Ready?"
        assert "asked for a moment" in live.model.requests[-1].messages[-1].text
        await told_of(told, ResponseComplete, 2)
        clock.advance(timedelta(seconds=7))  # from here on it is as ever
        await told_of(told, AgentResponse, 2)
        assert "still there" in live.model.requests[-1].messages[-1].text
        silences = [event for event in await live.journal(session) if isinstance(event, UserSilent)]
        assert [event.asked_for_it for event in silences] == [True, False]


@pytest.mark.parametrize("seconds", [None, -1.0])
async def test_after_a_skipped_turn_without_a_wait_the_agent_is_silent_until_silence_ends_it(
    opens: Opens, clock: ManualClock, speech: SpokenSpeech, seconds: float | None
) -> None:
    async with opens(skipping(seconds)) as live:
        session, _ = await skipped(live, speech)
        clock.advance(timedelta(seconds=19))
        assert not [event for event in await live.journal(session) if isinstance(event, UserSilent)]
        clock.advance(timedelta(seconds=1))
        assert (await live.tasks[0]).reason == "Silence"
        assert len(live.model.requests) == 1


async def test_noises_neither_end_nor_prolong_the_wait_and_the_agent_is_silent(
    opens: Opens, clock: ManualClock, speech: SpokenSpeech
) -> None:
    """Not even a noisy environment is told of: the person wanted a moment (reference: skip_turn)."""
    config = skipping(30)
    async with opens({**config, "turn": {**config["turn"], **NOISY["turn"]}}) as live:
        session, told = await skipped(live, speech)
        for number in range(1, 4):
            clock.advance(timedelta(seconds=7))
            await ask(session, speech, "")
            await eventually(lambda: not speech.texts)
            await eventually(lambda: session._timers.is_set("turn"))
            assert speech.said == [], number
        clock.advance(timedelta(seconds=9))
        (answer,) = await told_of(told, AgentResponse)
        assert answer.text == "Ready?"
        noted = await live.journal(session)
        assert [event.asked_for_it for event in noted if isinstance(event, UserSilent)] == [True]
        assert not [event for event in noted if isinstance(event, Noted)]


async def test_a_noise_while_a_turn_is_skipped_does_not_end_the_wait(
    opens: Opens, clock: ManualClock, speech: SpokenSpeech
) -> None:
    async with opens(skipping(30)) as live:
        session, told = await skipped(live, speech)
        await ask(session, speech, "")
        await eventually(lambda: not speech.texts)
        clock.advance(timedelta(seconds=29))
        assert not [event for event in await live.journal(session) if isinstance(event, UserSilent)]
        await ask(session, speech, "I am back")
        await told_of(told, AgentResponse)
        await told_of(told, ResponseComplete, 2)
        clock.advance(timedelta(seconds=7))
        await told_of(told, AgentResponse, 2)


RETRANSCRIBES = {"turn": {"retranscribe_on_turn_timeout": True, "turn_timeout": 7}}
QUIET = np.full(HEARING_RATE // 2, 300, "<i2").tobytes()
"""Half a second that is no voice to the detector."""


@pytest.mark.parametrize("is_active", [False, True])
async def test_who_was_too_quiet_to_be_detected_is_heard_at_the_turn_timeout(
    opens: Opens, clock: ManualClock, speech: SpokenSpeech, is_active: bool
) -> None:
    async with opens({**RETRANSCRIBES, "agent": {"first_message": "Hello?"}}) as live:
        session, told = await live.begin(Room())
        await told_of(told, ResponseComplete)
        session.hear(QUIET)
        if is_active:
            session.user_activity()
        speech.texts.append("Do you sell tea?")
        clock.advance(timedelta(seconds=7))
        (heard,) = await told_of(told, UserTranscript)
        assert (heard.text, heard.medium) == ("Do you sell tea?", "audio")
        await told_of(told, ResponseComplete, 2)
        assert live.model.requests[-1].messages[-1].text == "Do you sell tea?"
        assert [len(recording) for recording in speech.recordings] == [len(QUIET) + WAV_HEADER]
        assert not [event for event in await live.journal(session) if isinstance(event, UserSilent)]


@pytest.mark.parametrize("sound", [b"", bytes(len(QUIET)), QUIET], ids=["none", "silence", "noise"])
async def test_where_nobody_spoke_the_agent_speaks_as_ever(
    opens: Opens, clock: ManualClock, speech: SpokenSpeech, sound: bytes
) -> None:
    async with opens({**RETRANSCRIBES, "agent": {"first_message": "Hello?"}}) as live:
        session, told = await live.begin(Room())
        await told_of(told, ResponseComplete)
        if sound:
            session.hear(sound)
        speech.deaf = True
        clock.advance(timedelta(seconds=7))
        await told_of(told, ResponseComplete, 2)
        assert len(speech.recordings) == (sound == QUIET)
        assert [event for event in await live.journal(session) if isinstance(event, UserSilent)]


def names(tasks: Iterable[asyncio.Task[None]]) -> set[str]:
    """Of what runs in them."""
    return {getattr(task.get_coro(), "__name__", "") for task in tasks}


async def test_who_speaks_while_the_quiet_sound_is_heard_again_is_not_asked_whether_they_are_there(
    opens: Opens, clock: ManualClock, speech: SpokenSpeech
) -> None:
    async with opens({**RETRANSCRIBES, "agent": {"first_message": "Hello?"}}) as live:
        session, told = await live.begin(Room())
        await told_of(told, ResponseComplete)
        session.hear(QUIET)
        speech.reading, speech.thinking = asyncio.Event(), asyncio.Event()
        clock.advance(timedelta(seconds=7))
        await eventually(lambda: bool(speech.recordings))
        await ask(session, speech, "Do you sell tea?")
        speech.deaf = True
        speech.reading.set()
        await eventually(lambda: "_speak_into_silence" not in names(session._conversation._tasks))
        speech.deaf = False
        speech.thinking.set()
        await told_of(told, ResponseComplete, 2)
        assert [request.messages[-1].text for request in live.model.requests] == ["Do you sell tea?"]

"""What crosses in a live conversation: words into the last words, a human who takes over, an end, a slow provider."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from asyncpg import InterfaceError

from greenline.agents.config import ConversationConfig
from greenline.channels.live.models import (
    AgentResponse,
    AudioOut,
    LiveEvent,
    ResponseComplete,
    ResponseCorrection,
    SessionEnded,
    TakenOver,
    ToolRequest,
    ToolResponse,
    UserTranscript,
)
from greenline.channels.live.session import LiveSession
from greenline.channels.orders import Command, Order, place
from greenline.clock import ManualClock
from greenline.conversations.events import AgentMessage, Ended, Noted, TurnFailed, Voiced
from greenline.llm.models import ModelReply, ModelRequest, ToolCall, ToolSpec
from greenline.tools.manners import Manners
from greenline.tools.models import ToolContext, ToolResult
from support.live import Opens, Room, Stage, told_of
from support.rows import WORKSPACE
from support.spoken import ANSWER, SpokenSpeech, ask, pause, voice
from support.wait import eventually

FAREWELL = "Goodbye and have a very nice day"


async def order(live: Stage, session: LiveSession, command: Command, text: str = "") -> None:
    await place(live.pool, live.clock, WORKSPACE, session.conversation_id, Order(command, text))


async def pass_time(clock: ManualClock, seconds: int) -> None:
    """So that what is due meanwhile happens."""
    for _ in range(seconds):
        clock.advance(timedelta(seconds=1))
        for _ in range(20):
            await asyncio.sleep(0)


async def interrupt(session: LiveSession, speech: SpokenSpeech, room: Room, text: str) -> None:
    """The person cuts into what is played."""
    speech.texts.append(text)
    voice(session, 0.5)
    pause(session, 0.7)
    room.at_once = True


async def test_who_cuts_the_farewell_short_is_not_left(opens: Opens, speech: SpokenSpeech) -> None:
    def say(request: ModelRequest) -> ModelReply | str:
        if request.messages[-1].text != "Bye":
            return "Of course."
        return ModelReply("m", "", (ToolCall("call_1", "end_call", {"reason": "done", "message": FAREWELL}),))

    tools = {"end_call": {"name": "end_call", "params": {"system_tool_type": "end_call"}}}
    async with opens({"agent": {"prompt": {"prompt": "x", "built_in_tools": tools}}}) as live:
        live.model.say = say
        room = Room(at_once=False)
        session, told = await live.begin(room)
        await ask(session, speech, "Bye")
        await eventually(lambda: room.seconds > 1.3)
        room.played = 0.4
        await interrupt(session, speech, room, "One more thing")
        await told_of(told, ResponseComplete)
        assert [event.text for event in told if isinstance(event, AgentResponse)] == [FAREWELL, "Of course."]
        assert not session.over
        assert not [event for event in told if isinstance(event, ToolResponse)], "clients leave when they hear of it"
        (correction,) = [event for event in told if isinstance(event, ResponseCorrection)]
        assert (correction.original, correction.corrected) == (FAREWELL, "Goodbye and")
        (turn,) = [turn for turn in await live.transcript(session) if turn.origin == "tool"]
        assert (turn.message, turn.original_message, turn.interrupted) == ("Goodbye and", FAREWELL, True)


async def test_who_speaks_into_the_last_words_of_a_silence_is_answered(
    opens: Opens, clock: ManualClock, speech: SpokenSpeech
) -> None:
    async with opens({"turn": {"turn_timeout": 5, "silence_end_call_timeout": 8}}) as live:
        live.model.say = lambda request: ANSWER if request.messages[-1].text != "Here I am" else "Good."
        room = Room(at_once=False)
        session, told = await live.begin(room)
        await eventually(lambda: bool(speech.streams))
        await pass_time(clock, 5)
        await eventually(lambda: room.seconds > 1.7)
        await pass_time(clock, 4)
        assert not session.over, "the agent still asks"
        room.played = 0.6
        await interrupt(session, speech, room, "Here I am")
        await told_of(told, ResponseComplete)
        assert [event.text for event in told if isinstance(event, AgentResponse)][-1] == "Good."
        assert not session.over
        await pass_time(clock, 8)
        (ended,) = await told_of(told, SessionEnded)
        assert ended.reason == "Silence"


async def test_nobody_is_silent_while_a_human_answers(opens: Opens, clock: ManualClock) -> None:
    async with opens({"turn": {"turn_timeout": 5, "silence_end_call_timeout": 20}}) as live:
        live.model.say = lambda request: "Are you still there?"
        session, told = await live.begin(Room())
        await order(live, session, "enable_human_takeover")
        await told_of(told, TakenOver)
        await pass_time(clock, 30)
        assert not session.over
        await order(live, session, "disable_human_takeover")
        await told_of(told, TakenOver, 2)
        await pass_time(clock, 5)
        await told_of(told, ResponseComplete)
        assert len(live.model.requests) == 1, "the wait for the person began anew"


async def test_what_a_person_wrote_before_a_human_took_over_is_told_to_them(opens: Opens) -> None:
    config = {"agent": {"first_message": ANSWER, "disable_first_message_interruptions": True}}
    async with opens(config) as live:
        room = Room(at_once=False)
        session, told = await live.begin(room)
        await eventually(lambda: room.seconds > 1.7)
        session.user_message("I want a human")
        await order(live, session, "enable_human_takeover")
        (said,) = await told_of(told, UserTranscript)
        assert said.text == "I want a human"
        assert live.model.requests == []


@dataclass(frozen=True)
class Breaking:
    """A tool that makes a sound and breaks, once it is let."""

    breaks: asyncio.Event = field(default_factory=asyncio.Event)
    type: str = "webhook"
    has_effect: bool = True

    @property
    def manners(self) -> Manners:
        return Manners(sound="typing", always_sounds=True, shields="tool")

    @property
    def spec(self) -> ToolSpec:
        return ToolSpec("break", "Breaks.", {"type": "object", "properties": {}})

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        await self.breaks.wait()
        raise InterfaceError("the connection was closed")


async def test_a_tool_that_breaks_is_heard_no_more(opens: Opens, speech: SpokenSpeech) -> None:
    tool = Breaking()
    async with opens() as live:
        live.model.say = lambda request: ModelReply("m", "", (ToolCall("call_1", "break", {}),))
        room = Room()
        session, told = await live.begin_with(replace(await live.beginning(text_only=False), tools=(tool,)), room)
        await ask(session, speech, "Do it")
        await told_of(told, ToolRequest)
        await eventually(lambda: room.seconds > 0)
        tool.breaks.set()
        await told_of(told, ResponseComplete)
        assert speech.said, "the words for a failure"
        assert [event.code for event in await live.journal(session) if isinstance(event, TurnFailed)] == [
            "database_unreachable"
        ]


async def test_who_still_speaks_is_not_told_to_wait(opens: Opens, clock: ManualClock, speech: SpokenSpeech) -> None:
    soft = {"timeout_seconds": 1, "message": "One moment."}
    async with opens({"turn": {"soft_timeout_config": soft, "speculative_turn": True}}) as live:
        live.model.hold = asyncio.Event()
        session, told = await live.begin(Room())
        await eventually(lambda: bool(speech.streams))
        speech.texts.append("I would like")
        voice(session, 0.5)
        pause(session, 0.3)
        await eventually(lambda: live.model.requests)
        await pass_time(clock, 1)
        speech.texts.append("some tea")
        voice(session, 0.5)
        await eventually(lambda: session._floor.free)
        assert not [event for event in await live.journal(session) if isinstance(event, Noted)]
        pause(session, 0.7)
        await told_of(told, UserTranscript)
        await pass_time(clock, 1)
        await eventually(lambda: speech.said == ["One moment."])
        live.model.hold.set()
        await told_of(told, ResponseComplete)


@pytest.mark.parametrize(
    ("first", "heard"),
    [("I would like", "I would like green tea"), ("", "green tea"), (ValueError("a bug"), "green tea")],
)
async def test_a_slow_recogniser_is_waited_for_until_all_of_a_turn_is_text(
    live: Stage, speech: SpokenSpeech, first: str | Exception, heard: str
) -> None:
    session, told = await live.begin(Room())
    await eventually(lambda: bool(speech.streams))
    asked, thinking, outcomes = asyncio.Event(), asyncio.Event(), [first, "green tea"]

    async def finish() -> str:
        asked.set()
        await thinking.wait()
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    speech.streams[0].finish = finish  # type: ignore[method-assign]
    voice(session, 0.5)
    pause(session, 0.3)
    await asked.wait()
    voice(session, 0.5)
    pause(session, 0.7)
    await asyncio.sleep(0)
    thinking.set()
    await eventually(lambda: live.model.requests)
    await told_of(told, ResponseComplete)
    assert [event.text for event in told if isinstance(event, UserTranscript)] == [heard]
    assert [request.messages[-1].text for request in live.model.requests] == [heard]


async def test_the_end_does_not_wait_for_a_recogniser_that_is_slow_to_leave(
    opens: Opens, speech: SpokenSpeech
) -> None:
    speech.leaving = asyncio.Event()
    async with opens() as live:
        session, told = await live.begin(Room())
        await eventually(lambda: bool(speech.streams))
        session.end("Bye")
        await told_of(told, SessionEnded)
        assert [event.reason for event in await live.journal(session) if isinstance(event, Ended)] == ["Bye"]
        speech.leaving.set()
        await live.tasks[0]
        assert speech.streams[0].closed


async def test_nobody_is_listened_to_after_an_end_that_could_not_be_told(live: Stage, speech: SpokenSpeech) -> None:
    def break_down(event: LiveEvent) -> None:
        raise LookupError("a listener's fault")

    session, _ = await live.begin(Room())
    await eventually(lambda: bool(speech.streams))
    session.subscribe(break_down)
    session.end("Bye")
    with pytest.raises(LookupError):
        await live.tasks[0]
    assert speech.streams[0].closed


@pytest.mark.parametrize("slow", ["thinking", "leaving"])
async def test_an_end_that_is_cut_short_is_written_and_leaves_nothing(
    opens: Opens, speech: SpokenSpeech, slow: str
) -> None:
    """As the end of a call is, whose recogniser is slow."""
    waits = asyncio.Event()
    setattr(speech, slow, waits)
    async with opens() as live:
        session, told = await live.begin(Room())
        await eventually(lambda: bool(speech.streams))
        voice(session, 0.5)
        session.end("Bye")
        await eventually(lambda: bool(speech.streams[0].finished if slow == "thinking" else speech.streams[0].leaves))
        live.tasks[0].cancel()
        speech.leaving = None
        waits.set()
        await asyncio.gather(*live.tasks, return_exceptions=True)
        assert live.tasks[0].cancelled()
        assert [event.reason for event in await live.journal(session) if isinstance(event, Ended)] == ["Bye"]
        assert [event.reason for event in told if isinstance(event, SessionEnded)] == ["Bye"]
        recorder = session._recorder
        assert recorder is not None
        assert recorder.closed
        assert not live.live._worker._live, "its mailbox is let go"


async def test_a_conversation_that_cant_begin_is_let_go(live: Stage) -> None:
    def no_voice(config: ConversationConfig) -> AudioOut:
        raise LookupError("no such format")

    with pytest.raises(LookupError):
        await live.live.begin(await live.beginning(text_only=False), no_voice)
    assert not live.live._worker._live, "its lease runs out, and it is ended"


async def test_who_speaks_on_is_not_silent(opens: Opens, clock: ManualClock, speech: SpokenSpeech) -> None:
    config = {
        "agent": {"first_message": ANSWER, "disable_first_message_interruptions": True},
        "turn": {"turn_timeout": 5, "silence_end_call_timeout": 8},
    }
    async with opens(config) as live:
        room = Room(at_once=False)
        session, told = await live.begin(room)
        await eventually(lambda: bool(speech.streams) and room.seconds >= 1.79)
        voice(session, 0.5)
        room.at_once = True
        await told_of(told, ResponseComplete)
        for _ in range(9):
            voice(session, 0.5)
            await pass_time(clock, 1)
        assert not session.over
        pause(session, 0.7)
        await eventually(lambda: session._timers.is_set("silence"))
        await pass_time(clock, 8)
        (ended,) = await told_of(told, SessionEnded)
        assert ended.reason == "Silence"


async def test_keys_that_are_pressed_after_the_end_wait_for_nothing(opens: Opens) -> None:
    async with opens() as live:
        session, _ = await live.begin(Room())
        session.end("Bye")
        await live.tasks[0]
        session.digit("1")
        assert not session._conversation._tasks


async def test_a_guess_that_was_right_is_bridged_like_any_answer(
    opens: Opens, clock: ManualClock, speech: SpokenSpeech
) -> None:
    soft = {"timeout_seconds": 1, "message": "One moment.", "disable_until_first_user_message": True}
    async with opens({"turn": {"soft_timeout_config": soft, "speculative_turn": True}}) as live:
        live.model.hold = asyncio.Event()
        session, told = await live.begin(Room())
        await eventually(lambda: bool(speech.streams))
        speech.texts.append("Do you sell tea?")
        voice(session, 0.5)
        pause(session, 0.3)
        await eventually(lambda: live.model.requests)
        pause(session, 0.4)
        await told_of(told, UserTranscript)
        await eventually(lambda: session._timers.is_set("soft"))
        await pass_time(clock, 1)
        await eventually(lambda: speech.said == ["One moment."])
        live.model.hold.set()
        await told_of(told, ResponseComplete)


@dataclass(frozen=True)
class Quick:
    """A tool that answers at once."""

    type: str = "webhook"
    has_effect: bool = True

    @property
    def spec(self) -> ToolSpec:
        return ToolSpec("look", "Looks.", {"type": "object", "properties": {}})

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        return ToolResult("There is tea.")


async def test_what_was_never_heard_has_no_time_to_come(opens: Opens, speech: SpokenSpeech) -> None:
    def say(request: ModelRequest) -> ModelReply | str:
        match request.messages[-1]:
            case message if message.role == "tool":
                return "Here it is."
            case message if message.text == "Stop":
                return "Fine."
        return ModelReply("m", ANSWER, (ToolCall("call_1", "look", {}),))

    async with opens() as live:
        live.model.say = say
        room = Room(at_once=False)
        session, told = await live.begin_with(replace(await live.beginning(text_only=False), tools=(Quick(),)), room)
        await ask(session, speech, "Is there tea?")
        await eventually(lambda: room.seconds > 2.3)
        room.played = 0.6
        await interrupt(session, speech, room, "Stop")
        await told_of(told, ResponseComplete)
        journal = await live.journal(session)
        first, second = [event for event in journal if isinstance(event, AgentMessage)][:2]
        began = {event.message_id: event.began for event in journal if isinstance(event, Voiced)}
        assert began[first.id] is not None
        assert began[second.id] is None


async def test_the_words_of_a_tool_stand_where_they_are_heard_after_those_of_the_model(
    opens: Opens, speech: SpokenSpeech
) -> None:
    def say(request: ModelRequest) -> ModelReply | str:
        return ModelReply("m", ANSWER, (ToolCall("call_1", "end_call", {"reason": "done", "message": FAREWELL}),))

    tools = {"end_call": {"name": "end_call", "params": {"system_tool_type": "end_call"}}}
    async with opens({"agent": {"prompt": {"prompt": "x", "built_in_tools": tools}}}) as live:
        live.model.say = say
        room = Room(at_once=False)
        session, told = await live.begin(room)
        await ask(session, speech, "Bye")
        await eventually(lambda: speech.said[-1:] == [FAREWELL] and room.seconds > 3.0)
        room.at_once = True
        await told_of(told, SessionEnded)
        journal = await live.journal(session)
        (answer,) = [event for event in journal if isinstance(event, AgentMessage) and event.text]
        began = {event.message_id: event.began for event in journal if isinstance(event, Voiced)}
        answer_began, farewell_began = began[answer.id], began["call_1"]
        assert answer_began is not None
        assert farewell_began is not None
        assert farewell_began - answer_began > timedelta(seconds=1.5), "nine words take 1.8 s"
        *_, last = [turn for turn in await live.transcript(session) if turn.role == "agent"]
        assert (last.message, last.created_at_unix_ms) == (FAREWELL, round(farewell_began.timestamp() * 1000))


async def test_a_fault_in_what_is_due_ends_the_conversation(opens: Opens, clock: ManualClock) -> None:
    def break_down(event: LiveEvent) -> None:
        if isinstance(event, AgentResponse):
            raise LookupError("a listener's fault")

    config = {
        "agent": {"max_conversation_duration_message": "Our time is over."},
        "conversation": {"max_duration_seconds": 60},
    }
    async with opens(config) as live:
        session, told = await live.begin(Room())
        session.subscribe(break_down)
        await asyncio.sleep(0)
        clock.advance(timedelta(seconds=60))
        (ended,) = await told_of(told, SessionEnded)
        assert (ended.code, ended.error_type) == (1011, "unknown_websocket_crash")

"""How an agent behaves around calls of its tools: who may interrupt, what is heard meanwhile, what is said before."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

import pytest

from greenline.channels.live.models import (
    AgentResponse,
    ClientToolCall,
    Interruption,
    LiveEvent,
    ResponseComplete,
    ResponseCorrection,
    SessionEnded,
    ToolRequest,
    ToolResponse,
)
from greenline.channels.live.rich_content import SHOWN
from greenline.channels.live.tool_sounds import tool_sound
from greenline.conversations.events import (
    AgentInterrupted,
    AgentMessage,
    Noted,
    Started,
    ToolCalled,
    ToolReturned,
    UserMessage,
)
from greenline.conversations.tool_calls import CUT_SHORT
from greenline.engine.prompt import HINGLISH
from greenline.llm.models import ModelReply, ModelRequest, ToolCall
from support.live import Opens, Room, Stage, told_of
from support.spoken import SpokenSpeech, pause, voice
from support.wait import eventually


def config(**settings: Any) -> dict[str, Any]:
    tool = {"type": "client", "name": "look", "description": "Looks.", "expects_response": True, **settings}
    return {"agent": {"prompt": {"prompt": "You sell tea.", "tools": [tool]}}}


def looks(words: str) -> Any:
    """A model that says ``words``, looks, and says what it saw; a second question it just answers."""

    def say(request: ModelRequest) -> ModelReply | str:
        last = request.messages[-1]
        if last.role == "tool":
            return f"I see {last.text}."
        asked = sum(message.role == "user" for message in request.messages)
        return ModelReply("m", words, (ToolCall("call_1", "look", {}),)) if asked == 1 else f"As to {last.text}: yes."

    return say


def said(told: list[LiveEvent]) -> list[str]:
    return [event.text for event in told if isinstance(event, AgentResponse)]


def audible(room: Room) -> int:
    """How many pieces were no silence: the scripted voice is one."""
    return sum(any(pcm) for _, pcm in room.written)


def silence_after(room: Room) -> float:
    """Seconds of silence after the last piece that was none."""
    trailing = itertools.takewhile(lambda written: not any(written[1]), reversed(room.written))
    return sum(len(pcm) for _, pcm in trailing) / 2 / room.rate


@pytest.mark.parametrize(
    "tool",
    [
        {"interruption_mode": "disable_during_tool"},
        {"interruption_mode": "disable_during_tool_and_turn"},
        {"disable_interruptions": True},
    ],
    ids=str,
)
async def test_what_is_written_while_a_tool_may_not_be_interrupted_is_answered_after_it(
    opens: Opens, tool: dict[str, Any]
) -> None:
    async with opens(config(**tool)) as live:
        live.model.say = looks("")
        session, told = await live.begin()
        session.user_message("Look!")
        await told_of(told, ClientToolCall)
        session.user_message("milk")
        session.tool_result("call_1", "tea", is_error=False)
        await told_of(told, ResponseComplete, 2)
        assert said(told) == ["I see tea.", "As to milk: yes."]
        assert not [event for event in told if isinstance(event, Interruption)]


def written(live: Stage) -> list[str]:
    """What the person has said, as the model was asked last."""
    return [message.text for message in live.model.requests[-1].messages if message.role == "user"]


@pytest.mark.parametrize("by", ["text", "voice", "guess", "noise"])
async def test_who_cuts_the_words_after_a_tool_is_answered_to_what_they_wrote_during_it_too(
    opens: Opens, speech: SpokenSpeech, by: str
) -> None:
    turn = {"turn": {"speculative_turn": by == "guess"}}
    async with opens({**config(interruption_mode="disable_during_tool"), **turn}) as live:
        live.model.say = looks("")
        room = Room(at_once=False)
        session, told = await live.begin(room)
        session.user_message("Look!")
        await told_of(told, ClientToolCall)
        session.user_message("milk")
        session.tool_result("call_1", "tea", is_error=False)
        await eventually(lambda: room.seconds > 0.55)
        room.at_once = True
        if by == "text":
            session.user_message("bread")
        else:
            await eventually(lambda: bool(speech.streams))
            speech.texts.append("" if by == "noise" else "bread")
            voice(session, 0.5)
            pause(session, 0.3)
            pause(session, 0.7)
        await told_of(told, ResponseComplete)
        wanted = ["Look!", "milk"] if by == "noise" else ["Look!", "milk", "bread"]
        assert "\n".join(written(live)) == "\n".join(wanted)
        assert [event.text for event in await live.journal(session) if isinstance(event, UserMessage)] == wanted
        assert said(told) == ["I see tea.", "As to {}: yes.".format("\n".join(wanted[1:]))]


async def test_a_tap_during_a_tool_keeps_its_row_of_buttons(opens: Opens) -> None:
    async with opens(config(interruption_mode="disable_during_tool")) as live:
        live.model.say = looks("")
        session, told = await live.begin()
        row = {"rich_content_id": "rich_1", "props": {"buttons": [{"id": "m", "label": "Milk", "message": "Milk"}]}}
        session.note(Noted(what=SHOWN, detail=row))
        session.user_message("Look!")
        await told_of(told, ClientToolCall)
        session.user_message("Milk", rich_content_id="rich_1")
        session.tool_result("call_1", "tea", is_error=False)
        await told_of(told, ResponseComplete, 2)
        tap = [event for event in await live.journal(session) if isinstance(event, UserMessage)][-1]
        assert (tap.text, tap.type, tap.rich_content_id) == ("[Button: Milk (id: m)]", "interactive", "rich_1")


async def test_without_a_setting_a_tool_is_interrupted(opens: Opens) -> None:
    async with opens(config()) as live:
        live.model.say = looks("")
        session, told = await live.begin()
        session.user_message("Look!")
        await told_of(told, ClientToolCall)
        session.user_message("milk")
        await told_of(told, ResponseComplete)
        assert said(told) == ["As to milk: yes."]
        assert [event for event in told if isinstance(event, Interruption)]


@pytest.mark.parametrize(
    ("mode", "after_it"), [("disable_during_tool", True), ("disable_during_tool_and_turn", False)], ids=str
)
async def test_a_voice_does_not_cut_a_tool_and_cuts_what_follows_only_where_it_may(
    opens: Opens, speech: SpokenSpeech, mode: str, after_it: bool
) -> None:
    async with opens(config(interruption_mode=mode)) as live:
        live.model.say = looks("")
        room = Room(at_once=False)
        session, told = await live.begin(room)
        session.user_message("Look!")
        await told_of(told, ClientToolCall)
        await eventually(lambda: bool(speech.streams))
        voice(session, 0.5)
        pause(session, 0.7)
        session.tool_result("call_1", "tea", is_error=False)
        await told_of(told, AgentResponse)
        await eventually(lambda: room.seconds > 0.55)
        assert not [event for event in told if isinstance(event, Interruption)]
        voice(session, 0.5)
        if after_it:
            await told_of(told, Interruption)
        else:
            room.played = room.seconds
            await told_of(told, ResponseComplete)
            assert not [event for event in told if isinstance(event, Interruption)]


async def sounds(live: Stage, room: Room, words: str) -> tuple[Any, list[LiveEvent]]:
    """A conversation whose tool is running."""
    live.model.say = looks(words)
    session, told = await live.begin(room)
    session.user_message("Look!")
    await told_of(told, ClientToolCall)
    return session, told


@pytest.mark.parametrize(
    ("behavior", "words"), [("always", ""), ("always", "One moment."), ("auto", "One moment.")], ids=str
)
async def test_a_sound_is_heard_while_a_tool_runs_and_is_no_part_of_what_was_said(
    opens: Opens, behavior: str, words: str
) -> None:
    tool = {"tool_call_sound": "elevator3", "tool_call_sound_behavior": behavior}
    async with opens(config(**tool)) as live:
        room = Room(at_once=False)
        session, told = await sounds(live, room, words)
        if words:
            await eventually(lambda: room.seconds == pytest.approx(0.4, abs=0.02))
            assert not audible(room)
            room.played = room.seconds
        await eventually(lambda: audible(room) > 0)
        session.tool_result("call_1", "tea", is_error=False)
        await eventually(lambda: silence_after(room) == pytest.approx(0.6, abs=0.02))  # three words
        heard = [any(pcm) for _, pcm in room.written]
        assert all(heard[heard.index(True) : len(heard) - heard[::-1].index(True)])
        room.played = room.seconds
        await told_of(told, ResponseComplete)
        assert said(told) == [*([words] if words else []), "I see tea."]
        assert not [event for event in told if isinstance(event, ResponseCorrection)]


async def test_a_sound_that_goes_with_words_is_not_heard_without_them(opens: Opens) -> None:
    async with opens(config(tool_call_sound="elevator2")) as live:
        room = Room()
        session, told = await sounds(live, room, "")
        voice(session, 0.1)
        session.tool_result("call_1", "tea", is_error=False)
        await told_of(told, ResponseComplete)
        assert not audible(room)


async def test_of_an_answer_that_is_cut_in_a_sound_all_words_before_it_were_heard(opens: Opens) -> None:
    tool = {"tool_call_sound": "elevator1", "tool_call_sound_behavior": "always"}
    async with opens(config(**tool)) as live:
        room = Room(at_once=False)
        session, told = await sounds(live, room, "One moment please.")
        room.played = room.seconds
        await eventually(lambda: audible(room) > 0)
        voice(session, 0.5)
        await told_of(told, Interruption)
        assert not [event for event in told if isinstance(event, ResponseCorrection)], "there is nothing to correct"
        (cut,) = [event for event in await live.journal(session) if isinstance(event, AgentInterrupted)]
        assert cut.heard == "One moment please."


@pytest.mark.parametrize("by_voice", [True, False], ids=["interrupted", "hung up"])
async def test_a_call_that_is_cut_short_has_a_result_that_says_so(opens: Opens, by_voice: bool) -> None:
    async with opens(config()) as live:
        session, told = await sounds(live, Room(), "One moment please.")
        if by_voice:
            voice(session, 0.5)
        else:
            session.end("Client disconnected")
        (response,) = await told_of(told, ToolResponse)
        assert (response.tool_call_id, response.is_error, response.is_called) == ("call_1", True, True)
        session.tool_result("call_1", "tea", is_error=False)
        if by_voice:
            session.end("Client disconnected")
        await told_of(told, SessionEnded)
        assert len([event for event in told if isinstance(event, ToolResponse)]) == 1
        turns = await live.transcript(session)
        (call,) = [call for turn in turns for call in turn.tool_calls]
        (result,) = [result for turn in turns for result in turn.tool_results]
        assert call.tool_has_been_called
        assert (result.request_id, result.is_error, result.error_type) == ("call_1", True, "interrupted")
        assert result.result_value == CUT_SHORT


async def test_a_call_that_is_cut_before_it_began_did_nothing(opens: Opens) -> None:
    async with opens(config(execution_mode="post_tool_speech")) as live:
        live.model.say = looks("One moment.")
        room = Room(at_once=False)
        session, told = await live.begin(room)
        session.user_message("Look!")
        await eventually(lambda: room.seconds == pytest.approx(0.4, abs=0.02))
        voice(session, 0.5)
        await told_of(told, Interruption)
        (result,) = [event for event in await live.journal(session) if isinstance(event, ToolReturned)]
        assert (result.is_error, result.error_type) == (True, "never_began")
        assert not [event for event in told if isinstance(event, ToolRequest | ToolResponse)]
        assert not any(
            call.tool_has_been_called for turn in await live.transcript(session) for call in turn.tool_calls
        )


async def test_a_tool_may_wait_until_the_words_before_it_were_heard(opens: Opens) -> None:
    async with opens(config(execution_mode="post_tool_speech")) as live:
        live.model.say = looks("One moment.")
        room = Room(at_once=False)
        session, told = await live.begin(room)
        session.user_message("Look!")
        await eventually(lambda: room.seconds == pytest.approx(0.4, abs=0.02))
        assert not [event for event in told if isinstance(event, ClientToolCall)]
        room.played = room.seconds
        await told_of(told, ClientToolCall)
        session.tool_result("call_1", "tea", is_error=False)
        await told_of(told, AgentResponse, 2)


@pytest.mark.parametrize(
    ("tool", "line"),
    [
        ({"pre_tool_speech": "force"}, "Before you call look, say in one short sentence what you are about to do."),
        ({"force_pre_tool_speech": True}, "Before you call look, say in one short sentence"),
        ({"pre_tool_speech": "off"}, "Call look without a word before it."),
        ({}, ""),
    ],
    ids=str,
)
async def test_a_model_that_speaks_is_told_whether_to_speak_before_a_call(
    opens: Opens, tool: dict[str, Any], line: str
) -> None:
    async with opens(config(**tool)) as live:
        live.model.say = lambda request: "Yes."
        for room in (Room(), None):
            session, told = await live.begin(room)
            session.user_message("Look!")
            await told_of(told, ResponseComplete)
        spoken, written = (request.messages[0].text for request in live.model.requests)
        assert line in spoken
        assert "look" not in written
        assert line or "look" not in spoken


async def test_an_agent_in_hindi_is_told_to_speak_hinglish(opens: Opens) -> None:
    agent = {"language": "hi", "hinglish_mode": True, "prompt": {"prompt": "You sell tea."}}
    async with opens({"agent": agent, "tts": {"model_id": "eleven_flash_v2_5"}}) as live:
        for room in (Room(), None):
            session, told = await live.begin(room)
            session.user_message("Namaste")
            await told_of(told, ResponseComplete)
        assert all(HINGLISH in request.messages[0].text for request in live.model.requests)


@pytest.mark.parametrize("name", ["typing", "elevator1", "elevator4", "harp"])
def test_every_sound_is_soft_and_goes_round(name: str) -> None:
    pcm = memoryview(tool_sound(name)).cast("h")
    assert 500 < max(pcm) < 8_000
    assert (abs(pcm[0]), abs(pcm[-1])) <= (50, 50)
    assert (tool_sound(name) == tool_sound("typing")) == (name in ("typing", "harp"))


def test_names_that_nobody_knows_share_one_sound() -> None:
    assert tool_sound("harp") is tool_sound("lute") is tool_sound("typing")
    assert tool_sound("elevator1") is tool_sound("elevator1")


async def test_what_was_said_and_done_before_a_tool_is_written_down_while_it_runs(opens: Opens) -> None:
    async with opens(config()) as live:
        live.model.say = looks("One moment.")
        session, told = await live.begin(Room())
        session.user_message("Look!")
        await told_of(told, ClientToolCall)
        written = [type(event) for event in await live.journal(session)]
        assert written == [Started, UserMessage, AgentMessage, ToolCalled]
        live.clock.advance(timedelta(seconds=2))
        session.contextual_update("It is late.")
        session.tool_result("call_1", "tea", is_error=False)
        await told_of(told, ResponseComplete)
        kinds = [message.role for message in live.model.requests[-1].messages]
        assert kinds == ["system", "user", "assistant", "tool"]
        session.user_message("And milk?")
        await told_of(told, ResponseComplete, 2)
        kinds = [message.role for message in live.model.requests[-1].messages]
        assert kinds == ["system", "user", "assistant", "tool", "system", "assistant", "user"], "no model takes less"
        turns = [(turn.message, len(turn.tool_results)) for turn in await live.transcript(session)]
        assert turns[:5] == [("Look!", 0), ("One moment.", 0), ("It is late.", 0), (None, 1), ("I see tea.", 0)]
        rows = await live.pool.fetch("select at, kind from conversation_event order by seq")
        at = {row["kind"]: row["at"] for row in reversed(rows)}
        assert at["tool_returned"] - at["tool_called"] == timedelta(seconds=2)

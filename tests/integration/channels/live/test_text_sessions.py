"""A live conversation by text: streamed, cut, timed, watched over, and ended in one state."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from greenline.agents.overrides import OverrideNotAllowed
from greenline.agents.variables import MissingVariables
from greenline.channels.live.models import (
    AgentResponse,
    AgentTyping,
    ClientToolCall,
    Interruption,
    ResponseComplete,
    ResponsePart,
    SessionEnded,
    TakenOver,
    ToolResponse,
)
from greenline.channels.live.person import NO_WORDS
from greenline.channels.live.recorder import RATE
from greenline.channels.live.sessions import ABANDONED
from greenline.channels.orders import Order, place
from greenline.clock import ManualClock
from greenline.conversations.events import AgentInterrupted, AgentMessage, Ended, Started, TurnFailed, UserMessage
from greenline.conversations.recordings import find_recording
from greenline.llm.errors import AllModelsFailed
from greenline.llm.models import ModelReply, ToolCall
from greenline.settings import Settings
from greenline.store.pool import Pool
from greenline.workspaces import environments
from support.live import Stage, stage, told_of
from support.rows import WORKSPACE
from support.wait import until

CONFIG = {"agent": {"first_message": "Hello {{name}}!", "prompt": {"prompt": "You sell tea to {{name}}."}}}
ANN: dict[str, Any] = {"dynamic_variables": {"name": "Ann"}}


@pytest.fixture
async def live(pool: Pool, dsn: str, clock: ManualClock, settings: Settings) -> AsyncIterator[Stage]:
    async with stage(pool, dsn, clock, settings, CONFIG) as running:
        running.model.say = lambda request: f"You said {request.messages[-1].text}"
        yield running


async def test_the_person_waits_for_the_agent_as_long_as_it_thinks(live: Stage) -> None:
    """What a client leaves unsaid meanwhile is no silence of its person."""
    session, told = await live.begin(**ANN)
    await told_of(told, ResponseComplete)
    assert not session.answering
    live.model.hold = asyncio.Event()
    session.user_message("When do you open?")
    assert session.answering
    live.model.hold.set()
    await told_of(told, ResponseComplete, 2)
    assert not session.answering


async def test_a_conversation_greets_answers_and_ends(live: Stage) -> None:
    session, told = await live.begin(**ANN)
    await told_of(told, ResponseComplete)
    session.user_message("  When do you open? ")
    await told_of(told, ResponseComplete, 2)
    session.end("Bye")
    (ended,) = await told_of(told, SessionEnded)
    await live.tasks[0]
    assert ended == SessionEnded(1000, "Bye")
    assert [event.text for event in told if isinstance(event, AgentResponse)] == [
        "Hello Ann!",
        "You said When do you open?",
    ]
    parts = [event for event in told if isinstance(event, ResponsePart) and event.event_id == 2]
    assert [part.type for part in parts] == ["start", "delta", "stop"]
    assert [type(event) for event in await live.journal(session)] == [
        Started,
        AgentMessage,
        UserMessage,
        AgentMessage,
        Ended,
    ]
    row = await live.row(session)
    assert (row["status"], row["termination_reason"], row["message_count"]) == ("processing", "Bye", 3)
    assert live.model.requests[0].messages[0].text.startswith("You sell tea to Ann.")
    held = await live.pool.fetchval("select owner from mailbox where id = $1", f"live:{session.conversation_id}")
    assert held is None


async def test_what_a_start_may_not_bring_is_refused(live: Stage) -> None:
    with pytest.raises(MissingVariables):
        await live.begin()
    with pytest.raises(OverrideNotAllowed):
        await live.begin(**ANN, conversation_config_override={"agent": {"first_message": "Hi"}})
    assert await live.pool.fetchval("select count(*) from conversation") == 0


@pytest.mark.parametrize("text", ["", "  "])
async def test_a_message_without_words_makes_the_agent_answer(live: Stage, text: str) -> None:
    session, told = await live.begin(**ANN)
    await told_of(told, ResponseComplete)
    session.user_message(text)
    assert (await told_of(told, AgentResponse, 2))[-1].text == f"You said {NO_WORDS}"
    await told_of(told, ResponseComplete, 2)
    (said,) = [event for event in await live.journal(session) if isinstance(event, UserMessage)]
    assert (said.text, said.medium) == ("", "text")


async def test_a_new_message_cuts_the_answer_to_the_last_one(live: Stage) -> None:
    session, told = await live.begin(**ANN)
    await told_of(told, ResponseComplete)
    live.model.hold = asyncio.Event()
    session.user_message("one")
    await until(lambda: _truth(live.model.requests))
    live.model.hold = None
    session.user_message("two")
    responses = await told_of(told, AgentResponse, 2)
    assert responses[-1].text == "You said one\ntwo"
    assert live.model.cancelled == 1
    (cut,) = [event for event in told if isinstance(event, Interruption)]
    assert cut.event_id < responses[-1].event_id


async def _truth(value: object) -> bool:
    return bool(value)


async def test_when_all_models_fail_a_sentence_is_said_and_the_operator_sees_why(live: Stage) -> None:
    def fail(request: Any) -> ModelReply:
        raise AllModelsFailed(())

    session, told = await live.begin(**ANN)
    await told_of(told, ResponseComplete)
    live.model.say = fail
    session.user_message("Hello?")
    responses = await told_of(told, AgentResponse, 2)
    assert "sorry" in responses[-1].text.lower()
    await told_of(told, ResponseComplete, 2)
    failures = [event for event in await live.journal(session) if isinstance(event, TurnFailed)]
    assert [failure.code for failure in failures] == ["no_model_answered"]


async def test_a_fault_of_the_server_ends_it_and_tells_its_place_apart(live: Stage) -> None:
    def fail(request: Any) -> ModelReply:
        raise RuntimeError("the password is 1234")

    session, told = await live.begin(**ANN)
    await told_of(told, ResponseComplete)
    live.model.say = fail
    session.user_message("Hello?")
    (ended,) = await told_of(told, SessionEnded)
    assert (ended.code, ended.error_type) == (1011, "unknown_websocket_crash")
    assert ended.debug is not None
    assert ended.debug.startswith("RuntimeError in greenline.")
    assert "1234" not in f"{ended} {ended.debug}"


async def test_the_maximum_duration_ends_it_with_its_message(
    pool: Pool, dsn: str, clock: ManualClock, settings: Settings
) -> None:
    config = {
        "agent": {"max_conversation_duration_message": "Time is up."},
        "conversation": {"max_duration_seconds": 60},
    }
    async with stage(pool, dsn, clock, settings, config) as live:
        session, told = await live.begin()
        await asyncio.sleep(0)
        clock.advance(timedelta(seconds=61))
        (ended,) = await told_of(told, SessionEnded)
        assert ended.error_type == "max_duration_exceeded"
        assert [event.text for event in told if isinstance(event, AgentResponse)] == ["Time is up."]
        await live.tasks[0]
        assert (await live.row(session))["status"] == "processing"


TOOL = {
    "type": "client",
    "name": "get_stock",
    "description": "How much is left",
    "expects_response": True,
    "response_timeout_secs": 5,
    "parameters": {
        "type": "object",
        "properties": {
            "tea": {"type": "string", "description": "Which tea"},
            "shop": {"type": "string", "constant_value": "main"},
        },
        "required": ["tea"],
    },
}


async def test_a_client_tool_waits_for_its_answer(
    pool: Pool, dsn: str, clock: ManualClock, settings: Settings
) -> None:
    def say(request: Any) -> ModelReply:
        last = request.messages[-1]
        if last.role == "tool":
            return ModelReply(request.model, f"There are {last.text} boxes.")
        return ModelReply(request.model, "", (ToolCall("call_1", "get_stock", {"tea": "oolong"}),))

    async with stage(pool, dsn, clock, settings, {"agent": {"prompt": {"prompt": "x", "tools": [TOOL]}}}) as live:
        live.model.say = say
        session, told = await live.begin()
        session.user_message("How much oolong is there?")
        (call,) = await told_of(told, ClientToolCall)
        assert (call.tool_name, dict(call.parameters)) == ("get_stock", {"tea": "oolong", "shop": "main"})
        spec = live.model.requests[0].tools[-1]
        assert list(spec.parameters["properties"]) == ["tea"]
        session.tool_result("call_unknown", "9", is_error=False)
        session.tool_result(call.tool_call_id, "7", is_error=False)
        (response,) = await told_of(told, AgentResponse)
        assert response.text == "There are 7 boxes."
        (returned,) = [event for event in told if isinstance(event, ToolResponse)]
        assert (returned.result, returned.is_error, returned.tool_type) == ("7", False, "client")


async def test_who_reads_sees_that_the_agent_is_at_work(
    pool: Pool, dsn: str, clock: ManualClock, settings: Settings
) -> None:
    replies = [
        ModelReply("m", "Let me look.", (ToolCall("call_1", "get_stock", {"tea": "oolong"}),)),
        ModelReply("m", "Seven boxes."),
        ModelReply("m", "", (ToolCall("call_2", "skip_turn", {}),)),
    ]
    prompt = {"prompt": "x", "tools": [TOOL], "built_in_tools": {"skip_turn": True}}
    async with stage(pool, dsn, clock, settings, {"agent": {"first_message": "Hi", "prompt": prompt}}) as live:
        live.model.say = lambda request: replies.pop(0)
        session, told = await live.begin()
        await told_of(told, ResponseComplete)
        assert not [event for event in told if isinstance(event, AgentTyping)], "a greeting is there at once"
        session.user_message("How much oolong is there?")
        (call,) = await told_of(told, ClientToolCall)
        session.tool_result(call.tool_call_id, "7", is_error=False)
        await told_of(told, ResponseComplete, 2)
        session.user_message("Wait a moment")
        await told_of(told, ResponseComplete, 3)
    seen = [event for event in told if isinstance(event, AgentTyping | AgentResponse)][1:]
    works, rests = AgentTyping(is_typing=True), AgentTyping(is_typing=False)
    assert [event.text if isinstance(event, AgentResponse) else event for event in seen] == [
        *(works, rests, "Let me look."),
        *(works, rests, "Seven boxes."),
        *(works, rests),
    ]


async def test_who_reads_sees_that_a_human_types(live: Stage, clock: ManualClock) -> None:
    session, told = await live.begin(**ANN)
    await told_of(told, ResponseComplete)
    orders = (
        Order("human_typing"),  # of somebody who only watches: the agent answers
        Order("enable_human_takeover"),
        Order("human_typing"),
        Order("human_typing"),
        Order("send_human_message", "Yes, I am Bob."),
        Order("human_typing"),
        Order("disable_human_takeover"),
    )
    for order in orders:
        await place(live.pool, clock, WORKSPACE, session.conversation_id, order)
    await told_of(told, TakenOver, 2)
    seen = [event for event in told if isinstance(event, AgentTyping | AgentResponse | TakenOver)][1:]
    types, rests = AgentTyping(is_typing=True, duration_ms=5_000), AgentTyping(is_typing=False)
    assert [event.text if isinstance(event, AgentResponse) else event for event in seen] == [
        TakenOver(by_human=True),
        *(types, types, rests, "Yes, I am Bob."),
        *(types, rests),
        TakenOver(by_human=False),
    ]


async def test_a_mocked_tool_is_not_run(pool: Pool, dsn: str, clock: ManualClock, settings: Settings) -> None:
    def say(request: Any) -> ModelReply:
        last = request.messages[-1]
        if last.role == "tool":
            return ModelReply(request.model, last.text)
        return ModelReply(request.model, "", (ToolCall("call_1", "get_stock", {"tea": "oolong"}),))

    mocks = {"mocking_strategy": "selected", "mocked_tool_names": ["get_stock"]}
    async with stage(pool, dsn, clock, settings, {"agent": {"prompt": {"prompt": "x", "tools": [TOOL]}}}) as live:
        live.model.say = say
        session, told = await live.begin(tool_mock_config=mocks)
        session.user_message("How much oolong is there?")
        (response,) = await told_of(told, AgentResponse)
        assert response.text == "No mock matched this call of get_stock."
        assert not [event for event in told if isinstance(event, ClientToolCall)]


async def test_the_farewell_comes_before_the_result_that_makes_clients_leave(
    pool: Pool, dsn: str, clock: ManualClock, settings: Settings
) -> None:
    def say(request: Any) -> ModelReply:
        call = ToolCall("call_1", "end_call", {"reason": "done", "message": "Goodbye!"})
        return ModelReply(request.model, "", (call,))

    tools = {"end_call": {"name": "end_call", "params": {"system_tool_type": "end_call"}}}
    config = {"agent": {"prompt": {"prompt": "x", "built_in_tools": tools}}}
    async with stage(pool, dsn, clock, settings, config) as live:
        live.model.say = say
        session, told = await live.begin()
        session.user_message("Bye")
        await told_of(told, SessionEnded)
        kinds = [type(event) for event in told if isinstance(event, AgentResponse | ToolResponse)]
        assert kinds == [AgentResponse, ToolResponse]


async def test_a_human_takes_over_and_hands_back(live: Stage) -> None:
    session, told = await live.begin(**ANN)
    await told_of(told, ResponseComplete)

    async def order(command: Any, text: str = "") -> None:
        await place(live.pool, live.clock, WORKSPACE, session.conversation_id, Order(command, text))

    await order("enable_human_takeover")
    await told_of(told, TakenOver)
    session.user_message("Is anybody there?")
    await order("send_human_message", "Yes, I am Bob.\x00")
    responses = await told_of(told, AgentResponse, 2)
    assert responses[-1].text == "Yes, I am Bob.\N{REPLACEMENT CHARACTER}"
    assert live.model.requests == []
    await order("disable_human_takeover")
    await told_of(told, TakenOver, 2)
    session.user_message("Thanks")
    responses = await told_of(told, AgentResponse, 3)
    assert responses[-1].text == "You said Thanks"
    await order("enable_human_takeover")
    await told_of(told, TakenOver, 3)
    session.user_message("And on Sunday?")
    await order("disable_human_takeover")
    responses = await told_of(told, AgentResponse, 4)
    assert responses[-1].text == "You said And on Sunday?", "who wrote to the human is answered by the agent"
    await order("end_call")
    await told_of(told, SessionEnded)


async def test_an_answer_that_a_human_stopped_before_its_first_word_is_made_when_they_hand_back(
    pool: Pool, dsn: str, clock: ManualClock, settings: Settings
) -> None:
    async with stage(pool, dsn, clock, settings, {"agent": {"prompt": {"prompt": "x", "tools": [TOOL]}}}) as live:
        live.model.say = lambda request: ModelReply("m", "", (ToolCall("call_1", str(TOOL["name"]), {}),))
        session, told = await live.begin()
        session.user_message("Is it there?")
        await told_of(told, ClientToolCall)
        for command in ("enable_human_takeover", "disable_human_takeover"):
            await place(live.pool, live.clock, WORKSPACE, session.conversation_id, Order(command))
        await told_of(told, TakenOver, 2)
        await told_of(told, ClientToolCall, 2)


async def test_what_was_cut_is_told_to_the_model_as_it_was_heard(live: Stage) -> None:
    session, told = await live.begin(**ANN)
    await told_of(told, ResponseComplete)
    session.contextual_update("The shop closes soon.", "hours")
    session.contextual_update("The shop is closed.", "hours")
    session.user_message("Hello")
    await told_of(told, ResponseComplete, 2)
    texts = [message.text for message in live.model.requests[-1].messages if message.role == "system"]
    assert texts[1:] == ["For your information: The shop is closed."]
    assert not [event for event in await live.journal(session) if isinstance(event, AgentInterrupted)]


async def test_a_conversation_whose_process_died_is_ended_by_another(live: Stage) -> None:
    session, told = await live.begin(**ANN)
    await told_of(told, ResponseComplete)
    died_at = live.clock.now()
    live.live._worker.let_go(session._claim)  # it died: nobody renews the lease, and it runs out
    live.clock.advance(timedelta(minutes=5))
    await live.pool.execute("update mailbox set lease_until = 'epoch' where kind = 'live'")

    async def is_over() -> bool:
        return bool((await live.row(session))["status"] == "failed")

    await until(is_over)
    session.user_message("Are you there?")  # a process that is not dead after all finds out and says no more
    await told_of(told, SessionEnded)
    (ended,) = [event for event in await live.journal(session) if isinstance(event, Ended)]
    assert ended.reason == ABANDONED
    assert (await live.row(session))["ended_at"] == died_at, "nobody knows that it went on after that"
    assert not [event for event in await live.journal(session) if isinstance(event, UserMessage)]


async def test_what_a_process_that_died_has_recorded_is_there_as_soon_as_the_conversation_is_over(
    live: Stage, settings: Settings
) -> None:
    session, told = await live.begin(**ANN)
    await told_of(told, ResponseComplete)
    spool = settings.data_dir / "spool" / WORKSPACE
    spool.mkdir(parents=True)
    (spool / f"{session.conversation_id}.pcm").write_bytes(b"\1\0\0\0" * RATE)
    live.live._worker.let_go(session._claim)  # as above
    await live.pool.execute("update mailbox set lease_until = 'epoch' where kind = 'live'")
    recording = await until(lambda: find_recording(live.pool, WORKSPACE, session.conversation_id))
    assert recording.seconds == 1.0
    session.user_message("Are you there?")
    await told_of(told, SessionEnded)


async def test_system_variables_and_those_of_the_environment_are_filled_in(
    pool: Pool, dsn: str, clock: ManualClock, settings: Settings
) -> None:
    prompt = {"prompt": "It is {{system__time}} in {{system__env_town}}.", "timezone": "Asia/Tokyo"}
    config = {"agent": {"first_message": "Hello from {{system__env_town}}!", "prompt": prompt}}
    async with stage(pool, dsn, clock, settings, config) as running:
        town = {"production": "Kyoto"}
        await environments.create_variable(pool, clock, WORKSPACE, label="town", kind="string", values=town)
        running.model.say = lambda request: "Yes."
        session, told = await running.begin()
        await told_of(told, ResponseComplete)
        session.user_message("Are you open?")
        await told_of(told, ResponseComplete, 2)
        assert [event.text for event in told if isinstance(event, AgentResponse)] == ["Hello from Kyoto!", "Yes."]
        local = clock.now() + timedelta(hours=9)
        told_the_model = running.model.requests[0].messages[0].text
        assert f"It is {local:%A, %H:%M} {local.day} {local:%B %Y} in Kyoto." in told_the_model
        session.end("Bye")
        await running.tasks[0]


async def test_a_tool_is_given_system_variables_as_they_are_when_it_is_called(
    pool: Pool, dsn: str, clock: ManualClock, settings: Settings
) -> None:
    properties = {
        "said": {"type": "number", "dynamic_variable": "system__agent_turns"},
        "seconds": {"type": "number", "dynamic_variable": "system__call_duration_secs"},
    }
    tool = {"type": "client", "name": "note", "description": "Notes.", "parameters": {"properties": properties}}
    config = {"agent": {"first_message": "Hello!", "prompt": {"prompt": "x", "tools": [tool]}}}
    async with stage(pool, dsn, clock, settings, config) as running:
        calls = [ModelReply("m", "", (ToolCall("c1", "note", {}),)), ModelReply("m", "Noted.")]
        running.model.say = lambda request: calls.pop(0)
        session, told = await running.begin()
        await told_of(told, ResponseComplete)
        clock.advance(timedelta(seconds=30))
        session.user_message("Note this")
        (call,) = await told_of(told, ClientToolCall)
        assert call.parameters == {"said": 1, "seconds": 30}
        session.end("Bye")
        await running.tasks[0]

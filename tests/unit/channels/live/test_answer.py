"""What the journal gets of an answer while it is made."""

from greenline.channels.live.answer import Answer
from greenline.channels.live.models import AgentResponse, ContextUsage, LiveEvent, ToolResponse
from greenline.conversations.events import AgentInterrupted, AgentMessage
from greenline.llm.models import ModelReply, Usage
from greenline.tools.models import ToolContext
from greenline.tools.system import system_tools


def test_a_reply_that_was_told_is_kept_though_the_turn_is_cut_before_it_has_it() -> None:
    told: list[LiveEvent] = []
    answer = Answer(1, told.append, lambda: 0.0, committed=True)
    answer.reply(ModelReply("m", "It is oolong.", usage=Usage(input=20, output=5)))
    assert [event.text for event in told if isinstance(event, AgentResponse)] == ["It is oolong."]
    events = answer.events
    [kept] = answer.take(events)
    assert isinstance(kept, AgentMessage)
    assert (kept.text, kept.model) == ("It is oolong.", "m")
    assert (kept.usage["input"], kept.usage["output"]) == (20, 5), "they cost as much"
    assert list(answer.cut(events)) == [AgentInterrupted(message_id=kept.id, heard="It is oolong.")]


def test_what_a_model_has_read_from_its_cache_is_in_its_context_too() -> None:
    told: list[LiveEvent] = []
    answer = Answer(1, told.append, lambda: 0.0, committed=True)
    read = Usage(input=300, output=5, cache_read=2048, cache_write=100)
    answer.reply(ModelReply("m", "It is oolong.", usage=read, context=128_000))
    answer.over()
    assert [event for event in told if isinstance(event, ContextUsage)] == [ContextUsage(1, "m", 2448, 128_000)]


async def test_a_client_does_not_leave_for_a_call_to_end_the_conversation_that_failed() -> None:
    told: list[LiveEvent] = []
    answer = Answer(1, told.append, lambda: 0.0, committed=True)
    (tool,) = system_tools({"end_call": {}}, interactive=False)
    for call_id, arguments in (("call_1", {"reason": None}), ("call_2", {"reason": "All is said."})):
        answer.tool_called(tool, arguments, call_id)
        answer.tool_returned(tool, call_id, await tool.run(arguments, ToolContext("conv_1", f"msg_1:{call_id}")))
    answer.over()
    responses = [(event.tool_call_id, event.is_error) for event in told if isinstance(event, ToolResponse)]
    assert responses == [("call_2", False)]


def test_a_reply_that_the_turn_has_is_kept_once() -> None:
    answer = Answer(1, print, lambda: 0.0, committed=True)
    answer.reply(ModelReply("m", "It is oolong."))
    answer.outcome.events.append(AgentMessage(id="msg_1", text="It is oolong.", model="m"))
    assert [(event.id, event.text) for event in answer.events if isinstance(event, AgentMessage)] == [
        ("msg_1", "It is oolong.")
    ]

"""What a turn makes of what a model answers."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from structlog.testing import capture_logs

from greenline.conversations.events import (
    AgentMessage,
    Event,
    Remembered,
    Started,
    ToolCalled,
    ToolReturned,
    TurnFailed,
    UserMessage,
)
from greenline.engine.effects import NoModelAnswered
from greenline.engine.turn import Turn, run_turn
from greenline.llm.calls import call_of
from greenline.llm.models import Attempt, FilePart, ModelReply, ModelRequest, ToolCall, ToolSpec, Usage
from greenline.tools.models import Text, ToolContext, ToolResult
from greenline.tools.system import system_tools
from support.effects import ScriptedEffects

STARTED = Started(agent_id="agent_1", branch_id="b", version_id="v", source="whatsapp")
TOOLS = system_tools({"end_call": {}, "send_interactive_buttons": {}}, interactive=True)


def turn(*journal: Event, started: Started = STARTED, **changes: Any) -> Turn:
    known: dict[str, Any] = {
        "conversation_id": "conv_1",
        "started": started,
        "prompt": "You sell tea.",
        "style": "Be brief.",
        "request": ModelRequest("gpt-4o", ()),
        "journal": journal or (UserMessage(id="u", text="Hi"),),
        "tools": TOOLS,
        "failure_message": "Sorry.",
        "max_rounds": 3,
    }
    return Turn(**{**known, **changes})


def called(name: str, **arguments: object) -> ModelReply:
    return ModelReply("gpt-4o", "", (ToolCall("call_1", name, arguments),))


async def test_an_answer_is_said_and_recorded() -> None:
    effects = ScriptedEffects([ModelReply("gpt-4o", " Hello! ", usage=Usage(9, 2), seconds=0.5)])
    with capture_logs() as logs:
        outcome = await run_turn(turn(), effects)
    told = {"conversation_id": "conv_1", "model": "gpt-4o", "seconds": 0.5, "tools": []}
    assert logs == [{"event": "turn.answered", "log_level": "info", **told}]
    [event] = outcome.events
    assert isinstance(event, AgentMessage)
    assert (event.text, event.model, event.usage["input"], event.seconds) == ("Hello!", "gpt-4o", 9, 0.5)
    [spoken] = outcome.spoken
    assert (spoken.event_id, spoken.say) == (event.id, Text("Hello!"))
    assert outcome.ended is None


async def test_a_tool_that_an_interruption_cut_has_a_result_for_the_model() -> None:
    """A model refuses a dialogue in which a call was never answered."""
    effects = ScriptedEffects([ModelReply("gpt-4o", "Let us start again.")])
    journal = (
        UserMessage(id="u1", text="Order tea"),
        AgentMessage(id="a1", text="One moment."),
        ToolCalled(message_id="a1", request_id="call_1", name="order", type="client"),
        UserMessage(id="u2", text="No, wait!"),
    )
    await run_turn(turn(*journal), effects)
    *_, assistant, result, user = effects.requests[0].messages
    assert [call.id for call in assistant.tool_calls] == ["call_1"]
    assert (result.role, result.tool_call_id) == ("tool", "call_1")
    assert "cut short" in result.text
    assert user.text == "No, wait!"


async def test_a_sign_of_listening_is_no_part_of_the_dialogue() -> None:
    effects = ScriptedEffects([ModelReply("gpt-4o", "Bye.")])
    journal = (UserMessage(id="u1", text="Mhm", is_sign=True), UserMessage(id="u2", text="Stop"))
    await run_turn(turn(*journal), effects)
    assert [message.text for message in effects.requests[0].messages[1:]] == ["Stop"]


async def test_fragments_reach_the_model_as_one_message() -> None:
    effects = ScriptedEffects([ModelReply("gpt-4o", "Soon.")])
    fragments = [UserMessage(id=str(n), text=text) for n, text in enumerate(("hi", "my order", "is late"))]
    await run_turn(turn(*fragments), effects)
    system, user = effects.requests[0].messages
    assert system.text == "You sell tea.\nBe brief."
    assert (user.role, user.text) == ("user", "hi\nmy order\nis late")


async def test_a_tool_round_is_shown_to_the_model() -> None:
    effects = ScriptedEffects([called("nonsense", x=1), ModelReply("gpt-4o", "Anyway.")])
    outcome = await run_turn(turn(), effects)
    _, _, assistant, answer = effects.requests[1].messages
    assert assistant.tool_calls[0].name == "nonsense"
    assert (answer.role, answer.tool_call_id) == ("tool", "call_1")
    assert "no tool named nonsense" in answer.text
    kinds = [type(event) for event in outcome.events]
    assert kinds == [AgentMessage, ToolCalled, ToolReturned, AgentMessage]
    returned = outcome.events[2]
    assert isinstance(returned, ToolReturned)
    assert (returned.is_error, returned.error_type) == (True, "unknown_tool")


async def test_a_call_that_cannot_be_run_comes_back_to_the_model() -> None:
    ran: list[str] = []

    class Look:
        spec = ToolSpec("look", "", {"type": "object"})
        type = "client"
        has_effect = True

        async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
            ran.append(self.type)
            return ToolResult("seen")

    deep = call_of("call_1", "look", '{"a":' * 300 + "1" + "}" * 300)
    effects = ScriptedEffects([ModelReply("gpt-4o", "", (deep,)), called("look"), ModelReply("gpt-4o", "Seen.")])
    outcome = await run_turn(turn(tools=(Look(),)), effects)
    assert "nested deeper than 200 levels" in effects.requests[1].messages[-1].text
    first, second = (event for event in outcome.events if isinstance(event, ToolReturned))
    assert (first.is_error, first.error_type) == (True, "invalid_arguments")
    assert (second.is_error, ran) == (False, ["client"])
    assert [spoken.say.text for spoken in outcome.spoken] == ["Seen."]


async def test_end_call_ends_and_says_goodbye() -> None:
    effects = ScriptedEffects([called("end_call", reason="all done", message="Bye!")])
    outcome = await run_turn(turn(), effects)
    assert outcome.ended == "all done"
    assert [spoken.say.text for spoken in outcome.spoken] == ["Bye!"]
    assert len(effects.requests) == 1


async def test_buttons_end_the_turn() -> None:
    buttons = {"body_text": "Sure?", "buttons": [{"id": "y", "title": "Yes"}]}
    outcome = await run_turn(turn(), ScriptedEffects([called("send_interactive_buttons", **buttons)]))
    assert outcome.ended is None
    assert [spoken.say.text for spoken in outcome.spoken] == ["Sure?\n[Yes]"]


async def test_refused_buttons_are_tried_again() -> None:
    refused = {"body_text": "Sure?", "buttons": [{"id": "y", "title": "Y" * 21}]}
    effects = ScriptedEffects([called("send_interactive_buttons", **refused), ModelReply("gpt-4o", "Yes or no?")])
    outcome = await run_turn(turn(), effects)
    assert [spoken.say.text for spoken in outcome.spoken] == ["Yes or no?"]


async def test_when_no_model_answers_the_person_hears_so() -> None:
    effects = ScriptedEffects([NoModelAnswered((Attempt("gpt-4o", "HTTP 500", 0.1),))])
    with capture_logs() as logs:
        outcome = await run_turn(turn(), effects)
    [told] = logs
    assert (told["event"], told["log_level"]) == ("turn.failed", "error")
    assert (told["conversation_id"], told["code"]) == ("conv_1", "no_model_answered")
    failed, apology = outcome.events
    assert isinstance(failed, TurnFailed)
    assert failed.attempts[0].error == "HTTP 500"
    assert isinstance(apology, AgentMessage)
    assert (apology.text, apology.origin) == ("Sorry.", "failure")
    assert (outcome.failed, outcome.came_to) == (True, "failed")


async def test_a_model_that_only_calls_tools_is_stopped() -> None:
    outcome = await run_turn(turn(), ScriptedEffects([called("nonsense")] * 3))
    assert outcome.failed
    assert outcome.spoken[-1].say == Text("Sorry.")


async def test_the_thread_is_remembered() -> None:
    moment = datetime(2026, 1, 4, 18, 30, tzinfo=UTC)
    remembered = Remembered(role="user", text="I like oolong", at=moment)
    started = STARTED.model_copy(update={"summary": "Bought tea.", "remembered": (remembered,)})
    effects = ScriptedEffects([ModelReply("gpt-4o", "Oolong again?")])
    await run_turn(turn(started=started), effects)
    system = effects.requests[0].messages[0].text
    assert "In short: Bought tea." in system
    assert "[2026-01-04 18:30] Person: I like oolong" in system


async def test_files_go_with_their_message() -> None:
    file = FilePart("image/png", "leaf.png", b"png")
    effects = ScriptedEffects([ModelReply("gpt-4o", "A leaf.")])
    await run_turn(
        turn(UserMessage(id="u", text="What is it?", file_ids=("f1", "gone")), files={"f1": file}), effects
    )
    assert effects.requests[0].messages[1].parts[1:] == (file,)


async def test_unstorable_characters_do_not_enter_the_journal() -> None:
    outcome = await run_turn(turn(), ScriptedEffects([ModelReply("gpt-4o", "a\x00b\ud800c")]))
    [event] = outcome.events
    assert isinstance(event, AgentMessage)
    assert event.text == "a\ufffdb\ufffdc"


async def test_calls_have_ids_of_their_own_in_a_conversation() -> None:
    """An endpoint that numbers the calls of each reply from 0 would have a client take two for one."""
    effects = ScriptedEffects([called("nonsense"), called("nonsense"), ModelReply("gpt-4o", "Anyway.")])
    outcome = await run_turn(turn(), effects)
    ids = [event.request_id for event in outcome.events if isinstance(event, ToolCalled)]
    assert ids == ["call_1", "call_1_2"]
    assert [message.tool_call_id for message in effects.requests[-1].messages if message.role == "tool"] == ids

    later = ScriptedEffects([called("nonsense"), ModelReply("gpt-4o", "Anyway.")])
    again = await run_turn(turn(*outcome.events, UserMessage(id="u2", text="Again")), later)
    assert [event.request_id for event in again.events if isinstance(event, ToolCalled)] == ["call_1_3"]


async def test_what_a_tool_has_told_the_person_itself_is_recorded_with_its_messages() -> None:
    class Write:
        type, has_effect = "system", True
        spec = ToolSpec("write", "Writes.", {"type": "object"})

        async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
            return ToolResult("Sent.", said="Rose Street 5", outbox_ids=("out_1",))

    effects = ScriptedEffects([called("write"), ModelReply("gpt-4o", "I have sent it.")])
    outcome = await run_turn(turn(tools=(Write(),)), effects)
    [returned] = [event for event in outcome.events if isinstance(event, ToolReturned)]
    assert (returned.said, returned.outbox_ids) == ("Rose Street 5", ("out_1",))
    assert [spoken.say for spoken in outcome.spoken] == [Text("I have sent it.")]

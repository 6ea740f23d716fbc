"""One turn of a conversation: the person said something, the agent answers.

A turn is a function of what is known and of the effects it asks for. It writes nothing itself: it returns the
journal's new events and what is to be said, and the channel commits them in one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from greenline.conversations.events import (
    AgentMessage,
    Attempted,
    Event,
    Started,
    ToolCalled,
    ToolReturned,
    TurnFailed,
)
from greenline.engine.effects import Effects, NoModelAnswered
from greenline.engine.prompt import messages, system_message
from greenline.llm.models import Attempt, FilePart, ModelReply, ModelRequest, ToolCall
from greenline.text import clean_data, clean_text
from greenline.tools.models import Say, Text, Tool, ToolContext, ToolResult, service_of


@dataclass(frozen=True, slots=True)
class Turn:
    """What is known when the agent is to answer.

    ``journal`` ends with what the person said; ``request`` tells the model and its options, without messages.
    ``translate`` gives the turn as it goes on when a tool has switched the conversation to a language.
    """

    conversation_id: str
    started: Started
    prompt: str
    style: str
    request: ModelRequest
    journal: tuple[Event, ...]
    tools: tuple[Tool, ...] = ()
    files: Mapping[str, FilePart] = field(default_factory=dict, repr=False)
    failure_message: str = ""
    max_rounds: int = 10
    translate: Callable[[str], Turn] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Spoken:
    """Something for the person, and the event of the journal that holds it."""

    event_id: str
    say: Say


@dataclass(slots=True)
class Outcome:
    """What a turn came to. ``ended`` is the reason when the conversation is over; ``pause`` is that of a tool."""

    events: list[Event] = field(default_factory=list)
    spoken: list[Spoken] = field(default_factory=list)
    ended: str | None = None
    pause: float | None = None
    failed: bool = False


async def run_turn(turn: Turn, effects: Effects, outcome: Outcome | None = None) -> Outcome:
    """Ask the model, run the tools it calls, until it has answered.

    What has come so far is in ``outcome`` at any time: whoever cancels the turn finds it there. When no model
    answers, or the model calls tools for ever, the outcome holds the failure sentence for the person and a
    `TurnFailed` for the operator.
    """
    outcome = outcome if outcome is not None else Outcome()
    tools = {tool.spec.name: tool for tool in turn.tools}
    for _ in range(turn.max_rounds):
        reply = await effects.model(_request(turn, outcome))
        if isinstance(reply, NoModelAnswered):
            reason = "no model of the cascade answered"
            return fail(outcome, effects, turn.failure_message, "no_model_answered", reason, reply.attempts)
        message = _said(turn, reply, effects, outcome)
        stop = False
        for call in reply.tool_calls:
            result = await _call(turn, call, tools.get(call.name), message, effects, outcome)
            stop = stop or result.ends is not None
            if result.language and turn.translate is not None:
                turn = turn.translate(result.language)
                tools = {tool.spec.name: tool for tool in turn.tools}
        if stop or not reply.tool_calls:
            return outcome
    reason = "the model kept calling tools without answering"
    return fail(outcome, effects, turn.failure_message, "too_many_tool_rounds", reason)


def fail(
    outcome: Outcome, effects: Effects, message: str, code: str, reason: str, attempts: Sequence[Attempt] = ()
) -> Outcome:
    """The outcome of a turn that came to no answer: ``message`` for the person, the reason for the operator."""
    tried = tuple(Attempted(model=a.model, error=a.error, seconds=a.seconds) for a in attempts)
    outcome.failed = True
    outcome.events.append(TurnFailed(code=code, reason=reason, attempts=tried))
    if message:
        event = AgentMessage(id=effects.new_id("msg"), text=message, origin="failure")
        outcome.events.append(event)
        outcome.spoken.append(Spoken(event.id, Text(message)))
    return outcome


def _request(turn: Turn, outcome: Outcome) -> ModelRequest:
    dialogue = messages((*turn.journal, *outcome.events), turn.files)
    return replace(
        turn.request,
        messages=(system_message(turn.prompt, turn.style, turn.started), *dialogue),
        tools=tuple(tool.spec for tool in turn.tools),
    )


def _said(turn: Turn, reply: ModelReply, effects: Effects, outcome: Outcome) -> AgentMessage:
    text = clean_text(reply.text).strip()
    event = AgentMessage(
        id=effects.new_id("msg"),
        text=text,
        model=reply.model,
        requested_model=turn.request.model,
        usage=usage_of(reply),
        attempts=tuple(Attempted(model=a.model, error=a.error, seconds=a.seconds) for a in reply.attempts),
        seconds=reply.seconds,
        seconds_to_first_token=reply.seconds_to_first_token,
    )
    outcome.events.append(event)
    if text:
        outcome.spoken.append(Spoken(event.id, Text(text)))
    return event


def usage_of(reply: ModelReply) -> dict[str, int]:
    """The tokens of a reply, as the journal names them."""
    usage = reply.usage
    return {
        "input": usage.input,
        "output": usage.output,
        "cache_read": usage.cache_read,
        "cache_write": usage.cache_write,
    }


async def _call(
    turn: Turn, call: ToolCall, tool: Tool | None, message: AgentMessage, effects: Effects, outcome: Outcome
) -> ToolResult:
    kind = tool.type if tool else "system"
    params = clean_data(dict(call.arguments))
    service = service_of(tool)
    called = ToolCalled(
        message_id=message.id,
        request_id=call.id,
        name=call.name,
        type=kind,
        tool_id=service.tool_id if service else "",
        params=params,
        details=service.details(params) if service else {},
    )
    outcome.events.append(called)
    begun = effects.now()
    if tool is None:
        unknown = ToolResult(f"There is no tool named {call.name}.", is_error=True, error_type="unknown_tool")
        result = effects.returned() or unknown
    else:
        result = await effects.tool(tool, params, ToolContext(turn.conversation_id, f"{message.id}:{call.id}"))
    outcome.events.append(
        ToolReturned(
            message_id=message.id,
            request_id=call.id,
            name=call.name,
            type=kind,
            tool_id=called.tool_id,
            result=clean_text(result.text),
            is_error=result.is_error,
            error_type=result.error_type,
            is_blocked=result.is_blocked,
            raw_error=clean_text(result.raw_error),
            seconds=(effects.now() - begun).total_seconds(),
            said="\n\n".join(say.text for say in result.say),
            language=result.language,
        )
    )
    outcome.spoken.extend(Spoken(call.id, say) for say in result.say)
    if result.pause is not None:
        outcome.pause = result.pause
    if result.ends == "conversation":
        outcome.ended = result.reason or "end_call"
    return result

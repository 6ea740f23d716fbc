"""One turn of a conversation: the person said something, the agent answers.

A turn is a function of what is known and of the effects it asks for. It writes nothing itself: it returns the
journal's new events and what is to be said, and the channel commits them in one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, count
from typing import Final

import structlog

from greenline.conversations.events import (
    AgentMessage,
    AssignedVariable,
    Attempted,
    Event,
    Origin,
    Started,
    ToolCalled,
    ToolReturned,
    TurnFailed,
)
from greenline.engine.effects import Effects, NoModelAnswered
from greenline.engine.figures import CameTo
from greenline.engine.files import Shown
from greenline.engine.guardrails.refused import Refused
from greenline.engine.guardrails.rules import Guard
from greenline.engine.guardrails.watching import Watching
from greenline.engine.prompt import messages, reminded, system_message
from greenline.engine.usage import usage_of
from greenline.engine.variables import assigned_in
from greenline.llm.models import Attempt, ModelReply, ModelRequest, ToolCall
from greenline.text import clean_data, clean_text
from greenline.tools.models import Say, Text, Tool, ToolContext, ToolResult, service_of

log = structlog.get_logger(__name__)

_GUARDRAIL: Final[Origin] = "guardrail"


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
    files: Mapping[str, Shown] = field(default_factory=dict, repr=False)
    failure_message: str = ""
    max_rounds: int = 10
    guard: Guard | None = None
    keeps_focus: bool = False
    """Whether the model is reminded of its instructions (reference: the guardrail ``focus``)."""
    translate: Callable[[str], Turn] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Spoken:
    """Something for the person, and the event of the journal that holds it."""

    event_id: str
    say: Say


@dataclass(frozen=True, slots=True)
class Refusal:
    """A turn without the answer that the model gave: guardrails refused it, or could not judge it.

    ``text`` is said in its place, and ``ends`` the reason for which the conversation is over. With ``cut`` the person
    has got something of the answer already: it stops first, and only then ``text`` is said, which is not in the
    outcome.
    """

    text: str
    ends: str | None
    cut: bool


@dataclass(slots=True)
class Outcome:
    """What a turn came to. ``ended`` is the reason of the tool ``ended_by`` to end the conversation.

    ``pause`` is that of a tool, and ``uninterrupted`` what one asks for: that nobody cuts into what is said.
    """

    events: list[Event] = field(default_factory=list)
    spoken: list[Spoken] = field(default_factory=list)
    ended: str | None = None
    ended_by: str = ""
    uninterrupted: bool = False
    pause: float | None = None
    failed: bool = False
    refusal: Refusal | None = None

    @property
    def came_to(self) -> CameTo:
        """What is counted of it."""
        return "failed" if self.failed else "answered"

    @property
    def termination(self) -> str | None:
        """Why the conversation is over with this turn, as the reference words it; None when it goes on."""
        if self.refusal is not None and self.refusal.ends is not None:
            return self.refusal.ends
        return f"{self.ended_by} tool was called: {self.ended}" if self.ended is not None else None


async def run_turn(turn: Turn, effects: Effects, outcome: Outcome | None = None) -> Outcome:
    """Ask the model, run the tools it calls, until it has answered.

    What has come so far is in ``outcome`` at any time: whoever cancels the turn finds it there. When no model
    answers, or the model calls tools for ever, the outcome holds the failure sentence for the person and a
    `TurnFailed` for the operator.
    """
    outcome = outcome if outcome is not None else Outcome()
    if turn.guard is None:
        await _rounds(turn, effects, outcome, None)
    else:
        async with Watching(turn.guard, turn.conversation_id, turn.journal, effects) as watching:
            await _rounds(turn, effects, outcome, watching)
    _tell_operator(turn, outcome)
    return outcome


def _tell_operator(turn: Turn, outcome: Outcome) -> None:
    failure = next((event for event in reversed(outcome.events) if isinstance(event, TurnFailed)), None)
    if failure is not None:
        log.error("turn.failed", conversation_id=turn.conversation_id, code=failure.code, reason=failure.reason)
        return
    replies = [event for event in outcome.events if isinstance(event, AgentMessage) and event.model]
    log.info(
        "turn.answered",
        conversation_id=turn.conversation_id,
        model=replies[-1].model if replies else None,
        seconds=round(sum(reply.seconds or 0.0 for reply in replies), 3),
        tools=[event.name for event in outcome.events if isinstance(event, ToolCalled)],
    )


async def _rounds(turn: Turn, effects: Effects, outcome: Outcome, watching: Watching | None) -> None:
    tools = {tool.spec.name: tool for tool in turn.tools}
    for _ in range(turn.max_rounds):
        request = _request(turn, outcome)
        if watching is None:
            reply: ModelReply | NoModelAnswered | Refused = await effects.model(request)
        else:
            reply = await watching.model(request, outcome.events, tools)
        if isinstance(reply, NoModelAnswered):
            reason = "no model of the cascade answered"
            fail(outcome, effects, turn.failure_message, "no_model_answered", reason, reply.attempts)
            return
        if isinstance(reply, Refused):
            _refuse(turn, reply, effects, outcome)
            return
        message = _said(turn, reply, effects, outcome)
        if watching is not None and (refused := await watching.afterwards(message.id, outcome.events)) is not None:
            _refuse(turn, refused, effects, outcome)
            return
        stop = False
        for call in _told_apart(reply.tool_calls, turn.journal, outcome.events):
            result = await _call(turn, call, tools.get(call.name), message, effects, outcome)
            stop = stop or result.ends is not None
            if result.language and turn.translate is not None:
                turn = turn.translate(result.language)
                tools = {tool.spec.name: tool for tool in turn.tools}
        if stop or not reply.tool_calls:
            return
    reason = "the model kept calling tools without answering"
    fail(outcome, effects, turn.failure_message, "too_many_tool_rounds", reason)


def _told_apart(calls: Sequence[ToolCall], *told: Sequence[Event]) -> list[ToolCall]:
    """``calls`` under ids that are new to the conversation.

    Some endpoints number the calls of each reply from 0, and clients tell calls apart by their ids alone.
    """
    used = {event.request_id for events in told for event in events if isinstance(event, ToolCalled)}
    found = []
    for call in calls:
        numbered = (f"{call.id}_{number}" for number in count(2))
        found.append(replace(call, id=next(name for name in chain([call.id], numbered) if name not in used)))
        used.add(found[-1].id)
    return found


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


def _refuse(turn: Turn, refused: Refused, effects: Effects, outcome: Outcome) -> None:
    """End a turn whose answer was refused: the guardrails' message and the end, or a failed turn."""
    text, origin = refused.message, _GUARDRAIL
    if refused.ends is None:
        text, origin = turn.failure_message, "failure"
        outcome.failed = True
        outcome.events.append(TurnFailed(code="guardrails_unjudged", reason=refused.reason))
    said = [event.id for event in outcome.events if isinstance(event, AgentMessage) and event.text]
    cut = bool(said) and turn.guard is not None and not turn.guard.holds
    if not cut:
        event = AgentMessage(id=effects.new_id("msg"), text=text, origin=origin)
        outcome.events.append(event)
        outcome.spoken.extend([Spoken(event.id, Text(text))] if text else [])
        said.append(event.id)
    outcome.events.extend(refused.of(said[-1]))
    outcome.refusal = Refusal(text, refused.ends, cut=cut)


def _request(turn: Turn, outcome: Outcome) -> ModelRequest:
    dialogue = messages((*turn.journal, *outcome.events), turn.files)
    if turn.keeps_focus:
        dialogue = reminded(dialogue)
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
    key = f"{message.id}:{call.id}"
    if tool is None:
        unknown = ToolResult(f"There is no tool named {call.name}.", is_error=True, error_type="unknown_tool")
        result = effects.missing(key, unknown)
    elif call.fault:
        result = effects.missing(key, ToolResult(call.fault, is_error=True, error_type="invalid_arguments"))
    else:
        variables = assigned_in((*turn.journal, *outcome.events))
        context = ToolContext(turn.conversation_id, key, variables)
        result = await effects.tool(tool, params, context)
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
            said="\n\n".join([*(say.text for say in result.say), *([result.said] if result.said else [])]),
            language=result.language,
            outbox_ids=result.outbox_ids,
            assigned=tuple(
                AssignedVariable(name=one.name, value=clean_data(one.value), is_hidden=one.is_hidden)
                for one in result.assigned
            ),
        )
    )
    outcome.spoken.extend(Spoken(call.id, say) for say in result.say)
    if result.pause is not None:
        outcome.pause = result.pause
    if result.ends == "conversation":
        outcome.ended, outcome.ended_by = result.reason or call.name, call.name
    outcome.uninterrupted = outcome.uninterrupted or result.uninterrupted
    return result

"""A conversation as an OpenTelemetry trace: OTLP in its JSON form, which a collector takes at ``/v1/traces``.

Spans and their ``elevenlabs.*`` attributes are the reference's (reference: OpenTelemetry traces); beside them stand
the names that OpenTelemetry's conventions for generative AI give to the same things (``gen_ai.*``). A span's id comes
from the id in the journal, so the trace of a conversation is the same whenever it is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from greenline.conversations.events import (
    AgentMessage,
    Attempted,
    Entry,
    ToolCalled,
    ToolReturned,
    TurnFailed,
    TurnTimed,
    UserMessage,
)
from greenline.conversations.heard import Heard
from greenline.conversations.models import Conversation
from greenline.insight import otlp

_Times: TypeAlias = tuple[datetime, datetime]


def otlp_traces(conversation: Conversation, journal: Sequence[Entry], *, source: str) -> dict[str, Any]:
    """The trace of a conversation: ``{"resourceSpans": [...]}``. ``source`` tells by which way it is given out."""
    root = otlp.Span(
        key="",
        name="elevenlabs.conversation",
        times=(conversation.started_at, conversation.ended_at or conversation.started_at),
        attributes={
            "elevenlabs.source": source,
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.conversation.id": conversation.id,
            "gen_ai.agent.id": conversation.agent_id,
            "gen_ai.agent.name": conversation.agent_name,
        },
        status=otlp.OK if conversation.ended_at else otlp.UNSET,
    )
    if conversation.status == "failed":
        code = str((conversation.error or {}).get("code") or "failed")
        root.error = (code, conversation.termination_reason)
    spans = _spans(journal, root)
    for span in reversed(spans):  # a parent lasts as long as what it began
        _cover(span.parent, span.times)
    return otlp.batch(conversation.id, conversation.agent_id, (root, *spans))


def _spans(journal: Sequence[Entry], root: otlp.Span) -> list[otlp.Span]:
    times, heard = _working_times(journal), Heard(entry.event for entry in journal)
    returned = {
        (entry.event.message_id, entry.event.request_id): entry
        for entry in journal
        if isinstance(entry.event, ToolReturned)
    }
    spans: list[otlp.Span] = []
    messages: dict[str, otlp.Span] = {}
    turns = 0
    failed: TurnFailed | None = None
    for entry in journal:
        event = entry.event
        if isinstance(event, UserMessage):
            spans.append(_user(event, entry, turns, root))
            turns += 1
        elif isinstance(event, TurnFailed):
            failed = event
        elif isinstance(event, AgentMessage):
            messages[event.id] = _agent(event, heard.text(event), times[entry.seq], turns, root, failed)
            spans.append(messages[event.id])
            turns += 1
            failed = None
        elif isinstance(event, ToolCalled):
            result = returned.get((event.message_id, event.request_id))
            told = times[result.seq] if result else (entry.at, entry.at)
            spans.append(_tool(event, result, told, messages.get(event.message_id, root)))
        elif isinstance(event, TurnTimed) and event.began is not None:
            spans.extend(_silence(event, event.began, root))
    return spans


def _working_times(journal: Iterable[Entry]) -> dict[int, _Times]:
    """When a message was generated and a tool ran, by ``seq``.

    What is committed at one moment happened one after the other before it, each as long as it took.
    """
    found: dict[int, _Times] = {}
    at = end = None
    for entry in reversed(list(journal)):
        if isinstance(entry.event, AgentMessage | ToolReturned):
            if end is None or entry.at != at:
                at = end = entry.at
            begin = end - timedelta(seconds=entry.event.seconds or 0.0)
            found[entry.seq] = (begin, end)
            end = begin
    return found


def _user(event: UserMessage, entry: Entry, turn: int, root: otlp.Span) -> otlp.Span:
    heard = event.received_at or entry.at
    return otlp.Span(
        key=event.id,
        name="elevenlabs.recv.user_transcript",
        times=(min(event.began or event.sent_at or heard, heard), heard),
        attributes={"elevenlabs.user.text": event.text, "elevenlabs.turn.index": turn},
        parent=root,
    )


def _agent(
    event: AgentMessage, heard: str, times: _Times, turn: int, root: otlp.Span, failed: TurnFailed | None
) -> otlp.Span:
    usage = event.usage
    attributes: dict[str, str | int | None] = {
        "elevenlabs.agent.text": heard or None,
        "elevenlabs.turn.index": turn,
    }
    if event.model is not None:
        attributes |= {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": event.requested_model,
            "gen_ai.response.model": event.model,
            # The convention counts cached tokens as input, our journal beside it.
            "gen_ai.usage.input_tokens": sum(usage.get(name, 0) for name in ("input", "cache_read", "cache_write")),
            "gen_ai.usage.cache_read.input_tokens": usage.get("cache_read", 0),
            "gen_ai.usage.output_tokens": usage.get("output", 0),
        }
    return otlp.Span(
        key=event.id,
        name="elevenlabs.recv.agent_response",
        times=times,
        attributes=attributes,
        error=(failed.code, failed.reason) if failed else None,
        events=[_attempt(attempt) for attempt in (*event.attempts, *(failed.attempts if failed else ()))],
        parent=root,
    )


def _tool(event: ToolCalled, entry: Entry | None, times: _Times, parent: otlp.Span) -> otlp.Span:
    result = entry.event if entry is not None and isinstance(entry.event, ToolReturned) else None
    failed = result is not None and result.is_error
    status = "error" if failed else "success"
    return otlp.Span(
        key=f"{event.message_id}:{event.request_id}",
        name=f"elevenlabs.tool.{event.name}",
        times=times,
        attributes={
            "elevenlabs.tool.name": event.name,
            "elevenlabs.tool.arguments": otlp.cut(json.dumps(event.params, ensure_ascii=False)),
            "elevenlabs.tool.result": otlp.cut(result.result) if result else None,
            "elevenlabs.tool.status": status if result else None,
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": event.name,
            "gen_ai.tool.call.id": event.request_id,
        },
        status=otlp.OK if result else otlp.UNSET,
        error=(result.error_type or "tool_error", otlp.cut(result.result)) if result and failed else None,
        parent=parent,
    )


def _silence(event: TurnTimed, began: datetime, root: otlp.Span) -> list[otlp.Span]:
    """The silence before a spoken answer, and what was waited for in it, one after the other."""
    moments = [began]
    for milliseconds in event.waits.values():
        moments.append(moments[-1] + timedelta(milliseconds=milliseconds))
    whole = otlp.Span(
        key=f"{event.message_id}:silence",
        name="greenline.silence",
        times=(began, moments[-1]),
        attributes={"greenline.silence.milliseconds": round(sum(event.waits.values()))},
        parent=root,
    )
    waits = [
        otlp.Span(
            key=f"{event.message_id}:{name}",
            name=f"greenline.silence.{name}",
            times=(moments[place], moments[place + 1]),
            attributes={},
            parent=whole,
        )
        for place, name in enumerate(event.waits)
    ]
    return [whole, *waits]


def _cover(parent: otlp.Span | None, times: _Times) -> None:
    if parent is not None:
        parent.times = (min(parent.times[0], times[0]), max(parent.times[1], times[1]))


def _attempt(attempt: Attempted) -> tuple[str, otlp.Attributes]:
    """A model that did not answer, as the event of an exception."""
    return "exception", {"exception.message": attempt.error, "gen_ai.request.model": attempt.model}

"""What a client is sent on the agent socket (reference: Client events), and what of it the agent lets through.

A frame is a JSON object with a ``type`` and one payload under a key of its own.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, TypeAlias

from greenline.channels.live.models import (
    AgentResponse,
    AgentTyping,
    ClientToolCall,
    ContextUsage,
    DtmfRequest,
    GuardrailTriggered,
    Interruption,
    LiveEvent,
    ReasoningPart,
    ResponseComplete,
    ResponseCorrection,
    ResponseMetadata,
    ResponsePart,
    RichContent,
    SessionEnded,
    TakenOver,
    TentativeResponse,
    ToolRequest,
    ToolResponse,
    TurnProbability,
    UserTranscript,
    VadScore,
)
from greenline.channels.socket.errors import SocketClosed
from greenline.channels.socket.mcp_frames import mcp_frame
from greenline.speech.models import Alignment
from greenline.tools.mcp.desk import McpConnections, McpToolCall

Frame: TypeAlias = dict[str, Any]

METADATA: Final = "conversation_initiation_metadata"
ALWAYS: Final = frozenset(
    {
        METADATA,
        "queue_status",
        "error",
        "external_agent_connected",
        "external_agent_disconnected",
        "agent_typing",
        "rich_content",
    }
)
"""Sent whatever the agent's list says: clients break or mislead without them."""

MAX_TOOL_RESULT: Final = 16_384
"""Characters of a tool's whole result in ``agent_tool_response_full_payload``; the rest is cut and marked so."""


class Filter:
    """Which frames a client gets: ``conversation.client_events`` of the agent, and what is always sent."""

    def __init__(self, client_events: Iterable[str], *, text_only: bool) -> None:
        listed = set(client_events)
        # Reference: always sent in text-only mode. An agent that may not be interrupted is all the same, by a human
        # or at its end: a client that did not hear of it would play on what was cut.
        listed.add("agent_chat_response_part" if text_only else "interruption")
        self._listed = frozenset(listed) | ALWAYS

    def __contains__(self, kind: object) -> bool:
        return kind in self._listed


def metadata(conversation_id: str, *, output_format: str, input_format: str) -> Frame:
    """The first frame of every conversation."""
    return {
        "type": METADATA,
        "conversation_initiation_metadata_event": {
            "conversation_id": conversation_id,
            "agent_output_audio_format": output_format,
            "user_input_audio_format": input_format,
        },
    }


def asr_metadata(provider: str) -> Frame:
    """Who recognises speech."""
    return {"type": "asr_initiation_metadata", "asr_initiation_metadata_event": {"provider": provider}}


def ping(event_id: int, milliseconds: int | None) -> Frame:
    """A ping with the round trip that the last answer showed."""
    return {"type": "ping", "ping_event": {"event_id": event_id, "ping_ms": milliseconds}}


def queue_status(status: Literal["waiting", "admitted", "timed_out"]) -> Frame:
    """Where a caller is who waits for an agent at its limit."""
    return {"type": "queue_status", "queue_status_event": {"status": status}}


def audio(data: bytes, event_id: int, alignment: Alignment | None) -> Frame:
    """Speech of a turn, in the announced output format."""
    event: Frame = {"audio_base_64": base64.b64encode(data).decode(), "event_id": event_id}
    if alignment is not None:
        event["alignment"] = {
            "chars": list(alignment.chars),
            "char_start_times_ms": list(alignment.starts_ms),
            "char_durations_ms": list(alignment.durations_ms),
        }
    return {"type": "audio", "audio_event": event}


def error(closed: SocketClosed) -> Frame:
    """Why the socket is about to be closed."""
    event = {
        "code": closed.code,
        "error_type": closed.error_type,
        "reason": closed.reason,
        "message": closed.reason,
        "debug_message": closed.debug,
        "details": closed.details or None,
    }
    return {"type": "error", "error_event": event}


def frames(event: LiveEvent) -> tuple[Frame, ...]:
    """The frames that tell of an event; none for one that has no frame of its own."""
    match event:
        case ToolResponse():
            return _tool_response(event)
        case ToolRequest() | ClientToolCall():
            return (_tool_request(event),)
        case DtmfRequest():
            tones = {"dtmf_tones": event.tones, "use_out_of_band_dtmf": event.out_of_band, "event_id": event.event_id}
            return (_frame("dtmf_request", "dtmf_request_event", **tones),)
        case RichContent():
            shown = {"component": event.component, "props": dict(event.props), "event_id": event.event_id}
            return (_frame("rich_content", "rich_content", rich_content_id=event.rich_content_id, **shown),)
        case McpToolCall() | McpConnections():
            return (mcp_frame(event),)
        case TakenOver():
            kind = "external_agent_connected" if event.by_human else "external_agent_disconnected"
            return ({"type": kind, f"{kind}_event": {}},)
        case ResponseMetadata():
            told = {"metadata": dict(event.metadata), "event_id": event.event_id}
            return (_frame("agent_response_metadata", "agent_response_metadata_event", **told),)
        case SessionEnded():
            return ()
        case TurnProbability() | TentativeResponse():
            return (_internal(event),)
        case _:
            return (_plain(event),)


def _plain(
    event: UserTranscript
    | AgentResponse
    | ResponsePart
    | ReasoningPart
    | ResponseCorrection
    | ResponseComplete
    | Interruption
    | VadScore
    | ContextUsage
    | GuardrailTriggered
    | AgentTyping,
) -> Frame:
    match event:
        case UserTranscript():
            kind, key = (
                ("tentative_user_transcript", "tentative_user_transcription_event")
                if event.tentative
                else ("user_transcript", "user_transcription_event")
            )
            return _frame(kind, key, user_transcript=event.text, event_id=event.event_id)
        case AgentResponse() | ResponsePart() | ResponseCorrection() | ResponseComplete():
            return _response(event)
        case ReasoningPart():
            return _frame(
                "agent_reasoning_response_part",
                "reasoning_response_part",
                text=event.text,
                type=event.type,
                event_id=str(event.event_id),  # the reference's: a string in this frame alone
            )
        case Interruption():
            return _frame("interruption", "interruption_event", event_id=event.event_id)
        case VadScore():
            return _frame("vad_score", "vad_score_event", vad_score=event.score)
        case ContextUsage():
            return _frame(
                "context_usage",
                "context_usage_event",
                event_id=event.event_id,
                model=event.model,
                context_tokens=event.tokens,
                context_limit_tokens=event.limit,
            )
        case GuardrailTriggered():
            return {"type": "guardrail_triggered"}
        case AgentTyping():
            lasts = {} if event.duration_ms is None else {"duration_ms": event.duration_ms}
            return _frame("agent_typing", "agent_typing_event", is_typing=event.is_typing, **lasts)


def _internal(event: TurnProbability | TentativeResponse) -> Frame:
    match event:
        case TurnProbability():
            return _frame(
                "internal_turn_probability", "turn_probability_internal_event", turn_probability=event.probability
            )
        case TentativeResponse():
            return _frame(
                "internal_tentative_agent_response",
                "tentative_agent_response_internal_event",
                tentative_agent_response=event.text,
            )


def _response(event: AgentResponse | ResponsePart | ResponseCorrection | ResponseComplete) -> Frame:
    match event:
        case AgentResponse():
            return _frame(
                "agent_response",
                "agent_response_event",
                agent_response=event.text,
                event_id=event.event_id,
                response_id=event.response_id,
            )
        case ResponsePart():
            return _frame(
                "agent_chat_response_part",
                "text_response_part",
                text=event.text,
                type=event.type,
                event_id=event.event_id,
                response_id=event.response_id,
            )
        case ResponseCorrection():
            return _frame(
                "agent_response_correction",
                "agent_response_correction_event",
                original_agent_response=event.original,
                corrected_agent_response=event.corrected,
                event_id=event.event_id,
            )
        case ResponseComplete():
            return _frame("agent_response_complete", "agent_response_complete_event", event_id=event.event_id)


def _tool_request(event: ToolRequest | ClientToolCall) -> Frame:
    if isinstance(event, ToolRequest):
        return _tool("agent_tool_request", event)
    call = {"parameters": dict(event.parameters), **_ids(event)}
    return {"type": "client_tool_call", "client_tool_call": call}


def _tool_response(event: ToolResponse) -> tuple[Frame, ...]:
    brief = _tool("agent_tool_response", event, is_error=event.is_error, is_called=event.is_called)
    whole = _tool(
        "agent_tool_response_full_payload",
        event,
        is_error=event.is_error,
        is_called=event.is_called,
        is_blocked=event.is_blocked,
        full_tool_result=event.result[:MAX_TOOL_RESULT],
        truncated=len(event.result) > MAX_TOOL_RESULT,
    )
    return brief, whole


def _tool(kind: str, event: ToolRequest | ToolResponse, **more: Any) -> Frame:
    return {"type": kind, kind: {**_ids(event), "tool_type": event.tool_type, **more}}


def _ids(event: ClientToolCall | ToolRequest | ToolResponse) -> Mapping[str, Any]:
    return {"tool_name": event.tool_name, "tool_call_id": event.tool_call_id, "event_id": event.event_id}


def _frame(kind: str, key: str, **fields: Any) -> Frame:
    return {"type": kind, key: fields}

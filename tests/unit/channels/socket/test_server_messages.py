from __future__ import annotations

import base64

import pytest

from greenline.channels.live.models import (
    AgentResponse,
    AgentTyping,
    ClientToolCall,
    ContextUsage,
    DtmfRequest,
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
from greenline.channels.socket.errors import Silent
from greenline.channels.socket.server_messages import Filter, asr_metadata, audio, error, frames, metadata, ping
from greenline.speech.models import Alignment

FRAMES: list[tuple[LiveEvent, dict[str, object]]] = [
    (
        UserTranscript(1, "hello"),
        {"type": "user_transcript", "user_transcription_event": {"user_transcript": "hello", "event_id": 1}},
    ),
    (
        UserTranscript(1, "hel", tentative=True),
        {
            "type": "tentative_user_transcript",
            "tentative_user_transcription_event": {"user_transcript": "hel", "event_id": 1},
        },
    ),
    (
        AgentResponse(2, "Hi!", "r1"),
        {
            "type": "agent_response",
            "agent_response_event": {"agent_response": "Hi!", "event_id": 2, "response_id": "r1"},
        },
    ),
    (
        ResponsePart(2, "Hi", "delta", "r1"),
        {
            "type": "agent_chat_response_part",
            "text_response_part": {"text": "Hi", "type": "delta", "event_id": 2, "response_id": "r1"},
        },
    ),
    (
        ReasoningPart(2, "Hm", "delta"),
        {
            "type": "agent_reasoning_response_part",
            "reasoning_response_part": {"text": "Hm", "type": "delta", "event_id": "2"},
        },
    ),
    (
        ResponseMetadata(2, {"page": "oolong"}),
        {
            "type": "agent_response_metadata",
            "agent_response_metadata_event": {"metadata": {"page": "oolong"}, "event_id": 2},
        },
    ),
    (
        ResponseCorrection(2, "Hi there", "Hi"),
        {
            "type": "agent_response_correction",
            "agent_response_correction_event": {
                "original_agent_response": "Hi there",
                "corrected_agent_response": "Hi",
                "event_id": 2,
            },
        },
    ),
    (
        ResponseComplete(2),
        {"type": "agent_response_complete", "agent_response_complete_event": {"event_id": 2}},
    ),
    (Interruption(2), {"type": "interruption", "interruption_event": {"event_id": 2}}),
    (
        TurnProbability(0.25),
        {"type": "internal_turn_probability", "turn_probability_internal_event": {"turn_probability": 0.25}},
    ),
    (
        TentativeResponse("Hi"),
        {
            "type": "internal_tentative_agent_response",
            "tentative_agent_response_internal_event": {"tentative_agent_response": "Hi"},
        },
    ),
    (VadScore(0.5), {"type": "vad_score", "vad_score_event": {"vad_score": 0.5}}),
    (
        ClientToolCall(3, "t1", "show", {"x": 1}),
        {
            "type": "client_tool_call",
            "client_tool_call": {"tool_name": "show", "tool_call_id": "t1", "event_id": 3, "parameters": {"x": 1}},
        },
    ),
    (
        ToolRequest(3, "t1", "show", "client"),
        {
            "type": "agent_tool_request",
            "agent_tool_request": {
                "tool_name": "show",
                "tool_call_id": "t1",
                "event_id": 3,
                "tool_type": "client",
            },
        },
    ),
    (
        DtmfRequest(3, "12#", out_of_band=True),
        {
            "type": "dtmf_request",
            "dtmf_request_event": {"dtmf_tones": "12#", "use_out_of_band_dtmf": True, "event_id": 3},
        },
    ),
    (
        RichContent(3, "rich_1", "buttons", {"buttons": []}),
        {
            "type": "rich_content",
            "rich_content": {
                "rich_content_id": "rich_1",
                "component": "buttons",
                "props": {"buttons": []},
                "event_id": 3,
            },
        },
    ),
    (
        ContextUsage(3, "m", 10, 100),
        {
            "type": "context_usage",
            "context_usage_event": {
                "event_id": 3,
                "model": "m",
                "context_tokens": 10,
                "context_limit_tokens": 100,
            },
        },
    ),
    (
        AgentTyping(is_typing=True, duration_ms=500),
        {"type": "agent_typing", "agent_typing_event": {"is_typing": True, "duration_ms": 500}},
    ),
    (AgentTyping(is_typing=False), {"type": "agent_typing", "agent_typing_event": {"is_typing": False}}),
    (TakenOver(by_human=True), {"type": "external_agent_connected", "external_agent_connected_event": {}}),
    (TakenOver(by_human=False), {"type": "external_agent_disconnected", "external_agent_disconnected_event": {}}),
]


@pytest.mark.parametrize(("event", "expected"), FRAMES)
def test_every_event_has_its_frame(event: LiveEvent, expected: dict[str, object]) -> None:
    assert frames(event) == (expected,)


def test_a_tool_response_is_told_in_brief_and_whole() -> None:
    brief, whole = frames(ToolResponse(3, "t1", "show", "client", is_error=False, result="x" * 20_000))
    common = {"tool_name": "show", "tool_call_id": "t1", "event_id": 3, "tool_type": "client"}
    assert brief == {
        "type": "agent_tool_response",
        "agent_tool_response": {**common, "is_error": False, "is_called": True},
    }
    payload = whole["agent_tool_response_full_payload"]
    assert payload["truncated"] is True
    assert payload["is_blocked"] is False
    assert len(payload["full_tool_result"]) == 16_384


def test_a_tool_that_was_not_run_is_not_told_of_as_called() -> None:
    for frame in frames(ToolResponse(3, "t1", "show", "client", is_error=True, is_called=False)):
        assert frame[frame["type"]]["is_called"] is False


def test_the_end_is_told_by_the_close_frame() -> None:
    assert frames(SessionEnded(1000, "over")) == ()


def test_metadata_and_ping() -> None:
    assert metadata("conv_1", output_format="pcm_16000", input_format="ulaw_8000") == {
        "type": "conversation_initiation_metadata",
        "conversation_initiation_metadata_event": {
            "conversation_id": "conv_1",
            "agent_output_audio_format": "pcm_16000",
            "user_input_audio_format": "ulaw_8000",
        },
    }
    assert ping(4, None) == {"type": "ping", "ping_event": {"event_id": 4, "ping_ms": None}}
    assert asr_metadata("deepgram")["asr_initiation_metadata_event"] == {"provider": "deepgram"}


def test_audio_carries_its_alignment() -> None:
    frame = audio(b"\x01\x02", 7, Alignment(["h"], [0], [80]))
    assert frame["audio_event"] == {
        "audio_base_64": base64.b64encode(b"\x01\x02").decode(),
        "event_id": 7,
        "alignment": {"chars": ["h"], "char_start_times_ms": [0], "char_durations_ms": [80]},
    }
    assert "alignment" not in audio(b"", 7, None)["audio_event"]


def test_an_error_says_what_to_do() -> None:
    event = error(Silent(60))["error_event"]
    assert (event["code"], event["error_type"]) == (1002, "transport_receive_timeout")
    assert "user_activity" in event["reason"]


def test_the_list_of_the_agent_replaces_the_default_but_not_what_clients_need() -> None:
    shown = Filter(["audio"], text_only=False)
    assert "audio" in shown
    assert "ping" not in shown
    assert "agent_chat_response_part" not in shown
    assert all(kind in shown for kind in ("conversation_initiation_metadata", "error", "queue_status"))
    assert "agent_chat_response_part" in Filter([], text_only=True)

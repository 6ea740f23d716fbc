from __future__ import annotations

import base64
import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenline.channels.socket.client_messages import (
    AudioChunk,
    ClientToolResult,
    ContextualUpdate,
    EnclaveSetup,
    Feedback,
    Initiation,
    McpToolApproval,
    MultimodalMessage,
    Pong,
    UserActivity,
    UserMessage,
    parse,
)
from greenline.channels.socket.errors import MAX_REASON_BYTES, InvalidMessage, short_reason


def test_audio_is_told_by_its_key() -> None:
    message = parse(json.dumps({"user_audio_chunk": base64.b64encode(b"\x01\x00\x02\x00").decode()}))
    assert isinstance(message, AudioChunk)
    assert message.audio == b"\x01\x00\x02\x00"


def test_initiation_keeps_everything_but_its_type() -> None:
    message = parse('{"type": "conversation_initiation_client_data", "dynamic_variables": {"a": 1}, "new": [1]}')
    assert isinstance(message, Initiation)
    assert message.data == {"dynamic_variables": {"a": 1}, "new": [1]}


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ({"type": "pong", "event_id": 3}, Pong(type="pong", event_id=3)),
        ({"type": "user_message", "text": "hi"}, UserMessage(type="user_message", text="hi")),
        ({"type": "user_message", "text": None}, UserMessage(type="user_message")),
        ({"type": "user_activity"}, UserActivity(type="user_activity")),
        (
            {"type": "contextual_update", "text": "on the cart", "context_id": "page"},
            ContextualUpdate(type="contextual_update", text="on the cart", context_id="page"),
        ),
        (
            {"type": "client_tool_result", "tool_call_id": "t1", "result": "42", "is_error": False},
            ClientToolResult(type="client_tool_result", tool_call_id="t1", result="42", is_error=False),
        ),
        (
            {"type": "feedback", "event_id": 2, "score": None},
            Feedback(type="feedback", event_id=2, score=None),
        ),
        (
            {"type": "mcp_tool_approval_result", "tool_call_id": "t1", "is_approved": True},
            McpToolApproval(type="mcp_tool_approval_result", tool_call_id="t1", is_approved=True),
        ),
        (
            {"type": "enclave_setup_config", "tools_config_list": []},
            EnclaveSetup(type="enclave_setup_config", tools_config_list=[]),
        ),
    ],
)
def test_every_message_is_read(frame: dict[str, object], expected: object) -> None:
    assert parse(json.dumps(frame)) == expected


def test_a_result_that_is_no_text_is_read_as_json() -> None:
    """The Python client passes on what a handler returned."""
    frame = {"type": "client_tool_result", "tool_call_id": "t1", "result": {"a": 1}, "is_error": False}
    message = parse(json.dumps(frame))
    assert isinstance(message, ClientToolResult)
    assert message.text == '{"a":1}'


def test_files_come_once_whether_one_or_many() -> None:
    file = {"type": "file_input", "file_id": "file_1"}
    more = {"type": "file_input", "file_id": "file_2"}
    text = {"type": "user_message", "text": "look"}
    message = parse(json.dumps({"type": "multimodal_message", "text": text, "file": file, "files": [file, more]}))
    assert isinstance(message, MultimodalMessage)
    assert message.text is not None
    assert message.text.text == "look"
    assert message.file_ids == ("file_1", "file_2")


@pytest.mark.parametrize(
    ("frame", "error_type", "reason"),
    [
        ("{", "invalid_message", "not JSON"),
        ("[1]", "invalid_message", "not a JSON object"),
        ('{"text": "hi"}', "missing_fields", "no type"),
        ('{"type": "shout"}', "invalid_message", "Unknown message type: shout"),
        ('{"type": "contextual_update"}', "missing_fields", "contextual_update: the field text is missing"),
        ('{"type": "feedback", "event_id": 1, "score": "meh"}', "invalid_message", "feedback: score"),
        ('{"user_audio_chunk": 1}', "invalid_message", "not a string"),
        ('{"user_audio_chunk": "a"}', "invalid_message", "not base64"),
        ('{"type": "pong", "event_id": -1}', "invalid_message", "event_id"),
        (
            '{"type": "multimodal_message"}',
            "invalid_message",
            "multimodal_message: it holds neither a text nor a file.",
        ),
        ('{"type": "x", "deep": ' + "[" * 300 + "]" * 300 + "}", "invalid_message", "deep"),
    ],
)
def test_what_is_no_message_is_refused_with_a_reason(frame: str, error_type: str, reason: str) -> None:
    with pytest.raises(InvalidMessage) as caught:
        parse(frame)
    assert (caught.value.code, caught.value.error_type) == (1008, error_type)
    assert reason in caught.value.reason


def test_text_is_made_storable() -> None:
    message = parse('{"type": "user_message", "text": "a\\u0000b"}')
    assert isinstance(message, UserMessage)
    assert message.text == "a\N{REPLACEMENT CHARACTER}b"


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (r"\ud83d", "\N{REPLACEMENT CHARACTER}"),
        (r"tea \uD83C", "tea \N{REPLACEMENT CHARACTER}"),
        (r"\udf75 tea", "\N{REPLACEMENT CHARACTER} tea"),
        (r"\ud83c\udf75\ud83c", "\N{TEACUP WITHOUT HANDLE}\N{REPLACEMENT CHARACTER}"),
        (r"\\ud83c\ud83c", "\\ud83c\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_a_text_that_was_cut_inside_an_emoji_is_taken(written: str, text: str) -> None:
    """As JavaScript writes it: `text.slice(0, 100)` counts halves of one."""
    message = parse(f'{{"type": "user_message", "text": "{written}"}}')
    assert isinstance(message, UserMessage)
    assert message.text == text


@given(
    st.text()
    | st.recursive(st.none() | st.integers() | st.text(), lambda x: st.dictionaries(st.text(), x)).map(json.dumps)
)
def test_nothing_but_a_refusal_comes_of_any_text(frame: str) -> None:
    with contextlib.suppress(InvalidMessage):
        parse(frame)


@given(st.text())
def test_a_reason_fits_into_a_close_frame(reason: str) -> None:
    assert len(short_reason(reason).encode()) <= MAX_REASON_BYTES

"""A journal as a trace: the tree, its times, its attributes."""

from __future__ import annotations

import itertools
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

from greenline.conversations.events import (
    AgentInterrupted,
    AgentMessage,
    Attempted,
    Ended,
    ToolCalled,
    ToolReturned,
    TurnFailed,
    TurnTimed,
    UserMessage,
)
from greenline.conversations.models import Conversation
from greenline.conversations.projection import fold
from greenline.insight.traces import otlp_traces
from support.journal import BEGIN, Timed, journal, projection, started

USAGE = {"input": 10, "output": 3, "cache_read": 5, "cache_write": 0}
ASKED = AgentMessage(id="a1", text="", model="m", requested_model="gpt-4o", usage=USAGE, seconds=2.0)
CALLED = ToolCalled(message_id="a1", request_id="r1", name="find_order", params={"id": "ü" * 5000})
RETURNED = ToolReturned(message_id="a1", request_id="r1", name="find_order", result="on its way", seconds=1.0)
TOLD = AgentMessage(id="a2", text="It comes today.", model="m", requested_model="gpt-4o", seconds=3.0)
TURN: list[Timed] = [
    (1, UserMessage(id="u1", text="Where is it?", received_at=BEGIN + timedelta(seconds=4))),
    (10, ASKED),
    (10, CALLED),
    (10, RETURNED),
    (10, TOLD),
]


def traced(*events: Timed, **columns: Any) -> list[dict[str, Any]]:
    row = projection()
    for seconds, event in events:
        row = fold(row, [event], BEGIN + timedelta(seconds=seconds))
    read = dict.fromkeys(("title", "summary", "main_language", "rating", "feedback"))
    values = {name: value for name, value in asdict(row).items() if name != "chat_id"}
    conversation = replace(Conversation(**{**read, **values}), agent_name="Shop", **columns)
    found = otlp_traces(conversation, journal([(0, started(row)), *events]), source="api")
    (resource,) = found["resourceSpans"]
    assert attributes(resource["resource"]) == {
        "service.name": "elevenlabs-convai",
        "elevenlabs.conversation_id": "conv_1",
        "elevenlabs.agent_id": "agent_1",
    }
    (scope,) = resource["scopeSpans"]
    assert scope["scope"] == {"name": "elevenlabs.convai", "version": "1.0.0"}
    spans: list[dict[str, Any]] = scope["spans"]
    return spans


def attributes(holder: dict[str, Any]) -> dict[str, Any]:
    return {item["key"]: next(iter(item["value"].values())) for item in holder["attributes"]}


def seconds(span: dict[str, Any]) -> tuple[float, float]:
    begin = int(BEGIN.timestamp())
    times = (int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"]))
    return times[0] / 1e9 - begin, times[1] / 1e9 - begin


def test_what_was_said_stands_under_the_conversation_and_tools_under_the_words() -> None:
    root, user, asked, tool, told = traced(*TURN, (12, Ended(reason="done")))

    assert [span["name"] for span in (root, user, asked, tool, told)] == [
        "elevenlabs.conversation",
        "elevenlabs.recv.user_transcript",
        "elevenlabs.recv.agent_response",
        "elevenlabs.tool.find_order",
        "elevenlabs.recv.agent_response",
    ]
    assert "parentSpanId" not in root
    assert [span["parentSpanId"] for span in (user, asked, tool, told)] == [
        root["spanId"],
        root["spanId"],
        asked["spanId"],
        root["spanId"],
    ]
    assert len({span["spanId"] for span in (root, user, asked, tool, told)}) == 5
    assert (len(root["traceId"]), len(root["spanId"])) == (32, 16)
    assert {span["status"]["code"] for span in (root, user, asked, tool, told)} == {1}


def test_what_is_committed_together_happened_one_after_the_other() -> None:
    root, user, asked, tool, told = traced(*TURN, (12, Ended(reason="done")))

    assert seconds(user) == (4, 4)
    assert seconds(told) == (7, 10)
    assert seconds(tool) == (6, 7)
    assert seconds(asked) == (4, 7)  # as long as the tool that it called
    assert seconds(root) == (0, 12)


def test_names_of_the_reference_and_of_the_convention() -> None:
    root, user, asked, tool, told = (attributes(span) for span in traced(*TURN))

    assert root == {
        "elevenlabs.source": "api",
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.conversation.id": "conv_1",
        "gen_ai.agent.id": "agent_1",
        "gen_ai.agent.name": "Shop",
    }
    assert user == {"elevenlabs.user.text": "Where is it?", "elevenlabs.turn.index": "0"}
    assert asked == {
        "elevenlabs.turn.index": "1",
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": "m",
        "gen_ai.usage.input_tokens": "15",
        "gen_ai.usage.cache_read.input_tokens": "5",
        "gen_ai.usage.output_tokens": "3",
    }
    assert (told["elevenlabs.agent.text"], told["elevenlabs.turn.index"]) == ("It comes today.", "2")
    arguments = tool.pop("elevenlabs.tool.arguments")
    assert 4090 < len(arguments.encode()) <= 4096
    assert tool == {
        "elevenlabs.tool.name": "find_order",
        "elevenlabs.tool.result": "on its way",
        "elevenlabs.tool.status": "success",
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "find_order",
        "gen_ai.tool.call.id": "r1",
    }


def test_failures_are_errors_with_their_reason() -> None:
    attempts = (Attempted(model="gpt-4o", error="HTTP 500"),)
    refused = RETURNED.model_copy(update={"is_error": True, "error_type": "timeout", "result": "too slow"})
    events: list[Timed] = [
        (1, ASKED),
        (1, CALLED),
        (1, refused),
        (2, TurnFailed(code="no_model_answered", reason="none answered", attempts=attempts)),
        (2, AgentMessage(id="a3", text="Sorry", origin="failure")),
        (3, Ended(reason="gone", status="failed", error={"code": 1008, "reason": "gone"})),
    ]
    root, _, tool, sorry = traced(*events)

    assert root["status"] == {"code": 2, "message": "gone"}
    assert attributes(root)["error.type"] == "1008"
    assert tool["status"] == {"code": 2, "message": "too slow"}
    assert (attributes(tool)["elevenlabs.tool.status"], attributes(tool)["error.type"]) == ("error", "timeout")
    assert sorry["status"] == {"code": 2, "message": "none answered"}
    (tried,) = sorry["events"]
    assert tried["name"] == "exception"
    assert attributes(tried) == {"exception.message": "HTTP 500", "gen_ai.request.model": "gpt-4o"}


def test_what_is_still_open_has_no_status() -> None:
    root, asked, tool = traced((1, ASKED), (1, CALLED))
    assert [span["status"]["code"] for span in (root, asked, tool)] == [0, 1, 0]
    assert "elevenlabs.tool.status" not in attributes(tool)
    assert [span["name"] for span in traced()] == ["elevenlabs.conversation"]


def test_a_tool_without_its_message_stands_under_the_conversation() -> None:
    root, tool = traced((1, CALLED))
    assert tool["parentSpanId"] == root["spanId"]


def test_the_silence_before_a_spoken_answer_is_a_span_with_its_waits_one_after_the_other() -> None:
    waits = {"end_of_turn": 500.0, "recognition": 20.5, "model": 300.0}
    spoken = TurnTimed(message_id="a2", waits=waits, began=BEGIN + timedelta(seconds=4))
    spans = traced(*TURN, (12, spoken))
    whole = next(span for span in spans if span["name"] == "greenline.silence")
    parts = [span for span in spans if span["name"].startswith("greenline.silence.")]
    assert [part["name"].rpartition(".")[2] for part in parts] == list(waits)
    assert {part["parentSpanId"] for part in parts} == {whole["spanId"]}
    assert attributes(whole)["greenline.silence.milliseconds"] == "820"
    edges = [(int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])) for span in (whole, *parts)]
    assert edges[0] == (edges[1][0], edges[-1][1])
    assert [(end - begin) / 1e6 for begin, end in edges[1:]] == list(waits.values())
    assert all(before[1] == after[0] for before, after in itertools.pairwise(edges[1:]))


def test_an_answer_that_was_cut_short_says_what_was_heard() -> None:
    _, span = traced((1, TOLD), (2, AgentInterrupted(message_id="a2", heard="It comes")))
    assert attributes(span)["elevenlabs.agent.text"] == "It comes"

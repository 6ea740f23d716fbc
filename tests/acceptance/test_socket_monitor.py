"""Watch a conversation and step in, over the monitor socket and over HTTP (reference: Real-time monitoring)."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

from greenline.clock import ManualClock, SystemClock
from greenline.conversations.events import AgentMessage, Ended, ToolCalled, ToolReturned, UserMessage
from greenline.settings import Settings
from greenline.workspaces.models import DEFAULT_ID
from support.flaky_database import flaky_database
from support.http import http_client
from support.journal import Timed, projection, started, write
from support.meta import Emulator, Person, emulator
from support.server import RunningServer, ServeProcess, run_server, serve_process
from support.socket_agents import make_agent
from support.sockets import SocketClient, client
from support.wait import eventually

KEY = "gl_monitor"
SAID: list[Timed] = [
    (1, UserMessage(id="u1", text="When do you open?")),
    (2, AgentMessage(id="a1", text="Let me look.")),
    (2, ToolCalled(message_id="a1", request_id="r1", name="hours")),
    (3, ToolReturned(message_id="a1", request_id="r1", name="hours", result="nine")),
    (4, AgentMessage(id="a2", text="At nine.")),
]


async def write_one(server: RunningServer, http: httpx2.AsyncClient, said: list[Timed], **settings: Any) -> str:
    """A conversation by WhatsApp text whose agent has these ``conversation`` settings."""
    config = {"conversation": settings}
    made = await http.post("/v1/convai/agents/create", json={"conversation_config": config})
    agent_id: str = made.json()["agent_id"]
    agent = (await http.get(f"/v1/convai/agents/{agent_id}")).json()
    row = projection(
        "conv_1",
        workspace_id=DEFAULT_ID,
        agent_id=agent_id,
        branch_id=agent["branch_id"],
        version_id=agent["version_id"],
    )
    await write(server.services.pool, row, [(0, started(row)), *said])
    return agent_id


@contextlib.asynccontextmanager
async def monitor(server: RunningServer, query: str = "", key: str | None = None) -> AsyncIterator[SocketClient]:
    headers = {"xi-api-key": key or server.api_key}
    async with client(
        server.url, f"/v1/convai/conversations/conv_1/monitor{query}", additional_headers=headers
    ) as socket:
        yield socket


async def test_a_monitor_is_told_the_past_then_what_happens(server: RunningServer, http: httpx2.AsyncClient) -> None:
    await write_one(server, http, SAID, monitoring_enabled=True)
    async with monitor(server) as socket:
        await socket.until("history_complete")
        assert socket.kinds() == [
            "connected",
            "user_transcript",
            "agent_response",
            "agent_tool_request",
            "agent_tool_response",
            "agent_tool_response_full_payload",
            "agent_response",
            "history_complete",
        ]
        await server.services.pool.execute(
            "with grown as (update conversation set last_seq = 51 where id = 'conv_1')"
            " insert into conversation_event(conversation_id, seq, workspace_id, at, kind, data)"
            " values ('conv_1', 50, $1, now(), 'human_takeover', $2), ('conv_1', 51, $1, now(), 'ended', $3)",
            DEFAULT_ID,
            {"active": True},
            {"reason": "over"},
        )
        await socket.until("external_agent_connected")
        assert await socket.closed() == (1000, "The conversation has ended.")


async def test_a_monitor_of_a_conversation_that_is_deleted_is_closed(
    server: RunningServer, http: httpx2.AsyncClient
) -> None:
    await write_one(server, http, SAID, monitoring_enabled=True)
    async with monitor(server) as socket:
        await socket.until("history_complete")
        (await http.delete("/v1/convai/conversations/conv_1")).raise_for_status()
        assert await socket.closed() == (1000, "The conversation has ended.")


async def test_the_agent_chooses_what_is_shown(server: RunningServer, http: httpx2.AsyncClient) -> None:
    await write_one(server, http, SAID, monitoring_enabled=True, monitoring_events=["agent_response"])
    async with monitor(server) as socket:
        await socket.until("history_complete")
        assert socket.kinds() == ["connected", "agent_response", "agent_response", "history_complete"]


async def test_as_opentelemetry(server: RunningServer, http: httpx2.AsyncClient) -> None:
    agent_id = await write_one(server, http, SAID, monitoring_enabled=True)
    async with monitor(server, "?events_format=opentelemetry") as socket:
        await socket.until("history_complete")
        batches = [frame["resourceSpans"][0] for frame in socket.seen if "resourceSpans" in frame]
    attributes = {item["key"]: item["value"]["stringValue"] for item in batches[0]["resource"]["attributes"]}
    assert attributes == {
        "service.name": "elevenlabs-convai",
        "elevenlabs.conversation_id": "conv_1",
        "elevenlabs.agent_id": agent_id,
    }
    spans = [span for batch in batches for span in batch["scopeSpans"][0]["spans"]]
    assert {span["traceId"] for span in spans} == {spans[0]["traceId"]}
    turn, heard, said = spans[:3]
    assert (turn["name"], heard["name"], said["name"]) == (
        "elevenlabs.turn.1",
        "elevenlabs.event.user_transcript",
        "elevenlabs.event.agent_response",
    )
    assert heard["parentSpanId"] == said["parentSpanId"] == turn["spanId"]
    assert "When do you open?" in heard["attributes"][0]["value"]["stringValue"]


@pytest.mark.parametrize(
    ("chosen", "said", "key", "query", "reason"),
    [
        ({"monitoring_enabled": False}, SAID, None, "", "monitoring_enabled"),
        ({"monitoring_enabled": True}, [*SAID, (9, Ended(reason="over"))], None, "", "has ended"),
        ({"monitoring_enabled": True}, SAID, "gl_wrong", "", "not known"),
        ({"monitoring_enabled": True}, SAID, None, "?events_format=xml", "json or opentelemetry"),
    ],
)
async def test_who_may_not_watch_is_told_why(
    server: RunningServer,
    http: httpx2.AsyncClient,
    chosen: dict[str, Any],
    said: list[Timed],
    key: str | None,
    query: str,
    reason: str,
) -> None:
    await write_one(server, http, said, **chosen)
    async with monitor(server, query, key) as socket:
        code, text = await socket.closed()
    assert code == 1008
    assert reason in text
    assert socket.kinds() == ["error"]
    assert reason in socket.seen[0]["error_event"]["reason"]


async def test_an_id_that_none_can_be(server: RunningServer) -> None:
    headers = {"xi-api-key": server.api_key}
    for name in ("conv_unknown", "%00"):
        path = f"/v1/convai/conversations/{name}/monitor"
        async with client(server.url, path, additional_headers=headers) as socket:
            assert (await socket.closed())[0] == 1008


async def test_a_bad_command_is_told_and_ends_nothing(server: RunningServer, http: httpx2.AsyncClient) -> None:
    await write_one(server, http, SAID, monitoring_enabled=True)
    refused: list[tuple[dict[str, Any], str]] = [
        ({"command_type": "sing"}, "unknown_command"),
        ({"command_type": "send_human_message"}, "missing_parameter"),
        ({"command_type": "contextual_update", "parameters": {"contextual_update": ""}}, "missing_parameter"),
        ({"command_type": "transfer_to_number", "parameters": {"phone_number": "+1"}}, "transfer_not_available"),
    ]
    async with monitor(server) as socket:
        for command, code in refused:
            await socket.send(**command)
            answer = (await socket.until("command_result"))["command_result"]
            assert (answer["status"], answer["error"]["code"]) == ("refused", code)
        await socket.send(command_type="send_human_message", parameters={"text": "A nul: \0"})
        assert (await socket.until("command_result"))["command_result"]["status"] == "accepted"
        await socket.connection.send("{")
        assert (await socket.closed())[0] == 1008


async def test_a_monitor_outlasts_a_database_that_is_away(dsn: str, settings: Settings) -> None:
    async with flaky_database(dsn) as flaky:
        changed = settings.model_copy(update={"database_url": SecretStr(flaky.dsn)})
        async with run_server(changed, SystemClock()) as server, http_client(server.url, server.api_key) as http:
            agent_id = await make_agent(http, conversation={"monitoring_enabled": True})
            async with client(server.url, f"/v1/convai/conversation?agent_id={agent_id}") as person:
                begun = (await person.begin())["conversation_initiation_metadata_event"]
                path = f"/v1/convai/conversations/{begun['conversation_id']}/monitor"
                headers = {"xi-api-key": server.api_key}
                async with client(server.url, path, additional_headers=headers) as operator:
                    await operator.until("history_complete")
                    flaky.cut()
                    await operator.send(command_type="enable_human_takeover")
                    answer = (await operator.until("command_result"))["command_result"]
                    assert (answer["status"], answer["error"]["code"]) == ("refused", "system_busy")
                    refused = flaky.refused
                    async with client(server.url, path, additional_headers=headers) as another:
                        await eventually(lambda: flaky.refused > refused + 1)
                        flaky.mend()
                        await another.until("history_complete")
                    await operator.send(command_type="enable_human_takeover")
                    answer = (await operator.until("command_result"))["command_result"]
                    assert answer["status"] == "accepted"


async def test_commands_over_http(server: RunningServer, http: httpx2.AsyncClient) -> None:
    await write_one(server, http, [*SAID, (9, Ended(reason="over"))])
    answer = await http.post("/v1/convai/conversations/conv_1/commands", json={"command_type": "end_call"})
    assert (answer.status_code, answer.json()["detail"]["status"]) == (400, "conversation_ended")
    answer = await http.post("/v1/convai/conversations/conv_2/commands", json={"command_type": "end_call"})
    assert answer.status_code == 404
    answer = await http.post("/v1/convai/conversations/conv_1/commands", json={"command_type": "sing"})
    assert (answer.status_code, answer.json()["detail"]["status"]) == (400, "unknown_command")


async def test_a_human_takes_over_a_socket_that_another_server_holds(
    server: RunningServer, http: httpx2.AsyncClient, settings: Settings, clock: ManualClock
) -> None:
    agent_id = await make_agent(http, conversation={"monitoring_enabled": True})
    async with (
        run_server(settings, clock) as other,
        client(server.url, f"/v1/convai/conversation?agent_id={agent_id}") as person,
    ):
        conversation_id = (await person.begin())["conversation_initiation_metadata_event"]["conversation_id"]
        await person.until("agent_response")
        path = f"/v1/convai/conversations/{conversation_id}/monitor"
        headers = {"xi-api-key": server.api_key}
        async with client(other.url, path, additional_headers=headers) as operator:
            await operator.until("history_complete")
            await operator.send(command_type="enable_human_takeover")
            await person.until("external_agent_connected")
            await person.send(type="user_message", text="I want a human")
            await operator.until("user_transcript")
            await operator.send(command_type="human_typing")
            types = (await person.until("agent_typing"))["agent_typing_event"]
            assert types == {"is_typing": True, "duration_ms": 5_000}
            await operator.send(command_type="send_human_message", parameters={"text": "Tom here."})
            said = (await person.until("agent_response"))["agent_response_event"]["agent_response"]
            assert said == "Tom here."
            await operator.send(command_type="disable_human_takeover")
            await person.until("external_agent_disconnected")
            await person.send(type="user_message", text="Bye")
            said = (await person.until("agent_response"))["agent_response_event"]["agent_response"]
            assert said == "You said Bye"
            await operator.send(command_type="end_call")
            assert (await operator.closed())[0] == 1000
            assert await person.closed() == (1000, "Ended by an operator")


async def test_a_conversation_of_this_server_is_shown_as_it_happens(
    server: RunningServer, http: httpx2.AsyncClient
) -> None:
    agent_id = await make_agent(http, conversation={"monitoring_enabled": True})
    headers = {"xi-api-key": server.api_key}
    async with client(server.url, f"/v1/convai/conversation?agent_id={agent_id}") as person:
        conversation_id = (await person.begin())["conversation_initiation_metadata_event"]["conversation_id"]
        await person.send(type="user_message", text="Hi")
        answer = await person.until("agent_response", lambda f: f["agent_response_event"]["event_id"] > 1)
        path = f"/v1/convai/conversations/{conversation_id}/monitor"
        async with client(server.url, path, additional_headers=headers) as operator:
            await operator.until("history_complete")
            assert operator.kinds()[1:-1] == ["agent_response", "user_transcript", "agent_response"]
            assert operator.seen[2]["user_transcription_event"] == {"user_transcript": "Hi", "event_id": 2}
            assert operator.seen[3] == answer
            seen = len(operator.seen)
            await person.send(type="user_message", text="What is the time?")
            await operator.until("agent_response")
            news = [frame for frame in operator.seen[seen:] if frame["type"] != "agent_typing"]
            assert [frame["type"] for frame in news] == [
                "user_transcript",
                *["agent_chat_response_part"] * (len(news) - 2),
                "agent_response",
            ]
            parts = [frame["text_response_part"]["text"] for frame in news[1:-1]]
            assert "".join(parts) == "You said What is the time?"
            await operator.send(command_type="enable_human_takeover")
            await operator.until("external_agent_connected")
            await person.send(type="user_message", text="I want a human")
            await operator.until("user_transcript")
            await operator.send(command_type="send_human_message", parameters={"text": "Tom here."})
            said = await person.until(
                "agent_response", lambda f: "Tom" in f["agent_response_event"]["agent_response"]
            )
            assert await operator.until("agent_response") == said
            await operator.send(command_type="end_call")
            assert await operator.closed() == (1000, "The conversation has ended.")
        assert await person.closed() == (1000, "Ended by an operator")
        assert "user_transcript" not in person.kinds(), "a client is not told again what it has sent"


@contextlib.asynccontextmanager
async def world(dsn: str, data_dir: Path) -> AsyncIterator[tuple[Emulator, ServeProcess, Person]]:
    """A person on the emulator, who talks with an agent that repeats what it hears."""
    async with emulator() as meta:
        environment = {
            **meta.settings(),
            "GREENLINE_DATABASE_URL": dsn,
            "GREENLINE_API_KEY": KEY,
            "GREENLINE_SECRET_KEY": "M" * 43 + "=",
            "GREENLINE_DRAIN_SECONDS": "3",
        }
        async with serve_process(data_dir, environment=environment) as process:
            running = await process.ready()
            agent_id = await meta.furnish(running.url, KEY, r"offline: when ^(.+)$ -> say You said \1")
            async with http_client(running.url, KEY) as http:
                changes = {"conversation_config": {"conversation": {"monitoring_enabled": True}}}
                (await http.patch(f"/v1/convai/agents/{agent_id}", json=changes)).raise_for_status()
            yield meta, running, await meta.person("Ann", "15550100001")


async def test_a_human_takes_over_a_whatsapp_chat(dsn: str, tmp_path: Path) -> None:
    async with world(dsn, tmp_path) as (meta, server, ann):
        await meta.say(ann, "Hello")
        await meta.told(ann, 1)
        headers = {"xi-api-key": KEY}
        async with httpx2.AsyncClient(base_url=server.url, headers=headers, trust_env=False, timeout=30) as http:
            listed = (await http.get("/v1/convai/conversations")).json()["conversations"]
        path = f"/v1/convai/conversations/{listed[0]['conversation_id']}/monitor"
        async with client(server.url, path, additional_headers=headers) as socket:
            await socket.until("history_complete")
            await socket.send(command_type="enable_human_takeover")
            await socket.until("external_agent_connected")
            await meta.say(ann, "I want a human")
            await socket.until("user_transcript")
            await socket.send(command_type="human_typing")
            refused = await socket.until("command_result", lambda f: "error" in f["command_result"])
            assert refused["command_result"]["error"]["code"] == "typing_not_shown"
            await socket.send(command_type="send_human_message", parameters={"text": "Tom here."})
            assert await meta.told(ann, 2) == ["You said Hello", "Tom here."]
            await socket.send(command_type="disable_human_takeover")
            await socket.until("external_agent_disconnected")
            await meta.say(ann, "Bye")
            assert (await meta.told(ann, 3))[-1] == "You said Bye"
            await socket.send(command_type="end_call")
            assert (await socket.closed())[0] == 1000
        assert "command_result" in socket.kinds()

"""What a client of the agent socket is sent of MCP servers, field by field, and what its word does."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import httpx2
import pytest

from support.mcp_server import TRANSPORTS, Transport, mcp_server
from support.server import RunningServer
from support.socket_agents import EVENTS, finished, make_agent
from support.sockets import SocketClient, client

PROMPT = 'offline: when tea -> call price {"what": "tea"}\noffline: after price -> say It is {result}'
MCP = ["mcp_tool_call", "mcp_connection_status", "agent_tool_response_full_payload"]


async def agent_with(http: httpx2.AsyncClient, config: dict[str, Any], events: list[str]) -> tuple[str, str]:
    """The ids of an agent and of its MCP server."""
    made = await http.post("/v1/convai/mcp-servers", json={"config": config})
    assert made.status_code == 200, made.text
    prompt = {"prompt": PROMPT, "llm": "offline", "mcp_server_ids": [made.json()["id"]]}
    agent_id = await make_agent(http, agent={"prompt": prompt}, conversation={"client_events": [*EVENTS, *events]})
    return agent_id, made.json()["id"]


async def tool_call(socket: SocketClient) -> dict[str, Any]:
    return dict((await socket.until("mcp_tool_call"))["mcp_tool_call"])


async def answer(socket: SocketClient, begins: str) -> str:
    """The answer that begins so."""

    def fits(frame: dict[str, Any]) -> bool:
        return str(frame["agent_response_event"]["agent_response"]).startswith(begins)

    return str((await socket.until("agent_response", fits))["agent_response_event"]["agent_response"])


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_call_is_told_of_field_by_field(
    server: RunningServer, http: httpx2.AsyncClient, transport: Transport
) -> None:
    async with mcp_server(transport) as shop:
        agent_id, server_id = await agent_with(http, shop.config, MCP)
        async with client(server.url, f"/v1/convai/conversation?agent_id={agent_id}") as socket:
            await socket.begin()
            status = await socket.until("mcp_connection_status")
            assert status == {
                "type": "mcp_connection_status",
                "mcp_connection_status": {
                    "integrations": [
                        {
                            "integration_id": server_id,
                            "integration_type": "mcp_server",
                            "is_connected": True,
                            "tool_count": 2,
                        }
                    ]
                },
            }
            await socket.send(type="user_message", text="How much is tea?")
            waiting = await tool_call(socket)
            told = {
                "service_id": server_id,
                "tool_call_id": waiting["tool_call_id"],
                "tool_name": "price",
                "tool_description": "What something costs.",
                "parameters": {"what": "tea"},
            }
            at = waiting.pop("timestamp")
            assert datetime.fromisoformat(at).tzinfo is not None
            assert waiting == {**told, "state": "awaiting_approval", "approval_timeout_secs": 300}
            await socket.send(type="mcp_tool_approval_result", tool_call_id=told["tool_call_id"], is_approved=True)
            loading, success = await tool_call(socket), await tool_call(socket)
            assert loading == {**told, "state": "loading", "timestamp": at}
            text = {"type": "text", "text": "price of tea: 7 euros"}
            assert success == {**told, "state": "success", "result": [text], "timestamp": at}
            whole = (await socket.until("agent_tool_response_full_payload"))["agent_tool_response_full_payload"]
            assert (whole["tool_type"], whole["is_called"], whole["is_blocked"]) == ("mcp", True, False)
            assert await answer(socket, "It is") == "It is price of tea: 7 euros"


async def test_a_refusal_is_seen_in_the_transcript(server: RunningServer, http: httpx2.AsyncClient) -> None:
    async with mcp_server() as shop:
        agent_id, server_id = await agent_with(http, shop.config, MCP)
        async with client(server.url, f"/v1/convai/conversation?agent_id={agent_id}") as socket:
            begun = (await socket.begin())["conversation_initiation_metadata_event"]
            await socket.send(type="user_message", text="How much is tea?")
            call = await tool_call(socket)
            await socket.send(type="mcp_tool_approval_result", tool_call_id=call["tool_call_id"], is_approved=False)
            failed = await tool_call(socket)
            assert (failed["state"], "did not approve" in failed["error_message"]) == ("failure", True)
            brief = (await socket.until("agent_tool_response"))["agent_tool_response"]
            assert (brief["is_error"], brief["is_called"]) == (True, False)
            assert "did not approve" in await answer(socket, "It is")
        assert shop.ran == []
    shown = await finished(http, begun["conversation_id"])
    (result,) = [result for turn in shown["transcript"] for result in turn["tool_results"]]
    assert (result["type"], result["tool_id"]) == ("mcp", f"mcp:{server_id}:price")
    assert (result["is_blocked"], result["error_type"]) == (True, "not_approved")
    assert result["tool_has_been_called"] is False
    assert shown["metadata"]["features_usage"]["external_mcp_servers"] == {"enabled": True, "used": True}


async def test_a_client_without_the_event_is_not_asked(server: RunningServer, http: httpx2.AsyncClient) -> None:
    async with mcp_server() as shop:
        agent_id, _ = await agent_with(http, shop.config, [])
        async with client(server.url, f"/v1/convai/conversation?agent_id={agent_id}") as socket:
            await socket.begin()
            await socket.send(type="user_message", text="How much is tea?")
            assert "nobody can" in await answer(socket, "It is")
            assert not {"mcp_tool_call", "mcp_connection_status"} & set(socket.kinds())
        assert shop.ran == []


async def test_a_conversation_without_its_server_says_so(server: RunningServer, http: httpx2.AsyncClient) -> None:
    config = {"name": "Gone shop", "url": "http://127.0.0.1:2/mcp", "transport": "STREAMABLE_HTTP"}
    agent_id, _ = await agent_with(http, config, MCP)
    async with client(server.url, f"/v1/convai/conversation?agent_id={agent_id}") as socket:
        begun = (await socket.begin())["conversation_initiation_metadata_event"]
        (item,) = (await socket.until("mcp_connection_status"))["mcp_connection_status"]["integrations"]
        assert (item["is_connected"], item["tool_count"]) == (False, 0)
        for _ in range(2):
            await socket.send(type="user_message", text="Hello")
            await socket.until("agent_response_complete")
    shown = await finished(http, begun["conversation_id"])
    assert shown["metadata"]["warnings"] == [
        "The tools of the MCP server Gone shop were not offered: It can't be reached."
    ]


async def test_a_huge_answer_is_cut_for_all(server: RunningServer, http: httpx2.AsyncClient) -> None:
    async with mcp_server() as shop:
        shop.size = 200_000
        agent_id, _ = await agent_with(http, {**shop.config, "approval_policy": "auto_approve_all"}, MCP)
        async with client(server.url, f"/v1/convai/conversation?agent_id={agent_id}") as socket:
            await socket.begin()
            await socket.send(type="user_message", text="How much is tea?")
            await tool_call(socket)
            (block,) = (await tool_call(socket))["result"]
            assert len(block["text"]) < 40_000
            assert block["text"].endswith("too long.]")

"""Conversations on a server that leaves, and on one that dies."""

from __future__ import annotations

import signal
from pathlib import Path

import httpx2
import pytest
from websockets.exceptions import ConnectionClosed

from support.server import serve_process
from support.socket_agents import finished, make_agent, said
from support.sockets import client

KEY = "gl_leaving"


def environment(dsn: str) -> dict[str, str]:
    return {
        "GREENLINE_DATABASE_URL": dsn,
        "GREENLINE_API_KEY": KEY,
        "GREENLINE_SECRET_KEY": "M" * 43 + "=",
        "GREENLINE_DRAIN_SECONDS": "3",
        "GREENLINE_LEASE_SECONDS": "2",
    }


async def test_at_sigterm_a_conversation_may_end_and_is_cut_after_a_while(dsn: str, tmp_path: Path) -> None:
    headers = {"xi-api-key": KEY}
    async with serve_process(tmp_path, environment=environment(dsn)) as process:
        server = await process.ready()
        async with httpx2.AsyncClient(base_url=server.url, headers=headers, trust_env=False, timeout=30) as http:
            agent_id = await make_agent(http)
        path = f"/v1/convai/conversation?agent_id={agent_id}"
        async with client(server.url, path) as socket:
            first = await socket.begin()
            await socket.until("agent_response")
            server.kill(signal.SIGTERM)
            await socket.send(type="user_message", text="still there?")
            said = (await socket.until("agent_response"))["agent_response_event"]["agent_response"]
            assert said == "You said still there?"
            assert await socket.closed() == (1012, "The server is restarting. Connect again.")
        assert await server.ended() == 0
        log = "".join(server.errors)
        assert "socket.begun" in log
        assert "agent_id=" not in log, "an address with its query can hold a signature"
    conversation_id = first["conversation_initiation_metadata_event"]["conversation_id"]
    async with serve_process(tmp_path, environment=environment(dsn)) as process:
        server = await process.ready()
        async with httpx2.AsyncClient(base_url=server.url, headers=headers, trust_env=False, timeout=30) as http:
            shown = await finished(http, conversation_id)
    assert shown["status"] == "failed"
    assert shown["metadata"]["error"] == {"code": 1012, "reason": "The server is restarting. Connect again."}


async def test_a_conversation_whose_server_died_is_ended_by_another(dsn: str, tmp_path: Path) -> None:
    headers = {"xi-api-key": KEY}
    async with (
        serve_process(tmp_path, environment=environment(dsn)) as first,
        serve_process(tmp_path, environment=environment(dsn)) as second,
    ):
        doomed, survivor = await first.ready(), await second.ready()
        async with httpx2.AsyncClient(base_url=survivor.url, headers=headers, trust_env=False, timeout=30) as http:
            agent_id = await make_agent(http)
            async with client(doomed.url, f"/v1/convai/conversation?agent_id={agent_id}") as socket:
                begun = await socket.begin()
                conversation_id = begun["conversation_initiation_metadata_event"]["conversation_id"]
                await socket.until("agent_response")
                await said(http, conversation_id, "Hello!")
                doomed.kill()
                with pytest.raises(ConnectionClosed):
                    await socket.until("never")
            shown = await finished(http, conversation_id)
    assert shown["status"] == "failed"
    assert "stopped" in shown["metadata"]["termination_reason"]
    assert [turn["message"] for turn in shown["transcript"]] == ["Hello!"]

"""Conversations on a server that leaves, and on one that dies."""

from __future__ import annotations

import signal
from pathlib import Path

import httpx2
import pytest
from websockets.exceptions import ConnectionClosed

from greenline.clock import ManualClock
from greenline.settings import Settings
from greenline.store.pool import Pool
from support.http import http_client
from support.server import run_server, serve_process
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
    async with serve_process(tmp_path, environment=environment(dsn)) as process:
        doomed = await process.ready()
        async with httpx2.AsyncClient(base_url=doomed.url, headers=headers, trust_env=False, timeout=30) as http:
            agent_id = await make_agent(http)
            async with client(doomed.url, f"/v1/convai/conversation?agent_id={agent_id}") as socket:
                begun = await socket.begin()
                conversation_id = begun["conversation_initiation_metadata_event"]["conversation_id"]
                await socket.until("agent_response")
                await said(http, conversation_id, "Hello!")
                doomed.kill()
                with pytest.raises(ConnectionClosed):
                    await socket.until("never")
    # Not before: where the first stood still for a moment, another would take what it holds.
    async with serve_process(tmp_path, environment=environment(dsn)) as process:
        survivor = await process.ready()
        async with httpx2.AsyncClient(base_url=survivor.url, headers=headers, trust_env=False, timeout=30) as http:
            shown = await finished(http, conversation_id)
    assert shown["status"] == "failed"
    assert "stopped" in shown["metadata"]["termination_reason"]
    assert [turn["message"] for turn in shown["transcript"]] == ["Hello!"]


@pytest.mark.parametrize("is_deleted", [False, True])
async def test_who_speaks_with_a_server_that_has_lost_the_conversation_is_told_so(
    settings: Settings, clock: ManualClock, pool: Pool, is_deleted: bool
) -> None:
    """As one that was frozen for a while. A conversation that was deleted doesn't come back."""
    async with (
        run_server(settings.model_copy(update={"lease_seconds": 5.0}), clock) as server,
        http_client(server.url, server.api_key) as http,
        client(server.url, f"/v1/convai/conversation?agent_id={await make_agent(http)}") as socket,
    ):
        conversation_id = (await socket.begin())["conversation_initiation_metadata_event"]["conversation_id"]
        await socket.until("agent_response_complete")
        path = f"/v1/convai/conversations/{conversation_id}"
        if is_deleted:
            (await http.delete(path)).raise_for_status()
            await socket.send(type="user_message", text="still there?")
        else:
            await pool.execute("update mailbox set epoch = epoch + 1, lease_until = 'infinity' where kind = 'live'")
        told = (await socket.until("error"))["error_event"]
        assert (told["code"], told["error_type"]) == (1011, "websocket_disconnect")
        assert await socket.closed() == (1011, told["reason"])
        assert (await http.get(path)).status_code == (404 if is_deleted else 200)

"""Calls when their server leaves in order, and when it is killed."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from support.calling import CallingMeta
from support.graph_stand_in import APP_SECRET, NUMBER, connect
from support.http import http_client
from support.rtc_peer import RtcPeer
from support.scripted import scripted
from support.server import ServeProcess, serve_process
from support.voice import voiced_seconds
from support.wait import eventually, until
from support.webhooks import deliver


@pytest.fixture
def meta() -> CallingMeta:
    """Meta's side."""
    return CallingMeta()


@pytest.fixture
async def environment(dsn: str, tmp_path: Path, meta: CallingMeta) -> AsyncIterator[dict[str, str]]:
    """Of servers on one database and one key, that ask the stand-in."""
    async with scripted(meta) as graph:
        yield {
            "GREENLINE_DATABASE_URL": dsn,
            "GREENLINE_API_KEY": "gl_test",
            "GREENLINE_GRAPH_URL": graph.url,
            "GREENLINE_META_APP_SECRET": APP_SECRET,
            "GREENLINE_OUTBOUND_ALLOW": "127.0.0.0/8",
            "GREENLINE_LEASE_SECONDS": "8",  # a busy machine renews a shorter one too late
            "GREENLINE_CALL_DRAIN_SECONDS": "8",
            "GREENLINE_CONSOLE": "false",
        }


@asynccontextmanager
async def client(server: ServeProcess) -> AsyncIterator[httpx2.AsyncClient]:
    async with http_client(server.url, "gl_test") as http:
        yield http


async def furnish(http: httpx2.AsyncClient) -> None:
    """A connected number with an agent that greets."""
    await connect(http)
    config = {"agent": {"first_message": "Hello, this is the tea shop. How can I help you?"}}
    made = await http.post("/v1/convai/agents/create", json={"name": "Rosie", "conversation_config": config})
    assigned = {"assigned_agent_id": made.json()["agent_id"]}
    (await http.patch(f"/v1/convai/whatsapp-accounts/{NUMBER}", json=assigned)).raise_for_status()


async def talk(http: httpx2.AsyncClient, meta: CallingMeta, peer: RtcPeer, number: int = 1) -> None:
    """A person calls and hears the agent."""
    session, wacid = {"sdp_type": "offer", "sdp": await peer.offer()}, f"wacid.{number}"
    call: dict[str, Any] = {"id": wacid, "from": f"155512300{number:02}", "to": "15550001111", "event": "connect"}
    await deliver(http, "calls", calls=[{**call, "session": session}])
    await peer.apply_answer((await meta.calls.action("pre_accept", wacid=wacid))["session"]["sdp"])
    await meta.calls.action("accept", wacid=wacid)
    peer.out.open()
    await eventually(lambda: voiced_seconds(bytes(peer.heard)) > 0.2)


async def hung_up(holder: httpx2.AsyncClient, other: httpx2.AsyncClient, number: int, left: int) -> None:
    """The person of a call hangs up, which Meta tells to ``other``; ``holder`` has ``left`` calls then."""
    end = {"id": f"wacid.{number}", "event": "terminate", "status": "COMPLETED", "start_time": "1", "duration": 3}
    await deliver(other, "calls", calls=[{**end, "from": f"155512300{number:02}", "to": "15550001111"}])

    async def over() -> bool:
        return f"\ngreenline_calls {left}.0\n" in (await holder.get("/metrics")).text

    await until(over)


async def conversation(http: httpx2.AsyncClient) -> dict[str, Any]:
    """The only conversation, when it has ended."""

    async def over() -> dict[str, Any] | None:
        (found,) = (await http.get("/v1/convai/conversations")).json()["conversations"]
        return found if found["status"] in ("done", "failed") else None

    found = await until(over)
    assert found is not None
    whole: dict[str, Any] = (await http.get(f"/v1/convai/conversations/{found['conversation_id']}")).json()
    return whole


async def test_a_server_that_leaves_lets_its_call_go_on_and_then_ends_it(
    environment: dict[str, str], tmp_path: Path, meta: CallingMeta
) -> None:
    peer = RtcPeer()
    async with serve_process(tmp_path, environment=environment) as server:
        await server.ready()
        async with client(server) as http:
            await furnish(http)
            await talk(http, meta, peer)
        server.kill(signal.SIGTERM)
        heard = len(peer.heard)
        await eventually(lambda: len(peer.heard) > heard + 32_000)  # a second of sound, words or silence
        assert "terminate" not in meta.calls.names()
        await meta.calls.action("terminate")
        assert await server.ended() == 0
    await peer.close()
    async with serve_process(tmp_path, environment=environment) as server:
        await server.ready()
        async with client(server) as http:
            found = await conversation(http)
    assert found["metadata"]["termination_reason"] == "The server is shutting down."
    assert found["metadata"]["whatsapp"]["call_result"] == "answered"
    assert found["transcript"][0]["role"] == "agent"


async def test_under_load_calls_stay_with_the_server_that_leaves_and_new_ones_go_to_the_other(
    environment: dict[str, str], tmp_path: Path, meta: CallingMeta
) -> None:
    """And a hang-up finds the server that holds its call, whichever hears of it."""
    environment = {**environment, "GREENLINE_LEASE_SECONDS": "20"}
    peers = [RtcPeer() for _ in range(7)]
    async with serve_process(tmp_path, environment=environment) as old:
        await old.ready()
        async with client(old) as http:
            await furnish(http)
            await asyncio.gather(*(talk(http, meta, peers[number], number) for number in (0, 1, 2, 6)))
        async with serve_process(tmp_path, environment=environment) as new:
            await new.ready()
            async with client(old) as holder, client(new) as http:
                await hung_up(holder, http, 6, left=3)
            old.kill(signal.SIGTERM)
            before = [len(peer.heard) for peer in peers[:3]]
            async with client(new) as http:
                await asyncio.gather(*(talk(http, meta, peers[number], number) for number in range(3, 6)))
                await eventually(lambda: all(len(peers[n].heard) > before[n] + 32_000 for n in range(3)))
                for number in range(3):
                    await meta.calls.action("terminate", wacid=f"wacid.{number}")
                assert await old.ended() == 0
                after = [len(peers[number].heard) for number in range(3, 6)]
                await eventually(lambda: all(len(peers[n + 3].heard) > after[n] for n in range(3)))
            done = [(body["action"], body["call_id"]) for body in meta.calls.actions]
            assert "reject" not in meta.calls.names()
            assert {wacid for action, wacid in done if action == "terminate"} == {f"wacid.{n}" for n in range(3)}
    for peer in peers:
        await peer.close()


async def test_the_call_of_a_killed_server_is_ended_by_the_next(
    environment: dict[str, str], tmp_path: Path, meta: CallingMeta
) -> None:
    peer = RtcPeer()
    async with serve_process(tmp_path, environment=environment) as server:
        await server.ready()
        async with client(server) as http:
            await furnish(http)
            await talk(http, meta, peer)
        server.kill()
        await server.ended()
    assert "terminate" not in meta.calls.names()
    async with serve_process(tmp_path, environment=environment) as server:
        await server.ready()
        await meta.calls.action("terminate")
        async with client(server) as http:
            found = await conversation(http)
    await peer.close()
    assert found["status"] == "failed"
    assert found["metadata"]["whatsapp"]["call_result"] == "failed"

"""Getting in without a key: signed URLs and what stands in the way (reference: Authentication)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from elevenlabs.core.api_error import ApiError
from elevenlabs.types import ConversationalConfig
from websockets.exceptions import ConnectionClosed

from greenline.conversations.events import AgentMessage, Ended
from greenline.workspaces.models import DEFAULT_ID
from support import sockets
from support.http import http_client
from support.journal import projection, started, write

if TYPE_CHECKING:
    from elevenlabs.client import AsyncElevenLabs

    from support.server import RunningServer


@pytest.fixture
async def agent_id(client: AsyncElevenLabs) -> str:
    created = await client.conversational_ai.agents.create(conversation_config=ConversationalConfig())
    agent_id: str = created.agent_id
    return agent_id


async def test_a_signed_url_leads_to_this_server(
    client: AsyncElevenLabs, server: RunningServer, agent_id: str
) -> None:
    answer = await client.conversational_ai.conversations.get_signed_url(agent_id=agent_id)
    url = urlsplit(answer.signed_url)
    assert (url.scheme, url.netloc) == ("ws", urlsplit(server.url).netloc)
    assert url.path == "/v1/convai/conversation"
    query = parse_qs(url.query)
    assert query["agent_id"] == [agent_id]
    assert query["conversation_signature"]
    assert "conversation_id" not in query


async def test_a_signed_url_can_name_the_conversation(client: AsyncElevenLabs, agent_id: str) -> None:
    answer = await client.conversational_ai.conversations.get_signed_url(
        agent_id=agent_id, include_conversation_id=True
    )
    assert parse_qs(urlsplit(answer.signed_url).query)["conversation_id"][0].startswith("conv_")


async def test_a_url_for_one_conversation_begins_one_however_many_come_at_once(
    client: AsyncElevenLabs, server: RunningServer, agent_id: str
) -> None:
    answer = await client.conversational_ai.conversations.get_signed_url(
        agent_id=agent_id, include_conversation_id=True
    )

    async def begin() -> str:
        async with sockets.client(server.url, answer.signed_url) as socket:
            try:
                await socket.send(type="conversation_initiation_client_data")
                await socket.send(type="user_message", text="Hello")
                return str((await socket.until("agent_response"))["type"])
            except ConnectionClosed as closed:
                return closed.rcvd.reason if closed.rcvd else "left without a word"

    outcomes = await asyncio.gather(*(begin() for _ in range(3)))
    assert outcomes.count("agent_response") == 1
    assert all("used already" in other for other in outcomes if other != "agent_response"), outcomes


async def test_the_old_address_answers_too(http: httpx2.AsyncClient, agent_id: str) -> None:
    answer = await http.get("/v1/convai/conversation/get_signed_url", params={"agent_id": agent_id})
    assert answer.json()["signed_url"].startswith("ws://")


async def test_only_what_there_is_is_signed_for(client: AsyncElevenLabs, agent_id: str) -> None:
    for asked in ({"agent_id": "agent_nobody"}, {"agent_id": agent_id, "environment": "nowhere"}):
        with pytest.raises(ApiError) as caught:
            await client.conversational_ai.conversations.get_signed_url(**asked)
        assert caught.value.status_code == 404


async def test_a_room_token_says_what_is_missing(
    server: RunningServer, http: httpx2.AsyncClient, agent_id: str
) -> None:
    address = f"{server.url}/v1/convai/conversation/token"
    async with httpx2.AsyncClient(trust_env=False, timeout=30) as stranger:
        public = await stranger.get(address, params={"agent_id": agent_id})
        nobody = await stranger.get(address, params={"agent_id": "agent_nobody"})
        await http.patch(f"/v1/convai/agents/{agent_id}", json={"platform_settings": {"auth": {"enable_auth": True}}})
        closed = await stranger.get(address, params={"agent_id": agent_id})
    assert public.status_code == 501
    message = public.json()["detail"]["message"]
    assert "websocket" in message
    assert "set GREENLINE_LIVEKIT_URL, GREENLINE_LIVEKIT_API_KEY, GREENLINE_LIVEKIT_API_SECRET." in message
    assert public.headers["access-control-allow-origin"] == "*"
    assert nobody.status_code == closed.status_code == 401


async def test_the_client_of_a_running_conversation_uploads_without_a_key(
    server: RunningServer, http: httpx2.AsyncClient, agent_id: str
) -> None:
    agent = (await http.get(f"/v1/convai/agents/{agent_id}")).json()
    place = {"workspace_id": DEFAULT_ID, "agent_id": agent_id, "branch_id": agent["branch_id"]}
    over_a_socket = {"phone_number_id": None, "source": "js_sdk", "version_id": agent["version_id"]}
    for conversation_id, said, changes in (
        ("conv_open", [(1, AgentMessage(id="a1", text="Hi"))], over_a_socket),
        ("conv_over", [(1, Ended(reason="over"))], over_a_socket),
        ("conv_chat", [(1, AgentMessage(id="a1", text="Hi"))], {"version_id": agent["version_id"]}),
    ):
        row = projection(conversation_id, **place, **changes)
        await write(server.services.pool, row, [(0, started(row)), *said])
    statuses: dict[str, int] = {}
    taken: list[str] = []
    async with http_client(server.url) as stranger:
        for conversation_id in ("conv_open", "conv_over", "conv_chat", "conv_unknown"):
            path = f"/v1/convai/conversations/{conversation_id}/files"
            answer = await stranger.post(path, files={"file": ("a.txt", b"hello", "text/plain")})
            statuses[conversation_id] = answer.status_code
            assert answer.headers["access-control-allow-origin"] == "*"
            if answer.status_code == 200:
                taken.append(answer.json()["file_id"])
        (file_id,) = taken
        read = await stranger.get(f"/v1/convai/conversations/conv_open/files/{file_id}")
    assert statuses == {"conv_open": 200, "conv_over": 401, "conv_chat": 401, "conv_unknown": 401}
    assert read.status_code == 401
    assert (await http.delete(f"/v1/convai/conversations/conv_open/files/{file_id}")).json() == {"file_id": file_id}


async def test_a_page_may_read_why_it_is_refused(server: RunningServer) -> None:
    """A browser keeps the answer from a page of another site whose header does not let it read that."""
    files = "/v1/convai/conversations/conv_1/files"
    async with http_client(server.url) as stranger:
        answers = [
            await stranger.post(files, files={"other": b"x"}),
            await stranger.post("/v1/convai/conversations/conv_1/feedback", json={"feedback": "love"}),
            await stranger.get("/v1/convai/agents/agent_nobody/widget"),
            await stranger.get("/v1/convai/conversation/token"),
        ]
        keyed = await stranger.get("/v1/convai/conversations/conv_1")
    assert [answer.status_code for answer in answers] == [401, 401, 404, 422]
    assert {answer.headers.get("access-control-allow-origin") for answer in answers} == {"*"}
    assert "access-control-allow-origin" not in keyed.headers


async def test_the_client_of_a_conversation_rates_it_without_a_key(
    server: RunningServer, http: httpx2.AsyncClient, agent_id: str
) -> None:
    agent = (await http.get(f"/v1/convai/agents/{agent_id}")).json()
    place = {"workspace_id": DEFAULT_ID, "agent_id": agent_id, "branch_id": agent["branch_id"]}
    row = projection("conv_rated", **place, phone_number_id=None, source="js_sdk", version_id=agent["version_id"])
    await write(server.services.pool, row, [(0, started(row)), (1, Ended(reason="over"))])
    at = "/v1/convai/conversations/{}/feedback"
    async with http_client(server.url) as stranger:
        asked = await stranger.options(at.format("conv_rated"))
        assert asked.headers["access-control-allow-headers"] == "content-type"
        rated = await stranger.post(at.format("conv_rated"), json={"feedback": "like"})
        unknown = await stranger.post(at.format("conv_unknown"), json={"feedback": "like"})
        change = "update conversation set ended_at = ended_at - interval '2 hours' where id = 'conv_rated'"
        await server.services.pool.execute(change)
        late = await stranger.post(at.format("conv_rated"), json={"feedback": "dislike"})
    assert (rated.status_code, unknown.status_code, late.status_code) == (200, 401, 401)
    assert rated.headers["access-control-allow-origin"] == "*"
    shown = (await http.get("/v1/convai/conversations/conv_rated")).json()
    assert shown["metadata"]["feedback"]["overall_score"] == "like"

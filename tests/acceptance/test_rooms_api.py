"""Who gets a token for a room, by the official Python client and by plain HTTP."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import httpx
import httpx2
import pytest
from elevenlabs.client import AsyncElevenLabs
from livekit.api import TokenVerifier
from pydantic import SecretStr

from greenline.clock import SystemClock
from greenline.doctor import examine
from greenline.settings import Settings
from support.http import http_client
from support.livekit_real import BOTH, LiveKit, with_livekit
from support.room_person import person_in
from support.server import RunningServer, run_server
from support.socket_agents import finished, make_agent

PATH = "/v1/convai/conversation/token"


@pytest.fixture
async def server(settings: Settings, livekit: LiveKit) -> AsyncIterator[RunningServer]:
    """A server whose clock runs: tokens have a time of their own."""
    async with run_server(with_livekit(settings, livekit, livekit_waiting_rooms=2), SystemClock()) as running:
        yield running


@BOTH
async def test_a_conversation_by_text_in_a_room(
    server: RunningServer, http: httpx2.AsyncClient, livekit: LiveKit
) -> None:
    agent_id = await make_agent(http, platform={"auth": {"enable_auth": True}})
    async with httpx.AsyncClient(trust_env=False, timeout=30) as transport:
        sdk = AsyncElevenLabs(base_url=server.url, api_key=server.api_key, httpx_client=transport)
        given = await sdk.conversational_ai.conversations.get_webrtc_token(agent_id=agent_id, participant_name="Ann")
    claims = TokenVerifier(livekit.key, livekit.secret).verify(given.token)
    assert claims.name == "Ann"
    assert claims.video is not None
    assert claims.video.room == given.model_dump()["conversation_id"]
    async with person_in(livekit.url, given.token) as person:
        await person.begin()
        await person.until("agent_response")
        await person.send(type="user_message", text="Hi")
        await person.until("agent_response", lambda it: it["agent_response_event"]["agent_response"] == "You said Hi")
    shown = await finished(http, claims.video.room)
    assert shown["metadata"]["authorization_method"] == "livekit_token"
    assert shown["metadata"]["features_usage"]["is_livekit"] is True


async def test_who_is_let_in(server: RunningServer, http: httpx2.AsyncClient) -> None:
    closed = await make_agent(http, platform={"auth": {"enable_auth": True, "shareable_token": "share-me"}})
    listed = await make_agent(http, platform={"auth": {"allowlist": [{"hostname": "shop.example"}]}})
    signed = (
        await http.get(
            "/v1/convai/conversation/get-signed-url",
            params={"agent_id": closed, "include_conversation_id": True},
        )
    ).json()["signed_url"]
    once = parse_qs(urlsplit(signed).query)["conversation_signature"][0]
    async with http_client(server.url) as stranger:

        async def ask(origin: str = "https://shop.example", **params: str) -> httpx2.Response:
            return await stranger.get(PATH, params=params, headers={"origin": origin})

        answers = {
            "no key": await ask(agent_id=closed),
            "shared": await ask(agent_id=closed, conversation_signature="share-me"),
            "works once": await ask(agent_id=closed, conversation_signature=once),
            "elsewhere": await ask("https://other.example", agent_id=listed),
            "at home": await ask(agent_id=listed),
            "no branch": await ask(agent_id=listed, branch_id="agtbrch_none"),
            "no environment": await ask(agent_id=listed, environment="nowhere"),
        }
    assert {name: answer.status_code for name, answer in answers.items()} == {
        "no key": 401,
        "shared": 200,
        "works once": 403,
        "elsewhere": 403,
        "at home": 200,
        "no branch": 404,
        "no environment": 404,
    }
    assert set(answers["at home"].json()) == {"token", "conversation_id"}
    assert {answer.headers["access-control-allow-origin"] for answer in answers.values()} == {"*"}


@BOTH
async def test_the_doctor_joins_a_room(settings: Settings, livekit: LiveKit) -> None:
    states = []
    for secret in (None, SecretStr("x" * 32), SecretStr(livekit.secret)):
        findings = await examine(with_livekit(settings, livekit, livekit_api_secret=secret))
        states += [(found.state, found.text) for found in findings if found.subject == "livekit"]
    assert [state for state, _ in states] == ["broken", "broken", "ok"]
    assert "set GREENLINE_LIVEKIT_API_SECRET." in states[0][1]


async def test_too_many_tokens_and_no_sdk(
    server: RunningServer, http: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent_id = await make_agent(http)
    statuses = [(await http.get(PATH, params={"agent_id": agent_id})).status_code for _ in range(2)]
    refused = await http.get(PATH, params={"agent_id": agent_id})
    await server.services.rooms.stop(0)
    server.services.rooms.start()
    monkeypatch.delitem(sys.modules, "greenline.channels.livekit.room")
    monkeypatch.setitem(sys.modules, "livekit", None)
    bare = await http.get(PATH, params={"agent_id": agent_id})
    assert statuses == [200, 200]
    assert (refused.status_code, refused.json()["detail"]["status"]) == (503, "too_many_rooms")
    assert bare.status_code == 501
    assert "pip install 'greenline[livekit]'" in bare.json()["detail"]["message"]

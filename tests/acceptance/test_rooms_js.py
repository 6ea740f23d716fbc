"""The official JavaScript client talks over WebRTC, in a room of a LiveKit server, in a real browser."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from greenline.clock import SystemClock
from greenline.settings import Settings
from support.browser import chromium
from support.embedded_voice import spoken, understood
from support.js_client import ARGUMENTS, JsClient, js_client
from support.livekit_real import BOTH, LiveKit, with_livekit
from support.server import RunningServer, run_server
from support.socket_agents import finished, make_agent

pytestmark = [pytest.mark.chromium, pytest.mark.javascript]
QUESTION = "When are you open?"


@pytest.fixture
async def server(settings: Settings, livekit: LiveKit) -> AsyncIterator[RunningServer]:
    own = with_livekit(settings, livekit).model_copy(update=understood(QUESTION))
    async with run_server(own, SystemClock()) as running:
        yield running


@pytest.fixture
async def js(server: RunningServer) -> AsyncIterator[JsClient]:
    async with chromium(arguments=ARGUMENTS) as browser, js_client(browser, server.url) as client:
        yield client


@BOTH
async def test_a_person_writes_in_a_room(
    server: RunningServer, http: httpx2.AsyncClient, livekit: LiveKit, js: JsClient
) -> None:
    """They publish nothing, so that the LiveKit server tells late of them."""
    agent_id = await make_agent(http)
    conversation_id = await js.start(agentId=agent_id, textOnly=True, **room(server, livekit))
    await js.call("sendUserMessage", "Hi")
    await js.wait("onMessage", "it.message === 'You said Hi'")
    await js.call("endSession")
    await finished(http, conversation_id)


@BOTH
async def test_a_person_speaks_in_a_room(
    server: RunningServer, http: httpx2.AsyncClient, livekit: LiveKit, js: JsClient
) -> None:
    agent_id = await make_agent(http, "offline: when open -> say We open at nine in the morning.", text_only=False)
    conversation_id = await js.start(agentId=agent_id, **room(server, livekit))
    assert conversation_id.startswith("conv_")
    await js.wait("onMessage", "it.message === 'Hello!'")
    await js.ask(await spoken(QUESTION))
    heard = await js.wait("onMessage", "it.role === 'user'")
    assert heard["message"] == QUESTION
    await js.listen("We open at nine in the morning.")
    await js.call("endSession")
    shown = await finished(http, conversation_id)
    assert shown["metadata"]["authorization_method"] == "livekit_token"
    assert shown["metadata"]["conversation_initiation_source"] == "js_sdk"
    assert shown["metadata"]["termination_reason"] == "Client disconnected"


def room(server: RunningServer, livekit: LiveKit) -> dict[str, Any]:
    """Options of the client."""
    return {"connectionType": "webrtc", "origin": server.url, "livekitUrl": livekit.url}

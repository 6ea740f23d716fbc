"""The official JavaScript client talks over WebRTC, in a room of a LiveKit server, in a real browser."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from greenline.clock import SystemClock
from greenline.settings import Settings
from support.browser import chromium
from support.embedded_voice import spoken
from support.http import http_client
from support.js_client import ARGUMENTS, js_client
from support.livekit_server import livekit_server
from support.server import run_server
from support.socket_agents import finished, make_agent

pytestmark = [pytest.mark.chromium, pytest.mark.javascript]


async def test_a_person_speaks_in_a_room(settings: Settings) -> None:
    async with livekit_server() as livekit:
        update = {
            "livekit_url": livekit.url,
            "livekit_api_key": livekit.key,
            "livekit_api_secret": SecretStr(livekit.secret),
        }
        async with (
            run_server(settings.model_copy(update=update), SystemClock()) as server,
            http_client(server.url, server.api_key) as http,
            chromium(arguments=ARGUMENTS) as browser,
            js_client(browser, server.url) as js,
        ):
            agent_id = await make_agent(
                http, "offline: when open -> say We open at nine in the morning.", text_only=False
            )
            room: dict[str, Any] = {"connectionType": "webrtc", "origin": server.url, "livekitUrl": livekit.url}
            conversation_id = await js.start(agentId=agent_id, **room)
            assert conversation_id.startswith("conv_")
            await js.wait("onMessage", "it.message === 'Hello!'")
            await js.speak(await spoken("When are you open?"))
            heard = await js.wait("onMessage", "it.role === 'user'")
            assert heard["message"] == "When are you open?"
            await js.wait("onMessage", "it.message === 'We open at nine in the morning.'")
            volume = await js.page.wait_for_function("() => window.conversation.getOutputVolume() > 0")
            assert await volume.json_value() is True
            await js.call("endSession")
            shown = await finished(http, conversation_id)
    assert shown["metadata"]["authorization_method"] == "livekit_token"
    assert shown["metadata"]["conversation_initiation_source"] == "js_sdk"
    assert shown["metadata"]["termination_reason"] == "Client disconnected"

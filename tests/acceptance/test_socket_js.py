"""The official JavaScript client holds a conversation, on a page of another site in a real browser."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from greenline.clock import SystemClock
from greenline.settings import Settings
from greenline.speech.models import HEARING_RATE
from greenline.speech.resample import resample
from greenline.speech.wav import encode_wav
from support.embedded_voice import spoken
from support.js_client import js_client
from support.server import RunningServer, run_server
from support.socket_agents import client_tool, finished, make_agent

MICROPHONE_RATE = 48_000

pytestmark = [pytest.mark.chromium, pytest.mark.timeout(180)]

TOOLS = (
    'offline: when price -> call price {"what": "tea"}\n'
    "offline: after price -> say It costs {result}\n"
    r"offline: when ^(.+)$ -> say You said \1"
)


def seconds_of_silence(seconds: int) -> bytes:
    return bytes(MICROPHONE_RATE * 2 * seconds)


async def test_a_chat_with_tools_files_and_feedback(server: RunningServer, http: httpx2.AsyncClient) -> None:
    agent_id = await make_agent(
        http,
        TOOLS,
        tools=[client_tool("price", expects_response=True)],
        platform={"auth": {"allowlist": [{"hostname": "localhost:3000"}], "require_origin_header": True}},
    )
    async with js_client(server.url) as js:
        conversation_id = await js.start(agentId=agent_id, textOnly=True, userId="ann", tools={"price": {"euros": 4}})
        await js.wait("onMessage", "it.message === 'Hello!'")
        await js.call("sendUserMessage", "Do you have oolong?")
        answer = await js.wait("onMessage", "it.message === 'You said Do you have oolong?'")
        assert answer["role"] == "agent"
        await js.wait("onAgentChatResponsePart", "it.type === 'stop'")
        await js.call("sendUserMessage", "price")
        await js.wait("tool", "it.parameters.what === 'tea'")
        await js.wait("onMessage", """it.message === 'It costs {"euros":4}'""")
        await js.call("sendContextualUpdate", "The page shows teapots.")
        await js.page.evaluate("() => window.conversation.sendFeedback(true)")
        file_id = await js.page.evaluate(
            """async () => (await window.conversation.uploadFile(
                 new File(["green tea"], "tea.txt", { type: "text/plain" }))).fileId"""
        )
        await js.call("sendMultimodalMessage", {"text": "What is in it?", "fileIds": [file_id]})
        await js.wait("onMessage", "it.message === 'You said What is in it?'")
        await js.call("endSession")
        assert (await js.wait("onDisconnect"))["reason"] == "user"
    shown = await finished(http, conversation_id)
    assert shown["metadata"]["conversation_initiation_source"] == "js_sdk"
    assert shown["metadata"]["feedback"]["likes"] == 1


async def test_refusals_are_shown_to_the_person(server: RunningServer, http: httpx2.AsyncClient) -> None:
    agent_id = await make_agent(http, first_message="Hello {{name}}")
    closed = await make_agent(http, platform={"auth": {"enable_auth": True}})
    async with js_client(server.url) as js:
        missing = await js.refusal(agentId=agent_id, textOnly=True)
        refused = await js.refusal(agentId=closed, textOnly=True)
    assert missing == "Missing required dynamic variables in first message: {'name'}"
    assert "authorization" in refused


async def test_a_person_speaks_on_a_page(settings: Settings, tmp_path: Path) -> None:
    """The browser's microphone is a recording: silence for the greeting, then a question, then silence."""
    question = resample(await spoken("When are you open?"), HEARING_RATE, MICROPHONE_RATE)
    recording = tmp_path / "microphone.wav"
    recording.write_bytes(encode_wav(seconds_of_silence(4) + question + seconds_of_silence(60), MICROPHONE_RATE))
    microphone = (
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={recording}%noloop",
        "--autoplay-policy=no-user-gesture-required",
    )
    async with (
        run_server(settings, SystemClock()) as server,
        httpx2.AsyncClient(base_url=server.url, headers={"xi-api-key": server.api_key}, trust_env=False) as http,
        js_client(server.url, *microphone) as js,
    ):
        agent_id = await make_agent(
            http, "offline: when open -> say We open at nine in the morning.", text_only=False
        )
        await js.start(agentId=agent_id)
        await js.wait("onMessage", "it.message === 'Hello!'")
        await js.wait("onModeChange", "it.mode === 'speaking'")
        heard = await js.wait("onMessage", "it.role === 'user'")
        assert heard["message"] == "When are you open?"
        await js.wait("onMessage", "it.message === 'We open at nine in the morning.'")
        volume = await js.page.wait_for_function("() => window.conversation.getOutputVolume() > 0")
        assert await volume.json_value() is True
        await js.call("endSession")

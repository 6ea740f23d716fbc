"""The official JavaScript client holds a conversation, on a page of another site in a real browser."""

from __future__ import annotations

import httpx2
import pytest

from support.js_client import js_client
from support.server import RunningServer
from support.socket_agents import client_tool, finished, make_agent

pytestmark = [pytest.mark.chromium, pytest.mark.timeout(180)]

TOOLS = (
    'offline: when price -> call price {"what": "tea"}\n'
    "offline: after price -> say It costs {result}\n"
    r"offline: when ^(.+)$ -> say You said \1"
)


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

"""The official Python client holds a conversation by text."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import httpx2
import pytest
from elevenlabs import ElevenLabs

from greenline.clock import ManualClock
from greenline.conversations.lifecycle import MAX_DURATION
from support.fake_llm import fake_llm, says
from support.sdk_conversation import (
    AgentChatResponsePartType,
    AsyncConversation,
    ClientTools,
    Conversation,
    ConversationInitiationData,
    DisconnectionDetails,
)
from support.server import RunningServer
from support.socket_agents import client_tool, finished, make_agent, overrides
from support.wait import eventually


@dataclass
class Heard:
    """What the callbacks were given."""

    answers: list[str] = field(default_factory=list)
    parts: list[tuple[str, AgentChatResponsePartType]] = field(default_factory=list)
    ends: list[DisconnectionDetails] = field(default_factory=list)

    async def answer(self, text: str) -> None:
        self.answers.append(text)

    async def part(self, text: str, kind: AgentChatResponsePartType) -> None:
        self.parts.append((text, kind))

    async def end(self, details: DisconnectionDetails) -> None:
        self.ends.append(details)


@pytest.fixture
async def sdk(server: RunningServer) -> AsyncIterator[ElevenLabs]:
    """The client with a key; its own connection is for signed URLs."""
    with httpx.Client(trust_env=False, timeout=30) as transport:
        yield ElevenLabs(base_url=server.url, api_key=server.api_key, httpx_client=transport)


def conversation(sdk: ElevenLabs, agent_id: str, heard: Heard, **more: Any) -> AsyncConversation:
    return AsyncConversation(
        sdk,
        agent_id,
        user_id="ann",
        callback_agent_response=heard.answer,
        callback_agent_chat_response_part=heard.part,
        callback_disconnect=heard.end,
        **{"requires_auth": False, **more},
    )


async def test_a_chat(sdk: ElevenLabs, http: httpx2.AsyncClient) -> None:
    agent_id = await make_agent(http)
    heard = Heard()
    talk = conversation(sdk, agent_id, heard)
    await talk.start_session()
    await eventually(lambda: heard.answers == ["Hello!"])
    await talk.send_user_message("Do you have oolong?")
    await eventually(lambda: heard.answers[-1] == "You said Do you have oolong?")
    assert heard.parts[-1][1] is AgentChatResponsePartType.STOP
    assert "".join(text for text, _ in heard.parts).endswith("You said Do you have oolong?")
    await talk.register_user_activity()
    await talk.send_contextual_update("The person looks at teapots.")
    await talk.end_session()
    conversation_id = await talk.wait_for_session_end()
    assert conversation_id is not None
    shown = await finished(http, conversation_id)
    assert shown["metadata"]["conversation_initiation_source"] == "python_sdk"
    assert [details.reason for details in heard.ends] == ["user"]


async def test_a_signed_conversation_with_tools(sdk: ElevenLabs, http: httpx2.AsyncClient) -> None:
    prompt = 'offline: when price -> call price {"what": "tea"}\noffline: after price -> say It costs {result}'
    agent_id = await make_agent(
        http, prompt, tools=[client_tool("price", expects_response=True)], platform={"auth": {"enable_auth": True}}
    )
    asked: list[dict[str, Any]] = []

    async def price(parameters: dict[str, Any]) -> str:
        asked.append(parameters)
        return "4 euros"

    heard, tools = Heard(), ClientTools(asyncio.get_running_loop())
    tools.register("price", price, is_async=True)
    talk = conversation(sdk, agent_id, heard, requires_auth=True, client_tools=tools)
    await talk.start_session()
    await eventually(lambda: bool(heard.answers))
    await talk.send_user_message("price?")
    await eventually(lambda: "It costs 4 euros" in heard.answers)
    assert asked[0]["what"] == "tea"
    await talk.end_session()
    await talk.wait_for_session_end()


async def test_the_client_with_threads(sdk: ElevenLabs, http: httpx2.AsyncClient) -> None:
    prompt = 'offline: when price -> call price {"what": "tea"}\noffline: after price -> say It costs {result}'
    agent_id = await make_agent(http, prompt, tools=[client_tool("price", expects_response=True)])
    answers: list[str] = []
    ends: list[DisconnectionDetails] = []
    tools = ClientTools()
    tools.register("price", lambda parameters: f"4 euros for {parameters['what']}")
    talk = Conversation(
        sdk,
        agent_id,
        requires_auth=False,
        client_tools=tools,
        callback_agent_response=answers.append,
        callback_disconnect=ends.append,
    )
    await asyncio.to_thread(talk.start_session)
    await eventually(lambda: answers == ["Hello!"])
    await asyncio.to_thread(talk.send_user_message, "price?")
    await eventually(lambda: answers[-1] == "It costs 4 euros for tea")
    await asyncio.to_thread(talk.end_session)
    assert await asyncio.to_thread(talk.wait_for_session_end)
    assert [details.reason for details in ends] == ["user"]


async def test_a_refused_start_is_an_error_with_a_reason(sdk: ElevenLabs, http: httpx2.AsyncClient) -> None:
    agent_id = await make_agent(http, platform=overrides(agent={"language": True}))
    heard = Heard()
    config = ConversationInitiationData(conversation_config_override={"agent": {"first_message": "No"}})
    talk = conversation(sdk, agent_id, heard, config=config)
    await talk.start_session()
    await eventually(lambda: bool(heard.ends))
    assert (heard.ends[0].reason, heard.ends[0].close_code) == ("error", 1008)
    assert heard.ends[0].close_reason == "Override for field 'first_message' is not allowed by config."


async def test_a_shorter_conversation_where_the_agent_allows_it(
    sdk: ElevenLabs, http: httpx2.AsyncClient, clock: ManualClock
) -> None:
    agent_id = await make_agent(http, platform=overrides(conversation={"max_duration_seconds": True}))
    closed = await make_agent(http)
    config = ConversationInitiationData(conversation_config_override={"conversation": {"max_duration_seconds": 30}})
    heard, refused = Heard(), Heard()
    talk, other = conversation(sdk, agent_id, heard, config=config), conversation(sdk, closed, refused, config=config)
    await talk.start_session()
    await eventually(lambda: heard.answers == ["Hello!"])
    clock.advance(timedelta(seconds=30))
    await eventually(lambda: bool(heard.ends))
    assert (heard.ends[0].reason, heard.ends[0].close_reason) == ("agent", MAX_DURATION)
    await other.start_session()
    await eventually(lambda: bool(refused.ends))
    assert refused.ends[0].close_reason == "Override for field 'max_duration_seconds' is not allowed by config."


async def test_more_for_the_agents_own_model(sdk: ElevenLabs, http: httpx2.AsyncClient) -> None:
    config = ConversationInitiationData(extra_body={"customer": {"tier": 2}})
    async with fake_llm(says("From the fake")) as llm:
        own = {"llm": "custom-llm", "custom_llm": {"url": llm.url}}
        platform = {"overrides": {"custom_llm_extra_body": True}}
        agent_id = await make_agent(http, agent={"prompt": own}, platform=platform)
        heard = Heard()
        talk = conversation(sdk, agent_id, heard, config=config)
        await talk.start_session()
        await eventually(lambda: heard.answers == ["Hello!"])
        await talk.send_user_message("Who are you?")
        await eventually(lambda: heard.answers[-1] == "From the fake")
        await talk.end_session()
        await talk.wait_for_session_end()
    assert llm.seen[-1].body["elevenlabs_extra_body"] == {"customer": {"tier": 2}}
    closed, refused = await make_agent(http), Heard()
    await conversation(sdk, closed, refused, config=config).start_session()
    await eventually(lambda: bool(refused.ends))
    assert refused.ends[0].close_reason == "Override for field 'custom_llm_extra_body' is not allowed by config."


async def test_text_without_a_text_agent(sdk: ElevenLabs, http: httpx2.AsyncClient) -> None:
    """Without an audio interface the client asks for text at the top of the override; the agent allows it."""
    agent_id = await make_agent(http, text_only=False, platform=overrides(conversation={"text_only": True}))
    heard = Heard()
    talk = conversation(sdk, agent_id, heard)
    await talk.start_session()
    await eventually(lambda: heard.answers == ["Hello!"])
    await talk.end_session()
    conversation_id = await talk.wait_for_session_end()
    assert conversation_id is not None
    assert (await finished(http, conversation_id))["metadata"]["text_only"] is True

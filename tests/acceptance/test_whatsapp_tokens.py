"""Tokens of numbers die, and are replaced while the number is at work."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from elevenlabs.client import AsyncElevenLabs

from greenline.settings import Settings
from support.graph_stand_in import IMPORT, NUMBER, TOKEN, GraphStandIn, asking, connect
from support.wait import eventually, until
from support.webhooks import deliver

ACCOUNTS = "/v1/convai/whatsapp-accounts"


@pytest.fixture
def meta() -> GraphStandIn:
    """Meta's side."""
    return GraphStandIn()


@pytest.fixture
async def settings(settings: Settings, meta: GraphStandIn) -> AsyncIterator[Settings]:
    """The server of these tests asks the stand-in, and keeps a number for long."""
    async with asking(meta, settings, sender_linger_seconds=600.0) as changed:
        yield changed


@pytest.fixture
async def agent_id(client: AsyncElevenLabs, http: httpx2.AsyncClient) -> str:
    """An agent that answers a connected number."""
    await connect(http)
    agent = await client.conversational_ai.agents.create(conversation_config={})
    await client.conversational_ai.whatsapp_accounts.update(NUMBER, assigned_agent_id=agent.agent_id)
    agent_id: str = agent.agent_id
    return agent_id


async def say(http: httpx2.AsyncClient, wamid: str, person: str) -> None:
    """A person writes."""
    text = {"id": wamid, "from": person, "timestamp": "1767600000", "type": "text", "text": {"body": "Are you open?"}}
    await deliver(http, messages=[text])


async def is_expired(http: httpx2.AsyncClient) -> Any:
    return (await http.get(f"{ACCOUNTS}/{NUMBER}")).json()["is_token_expired"]


@pytest.mark.usefixtures("agent_id")
async def test_a_token_is_replaced_while_the_number_is_in_use(http: httpx2.AsyncClient, meta: GraphStandIn) -> None:
    await say(http, "wamid.1", "15551230001")
    await eventually(lambda: len(meta.sent) == 1)

    meta.tokens.add("EAAnew")
    assert (await http.post(ACCOUNTS, json={**IMPORT, "access_token": "EAAnew"})).status_code == 200
    meta.tokens.discard(TOKEN)
    await say(http, "wamid.2", "15551230002")

    await eventually(lambda: len(meta.sent) == 2)
    assert not await is_expired(http)


@pytest.mark.usefixtures("agent_id")
async def test_what_met_a_dead_token_leaves_when_there_is_a_new_one(
    http: httpx2.AsyncClient, meta: GraphStandIn
) -> None:
    await say(http, "wamid.1", "15551230001")
    await eventually(lambda: len(meta.sent) == 1)

    meta.tokens = {"EAAnew"}
    await say(http, "wamid.2", "15551230002")
    await until(lambda: is_expired(http))
    assert (await http.post(ACCOUNTS, json={**IMPORT, "access_token": "EAAnew"})).status_code == 200

    await eventually(lambda: len(meta.sent) == 2)
    assert not await is_expired(http)


async def test_a_token_that_can_not_read_templates_is_shown_as_expired(
    http: httpx2.AsyncClient, meta: GraphStandIn, agent_id: str
) -> None:
    meta.tokens.clear()
    message = {
        "whatsapp_phone_number_id": NUMBER,
        "whatsapp_user_id": "15551230000",
        "template_name": "welcome",
        "template_language_code": "en",
        "template_params": [],
        "agent_id": agent_id,
    }
    answer = await http.post("/v1/convai/whatsapp/outbound-message", json=message)
    assert answer.status_code == 400
    assert answer.json()["detail"]["meta_code"] == 190
    assert await is_expired(http)

"""Secrets on their way: from the API to the request that needs them, and to nowhere else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from elevenlabs.client import AsyncElevenLabs
from elevenlabs.core import ApiError
from elevenlabs.environment_variables.types.environment_variables_create_request_body import (
    EnvironmentVariablesCreateRequestBody_String as StringVariable,
)

from greenline.settings import Settings
from support.database import all_text
from support.fake_llm import FakeLlm, fake_llm, says
from support.graph_stand_in import NUMBER, WELCOME, GraphStandIn, asking, connect
from support.server import RunningServer
from support.wait import until
from support.webhooks import deliver

KEY = "sk-the-key-of-the-model"
VARIABLE = "the-token-of-this-person"


@pytest.fixture
def meta() -> GraphStandIn:
    return GraphStandIn(templates=[WELCOME])


@pytest.fixture
async def model() -> AsyncIterator[FakeLlm]:
    async with fake_llm(says("We close at six.")) as server:
        yield server


@pytest.fixture
async def settings(settings: Settings, meta: GraphStandIn) -> AsyncIterator[Settings]:
    async with asking(meta, settings) as changed:
        yield changed


@pytest.fixture
async def agent_id(client: AsyncElevenLabs, http: httpx2.AsyncClient, model: FakeLlm) -> str:
    """An agent with its own model on a connected number; it needs a secret and a secret variable."""
    await connect(http)
    secret_id = (await client.conversational_ai.secrets.create(name="k", value=KEY)).secret_id
    headers = {
        "X-Plain": "{{secret__token}}",
        "X-Person": {"variable_name": "secret__token"},
        "X-Name": {"variable_name": "name"},
    }
    custom = {"url": model.url, "api_key": {"secret_id": secret_id}, "request_headers": headers}
    prompt = {"prompt": "You sell roses to {{name}}.", "llm": "custom-llm", "custom_llm": custom}
    config: Any = {"agent": {"prompt": prompt}}
    made = await client.conversational_ai.agents.create(name="Rosie", conversation_config=config)
    agent_id: str = made.agent_id
    return agent_id


async def start(client: AsyncElevenLabs, agent_id: str, environment: str | None = None, **variables: Any) -> str:
    started = await client.conversational_ai.whatsapp.outbound_message(
        whatsapp_phone_number_id=NUMBER,
        whatsapp_user_id="4915112345678",
        template_name="welcome",
        template_language_code="en",
        template_params=[],
        agent_id=agent_id,
        conversation_initiation_client_data={"dynamic_variables": variables, "environment": environment},
    )
    conversation_id: str = started.conversation_id
    return conversation_id


async def reply(http: httpx2.AsyncClient, wamid: str = "wamid.IN1") -> None:
    message = {"from": "4915112345678", "id": wamid, "timestamp": "1767600000", "type": "text"}
    await deliver(http, messages=[{**message, "text": {"body": "When do you close?"}}])


async def test_secrets_reach_the_model_and_lie_nowhere_in_clear(
    client: AsyncElevenLabs,
    http: httpx2.AsyncClient,
    server: RunningServer,
    meta: GraphStandIn,
    model: FakeLlm,
    agent_id: str,
) -> None:
    conversation_id = await start(client, agent_id, name="Ann", secret__token=VARIABLE)
    await reply(http)

    async def answered() -> bool:
        return len(meta.sent) == 2

    await until(answered)
    (seen,) = model.seen
    sent = {name: seen.headers[name] for name in ("authorization", "x-person", "x-name", "x-plain")}
    assert sent == {
        "authorization": f"Bearer {KEY}",
        "x-person": VARIABLE,
        "x-name": "Ann",
        "x-plain": "{{secret__token}}",
    }
    assert VARIABLE not in str(seen.body)

    held = await all_text(server.services.pool)
    assert "You sell roses" in held
    assert (KEY in held, VARIABLE in held) == (False, False)
    answer = await http.get(f"/v1/convai/conversations/{conversation_id}")
    assert answer.json()["conversation_initiation_client_data"]["dynamic_variables"]["name"] == "Ann"
    assert "secret__token" not in answer.text


async def test_a_secret_that_is_gone_fails_the_turn_and_not_the_conversation(
    client: AsyncElevenLabs,
    http: httpx2.AsyncClient,
    server: RunningServer,
    meta: GraphStandIn,
    model: FakeLlm,
    agent_id: str,
) -> None:
    conversation_id = await start(client, agent_id, name="Ann", secret__token=VARIABLE)
    gone = await server.services.pool.fetchrow("delete from workspace_secret returning *")
    assert gone is not None
    await reply(http)

    async def told() -> list[Any]:
        return meta.sent[1:]

    (apology,) = await until(told)
    assert apology["text"]["body"] == server.services.settings.failure_message
    found = await client.conversational_ai.conversations.get(conversation_id)
    assert found.status == "in-progress"
    assert found.metadata.warnings is not None
    assert f"custom_llm.api_key: the workspace has no secret {gone['id']}" in found.metadata.warnings[0]
    assert model.seen == []


@pytest.mark.parametrize(
    ("given", "missing"),
    [({}, ["name", "secret__token"]), ({"name": "Ann"}, ["secret__token"])],
)
async def test_a_start_without_what_the_agent_uses_is_refused(
    client: AsyncElevenLabs, server: RunningServer, meta: GraphStandIn, agent_id: str, given: Any, missing: list[str]
) -> None:
    with pytest.raises(ApiError) as refused:
        await start(client, agent_id, **given)

    assert refused.value.status_code == 400
    detail = refused.value.body["detail"]
    assert (detail["status"], detail["variables"]) == ("missing_dynamic_variable", missing)
    assert await server.services.pool.fetchval("select count(*) from conversation") == 0
    assert meta.sent == []


async def test_a_conversation_has_the_values_of_its_environment(
    client: AsyncElevenLabs, http: httpx2.AsyncClient, meta: GraphStandIn, model: FakeLlm, agent_id: str
) -> None:
    variable = StringVariable(label="season", values={"production": "spring", "test": "winter"})
    await client.environment_variables.create(request=variable)
    config: Any = {"agent": {"prompt": {"prompt": "It is {{system__env_season}}, {{name}}."}}}
    await client.conversational_ai.agents.update(agent_id, conversation_config=config)
    given = {"name": "Ann", "secret__token": VARIABLE}

    conversation_id = await start(client, agent_id, environment="test", **given)
    await reply(http)

    async def answered() -> bool:
        return len(meta.sent) == 2

    await until(answered)
    assert "It is winter, Ann." in str(model.seen[0].body)
    assert (await client.conversational_ai.conversations.get(conversation_id)).environment == "test"
    with pytest.raises(ApiError) as refused:
        await start(client, agent_id, environment="nowhere", **given)
    assert refused.value.body["detail"]["status"] == "environment_not_found"


async def test_a_secret_variable_in_the_prompt_is_refused(client: AsyncElevenLabs, agent_id: str) -> None:
    config: Any = {"agent": {"prompt": {"prompt": "The token is {{secret__token}}."}}}
    await client.conversational_ai.agents.update(agent_id, conversation_config=config)

    with pytest.raises(ApiError) as refused:
        await start(client, agent_id, name="Ann", secret__token=VARIABLE)

    assert refused.value.body["detail"]["status"] == "secret_dynamic_variable"

"""Workspace secrets as a user of the official SDK meets them."""

from __future__ import annotations

from typing import Any

import elevenlabs.types as sdk
import httpx2
import pytest
from elevenlabs.client import AsyncElevenLabs
from elevenlabs.core import ApiError
from elevenlabs.errors import UnprocessableEntityError

from support.shapes import assert_complete

VALUE = "sk-nobody-may-read-this"


def own_model(**parts: Any) -> dict[str, Any]:
    """An agent with an endpoint of its own."""
    custom = {"url": "https://models.example.com/v1", **parts}
    return {"agent": {"prompt": {"prompt": "Hi", "llm": "custom-llm", "custom_llm": custom}}}


async def test_a_secret_lives_and_its_value_is_never_told(client: AsyncElevenLabs, http: httpx2.AsyncClient) -> None:
    secrets = client.conversational_ai.secrets
    made = await secrets.create(name="model key", value=VALUE)
    assert (made.type, made.name) == ("stored", "model key")

    changed = await secrets.update(made.secret_id, name="other name", value=VALUE)
    assert (changed.secret_id, changed.name) == (made.secret_id, "other name")
    one = await secrets.get(made.secret_id)
    assert (one.name, one.used_by.agents, one.used_by.tools, one.used_by.others) == ("other name", [], [], [])

    answers = [await http.get("/v1/convai/secrets"), await http.get(f"/v1/convai/secrets/{made.secret_id}")]
    assert_complete(sdk.GetWorkspaceSecretsResponseModel, answers[0].json())
    assert_complete(sdk.ConvAiWorkspaceStoredSecretConfig, answers[1].json())
    assert all(VALUE not in answer.text for answer in answers)

    await secrets.delete(made.secret_id)
    with pytest.raises(ApiError) as gone:
        await secrets.get(made.secret_id)
    assert gone.value.status_code == 404
    assert (await secrets.list()).secrets == []


async def test_the_list_has_pages(client: AsyncElevenLabs) -> None:
    secrets = client.conversational_ai.secrets
    for number in range(3):
        await secrets.create(name=f"key {number}", value=VALUE)

    first = await secrets.list(page_size=2)
    rest = await secrets.list(page_size=2, cursor=first.next_cursor)

    assert rest.next_cursor is None
    names = [secret.name for secret in (*first.secrets, *rest.secrets)]
    assert sorted(names) == ["key 0", "key 1", "key 2"]
    assert [secret.name for secret in (await secrets.list(search="key 1")).secrets] == ["key 1"]
    with pytest.raises(UnprocessableEntityError):
        await secrets.list(cursor="nonsense")


async def test_a_used_secret_tells_of_its_agents_and_stays(client: AsyncElevenLabs, http: httpx2.AsyncClient) -> None:
    secrets, agents = client.conversational_ai.secrets, client.conversational_ai.agents
    secret_id = (await secrets.create(name="k", value=VALUE)).secret_id
    config = own_model(request_headers={"X-Key": {"secret_id": secret_id}})
    agent_id = (await agents.create(name="Shop", conversation_config=config)).agent_id

    used_by = (await secrets.get(secret_id)).used_by
    assert [(agent.id, agent.name, agent.access_level) for agent in used_by.agents] == [(agent_id, "Shop", "admin")]
    assert (await secrets.get_dependencies(secret_id, "agents")).dependencies[0].id == agent_id
    assert (await secrets.get_dependencies(secret_id, "tools")).dependencies == []
    raw = await http.get(f"/v1/convai/secrets/{secret_id}/dependencies/agents")
    assert_complete(sdk.GetSecretDependenciesResponseModel, raw.json())
    with pytest.raises(ApiError) as refused:
        await secrets.delete(secret_id)
    assert (refused.value.status_code, refused.value.body["detail"]["status"]) == (400, "secret_in_use")

    await agents.update(agent_id, conversation_config=own_model(request_headers={"X-Key": None}))
    await secrets.delete(secret_id)


async def test_an_agent_may_not_name_an_unknown_secret(client: AsyncElevenLabs) -> None:
    agents = client.conversational_ai.agents
    config = own_model(api_key={"secret_id": "secret_none"})
    place = ["body", "conversation_config", "agent", "prompt", "custom_llm", "api_key", "secret_id"]

    with pytest.raises(UnprocessableEntityError) as refused:
        await agents.create(conversation_config=config)
    assert refused.value.body["detail"][0]["loc"] == place
    agent_id = (await agents.create(conversation_config=own_model())).agent_id
    with pytest.raises(UnprocessableEntityError) as refused:
        await agents.update(agent_id, conversation_config=config)
    assert refused.value.body["detail"][0]["loc"] == place


async def test_a_refused_body_is_not_repeated(http: httpx2.AsyncClient) -> None:
    wrong = ({"value": VALUE}, {"name": "k", "value": [VALUE]}, {"name": "", "value": VALUE})
    for body in (*wrong, {"name": "k", "value": f"{VALUE}\0"}):
        answer = await http.post("/v1/convai/secrets", json=body)
        assert answer.status_code == 422
        assert VALUE not in answer.text


async def test_unknown_secrets_are_not_found(http: httpx2.AsyncClient) -> None:
    path = "/v1/convai/secrets/secret_none"
    answers = [
        await http.get(path),
        await http.patch(path, json={"name": "n", "value": "v"}),
        await http.delete(path),
        await http.get(f"{path}/dependencies/agents"),
    ]
    assert {(answer.status_code, answer.json()["detail"]["status"]) for answer in answers} == {
        (404, "secret_not_found")
    }

"""Agents as a user of the official SDK meets them."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import elevenlabs.types as sdk
import httpx2
import pytest
from elevenlabs.client import AsyncElevenLabs
from elevenlabs.core import ApiError
from elevenlabs.errors import UnprocessableEntityError

from greenline.workspaces import service as workspaces
from support.http import http_client
from support.server import RunningServer
from support.shapes import assert_complete

PROMPT = {"prompt": "You answer for a tea shop.", "llm": "gpt-4o", "tool_ids": ["a", "b"]}


async def create(client: AsyncElevenLabs, name: str = "Shop", **parts: Any) -> str:
    agents = client.conversational_ai.agents
    created = await agents.create(name=name, conversation_config=parts.pop("conversation_config", {}), **parts)
    agent_id: str = created.agent_id
    return agent_id


async def raw(http: httpx2.AsyncClient, path: str, **params: Any) -> Any:
    """The JSON of an answer as it came over the wire."""
    response = await http.get(f"/v1/convai/agents{path}", params=params)
    assert response.status_code == 200, response.text
    return response.json()


async def test_an_agent_reads_back_complete(client: AsyncElevenLabs, http: httpx2.AsyncClient) -> None:
    agent_id = await create(client, tags=["a"], conversation_config={"agent": {"prompt": PROMPT}})

    agent = await client.conversational_ai.agents.get(agent_id)
    assert (agent.agent_id, agent.name, agent.tags) == (agent_id, "Shop", ["a"])
    assert agent.conversation_config.agent.prompt.prompt == PROMPT["prompt"]
    assert agent.conversation_config.tts.voice_id == "cjVigY5qzO86Huf0OWal"
    assert agent.platform_settings.call_limits.daily_limit == 100000
    assert agent.platform_settings.safety.is_blocked_ivc is False
    assert agent.workflow.nodes["start_node"].type == "start"
    assert agent.access_info.role == "admin"
    assert agent.branch_id == agent.main_branch_id
    assert agent.whatsapp_accounts == agent.phone_numbers == []
    assert_complete(sdk.GetAgentResponseModel, await raw(http, f"/{agent_id}"))


async def test_what_is_read_can_be_sent_again(client: AsyncElevenLabs, http: httpx2.AsyncClient) -> None:
    first = await raw(http, f"/{await create(client, conversation_config={'agent': {'prompt': PROMPT}})}")
    parts = {name: first[name] for name in ("conversation_config", "platform_settings", "workflow")}

    second = await raw(http, f"/{await create(client, **parts)}")

    assert {name: second[name] for name in parts} == parts


async def test_an_update_merges_and_makes_a_version(client: AsyncElevenLabs) -> None:
    agents = client.conversational_ai.agents
    agent_id = await create(client, conversation_config={"agent": {"prompt": PROMPT}})
    before = await agents.get(agent_id)

    after = await agents.update(
        agent_id,
        conversation_config={"agent": {"prompt": {"tool_ids": ["c"], "temperature": None}}},
        platform_settings={"auth": {"enable_auth": True}},
        name="Tea shop",
        version_description="why",
    )

    prompt = after.conversation_config.agent.prompt
    assert (prompt.prompt, prompt.tool_ids, prompt.temperature) == (PROMPT["prompt"], ["c"], None)
    assert after.platform_settings.auth.enable_auth is True
    assert after.name == "Tea shop"
    assert after.version_id != before.version_id
    old = await agents.get(agent_id, version_id=before.version_id)
    assert old.conversation_config.agent.prompt.tool_ids == ["a", "b"]
    version = await agents.versions.get(agent_id, after.version_id)
    assert (version.version_description, version.seq_no_in_branch) == ("why", 2)
    assert version.parents.in_branch_parent_id == before.version_id


async def test_settings_objects_of_the_sdk_are_accepted(client: AsyncElevenLabs) -> None:
    config = sdk.ConversationalConfig(
        agent=sdk.AgentConfig(first_message="Hi", language="en"),
        tts=sdk.TtsConversationalConfigOutput(speed=1.1),
    )
    agent_id = await create(client, conversation_config=config)

    agent = await client.conversational_ai.agents.get(agent_id)

    assert agent.conversation_config.agent.first_message == "Hi"
    assert agent.conversation_config.tts.speed == 1.1


async def test_an_object_of_the_sdk_can_be_sent_back(client: AsyncElevenLabs) -> None:
    agents = client.conversational_ai.agents
    agent_id = await create(client, conversation_config={"agent": {"prompt": PROMPT}})
    agent = await agents.get(agent_id)

    again = await agents.update(
        agent_id,
        conversation_config=agent.conversation_config,
        platform_settings=agent.platform_settings,
        workflow=agent.workflow,
    )

    assert again.conversation_config == agent.conversation_config
    assert again.platform_settings == agent.platform_settings
    assert again.workflow == agent.workflow


async def test_lists_go_page_by_page(client: AsyncElevenLabs, http: httpx2.AsyncClient) -> None:
    created = {await create(client, name=f"page {number}", tags=["paged"]) for number in range(5)}
    agents = client.conversational_ai.agents

    seen: list[str] = []
    cursor = None
    while True:
        page = await agents.list(page_size=2, tags=["paged"], sort_by="name", sort_direction="asc", cursor=cursor)
        seen.extend(line.name for line in page.agents)
        cursor = page.next_cursor
        if not page.has_more:
            break

    assert seen == [f"page {number}" for number in range(5)]
    assert cursor is None
    whole = await raw(http, "", search="PAGE", tags=["paged", "other"], created_by_user_id="@me")
    assert {line["agent_id"] for line in whole["agents"]} == created
    assert_complete(sdk.GetAgentsPageResponseModel, whole)


@pytest.mark.parametrize(
    "params",
    [{"cursor": "bad"}, {"page_size": 0}, {"page_size": 101}, {"sort_by": "age"}, {"archived": "perhaps"}],
    ids=lambda params: next(iter(params)),
)
async def test_bad_list_parameters_are_refused(client: AsyncElevenLabs, params: dict[str, Any]) -> None:
    with pytest.raises(UnprocessableEntityError) as error:
        await client.conversational_ai.agents.list(**params)

    (problem,) = error.value.body["detail"]
    assert problem["loc"] == ["query", next(iter(params))]
    assert {"msg", "type", "input"} <= problem.keys()


async def test_archived_agents(client: AsyncElevenLabs) -> None:
    shown = await create(client, tags=["t"])
    hidden = await create(client, tags=["t"], platform_settings={"archived": True})

    async def listed(**which: Any) -> set[str]:
        page = await client.conversational_ai.agents.list(tags=["t"], **which)
        return {line.agent_id for line in page.agents}

    assert await listed(archived=True) == {hidden}
    assert await listed(archived=False) == {shown}
    assert await listed() == {shown, hidden}


async def test_summaries_succeed_and_fail_by_id(client: AsyncElevenLabs, http: httpx2.AsyncClient) -> None:
    agent_id = await create(client)

    answer = await raw(http, "/summaries", agent_ids=[agent_id, "agent_unknown"])

    assert_complete(sdk.AgentSummaryBatchSuccessfulResponseModel, answer[agent_id])
    assert_complete(sdk.BatchFailureResponseModel, answer["agent_unknown"])
    assert (answer[agent_id]["status"], answer["agent_unknown"]["status"]) == ("success", "failure")
    assert answer["agent_unknown"]["error_code"] == 404
    found = await client.conversational_ai.agents.summaries.get(agent_ids=agent_id)
    assert found[agent_id].data.name == "Shop"


async def test_a_duplicate_and_its_deletion(client: AsyncElevenLabs) -> None:
    agents = client.conversational_ai.agents
    agent_id = await create(client, conversation_config={"agent": {"prompt": PROMPT}})

    copy_id = (await agents.duplicate(agent_id, name="Copy")).agent_id
    copy = await agents.get(copy_id)
    assert (copy.name, copy.conversation_config.agent.prompt.llm) == ("Copy", "gpt-4o")

    await agents.delete(copy_id)
    with pytest.raises(ApiError) as error:
        await agents.get(copy_id)
    assert error.value.status_code == 404
    assert error.value.body["detail"]["status"] == "agent_not_found"


async def test_a_sub_agent_is_deleted_by_force(client: AsyncElevenLabs) -> None:
    agents = client.conversational_ai.agents
    sub = await create(client, name="Sub")
    transfers = {"transfer_to_agent": {"name": "t", "params": {"transfers": [{"agent_id": sub, "condition": "c"}]}}}
    main = await create(client, name="Main", conversation_config={"agent": {"prompt": {"built_in_tools": transfers}}})

    with pytest.raises(ApiError) as error:
        await agents.delete(sub)
    assert error.value.status_code == 400
    assert error.value.body["detail"]["status"] == "agent_in_use"

    await agents.delete(sub, force=True)
    assert (await agents.get(main)).conversation_config.agent.prompt.built_in_tools.transfer_to_agent is None


async def test_branches_and_versions_are_complete(client: AsyncElevenLabs, http: httpx2.AsyncClient) -> None:
    agent_id = await create(client)
    await client.conversational_ai.agents.update(agent_id, version_description="second")

    branches = await raw(http, f"/{agent_id}/branches")
    branch = await raw(http, f"/{agent_id}/branches/{branches['results'][0]['id']}")

    assert_complete(sdk.ListResponseAgentBranchSummary, branches)
    assert_complete(sdk.AgentBranchResponse, branch)
    assert (branches["meta"]["total"], branches["results"][0]["name"]) == (1, "Main")
    assert branch["current_live_percentage"] == 100
    assert [version["version_description"] for version in branch["most_recent_versions"]] == ["second", ""]


async def refused(call: Awaitable[Any]) -> dict[str, Any]:
    """The first problem of a request that is answered with 422."""
    with pytest.raises(UnprocessableEntityError) as error:
        await call
    problem: dict[str, Any] = error.value.body["detail"][0]
    return problem


async def test_errors_of_a_new_agent_name_their_place(client: AsyncElevenLabs) -> None:
    problem = await refused(create(client, conversation_config={"tts": {"speed": 9}}))

    assert problem["loc"] == ["body", "conversation_config", "tts", "speed"]
    assert (problem["type"], problem["input"]) == ("less_than_equal", 9)


async def test_errors_of_an_update_name_their_place(client: AsyncElevenLabs) -> None:
    agent_id = await create(client)

    problem = await refused(
        client.conversational_ai.agents.update(agent_id, platform_settings={"auth": {"allowlist": [1]}})
    )

    assert problem["loc"] == ["body", "platform_settings", "auth", "allowlist", 0]
    assert problem["input"] == 1


async def test_a_name_has_a_limit(client: AsyncElevenLabs) -> None:
    longest = "n" * 500
    agents = client.conversational_ai.agents
    agent_id = await create(client, name=longest)
    copy_id = (await agents.duplicate(agent_id)).agent_id

    problems = [
        await refused(create(client, name=longest + "n")),
        await refused(agents.update(agent_id, name=longest + "n")),
        await refused(agents.duplicate(agent_id, name=longest + "n")),
    ]

    for problem in problems:
        assert (problem["loc"], problem["type"]) == (["body", "name"], "string_too_long")
    assert (await agents.get(agent_id)).name == longest
    assert (await agents.get(copy_id)).name == "n" * 493 + " (copy)"
    again = await agents.update(copy_id, name=(await agents.get(copy_id)).name)
    assert again.name.endswith(" (copy)")


async def test_an_own_model_without_an_address_is_refused(client: AsyncElevenLabs) -> None:
    own = {"prompt": {"llm": "custom-llm", "custom_llm": {"url": "https://llm.example/v1"}}}
    agent_id = await create(client, conversation_config={"agent": own})
    without: Any = {"agent": {"prompt": {"custom_llm": None}}}

    problems = [
        await refused(create(client, conversation_config={"agent": {"prompt": {"llm": "custom-llm"}}})),
        await refused(client.conversational_ai.agents.update(agent_id, conversation_config=without)),
    ]

    for problem in problems:
        assert problem["loc"] == ["body", "conversation_config", "agent", "prompt", "custom_llm"]
        assert problem["type"] == "missing"
        assert "custom_llm.url" in problem["msg"]


async def test_what_a_limit_has_made_wrong_can_be_read_and_mended(
    client: AsyncElevenLabs, http: httpx2.AsyncClient, server: RunningServer
) -> None:
    """A definition that was stored before there was the limit; another server of the fleet wrote it."""
    agent_id = await create(client)
    await server.services.pool.execute(
        "update agent_version set config = jsonb_set(config, '{conversation_config,agent,prompt,max_tokens}', '-5')"
    )
    prompt = (await raw(http, f"/{agent_id}"))["conversation_config"]["agent"]["prompt"]
    assert prompt["max_tokens"] == -5

    problem = await refused(client.conversational_ai.agents.update(agent_id, conversation_config={}))
    assert problem["loc"] == ["body", "conversation_config", "agent", "prompt", "max_tokens"]
    silenced = await http.delete(f"/v1/convai/agents/{agent_id}/hold-audio")
    assert silenced.status_code == 422
    mended: Any = {"agent": {"prompt": {"max_tokens": 300}}}
    changed = await client.conversational_ai.agents.update(agent_id, conversation_config=mended)
    assert changed.conversation_config.agent.prompt.max_tokens == 300


async def test_a_business_rule_is_a_400(client: AsyncElevenLabs) -> None:
    with pytest.raises(ApiError) as error:
        await create(client, conversation_config={"agent": {"language": "de"}})

    assert error.value.status_code == 400
    assert error.value.body["detail"]["status"] == "english_only_tts_model"


async def test_text_that_cannot_be_stored_is_refused(http: httpx2.AsyncClient) -> None:
    body = {"conversation_config": {"agent": {"first_message": "a\0b"}, "future": {"a\0b": 1}}}

    created = await http.post("/v1/convai/agents/create", json=body)
    listed = await http.get("/v1/convai/agents", params={"search": "a\0b"})

    assert (created.status_code, listed.status_code) == (422, 422)


async def test_huge_numbers_in_unknown_fields_do_no_harm(client: AsyncElevenLabs, http: httpx2.AsyncClient) -> None:
    agent_id = await create(client, conversation_config={"future": 10**30})

    assert (await raw(http, f"/{agent_id}"))["conversation_config"]["future"] == 1e30


async def test_an_agent_belongs_to_its_workspace(client: AsyncElevenLabs, server: RunningServer) -> None:
    agent_id = await create(client)
    pool, clock = server.services.pool, server.services.clock
    stranger = await workspaces.create(pool, clock, "Another shop")
    key = await workspaces.create_key(pool, clock, stranger.id, "test")

    async with http_client(server.url, key.secret) as http:
        one = f"/v1/convai/agents/{agent_id}"
        answers = [
            await http.get(one),
            await http.patch(one, json={"name": "mine"}),
            await http.delete(one),
            await http.post(f"{one}/duplicate", json={}),
            await http.get(f"{one}/branches"),
        ]
        summaries = await raw(http, "/summaries", agent_ids=agent_id)
        listed = await raw(http, "")

    assert [answer.status_code for answer in answers] == [404] * 5
    assert {answer.json()["detail"]["status"] for answer in answers} == {"agent_not_found"}
    assert summaries[agent_id]["status"] == "failure"
    assert listed == {"agents": [], "next_cursor": None, "has_more": False}
    assert (await client.conversational_ai.agents.get(agent_id)).name == "Shop"

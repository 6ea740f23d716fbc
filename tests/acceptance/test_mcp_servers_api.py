"""MCP servers as a user of the official SDK meets them; those that are connected to are real ones on loopback."""

from __future__ import annotations

from typing import Any

import elevenlabs.types as sdk
import httpx2
import pytest
from elevenlabs import McpServerConfigInput
from elevenlabs.client import AsyncElevenLabs
from elevenlabs.core import ApiError
from elevenlabs.environment_variables.types.environment_variables_create_request_body import (
    EnvironmentVariablesCreateRequestBody_String as StringVariable,
)
from elevenlabs.errors import ConflictError, NotFoundError, UnprocessableEntityError

from greenline.workspaces import service as workspaces
from support.mcp_server import ORDER, TRANSPORTS, Shop, Transport, mcp_server
from support.server import RunningServer
from support.shapes import assert_complete

URL = "https://tools.example.com/mcp"
PATH = "/v1/convai/mcp-servers"


async def made(client: AsyncElevenLabs, **more: Any) -> sdk.McpServerResponseModel:
    config = McpServerConfigInput(**{"url": URL, "name": "Shop", **more})
    server: sdk.McpServerResponseModel = await client.conversational_ai.mcp_servers.create(config=config)
    return server


async def test_a_server_has_the_defaults_of_the_reference(client: AsyncElevenLabs, http: httpx2.AsyncClient) -> None:
    server = await made(client)

    config = server.config
    assert (config.url, config.name, config.transport) == (URL, "Shop", "SSE")
    assert (config.approval_policy, config.response_timeout_secs) == ("require_approval_all", 30)
    assert (config.pre_tool_speech, config.interruption_mode, config.execution_mode) == ("auto", "allow", "immediate")
    assert (config.tool_call_sound_behavior, config.disable_compression) == ("auto", False)
    assert server.dependent_agents == []
    one, every = await http.get(f"{PATH}/{server.id}"), await http.get(PATH)
    assert_complete(sdk.McpServerResponseModel, one.json())
    assert_complete(sdk.McpServersResponseModel, every.json())


async def test_a_server_lives(client: AsyncElevenLabs) -> None:
    servers = client.conversational_ai.mcp_servers
    first, second = await made(client), await made(client, name="Post", transport="STREAMABLE_HTTP")
    assert {server.id for server in (await servers.list()).mcp_servers} == {first.id, second.id}

    changed = await servers.update(
        first.id,
        response_timeout_secs=60,
        request_headers={"X-Shop": "tea", "X-Gone": "no"},
        disable_compression=True,
    )
    assert (changed.config.response_timeout_secs, changed.config.disable_compression) == (60, True)
    changed = await servers.update(first.id, request_headers={"X-Gone": None})
    assert changed.config.request_headers == {"X-Shop": "tea"}
    assert changed.config.response_timeout_secs == 60
    changed = await servers.approval_policy.update(first.id, approval_policy="auto_approve_all")
    assert (await servers.get(first.id)).config == changed.config
    assert changed.config.approval_policy == "auto_approve_all"

    await servers.delete(first.id)
    with pytest.raises(ApiError) as gone:
        await servers.get(first.id)
    assert (gone.value.status_code, gone.value.body["detail"]["status"]) == (404, "mcp_server_not_found")


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"response_timeout_secs": 4}, "response_timeout_secs"),
        ({"response_timeout_secs": 301}, "response_timeout_secs"),
        ({"transport": "STDIO"}, "transport"),
        ({"url": "ftp://tools.example.com"}, "url"),
        ({"approval_policy": "never"}, "approval_policy"),
        ({"secret_token": {"secret_id": "secret_none"}}, "secret_token"),
        ({"tool_config_overrides": [{"tool_name": "t", "response_timeout_secs": 4}]}, "tool_config_overrides"),
    ],
)
async def test_what_a_server_may_not_be(http: httpx2.AsyncClient, change: dict[str, Any], place: str) -> None:
    answer = await http.post(PATH, json={"config": {"name": "Shop", "url": URL, **change}})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"][:3] == ["body", "config", place]


async def test_tools_are_approved_as_they_are(client: AsyncElevenLabs) -> None:
    servers = client.conversational_ai.mcp_servers
    server = await made(client, approval_policy="require_approval_per_tool")
    schema = {"type": "object", "properties": {"what": {"type": "string"}}}

    tool: dict[str, Any] = {"tool_name": "shop/order", "tool_description": "Orders.", "input_schema": schema}
    await servers.tool_approvals.create(server.id, **tool, approval_policy="requires_approval")
    approved = await servers.tool_approvals.create(server.id, **tool, approval_policy="auto_approved")
    (one,) = approved.config.tool_approval_hashes or []
    assert (one.tool_name, one.approval_policy, len(one.tool_hash)) == ("shop/order", "auto_approved", 64)

    forgotten = await servers.tool_approvals.delete(server.id, "shop/order")
    assert forgotten.config.tool_approval_hashes == []
    with pytest.raises(ApiError) as missing:
        await servers.tool_approvals.delete(server.id, "shop/order")
    assert missing.value.status_code == 404


async def of(client: AsyncElevenLabs, shop: Shop, **more: Any) -> sdk.McpServerResponseModel:
    return await made(client, url=shop.url, transport=shop.transport, **more)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_the_tools_of_a_server_are_listed(
    client: AsyncElevenLabs, http: httpx2.AsyncClient, transport: Transport
) -> None:
    servers = client.conversational_ai.mcp_servers
    async with mcp_server(transport) as shop:
        server = await of(client, shop)
        listed = await servers.tools.list(server.id)
        raw = await http.get(f"{PATH}/{server.id}/tools")

    assert (listed.success, listed.error_message, listed.tool_approval_statuses) == (True, None, [])
    assert [tool.name for tool in listed.tools] == ["price", "order"]
    assert listed.tools[0].input_schema == ORDER.input_schema
    assert_complete(sdk.ListMcpToolsResponseModel, raw.json())


async def test_a_server_that_cannot_be_asked_is_no_error_of_the_request(
    client: AsyncElevenLabs, http: httpx2.AsyncClient
) -> None:
    server = await made(client, url="http://127.0.0.1:2/mcp", transport="STREAMABLE_HTTP")
    listed = await client.conversational_ai.mcp_servers.tools.list(server.id)
    assert (listed.success, listed.tools, listed.error_message) == (False, [], "It can't be reached.")
    answer = await http.get(f"{PATH}/{server.id}/tools")
    assert answer.status_code == 200
    assert_complete(sdk.ListMcpToolsResponseModel, answer.json())

    caller = {"X-Caller": {"variable_name": "caller"}}
    dynamic = await made(client, url="http://127.0.0.1:1/mcp", request_headers=caller)
    listed = await client.conversational_ai.mcp_servers.tools.list(dynamic.id)
    assert "no dynamic variable caller" in str(listed.error_message)


async def test_a_secret_reaches_its_server_and_nobody_else(client: AsyncElevenLabs) -> None:
    secrets, servers = client.conversational_ai.secrets, client.conversational_ai.mcp_servers
    token = (await secrets.create(name="token", value="t0p-secret")).secret_id
    async with mcp_server("STREAMABLE_HTTP") as shop:
        address = (await secrets.create(name="address", value=shop.url)).secret_id
        server = await of(client, shop, secret_token={"secret_id": token})
        hidden = await made(client, url={"secret_id": address}, transport=shop.transport)
        assert (await servers.tools.list(server.id)).success
        assert {headers["authorization"] for headers in shop.headers} == {"Bearer t0p-secret"}
        assert (await servers.tools.list(hidden.id)).success
    away = await servers.tools.list(hidden.id)
    assert not away.success
    assert shop.url not in str(away.error_message)


async def test_an_environment_has_an_address_of_its_own(client: AsyncElevenLabs) -> None:
    async with mcp_server("SSE") as shop:
        values = {"production": "127.0.0.1:2", "staging": shop.url.removeprefix("http://").removesuffix("/sse")}
        variable = await client.environment_variables.create(request=StringVariable(label="shop", values=values))
        server = await made(client, url="http://{{system__env_shop}}/sse")
        tools = client.conversational_ai.mcp_servers.tools
        assert not (await tools.list(server.id)).success
        assert (await tools.list(server.id, environment="staging")).success
    with pytest.raises(ApiError) as refused:
        await client.environment_variables.delete(variable.id)
    assert (refused.value.status_code, "Shop" in refused.value.body["detail"]["message"]) == (400, True)
    await client.conversational_ai.mcp_servers.delete(server.id)
    await client.environment_variables.delete(variable.id)


async def test_a_tool_that_is_nested_too_deeply_is_listed_beside_the_others(
    client: AsyncElevenLabs, http: httpx2.AsyncClient
) -> None:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(110):
        schema = {"type": "object", "properties": {"a": schema}}
    async with mcp_server() as shop:
        shop.tools = [*shop.tools, ORDER.model_copy(update={"name": "deep", "input_schema": schema})]
        server = await of(client, shop)
        answer = await http.get(f"{PATH}/{server.id}/tools")
        assert [tool["name"] for tool in answer.json()["tools"]] == ["price", "order", "deep"]


async def test_a_changed_tool_needs_approval_anew(client: AsyncElevenLabs) -> None:
    servers = client.conversational_ai.mcp_servers
    async with mcp_server("STREAMABLE_HTTP") as shop:
        server = await of(client, shop, approval_policy="require_approval_per_tool")
        (price, order) = (await servers.tools.list(server.id)).tools
        await servers.tool_approvals.create(
            server.id,
            tool_name=price.name,
            tool_description=price.description or "",
            input_schema=price.input_schema,
            approval_policy="auto_approved",
        )
        (first, second) = (await servers.tools.list(server.id)).tool_approval_statuses or []
        assert (first.tool_id, first.state, first.approval_policy) == (
            f"mcp:{server.id}:price",
            "up_to_date",
            "auto_approved",
        )
        assert (second.tool_id, second.state, second.approval_policy) == (
            f"mcp:{server.id}:{order.name}",
            "not_approved",
            None,
        )

        shop.tools[0] = shop.tools[0].model_copy(update={"description": "Charges a card."})
        (first, _) = (await servers.tools.list(server.id)).tool_approval_statuses or []
    assert first.state == "needs_review"
    assert first.approved_definition is not None
    assert first.approved_definition.description == "What something costs."


async def test_a_tool_has_a_configuration_of_its_own(client: AsyncElevenLabs, http: httpx2.AsyncClient) -> None:
    configs = client.conversational_ai.mcp_servers.tool_configs
    server = await made(client)
    with pytest.raises(NotFoundError):
        await configs.get(server.id, "order")
    with pytest.raises(NotFoundError):
        await configs.update(server.id, "order", response_timeout_secs=5)

    override: Any = {"what": {"source": "constant", "constant_value": "tea"}}
    await configs.create(server.id, tool_name="order", response_timeout_secs=120, input_overrides=override)
    with pytest.raises(ConflictError):
        await configs.create(server.id, tool_name="order")
    changed = await configs.update(server.id, "order", response_timeout_secs=None, pre_tool_speech="off")

    (config,) = changed.config.tool_config_overrides or []
    assert (config.response_timeout_secs, config.pre_tool_speech) == (None, "off")
    assert config.input_overrides is not None
    assert config.input_overrides["what"].constant_value == "tea"
    raw = await http.get(f"{PATH}/{server.id}/tool-configs/order")
    assert_complete(sdk.McpToolConfigOverrideOutput, raw.json())
    assert (await configs.delete(server.id, "order")).config.tool_config_overrides == []
    with pytest.raises(ApiError) as missing:
        await configs.delete(server.id, "order")
    assert missing.value.status_code == 404


async def test_a_server_in_use_stays(client: AsyncElevenLabs) -> None:
    servers, agents = client.conversational_ai.mcp_servers, client.conversational_ai.agents
    server = await made(client)
    prompt: dict[str, Any] = {"prompt": "Hi", "llm": "offline", "mcp_server_ids": [server.id]}
    agent_id = (await agents.create(name="Tea", conversation_config={"agent": {"prompt": prompt}})).agent_id

    (user,) = (await servers.get(server.id)).dependent_agents or []
    assert (user.id, user.name, user.access_level) == (agent_id, "Tea", "admin")
    with pytest.raises(ApiError) as refused:
        await servers.delete(server.id)
    assert (refused.value.status_code, refused.value.body["detail"]["status"]) == (400, "mcp_server_in_use")
    assert "Tea" in refused.value.body["detail"]["message"]

    await agents.update(agent_id, conversation_config={"agent": {"prompt": {"mcp_server_ids": []}}})
    await servers.delete(server.id)


async def test_a_secret_tells_of_the_servers_that_use_it(client: AsyncElevenLabs, http: httpx2.AsyncClient) -> None:
    secrets = client.conversational_ai.secrets
    secret_id = (await secrets.create(name="k", value="sk-nobody-may-read-this")).secret_id
    server = await made(client, url={"secret_id": secret_id}, request_headers={"X-Key": {"secret_id": secret_id}})

    (user,) = (await secrets.get(secret_id)).used_by.mcp_servers or []
    assert (user.id, user.name) == (server.id, "Shop")
    raw = await http.get(f"/v1/convai/secrets/{secret_id}")
    assert_complete(sdk.ConvAiWorkspaceStoredSecretConfig, raw.json())
    with pytest.raises(ApiError) as refused:
        await secrets.delete(secret_id)
    assert "the MCP server Shop" in refused.value.body["detail"]["message"]

    await client.conversational_ai.mcp_servers.delete(server.id)
    await secrets.delete(secret_id)


async def test_a_server_of_another_workspace_is_not_there(
    client: AsyncElevenLabs, server: RunningServer, http: httpx2.AsyncClient
) -> None:
    mine = await made(client)
    other = await workspaces.create(server.services.pool, server.services.clock, "Other")
    key = await workspaces.create_key(server.services.pool, server.services.clock, other.id, "k")
    headers = {"xi-api-key": key.secret}

    assert (await http.get(PATH, headers=headers)).json() == {"mcp_servers": []}
    asked = [
        await http.get(f"{PATH}/{mine.id}", headers=headers),
        await http.patch(f"{PATH}/{mine.id}", json={}, headers=headers),
        await http.delete(f"{PATH}/{mine.id}", headers=headers),
        await http.delete(f"{PATH}/{mine.id}/tool-configs/t", headers=headers),
    ]
    assert {answer.status_code for answer in asked} == {404}


async def test_a_server_may_not_bring_a_secret_of_its_own(http: httpx2.AsyncClient) -> None:
    token = {"name": "t", "encrypted_value": "x", "nonce": "y", "id": "z"}
    answer = await http.post(PATH, json={"config": {"name": "Shop", "url": URL, "secret_token": token}})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "config", "secret_token", "secret_id"]


async def test_an_update_is_checked_as_a_whole(client: AsyncElevenLabs) -> None:
    server = await made(client)
    with pytest.raises(UnprocessableEntityError):
        await client.conversational_ai.mcp_servers.update(server.id, response_timeout_secs=301)

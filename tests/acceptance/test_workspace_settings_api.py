"""Settings of a workspace over HTTP, with the official SDK."""

from __future__ import annotations

import httpx2
import pytest
from elevenlabs.client import AsyncElevenLabs
from elevenlabs.core.api_error import ApiError
from elevenlabs.environment_variables.types import EnvironmentVariablesCreateRequestBody_String as StringVariable
from elevenlabs.types import (
    ConvAiEnvVarLocator,
    ConvAiSecretLocator,
    ConvAiWebhooks,
    ConversationInitiationClientDataWebhook,
)

from greenline.agents.workspace_settings import WorkspaceSettings, read_settings
from support.rows import insert_workspace
from support.server import RunningServer

PATH = "/v1/convai/settings"


async def test_the_webhook_for_start_data_is_set_shown_and_taken_back(client: AsyncElevenLabs) -> None:
    settings = client.conversational_ai.settings
    assert (await settings.get()).conversation_initiation_client_data_webhook is None
    hook = ConversationInitiationClientDataWebhook(
        url="https://shop.example/start", request_headers={"X-Shop": "fern"}
    )
    changed = await settings.update(conversation_initiation_client_data_webhook=hook)
    assert changed.conversation_initiation_client_data_webhook == hook
    await settings.update(rag_retention_period_days=7)
    kept = await settings.get()
    assert kept.conversation_initiation_client_data_webhook == hook
    assert kept.rag_retention_period_days == 7
    await settings.update(conversation_initiation_client_data_webhook=None)
    assert (await settings.get()).conversation_initiation_client_data_webhook is None


async def test_what_is_kept_only_is_taken_back_as_well(client: AsyncElevenLabs) -> None:
    settings = client.conversational_ai.settings
    before = await settings.get()
    await settings.update(webhooks=ConvAiWebhooks(post_call_webhook_id="hook_1"), can_use_mcp_servers=True)
    kept = (await settings.get()).webhooks
    assert kept is not None
    assert kept.post_call_webhook_id == "hook_1"
    await settings.update(webhooks=None, can_use_mcp_servers=None)
    assert await settings.get() == before


async def test_a_secret_that_the_webhook_sends_can_not_be_deleted(client: AsyncElevenLabs) -> None:
    secret = await client.conversational_ai.secrets.create(name="token", value="tok-77")
    hook = ConversationInitiationClientDataWebhook(
        url="https://shop.example/start",
        request_headers={"X-Token": ConvAiSecretLocator(secret_id=secret.secret_id)},
    )
    await client.conversational_ai.settings.update(conversation_initiation_client_data_webhook=hook)
    with pytest.raises(ApiError) as refused:
        await client.conversational_ai.secrets.delete(secret.secret_id)
    assert refused.value.status_code == 400
    assert "the webhook for start data" in str(refused.value.body)
    await client.conversational_ai.settings.update(conversation_initiation_client_data_webhook=None)
    await client.conversational_ai.secrets.delete(secret.secret_id)


@pytest.mark.parametrize(
    "header", [ConvAiEnvVarLocator(env_var_label="shop"), "Bearer {{system__env_shop}}"], ids=["locator", "text"]
)
async def test_a_variable_that_the_webhook_sends_can_not_be_deleted(
    client: AsyncElevenLabs, header: ConvAiEnvVarLocator | str
) -> None:
    variables, settings = client.environment_variables, client.conversational_ai.settings
    made = await variables.create(request=StringVariable(label="shop", values={"production": "one"}))
    other = await variables.create(request=StringVariable(label="sho", values={"production": "two"}))
    hook = ConversationInitiationClientDataWebhook(
        url="https://shop.example/start", request_headers={"X-Shop": header}
    )
    await settings.update(conversation_initiation_client_data_webhook=hook)
    with pytest.raises(ApiError) as refused:
        await variables.delete(made.id)
    assert (refused.value.status_code, refused.value.body["detail"]["status"]) == (
        400,
        "environment_variable_in_use",
    )
    assert "the webhook for start data in the settings" in str(refused.value.body)
    await variables.delete(other.id)
    await settings.update(conversation_initiation_client_data_webhook=None)
    await variables.delete(made.id)


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (
            {"conversation_initiation_client_data_webhook": {"request_headers": {}}},
            ["body", "conversation_initiation_client_data_webhook", "url"],
        ),
        (
            {
                "conversation_initiation_client_data_webhook": {
                    "url": "https://shop.example",
                    "request_headers": {"X": {"secret_id": "secret_none"}},
                }
            },
            ["body", "conversation_initiation_client_data_webhook", "request_headers", "X", "secret_id"],
        ),
        ([], ["body"]),
    ],
)
async def test_what_can_not_be_set_is_refused_with_its_place(
    http: httpx2.AsyncClient, body: object, place: list[str]
) -> None:
    response = await http.patch(PATH, json=body)
    assert response.status_code == 422
    assert response.json()["detail"][0]["loc"] == place


async def test_every_workspace_has_its_own(client: AsyncElevenLabs, server: RunningServer) -> None:
    await client.conversational_ai.settings.update(rag_retention_period_days=7)
    pool = server.services.pool
    await insert_workspace(pool, server.services.clock.now(), "ws_other")
    assert await read_settings(pool, "ws_other") == WorkspaceSettings()

"""WhatsApp accounts and business-started messages as a user of the official SDK meets them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import elevenlabs.types as sdk
import httpx2
import pytest
from elevenlabs.client import AsyncElevenLabs
from elevenlabs.conversational_ai.whatsapp import (
    BodySendAnOutboundMessageViaWhatsAppV1ConvaiWhatsappOutboundMessagePostTemplateParamsItem_Body as BodyItem,
)
from elevenlabs.conversational_ai.whatsapp import (
    BodySendAnOutboundMessageViaWhatsAppV1ConvaiWhatsappOutboundMessagePostTemplateParamsItem_Button as ButtonItem,
)
from elevenlabs.conversational_ai.whatsapp import (
    BodySendAnOutboundMessageViaWhatsAppV1ConvaiWhatsappOutboundMessagePostTemplateParamsItem_Header as HeaderItem,
)
from elevenlabs.core import ApiError
from elevenlabs.errors import UnprocessableEntityError

from greenline.settings import Settings
from greenline.workspaces import service as workspaces
from support.graph_stand_in import IMPORT, NUMBER, WABA, GraphStandIn, asking
from support.server import RunningServer
from support.shapes import assert_complete

PATH = "/v1/convai/whatsapp-accounts"


@pytest.fixture
def meta() -> GraphStandIn:
    """Meta's side."""
    return GraphStandIn()


@pytest.fixture
async def settings(settings: Settings, meta: GraphStandIn) -> AsyncIterator[Settings]:
    """The server of these tests asks the stand-in."""
    async with asking(meta, settings) as changed:
        yield changed


@pytest.fixture
async def connected(http: httpx2.AsyncClient) -> None:
    """The number is in the default workspace."""
    response = await http.post(PATH, json=IMPORT)
    assert response.status_code == 200, response.text
    assert response.json() == {"phone_number_id": NUMBER, "findings": []}


async def make_agent(client: AsyncElevenLabs, name: str = "Rosie") -> str:
    made = await client.conversational_ai.agents.create(name=name, conversation_config={})
    agent_id: str = made.agent_id
    return agent_id


@pytest.mark.usefixtures("connected")
async def test_a_number_reads_back_complete(client: AsyncElevenLabs, http: httpx2.AsyncClient) -> None:
    account = await client.conversational_ai.whatsapp_accounts.get(NUMBER)
    assert account.phone_number == "+15550001111"
    assert account.business_account_name == "Rosie's Flowers"
    assert account.assigned_agent_id is None
    assert account.enable_typing_indicator
    raw = (await http.get(f"{PATH}/{NUMBER}")).json()
    assert_complete(sdk.GetWhatsAppAccountResponse, raw)
    assert (await http.get(PATH)).json() == {"items": [raw]}


@pytest.mark.usefixtures("connected")
async def test_an_agent_is_assigned_and_taken_off(client: AsyncElevenLabs, http: httpx2.AsyncClient) -> None:
    accounts = client.conversational_ai.whatsapp_accounts
    agent_id = await make_agent(client)
    await accounts.update(NUMBER, assigned_agent_id=agent_id, enable_messaging=False)
    account = await accounts.get(NUMBER)
    assert (account.assigned_agent_id, account.assigned_agent_name) == (agent_id, "Rosie")
    assert not account.enable_messaging
    assert [found.phone_number_id for found in (await accounts.list(agent_id=agent_id)).items] == [NUMBER]
    agent = await client.conversational_ai.agents.get(agent_id)
    assert [found.phone_number_id for found in agent.whatsapp_accounts or []] == [NUMBER]

    await accounts.update(NUMBER, enable_messaging=None, enable_typing_indicator=False)
    account = await accounts.get(NUMBER)
    assert (account.assigned_agent_id, account.enable_messaging) == (agent_id, False)
    assert not account.enable_typing_indicator

    await accounts.update(NUMBER, assigned_agent_id=None)
    assert (await accounts.get(NUMBER)).assigned_agent_id is None
    assert (await accounts.list(agent_id=agent_id)).items == []
    assert (await http.patch(f"{PATH}/{NUMBER}", json={})).json() == {}


@pytest.mark.usefixtures("connected")
async def test_a_deleted_number_is_gone(client: AsyncElevenLabs, meta: GraphStandIn) -> None:
    accounts = client.conversational_ai.whatsapp_accounts
    assert meta.subscribed == {WABA}
    await accounts.delete(NUMBER)
    assert meta.subscribed == set()
    with pytest.raises(ApiError) as caught:
        await accounts.get(NUMBER)
    assert caught.value.status_code == 404
    assert caught.value.body["detail"]["status"] == "whatsapp_account_not_found"
    assert (await accounts.list()).items == []


@pytest.mark.parametrize("call", ["get", "update", "delete"])
async def test_unknown_numbers_are_not_found(client: AsyncElevenLabs, call: str) -> None:
    with pytest.raises(ApiError) as caught:
        await getattr(client.conversational_ai.whatsapp_accounts, call)("12345")
    assert caught.value.status_code == 404


@pytest.mark.usefixtures("connected")
async def test_an_unknown_agent_is_told(client: AsyncElevenLabs) -> None:
    with pytest.raises(ApiError) as caught:
        await client.conversational_ai.whatsapp_accounts.update(NUMBER, assigned_agent_id="agent_none")
    assert caught.value.status_code == 404
    assert caught.value.body["detail"]["status"] == "agent_not_found"


@pytest.mark.usefixtures("connected")
async def test_a_second_workspace_sees_nothing_of_it(
    server: RunningServer, client: AsyncElevenLabs, http: httpx2.AsyncClient
) -> None:
    services = server.services
    other = await workspaces.create(services.pool, services.clock, "Other")
    key = (await workspaces.create_key(services.pool, services.clock, other.id, "test")).secret
    headers = {"xi-api-key": key}
    assert (await http.get(PATH, headers=headers)).json() == {"items": []}
    for method in ("GET", "PATCH", "DELETE"):
        response = await http.request(
            method, f"{PATH}/{NUMBER}", headers=headers, json={} if method == "PATCH" else None
        )
        assert response.status_code == 404
    taken = await http.post(PATH, headers=headers, json=IMPORT)
    assert taken.status_code == 409
    assert taken.json()["detail"]["status"] == "whatsapp_number_taken"
    assert (await client.conversational_ai.whatsapp_accounts.get(NUMBER)).phone_number_id == NUMBER


@pytest.mark.parametrize(
    "change",
    [
        {"access_token": None},
        {"access_token": f"{IMPORT['access_token']}\nx"},
        {"token_code": "both"},
        {"business_account_id": None},
        {"phone_number_id": "../../me"},
        {"phone_number_id": 100200300},
        {"account_type": "on_premise"},
    ],
)
async def test_an_import_of_the_wrong_form_is_422(http: httpx2.AsyncClient, change: dict[str, Any]) -> None:
    body = {name: value for name, value in {**IMPORT, **change}.items() if value is not None}
    response = await http.post(PATH, json=body)
    assert response.status_code == 422
    assert response.json()["detail"][0]["loc"][0] == "body"
    assert IMPORT["access_token"] not in response.text


async def test_a_token_is_imported_without_the_line_break_that_came_along(http: httpx2.AsyncClient) -> None:
    response = await http.post(PATH, json={**IMPORT, "access_token": f" {IMPORT['access_token']}\r\n"})
    assert (response.status_code, response.json()["phone_number_id"]) == (200, NUMBER)


async def test_metas_refusal_is_handed_on_with_advice(http: httpx2.AsyncClient) -> None:
    response = await http.post(PATH, json={**IMPORT, "access_token": "EAAdead"})
    assert response.status_code == 400
    detail = response.json()["detail"]
    assert (detail["status"], detail["meta_code"]) == ("whatsapp_api_error", 190)
    assert "Import the number again" in detail["message"]


ORDER = {
    "id": "1",
    "name": "order_update",
    "language": "en_US",
    "status": "APPROVED",
    "category": "UTILITY",
    "components": [
        {"type": "HEADER", "format": "DOCUMENT"},
        {"type": "BODY", "text": "Hello {{1}}!"},
        {"type": "BUTTONS", "buttons": [{"type": "URL", "text": "Track", "url": "https://e.com/{{1}}"}]},
    ],
}


async def send(client: AsyncElevenLabs, **more: Any) -> str:
    values: dict[str, Any] = {
        "whatsapp_phone_number_id": NUMBER,
        "whatsapp_user_id": "15551230000",
        "template_name": "order_update",
        "template_language_code": "en_US",
        "template_params": [
            HeaderItem(
                parameters=[{"type": "document", "document": {"link": "https://e.com/a", "filename": "a.pdf"}}]
            ),
            BodyItem(parameters=[{"type": "text", "text": "Ann"}]),
            ButtonItem(sub_type="url", index=0, parameters=[{"type": "text", "text": "77"}]),
        ],
        **more,
    }
    begun = await client.conversational_ai.whatsapp.outbound_message(**values)
    conversation_id: str = begun.conversation_id
    return conversation_id


@pytest.mark.usefixtures("connected")
async def test_a_template_starts_a_conversation(
    server: RunningServer, client: AsyncElevenLabs, meta: GraphStandIn
) -> None:
    meta.templates.append(ORDER)
    agent_id = await make_agent(client)
    conversation_id = await send(
        client,
        agent_id=agent_id,
        conversation_initiation_client_data=sdk.ConversationInitiationClientDataRequestInput(
            dynamic_variables={"customer": "Ann"}
        ),
    )
    assert conversation_id.startswith("conv_")
    body = await server.services.pool.fetchval("select body from outbox where conversation_id = $1", conversation_id)
    assert body["template"]["components"] == [
        {
            "type": "header",
            "parameters": [{"type": "document", "document": {"link": "https://e.com/a", "filename": "a.pdf"}}],
        },
        {"type": "body", "parameters": [{"type": "text", "text": "Ann"}]},
        {"type": "button", "sub_type": "url", "index": "0", "parameters": [{"type": "text", "text": "77"}]},
    ]


@pytest.mark.usefixtures("connected")
@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"whatsapp_user_id": "+1 555 123 0000"}, 400, "invalid_whatsapp_user_id"),
        ({"template_name": "other"}, 404, "template_not_found"),
        ({"template_language_code": "en"}, 404, "template_not_found"),
        ({"template_params": []}, 400, "template_parameters_mismatch"),
        ({"whatsapp_phone_number_id": "1"}, 404, "whatsapp_account_not_found"),
        ({"agent_id": "agent_none"}, 404, "agent_not_found"),
        (
            {"conversation_initiation_client_data": {"branch_id": "agtbrch_none"}},
            404,
            "branch_not_found",
        ),
        (
            {"conversation_initiation_client_data": {"environment": "staging"}},
            404,
            "environment_not_found",
        ),
    ],
)
async def test_a_template_that_cant_go_is_refused(
    server: RunningServer,
    client: AsyncElevenLabs,
    meta: GraphStandIn,
    change: dict[str, Any],
    status: int,
    code: str,
) -> None:
    meta.templates.append(ORDER)
    agent_id = await make_agent(client)
    with pytest.raises(ApiError) as caught:
        await send(client, **{"agent_id": agent_id, **change})
    assert (caught.value.status_code, caught.value.body["detail"]["status"]) == (status, code)
    assert await server.services.pool.fetchval("select count(*) from conversation") == 0


@pytest.mark.usefixtures("connected")
async def test_a_bare_parameter_in_place_of_a_component_is_422(client: AsyncElevenLabs) -> None:
    with pytest.raises(UnprocessableEntityError):
        await send(client, agent_id="agent_x", template_params=[{"type": "text", "text": "Ann"}])

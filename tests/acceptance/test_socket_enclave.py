"""Clients that bring the agent of their conversation, by the official Python client and frame by frame."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from elevenlabs import ElevenLabs
from pydantic import SecretStr

from greenline.clock import SystemClock
from greenline.settings import Settings
from support.flaky_database import flaky_database
from support.http import http_client
from support.scripted import Answer, Request, scripted
from support.sdk_conversation import AsyncConversation, ClientTools, OnPremInitiationData, PostCallWebhookConfig
from support.server import RunningServer, run_server
from support.socket_agents import ECHO, EVENTS, client_tool, finished, make_agent
from support.sockets import client
from support.wait import eventually

PATH = "/v1/convai/conversation"
GERMAN_BY_AN_ENGLISH_VOICE = {"agent": {"language": "de"}, "tts": {"model_id": "eleven_flash_v2"}}
SECRET = "sixteen-characters-and-more"
TOOLS = 'offline: when price -> call price {"what": "tea"}\noffline: after price -> say It costs {result}'


def agent(prompt: str = ECHO, **more: Any) -> dict[str, Any]:
    """An agent as the agents API gives it."""
    config = {
        "agent": {"first_message": "Hello!", "prompt": {"prompt": prompt, "llm": "offline"}},
        "conversation": {"text_only": True, "client_events": EVENTS},
    }
    return {"agent_id": "agent_elsewhere", "name": "Tea", "metadata": {}, "conversation_config": config, **more}


@pytest.fixture
async def server(settings: Settings) -> AsyncIterator[RunningServer]:
    """A server that lets everybody bring an agent. Its clock runs: the client checks the age of what it is told."""
    async with run_server(settings.model_copy(update={"enclave_setup": True}), SystemClock()) as running:
        yield running


async def agents(http: httpx2.AsyncClient, **query: Any) -> list[str]:
    """The names of the agents that are listed."""
    page = (await http.get("/v1/convai/agents", params=query)).json()
    return [agent["name"] for agent in page["agents"]]


async def test_the_python_client_brings_agent_tools_knowledge_and_webhook(
    server: RunningServer, http: httpx2.AsyncClient
) -> None:
    told: list[Request] = []
    heard: list[str] = []

    def receiver(request: Request) -> Answer:
        told.append(request)
        return Answer(200)

    async def answer(text: str) -> None:
        heard.append(text)

    async def price(parameters: dict[str, Any]) -> str:
        return f"{parameters['what']}: 4 euros"

    tools = ClientTools()
    tools.register("price", price, is_async=True)
    async with scripted(receiver) as hooks:
        on_premises = OnPremInitiationData(
            on_prem_conversation_url=f"ws{server.url.removeprefix('http')}{PATH}",
            agent_config_dict=agent(),
            override_agent_config_list=[{"conversation_config": {"agent": {"prompt": {"prompt": TOOLS}}}}],
            tools_config_list=[{"id": "tool_1", "tool_config": client_tool("price", expects_response=True)}],
            prompt_knowledge_base=["Our garden is open on Sundays.", "Oolong is half oxidised."],
            post_call_transcription_webhook=PostCallWebhookConfig(f"{hooks.url}/told", SECRET),
            bedrock_inference_profile="global",
        )
        sdk = ElevenLabs(base_url=server.url)
        talk = AsyncConversation(
            sdk,
            "unused",
            requires_auth=False,
            callback_agent_response=answer,
            client_tools=tools,
            on_prem_config=on_premises,
        )
        await talk.start_session()
        await eventually(lambda: heard == ["Hello!"])
        await talk.send_user_message("What is the price?")
        await eventually(lambda: heard[-1] == "It costs tea: 4 euros")
        await talk.send_user_message("When is your garden open?")
        await eventually(lambda: "open on Sundays" in heard[-1])
        await talk.end_session()
        conversation_id = await talk.wait_for_session_end() or ""
        await eventually(lambda: bool(told))
        event = sdk.webhooks.construct_event(
            told[0].body.decode(), sig_header=told[0].headers["elevenlabs-signature"], secret=SECRET
        )
    assert (told[0].target, event["type"]) == ("/told", "post_call_transcription")
    shown = await finished(http, conversation_id)
    assert event["data"] == shown
    assert shown["agent_name"] == "Tea"
    assert shown["metadata"]["authorization_method"] == "public"
    assert [turn["message"] for turn in shown["transcript"] if turn["role"] == "user"] == [
        "What is the price?",
        "When is your garden open?",
    ]


async def test_what_is_brought_again_is_the_same_agent_and_in_no_list(
    server: RunningServer, http: httpx2.AsyncClient
) -> None:
    ids = []
    for brought in (agent(), agent(), agent("Another prompt")):
        async with client(server.url, PATH) as connection:
            await connection.send(type="enclave_setup_config", agent_config_dict=brought)
            first = await connection.begin()
            ids.append(first["conversation_initiation_metadata_event"]["conversation_id"])
    shown = [await finished(http, conversation_id) for conversation_id in ids]
    assert shown[0]["agent_id"] == shown[1]["agent_id"] != shown[2]["agent_id"]
    assert shown[0]["version_id"] == shown[1]["version_id"]
    assert await agents(http, archived=False) == []
    assert await agents(http, archived=True) == ["Tea", "Tea"]
    kept = (await http.get(f"/v1/convai/agents/{shown[0]['agent_id']}")).json()
    assert kept["conversation_config"]["agent"]["prompt"]["prompt"] == ECHO
    async with client(server.url, f"{PATH}?agent_id={shown[0]['agent_id']}") as connection:
        assert (await connection.begin())["type"] == "error"
        assert (await connection.closed())[0] == 1008


async def test_an_agent_that_says_nothing_of_itself_is_one_of_defaults(
    server: RunningServer, http: httpx2.AsyncClient
) -> None:
    async with client(server.url, PATH) as connection:
        nothing = dict.fromkeys(("agent_config_dict", "override_agent_config_list", "tools_config_list"))
        await connection.send(type="enclave_setup_config", post_call_audio_webhook_url="", **nothing)
        first = await connection.begin(conversation_config_override={"text_only": True})
        assert first["type"] == "conversation_initiation_metadata"


@pytest.mark.parametrize(
    ("setup", "told"),
    [
        ({"tools_config_list": [{"type": "client", "name": "x y"}]}, "tools_config_list.0."),
        (
            {"agent_config_dict": {"conversation_config": {"turn": "now"}}},
            "agent_config_dict.conversation_config.turn",
        ),
        ({"agent_config_dict": "agent_1"}, "agent_config_dict"),
        (
            {"agent_config_dict": {"conversation_config": {"agent": {"prompt": {"llm": "custom-llm"}}}}},
            "custom_llm.url",
        ),
        (
            {"agent_config_dict": {"conversation_config": GERMAN_BY_AN_ENGLISH_VOICE}},
            "English only",
        ),
        ({"post_call_audio_webhook": {"url": "https://a.example", "hmac_secret": "short"}}, "hmac_secret"),
        ({"post_call_audio_webhook": {"url": "ftp://a.example"}}, "http or https"),
        (
            {"post_call_audio_webhook_url": "nowhere"},
            "post_call_audio_webhook_url: Addresses begin with http or https",
        ),
        (
            {
                "post_call_transcription_webhook": {"url": "https://a.example"},
                "post_call_transcription_webhook_url": "https://b.example",
            },
            "exclude each other",
        ),
    ],
)
async def test_what_can_not_be_an_agent_is_refused_with_its_place(
    server: RunningServer, setup: dict[str, Any], told: str
) -> None:
    async with client(server.url, PATH) as connection:
        await connection.send(type="enclave_setup_config", **setup)
        refused = (await connection.next())["error_event"]
        assert refused["error_type"] in ("invalid_message", "value_error")
        assert told in refused["message"], refused
        assert "short" not in refused["message"]
        assert (await connection.closed())[0] == 1008


async def test_an_agent_that_is_nested_too_deeply_is_refused(server: RunningServer) -> None:
    deep: Any = "the deepest"
    for _ in range(250):
        deep = [deep]
    async with client(server.url, PATH) as connection:
        await connection.send(type="enclave_setup_config", tools_config_list=[{"type": "other", "schema": deep}])
        assert "nested more deeply" in (await connection.next())["error_event"]["message"]
        assert (await connection.closed())[0] == 1008


async def test_without_a_key_nobody_has_a_secret_sent_to_themselves(
    server: RunningServer, http: httpx2.AsyncClient
) -> None:
    made = await http.post("/v1/convai/secrets", json={"type": "new", "name": "crm", "value": SECRET})
    values = {"production": {"secret_id": made.json()["secret_id"]}}
    await http.post("/v1/convai/environment-variables", json={"type": "secret", "label": "crm", "values": values})
    asked: list[Request] = []

    def receiver(request: Request) -> Answer:
        asked.append(request)
        return Answer(cut=True)

    async with scripted(receiver) as attacker:
        brought = agent()
        headers = {"X-Key": {"env_var_label": "crm"}}
        brought["conversation_config"]["agent"]["prompt"] |= {
            "llm": "custom-llm",
            "custom_llm": {"url": attacker.url, "request_headers": headers},
        }
        async with client(server.url, PATH) as connection:
            await connection.send(type="enclave_setup_config", agent_config_dict=brought)
            refused = (await connection.next())["error_event"]
            assert "custom_llm.request_headers.X-Key.env_var_label" in refused["message"]
            assert (await connection.closed())[0] == 1008
        async with client(server.url, PATH, additional_headers={"xi-api-key": server.api_key}) as connection:
            await connection.send(type="enclave_setup_config", agent_config_dict=brought)
            await connection.begin()
            await connection.send(type="user_message", text="Hi!")
            await eventually(lambda: bool(asked))
    assert {request.headers["x-key"] for request in asked} == {SECRET}


async def test_without_a_key_start_data_reads_no_environment_variable(
    server: RunningServer, http: httpx2.AsyncClient
) -> None:
    await http.post(
        "/v1/convai/environment-variables",
        json={"type": "string", "label": "host", "values": {"production": "inner.example"}},
    )
    async with client(server.url, PATH) as connection:
        allowed = {"conversation_config_override": {"agent": {"first_message": True}}}
        brought = agent(platform_settings={"overrides": allowed})
        await connection.send(type="enclave_setup_config", agent_config_dict=brought)
        asked = {"agent": {"first_message": "{{system__env_host}}"}}
        refused = await connection.begin(conversation_config_override=asked)
        assert "agent.first_message" in refused["error_event"]["message"]
        assert (await connection.closed())[0] == 1008


async def test_who_waits_in_vain_for_a_busy_agent_is_told_of_too(server: RunningServer) -> None:
    told: list[Request] = []

    def receiver(request: Request) -> Answer:
        told.append(request)
        return Answer(200)

    queueing = {"enabled": True, "wait_timeout_seconds": 1}
    brought = agent(platform_settings={"call_limits": {"agent_concurrency_limit": 1}, "queueing_config": queueing})
    brought["conversation_config"]["conversation"]["text_only"] = False
    async with scripted(receiver) as hooks, client(server.url, PATH) as speaking:
        await speaking.send(type="enclave_setup_config", agent_config_dict=brought)
        await speaking.begin()
        async with client(server.url, PATH) as waiting:
            await waiting.send(
                type="enclave_setup_config",
                agent_config_dict=brought,
                post_call_transcription_webhook_url=f"{hooks.url}/told",
            )
            begun = await waiting.begin()
            assert (await waiting.closed())[0] == 4300
        await eventually(lambda: bool(told))
    data = told[0].json["data"]
    assert data["conversation_id"] == begun["conversation_initiation_metadata_event"]["conversation_id"]
    assert (data["status"], data["metadata"]["error"]["code"]) == ("failed", 4300)


async def test_clients_wait_a_moment_for_a_database_that_is_away(dsn: str, settings: Settings) -> None:
    async with flaky_database(dsn) as flaky:
        changes = {"enclave_setup": True, "database_url": SecretStr(flaky.dsn), "lease_seconds": 2.0}
        async with run_server(settings.model_copy(update=changes), SystemClock()) as server:
            async with http_client(server.url, server.api_key) as http:
                named = f"{PATH}?agent_id={await make_agent(http)}"
            for path in (PATH, named):
                flaky.cut()
                async with client(server.url, path) as connection:
                    if path == PATH:
                        await connection.send(type="enclave_setup_config", agent_config_dict=agent())
                    assert "the database is away" in (await connection.begin())["error_event"]["message"]
                    assert (await connection.closed())[0] == 1002
                async with client(server.url, path) as connection:
                    if path == PATH:
                        await connection.send(type="enclave_setup_config", agent_config_dict=agent())
                    refused = flaky.refused
                    await eventually(lambda: flaky.refused > refused)  # noqa: B023 - called within the round
                    flaky.mend()
                    assert (await connection.begin())["type"] == "conversation_initiation_metadata"


async def test_who_names_no_agent_must_bring_one(server: RunningServer) -> None:
    async with client(server.url, PATH) as connection:
        refused = await connection.begin()
        assert refused["error_event"]["error_type"] == "missing_fields"
        assert "agent_id is missing" in refused["error_event"]["message"]


async def test_who_names_an_agent_can_not_bring_another(server: RunningServer, http: httpx2.AsyncClient) -> None:
    made = (await http.post("/v1/convai/agents/create", json=agent())).json()
    async with client(server.url, f"{PATH}?agent_id={made['agent_id']}") as connection:
        await connection.send(type="enclave_setup_config", agent_config_dict=agent())
        assert "names no agent_id" in (await connection.next())["error_event"]["message"]
        assert (await connection.closed())[0] == 1008


async def test_without_the_setting_only_the_holder_of_a_key_brings_one(settings: Settings) -> None:
    async with run_server(settings, SystemClock()) as server:
        for headers, told in (({}, "API key"), ({"xi-api-key": "gl_wrong"}, "not known")):
            async with client(server.url, PATH, additional_headers=headers) as connection:
                assert told in (await connection.next())["error_event"]["message"]
                assert (await connection.closed())[0] == 1008
        async with client(server.url, PATH, additional_headers={"xi-api-key": server.api_key}) as connection:
            await connection.send(type="enclave_setup_config", agent_config_dict=agent())
            assert (await connection.begin())["type"] == "conversation_initiation_metadata"
            await connection.until("agent_response")

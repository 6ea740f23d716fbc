"""Conversations as a user of the official SDK meets them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from datetime import timedelta
from typing import Any

import elevenlabs.types as sdk
import httpx2
import pytest
from elevenlabs.client import AsyncElevenLabs
from elevenlabs.core import ApiError
from elevenlabs.errors import UnprocessableEntityError

from greenline.clock import ManualClock
from greenline.conversations.events import AgentMessage, Delivery, Ended, ToolCalled, ToolReturned, UserMessage
from greenline.workspaces import service as workspaces
from greenline.workspaces.models import DEFAULT_ID
from support.files import save_file
from support.http import http_client
from support.journal import BEGIN, Timed, projection, started, write
from support.server import RunningServer
from support.shapes import assert_complete

PNG = b"\x89PNG\r\n\x1a\n and more"
SAID: list[Timed] = [
    (1, UserMessage(id="u1", text="When do you open?", wamid="wamid.1")),
    (
        2,
        AgentMessage(
            id="a1",
            text="At nine.",
            model="gpt-4o",
            usage={"input": 9, "output": 3},
            seconds=0.5,
            outbox_ids=("out_1",),
        ),
    ),
    (3, Delivery(outbox_id="out_1", state="accepted", wamid="wamid.2")),
    (4, Delivery(outbox_id="out_1", state="read", wamid="wamid.2")),
    (5, AgentMessage(id="a2", text="", model="gpt-4o")),
    (5, ToolCalled(message_id="a2", request_id="r1", name="end_call", params={"reason": "bye"})),
    (5, ToolReturned(message_id="a2", request_id="r1", name="end_call", said="Bye!", outbox_ids=("out_2",))),
    (5, Ended(reason="end_call tool was called: bye")),
]


async def write_one(
    server: RunningServer, client: AsyncElevenLabs, conversation_id: str, said: list[Timed], **changes: Any
) -> str:
    """A conversation of a new agent; the id of the agent."""
    agent = await client.conversational_ai.agents.create(name="Shop", conversation_config={})
    version = await client.conversational_ai.agents.get(agent.agent_id)
    row = projection(
        conversation_id,
        workspace_id=DEFAULT_ID,
        agent_id=agent.agent_id,
        branch_id=version.branch_id,
        version_id=version.version_id,
        **changes,
    )
    variables = {"name": "Ada", "secret__key": "hidden"}
    await write(server.services.pool, row, [(0, started(row, variables=variables)), *said], summary="In short")
    agent_id: str = agent.agent_id
    return agent_id


async def refusal(call: Awaitable[Any]) -> tuple[int | None, str]:
    """The HTTP status and the machine code with which a call is refused."""
    with pytest.raises(ApiError) as error:
        await call
    return error.value.status_code, error.value.body["detail"]["status"]


async def read(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


async def raw(http: httpx2.AsyncClient, path: str = "", **params: Any) -> Any:
    response = await http.get(f"/v1/convai/conversations{path}", params=params)
    assert response.status_code == 200, response.text
    return response.json()


@pytest.fixture
async def stranger(server: RunningServer, clock: ManualClock) -> AsyncIterator[httpx2.AsyncClient]:
    """A client with the key of another workspace."""
    pool = server.services.pool
    other = await workspaces.create(pool, clock, "Other")
    key = await workspaces.create_key(pool, clock, other.id, "key")
    async with http_client(server.url, key.secret) as client:
        yield client


async def test_a_conversation_reads_complete(
    server: RunningServer, client: AsyncElevenLabs, http: httpx2.AsyncClient
) -> None:
    agent_id = await write_one(server, client, "conv_1", SAID)

    found = await client.conversational_ai.conversations.get("conv_1")

    assert (found.agent_id, found.agent_name, found.status, found.user_id) == (
        agent_id,
        "Shop",
        "done",
        "4917012345678",
    )
    assert [(turn.role, turn.message) for turn in found.transcript] == [
        ("user", "When do you open?"),
        ("agent", "At nine."),
        ("agent", None),
        ("agent", "Bye!"),
    ]
    answer = found.transcript[1]
    assert answer.producing_llm == "gpt-4o"
    assert answer.llm_usage.model_usage["gpt-4o"].output_total.tokens == 3
    assert answer.delivery["state"] == "read"
    assert found.transcript[2].tool_calls[0].tool_name == "end_call"
    assert found.transcript[3].tool_results[0].result["result_type"] == "end_call_success"
    assert found.metadata.whatsapp.whatsapp_user_id == "4917012345678"
    assert found.metadata.charging.llm_usage.irreversible_generation.model_usage["gpt-4o"].input.tokens == 9
    assert found.metadata.termination_reason == "end_call tool was called: bye"
    assert found.analysis.transcript_summary == "In short"
    assert found.conversation_initiation_client_data.dynamic_variables == {"name": "Ada"}
    body = await raw(http, "/conv_1")
    assert_complete(sdk.GetConversationResponseModel, body)
    assert body["metadata"]["phone_call"] is None


async def test_the_list(server: RunningServer, client: AsyncElevenLabs, http: httpx2.AsyncClient) -> None:
    for number in range(5):
        began = BEGIN + timedelta(hours=number)
        await write_one(server, client, f"conv_{number}", SAID, started_at=began, accepted_at=began)
    conversations = client.conversational_ai.conversations

    first = await conversations.list(page_size=3)
    assert [line.conversation_id for line in first.conversations] == ["conv_4", "conv_3", "conv_2"]
    assert (first.has_more, first.conversations[0].agent_name) == (True, "Shop")
    assert first.conversations[0].transcript_summary is None
    assert first.conversations[0].tool_names == ["end_call"]
    second = await conversations.list(page_size=3, cursor=first.next_cursor, summary_mode="include")
    assert [line.conversation_id for line in second.conversations] == ["conv_1", "conv_0"]
    assert (second.has_more, second.next_cursor) == (False, None)
    assert second.conversations[0].transcript_summary == "In short"
    assert_complete(sdk.GetConversationsPageResponseModel, await raw(http))


async def test_filters_reach_the_list(server: RunningServer, client: AsyncElevenLabs) -> None:
    agent_id = await write_one(server, client, "conv_1", SAID)
    await write_one(server, client, "conv_2", [], user_id="other", source="python_sdk")

    async def found(**filters: Any) -> list[str]:
        page = await client.conversational_ai.conversations.list(**filters)
        return sorted(line.conversation_id for line in page.conversations)

    both = ["conv_1", "conv_2"]
    assert await found() == both
    assert await found(agent_id=agent_id) == ["conv_1"]
    assert await found(user_id="other") == ["conv_2"]
    assert await found(conversation_initiation_source="whatsapp", whatsapp_phone_number_ids="100200300") == ["conv_1"]
    assert await found(exclude_statuses=["done", "failed"]) == ["conv_2"]
    assert await found(tool_names_successful="end_call", tool_ids="__system_end_call") == ["conv_1"]
    assert await found(search="OPEN when") == ["conv_1"]
    assert await found(dynamic_variable_params=["name:eq:Ada", "name:neq:Bob"]) == both
    assert await found(dynamic_variable_filter="name:in:Bob|Eve") == []
    assert await found(conversation_product_type="agents") == both
    assert await found(guardrail_types=["custom"]) == await found(custom_guardrail_names=["g"]) == []
    assert await found(data_collection_params="order:eq:") == both  # nothing was collected anywhere
    for impossible in (
        {"evaluation_params": "polite:success"},
        {"data_collection_filter": "order:gt:5"},
        {"topic_ids": ["t"]},
        {"tag_ids": ["t"]},
        {"triggered_procedure_ids": ["p"]},
        {"parent_conversation_id": "conv_1"},
        {"workflow_node_entered_id": "start_node"},
        {"conversation_product_type": "speech_engine"},
    ):
        assert await found(**impossible) == [], impossible


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("page_size", "101"),
        ("cursor", "nonsense"),
        ("sort_direction", "sideways"),
        ("evaluation_params", "polite:maybe"),
        ("dynamic_variable_params", "name"),
        ("dynamic_variable_filter", "name:like:x"),
        ("data_collection_params", "age:gt:old"),
        ("rating_max", "6"),
        ("call_start_after_unix", str(10**18)),
        ("exclude_statuses", "gone"),
        ("visited_agent_ids", [f"agent_{number}" for number in range(51)]),
        ("guardrail_types", "unheard_of"),
    ],
)
async def test_a_wrong_filter_is_refused_by_its_name(http: httpx2.AsyncClient, name: str, value: Any) -> None:
    response = await http.get("/v1/convai/conversations", params={name: value})
    assert response.status_code == 422, response.text
    assert response.json()["detail"][0]["loc"][:2] == ["query", name]


async def test_the_summary(server: RunningServer, client: AsyncElevenLabs, http: httpx2.AsyncClient) -> None:
    await write_one(server, client, "conv_1", SAID)
    conversations = client.conversational_ai.conversations
    found = await conversations.get_summary("conv_1")
    assert [message.message for message in found.messages] == ["When do you open?", "At nine.", "Bye!"]
    assert (await conversations.get_summary("conv_1", max_messages=2)).messages_omitted is True
    assert_complete(sdk.GetConversationSummaryResponseModel, await raw(http, "/conv_1/summary"))
    with pytest.raises(UnprocessableEntityError):
        await conversations.get_summary("conv_1", max_messages=0)


async def test_feedback(server: RunningServer, client: AsyncElevenLabs) -> None:
    await write_one(server, client, "conv_1", SAID)
    conversations = client.conversational_ai.conversations
    for nothing in ({"feedback": None}, {}):  # the client's default is to send no field
        await conversations.feedback.create("conv_1", feedback="like")
        assert (await conversations.get("conv_1")).metadata.feedback.likes == 1
        await conversations.feedback.create("conv_1", **nothing)
        assert (await conversations.get("conv_1")).metadata.feedback.overall_score is None
    with pytest.raises(UnprocessableEntityError):
        await conversations.feedback.create("conv_1", feedback="love")


async def test_a_file_goes_up_comes_back_and_goes_away(server: RunningServer, client: AsyncElevenLabs) -> None:
    await write_one(server, client, "conv_1", [(0, UserMessage(id="u", text="Hi"))])
    files = client.conversational_ai.conversations.files

    file_id = (await files.create("conv_1", file=("plan ü.png", PNG, "image/png"))).file_id
    assert await read(files.get("conv_1", file_id)) == PNG
    assert (await files.delete("conv_1", file_id)).file_id == file_id
    assert await refusal(read(files.get("conv_1", file_id))) == (404, "file_not_found")


@pytest.mark.parametrize(
    ("content", "declared", "status"),
    [
        (b"", "image/png", "empty_file"),
        (b"MZ\x90\x00", "image/png", "unsupported_file_type"),
        (b"plain words", "application/zip", "unsupported_file_type"),
    ],
)
async def test_a_wrong_file_is_refused(
    server: RunningServer, client: AsyncElevenLabs, content: bytes, declared: str, status: str
) -> None:
    await write_one(server, client, "conv_1", [(0, UserMessage(id="u", text="Hi"))])
    files = client.conversational_ai.conversations.files
    assert await refusal(files.create("conv_1", file=("a", content, declared))) == (400, status)


async def test_a_file_of_a_message_has_a_link_that_needs_no_key(
    server: RunningServer, client: AsyncElevenLabs, clock: ManualClock
) -> None:
    await write_one(server, client, "conv_1", [(0, UserMessage(id="u", text="", file_ids=("file_1",)))])
    await save_file(
        server.services.pool, server.services.objects, b"<script>", clock.now(), workspace_id=DEFAULT_ID,
        filename='plan "ü".html', mime_type="text/html", file_id="file_1",
    )  # fmt: skip
    turn = (await client.conversational_ai.conversations.get("conv_1")).transcript[0]
    assert turn.file_inputs[0].original_filename == 'plan "ü".html'
    link = turn.file_inputs[0].file_url

    async with httpx2.AsyncClient(trust_env=False, timeout=30) as browser:
        response = await browser.get(link)
        assert (response.status_code, response.content) == (200, b"<script>")
        assert response.headers["content-disposition"].startswith("attachment")
        assert response.headers["x-content-type-options"] == "nosniff"
        assert (await browser.get(link.replace("file_1", "file_2"))).status_code == 404
        assert (await browser.get(link[:-1])).status_code == 404
        clock.advance(timedelta(minutes=16))
        assert (await browser.get(link)).json()["detail"]["status"] == "link_expired"
    files = client.conversational_ai.conversations.files
    assert await refusal(files.delete("conv_1", "file_1")) == (409, "file_in_use")


async def test_deletion(server: RunningServer, client: AsyncElevenLabs) -> None:
    await write_one(server, client, "conv_1", SAID)
    conversations = client.conversational_ai.conversations
    await conversations.delete("conv_1")
    assert await refusal(conversations.get("conv_1")) == (404, "conversation_not_found")
    assert await refusal(conversations.delete("conv_1")) == (404, "conversation_not_found")


async def test_a_conversation_is_a_trace(server: RunningServer, client: AsyncElevenLabs) -> None:
    await write_one(server, client, "conv_1", SAID)
    conversations = client.conversational_ai.conversations

    traced = await conversations.get("conv_1", format="opentelemetry")

    assert traced.otlp_traces is not None
    (resource,) = traced.otlp_traces["resourceSpans"]
    spans = resource["scopeSpans"][0]["spans"]
    assert spans[0]["name"] == "elevenlabs.conversation"
    assert {span["traceId"] for span in spans} == {spans[0]["traceId"]}
    assert (await conversations.get("conv_1")).otlp_traces is None


async def test_what_is_not_there_is_said_so(server: RunningServer, client: AsyncElevenLabs) -> None:
    await write_one(server, client, "conv_1", SAID)
    conversations = client.conversational_ai.conversations
    assert await refusal(read(conversations.audio.get("conv_1"))) == (404, "audio_not_found")
    reference = "https://acme.slack.com/archives/C1/p1"
    resolved = conversations.resolve(agent_id="agent_1", reference=reference)
    assert await refusal(resolved) == (404, "conversation_not_found")


async def test_another_workspace_sees_none_of_it(
    server: RunningServer, client: AsyncElevenLabs, stranger: httpx2.AsyncClient
) -> None:
    await write_one(server, client, "conv_1", [(0, UserMessage(id="u", text="Hi"))])
    uploaded = await client.conversational_ai.conversations.files.create("conv_1", file=("a.png", PNG, "image/png"))
    one = "/v1/convai/conversations/conv_1"
    for method, path, body in (
        ("GET", one, {}),
        ("GET", f"{one}/summary", {}),
        ("GET", f"{one}/audio", {}),
        ("DELETE", one, {}),
        ("POST", f"{one}/feedback", {"json": {"feedback": "like"}}),
        ("POST", f"{one}/files", {"files": {"file": ("a.png", PNG)}}),
        ("GET", f"{one}/files/{uploaded.file_id}", {}),
        ("DELETE", f"{one}/files/{uploaded.file_id}", {}),
    ):
        response = await stranger.request(method, path, **body)
        assert response.status_code == 404, (method, path)
        assert response.json()["detail"]["message"]
    assert (await stranger.get("/v1/convai/conversations")).json()["conversations"] == []
    assert len((await client.conversational_ai.conversations.list()).conversations) == 1

"""Guardrails as clients of the agent socket and readers of the API see them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from elevenlabs.client import AsyncElevenLabs
from elevenlabs.types.triggered_guardrail_common_model_guardrail_details import (
    TriggeredGuardrailCommonModelGuardrailDetails_Classifier as Classifier,
)
from elevenlabs.types.triggered_guardrail_common_model_guardrail_details import (
    TriggeredGuardrailCommonModelGuardrailDetails_Llm as Llm,
)

from greenline.settings import Settings
from support.fake_llm import FakeLlm, fake_llm, says
from support.judges import JUDGE, custom, passes, refuses, retry
from support.server import RunningServer
from support.socket_agents import EVENTS, finished, make_agent
from support.sockets import SocketClient, client

LISTED = [*EVENTS, "guardrail_triggered"]
PROMPT = "offline: when again -> say It is oolong.\noffline: when ^(.+)$ -> say It costs nine euro."


@pytest.fixture
async def judge() -> AsyncIterator[FakeLlm]:
    async with fake_llm(passes()) as server:
        yield server


@pytest.fixture
def settings(settings: Settings, judge: FakeLlm) -> Settings:
    """The offline model answers, the fake one judges."""
    return settings.model_copy(
        update={"llm_base_urls": {"judge": judge.url}, "llm_map": {JUDGE: "judge:j"}, "guardrail_message": "Bye."}
    )


async def begin(socket: SocketClient) -> str:
    metadata = (await socket.begin())["conversation_initiation_metadata_event"]
    await socket.until("agent_response")
    return str(metadata["conversation_id"])


def connect(server: RunningServer, agent_id: str) -> Any:
    return client(server.url, f"/v1/convai/conversation?agent_id={agent_id}")


async def make(http: httpx2.AsyncClient, events: list[str] | None = None, **guardrails: Any) -> str:
    conversation = {"client_events": events or LISTED, "monitoring_enabled": True}
    return await make_agent(http, PROMPT, conversation=conversation, platform={"guardrails": guardrails})


async def test_a_hit_is_told_and_ends_the_conversation(
    server: RunningServer, http: httpx2.AsyncClient, client: AsyncElevenLabs, judge: FakeLlm
) -> None:
    agent_id = await make(http, **custom())
    judge.will(refuses("It names a price."))
    async with connect(server, agent_id) as socket:
        conversation_id = await begin(socket)
        await socket.send(type="user_message", text="How much?")
        assert await socket.until("guardrail_triggered") == {"type": "guardrail_triggered"}
        last = await socket.until("agent_response", lambda frame: "Bye." in str(frame))
        assert last["agent_response_event"]["agent_response"] == "Bye."
        code, reason = await socket.closed()
        assert (code, reason) == (1000, "Guardrail triggered: custom (Prices)")
    await finished(http, conversation_id)
    shown = await client.conversational_ai.conversations.get(conversation_id)
    assert shown.metadata.termination_reason == "Guardrail triggered: custom (Prices)"
    assert shown.status == "done"
    [turn] = [turn for turn in shown.transcript if turn.triggered_guardrails]
    assert turn.message == "It costs nine euro."
    [hit] = turn.triggered_guardrails or []
    assert (hit.guardrail_type, hit.guardrail_name, hit.execution_mode) == ("custom", "Prices", "streaming")
    assert hit.guardrail_details == Llm(rationale="It names a price.")
    assert turn.llm_usage is not None
    assert turn.llm_usage.model_usage["judge:j"].output_total.tokens == 5
    raw = (await http.get(f"/v1/convai/conversations/{conversation_id}")).json()
    assert raw["metadata"]["charging"]["llm_usage"]["irreversible_generation"]["model_usage"]["judge:j"]


async def test_an_attempt_that_was_refused_is_in_the_transcript(
    server: RunningServer, http: httpx2.AsyncClient, judge: FakeLlm
) -> None:
    agent_id = await make(http, **custom(execution_mode="blocking", trigger_action=retry("Say it again.")))
    judge.will(refuses(), refuses(), refuses())
    async with connect(server, agent_id) as socket:
        conversation_id = await begin(socket)
        await socket.send(type="user_message", text="How much?")
        await socket.closed()
        kinds = [kind for kind in socket.kinds() if kind in ("guardrail_triggered", "agent_response")]
        assert kinds[1:] == ["guardrail_triggered"] * 3 + ["agent_response"]
    *_, turn = (await finished(http, conversation_id))["transcript"]
    assert (turn["message"], turn["origin"]) == ("Bye.", "guardrail")
    assert turn["refused_messages"] == ["It costs nine euro."] * 3
    assert [hit["execution_mode"] for hit in turn["triggered_guardrails"]] == ["blocking"] * 3


async def test_who_does_not_list_the_event_is_not_told(
    server: RunningServer, http: httpx2.AsyncClient, judge: FakeLlm
) -> None:
    agent_id = await make(http, EVENTS, **custom())
    judge.will(refuses())
    async with connect(server, agent_id) as socket:
        await begin(socket)
        await socket.send(type="user_message", text="How much?")
        await socket.closed()
        assert "guardrail_triggered" not in socket.kinds()


async def test_a_category_has_its_score_and_its_threshold(
    server: RunningServer, http: httpx2.AsyncClient, client: AsyncElevenLabs, judge: FakeLlm
) -> None:
    content = {"config": {"medical_and_legal_information": {"is_enabled": True, "threshold": "medium"}}}
    agent_id = await make(http, content=content)
    judge.will(says(json.dumps({"scores": {"medical_and_legal": 0.8}})))
    async with connect(server, agent_id) as socket:
        conversation_id = await begin(socket)
        await socket.send(type="user_message", text="May I take two?")
        assert (await socket.closed())[1] == "Guardrail triggered: medical_and_legal"
    await finished(http, conversation_id)
    shown = await client.conversational_ai.conversations.get(conversation_id)
    [hit] = [hit for turn in shown.transcript for hit in turn.triggered_guardrails or []]
    assert hit.guardrail_type == "medical_and_legal"
    assert hit.guardrail_details == Classifier(score=0.8, threshold=0.5)


async def test_who_watches_is_told(server: RunningServer, http: httpx2.AsyncClient, judge: FakeLlm) -> None:
    agent_id = await make(http, **custom())
    judge.will(refuses())
    async with connect(server, agent_id) as socket:
        conversation_id = await begin(socket)
        path = f"/v1/convai/conversations/{conversation_id}/monitor"
        async with client_of(server, path) as monitor:
            await monitor.until("history_complete")
            await socket.send(type="user_message", text="How much?")
            await monitor.until("guardrail_triggered")


async def test_what_nobody_can_judge_is_a_warning(server: RunningServer, http: httpx2.AsyncClient) -> None:
    """The offline model judges two things, and says so of the rest."""
    agent_id = await make(http, **custom(model="offline"))
    async with connect(server, agent_id) as socket:
        conversation_id = await begin(socket)
        await socket.until("agent_response_complete")
        await socket.send(type="user_message", text="How much?")
        await socket.until("agent_response_complete")
    shown = await finished(http, conversation_id)
    [warning] = shown["metadata"]["warnings"]
    assert warning.startswith("The guardrail custom “Prices” was not judged (1 times): the offline model")
    [unjudged] = shown["transcript"][-1]["unjudged_guardrails"]
    assert (unjudged["guardrail_type"], unjudged["guardrail_name"]) == ("custom", "Prices")
    assert shown["transcript"][-1]["triggered_guardrails"] == []


def client_of(server: RunningServer, path: str) -> Any:
    return client(server.url, path, additional_headers={"xi-api-key": server.api_key})

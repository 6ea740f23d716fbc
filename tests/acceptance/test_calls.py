"""Calls as a business meets them: the whole server with its own speech, the official SDK, a phone with real media."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from elevenlabs.client import AsyncElevenLabs
from elevenlabs.core.api_error import ApiError

from greenline.clock import SystemClock
from greenline.settings import Settings
from greenline.speech.espeak import EspeakSynthesiser
from greenline.speech.models import Voice
from greenline.speech.resample import Resampler
from support.calling import CallingMeta, permitted
from support.graph_stand_in import NUMBER, asking, connect
from support.mcp_server import mcp_server
from support.rtc_peer import RtcPeer
from support.server import RunningServer
from support.voice import level, voiced_seconds
from support.wait import eventually, until
from support.webhooks import deliver

ANN = "15551230000"
QUESTION = "What are your opening hours?"
PERMISSION_TEMPLATE = {
    "whatsapp_call_permission_request_template_name": "may_we_call",
    "whatsapp_call_permission_request_template_language_code": "en",
}


@pytest.fixture
def meta() -> CallingMeta:
    """Meta's side."""
    return CallingMeta()


@pytest.fixture
def clock() -> SystemClock:
    """Speech takes its time: the server of these tests runs by the machine's clock."""
    return SystemClock()


@pytest.fixture
async def settings(settings: Settings, meta: CallingMeta) -> AsyncIterator[Settings]:
    """The server of these tests asks the stand-in."""
    async with asking(meta, settings, call_drain_seconds=1.0, stt_phrases=QUESTION) as changed:
        yield changed


@pytest.fixture
async def agent_id(client: AsyncElevenLabs, http: httpx2.AsyncClient) -> str:
    """An agent that answers the calls of a connected number."""
    await connect(http)
    config: Any = {
        "agent": {"first_message": "Hello, this is the tea shop. How can I help you?", "prompt": {"prompt": "Tea."}},
        "turn": {"turn_timeout": -1},  # on a busy machine everybody is silent
    }
    made = await client.conversational_ai.agents.create(name="Rosie", conversation_config=config)
    await client.conversational_ai.whatsapp_accounts.update(NUMBER, assigned_agent_id=made.agent_id)
    agent_id: str = made.agent_id
    return agent_id


def call(event: str, wacid: str, **more: Any) -> dict[str, Any]:
    return {"id": wacid, "from": ANN, "to": "15550001111", "event": event, "timestamp": "1790000000", **more}


async def ended(client: AsyncElevenLabs, conversation_id: str) -> Any:
    """The conversation, when its call is over."""

    async def over() -> Any:
        found = await client.conversational_ai.conversations.get(conversation_id)
        result = found.metadata.whatsapp and found.metadata.whatsapp.call_result
        return found if result and found.status not in ("initiated", "in-progress") else None

    return await until(over)


async def test_a_person_calls_and_hears_the_agent(
    client: AsyncElevenLabs, http: httpx2.AsyncClient, meta: CallingMeta, agent_id: str
) -> None:
    peer = RtcPeer()
    session = {"sdp_type": "offer", "sdp": await peer.offer()}
    await deliver(http, "calls", calls=[call("connect", "wacid.1", direction="USER_INITIATED", session=session)])
    await peer.apply_answer((await meta.calls.action("pre_accept"))["session"]["sdp"])
    await meta.calls.action("accept")
    await eventually(lambda: voiced_seconds(bytes(peer.heard)) > 1.5)
    end = call("terminate", "wacid.1", status="COMPLETED", start_time="1", end_time="5", duration=4)
    await deliver(http, "calls", calls=[end])
    await peer.close()

    async def listed() -> Any:
        page = await client.conversational_ai.conversations.list(conversation_initiation_source="whatsapp")
        return page.conversations

    (summary,) = await until(listed)
    found = await ended(client, summary.conversation_id)
    assert found.agent_id == agent_id
    assert found.transcript[0].message is not None
    assert found.transcript[0].role == "agent"
    whatsapp = found.metadata.whatsapp
    assert (whatsapp.direction, whatsapp.whatsapp_user_id, whatsapp.call_result) == ("inbound", ANN, "answered")
    assert found.metadata.text_only is False
    assert found.metadata.termination_reason == "The person hung up."
    assert whatsapp.call_permission_request is None


async def test_an_agent_at_its_limit_takes_no_call(
    client: AsyncElevenLabs, http: httpx2.AsyncClient, meta: CallingMeta, agent_id: str
) -> None:
    settings: Any = {"call_limits": {"agent_concurrency_limit": 0}}
    await client.conversational_ai.agents.update(agent_id, platform_settings=settings)
    peer = RtcPeer()
    session = {"sdp_type": "offer", "sdp": await peer.offer()}
    await deliver(http, "calls", calls=[call("connect", "wacid.1", direction="USER_INITIATED", session=session)])
    assert (await meta.calls.action("reject"))["call_id"] == "wacid.1"
    await peer.close()
    body = {"whatsapp_phone_number_id": NUMBER, "whatsapp_user_id": ANN, "agent_id": agent_id, **PERMISSION_TEMPLATE}
    refused = await http.post("/v1/convai/whatsapp/outbound-call", json=body)
    assert (refused.status_code, refused.json()["detail"]["status"]) == (409, "agent_at_limit")


async def test_a_call_ends_with_the_account_of_its_number(
    client: AsyncElevenLabs, http: httpx2.AsyncClient, meta: CallingMeta, agent_id: str
) -> None:
    peer = RtcPeer()
    session = {"sdp_type": "offer", "sdp": await peer.offer()}
    await deliver(http, "calls", calls=[call("connect", "wacid.1", direction="USER_INITIATED", session=session)])
    await peer.apply_answer((await meta.calls.action("pre_accept"))["session"]["sdp"])
    await eventually(lambda: voiced_seconds(bytes(peer.heard)) > 0.5)
    await client.conversational_ai.whatsapp_accounts.delete(NUMBER)
    assert (await meta.calls.action("terminate"))["call_id"] == "wacid.1"
    (summary,) = (await client.conversational_ai.conversations.list()).conversations
    found = await ended(client, summary.conversation_id)
    assert (found.status, found.metadata.termination_reason) == ("done", "The WhatsApp account was removed")
    await peer.close()


async def test_of_an_answer_the_transcript_holds_what_was_heard_until_the_person_hung_up(
    client: AsyncElevenLabs, http: httpx2.AsyncClient, meta: CallingMeta, agent_id: str
) -> None:
    story = "This is the tea shop. " + "We sell green tea, black tea, white tea and many kinds of herbs. " * 6
    await client.conversational_ai.agents.update(
        agent_id, conversation_config={"agent": {"first_message": story, "prompt": {"prompt": "Tea."}}}
    )
    peer = RtcPeer()
    session = {"sdp_type": "offer", "sdp": await peer.offer()}
    await deliver(http, "calls", calls=[call("connect", "wacid.1", session=session)])
    await peer.apply_answer((await meta.calls.action("pre_accept"))["session"]["sdp"])
    await eventually(lambda: voiced_seconds(bytes(peer.heard)) > 2.0)
    await peer.close()  # the media goes first, Meta's word follows
    await deliver(http, "calls", calls=[call("terminate", "wacid.1", status="COMPLETED", start_time="1", duration=4)])
    (summary,) = (await client.conversational_ai.conversations.list()).conversations
    (said, *_) = (await ended(client, summary.conversation_id)).transcript
    assert said.interrupted
    assert 0 < len(said.message or "") < len(story) / 3
    assert said.original_message == story.strip()


async def test_the_agent_falls_silent_when_the_person_speaks_and_answers_them(
    client: AsyncElevenLabs, http: httpx2.AsyncClient, meta: CallingMeta, agent_id: str
) -> None:
    story = "This is the tea shop. " + "We sell green tea, black tea, white tea and many kinds of herbs. " * 6
    await client.conversational_ai.agents.update(
        agent_id, conversation_config={"agent": {"first_message": story, "prompt": {"prompt": "We open at nine."}}}
    )
    question = await spoken(QUESTION)
    peer = RtcPeer()
    session = {"sdp_type": "offer", "sdp": await peer.offer()}
    await deliver(http, "calls", calls=[call("connect", "wacid.1", session=session)])
    await peer.apply_answer((await meta.calls.action("pre_accept"))["session"]["sdp"])
    peer.out.open()
    await eventually(lambda: voiced_seconds(bytes(peer.heard)) > 2.0)
    peer.out.write(question, 1)
    await eventually(lambda: level(bytes(peer.heard[-16_000:])) < 50)
    await eventually(lambda: level(bytes(peer.heard[-3200:])) > 500)  # the answer
    await deliver(http, "calls", calls=[call("terminate", "wacid.1", status="COMPLETED", start_time="1", duration=9)])
    await peer.close()
    (summary,) = (await client.conversational_ai.conversations.list()).conversations
    found = await ended(client, summary.conversation_id)
    greeting, heard, answer = found.transcript[:3]
    assert greeting.interrupted
    assert greeting.original_message == story.strip()
    assert len(greeting.message) < len(story) / 2
    assert heard.role == "user"
    assert "opening hours" in heard.message.lower()
    assert heard.source_medium == "audio"
    assert answer.role == "agent"


@pytest.mark.parametrize("policy", ["require_approval_all", "auto_approve_all"])
async def test_a_call_has_the_tools_that_nobody_need_approve(
    client: AsyncElevenLabs, http: httpx2.AsyncClient, meta: CallingMeta, agent_id: str, policy: str
) -> None:
    async with mcp_server() as shop:
        config: Any = {**shop.config, "approval_policy": policy}
        server = await client.conversational_ai.mcp_servers.create(config=config)
        rules = 'offline: when tea -> call price {"what": "tea"}\noffline: after price -> say It is {result}'
        prompt = {"prompt": rules, "llm": "offline", "mcp_server_ids": [server.id]}
        listed = ["agent_response", "mcp_tool_call"]
        changed: Any = {"agent": {"prompt": prompt}, "conversation": {"client_events": listed}}
        await client.conversational_ai.agents.update(agent_id, conversation_config=changed)
        peer = RtcPeer()
        session = {"sdp_type": "offer", "sdp": await peer.offer()}
        await deliver(http, "calls", calls=[call("connect", "wacid.1", session=session)])
        await peer.apply_answer((await meta.calls.action("pre_accept"))["session"]["sdp"])
        await eventually(lambda: voiced_seconds(bytes(peer.heard)) > 1.0)
        typed = {
            "from": ANN,
            "timestamp": str(int(time.time())),
            "type": "text",
            "text": {"body": "How much is tea?"},
        }
        await deliver(http, "messages", messages=[{**typed, "id": "wamid.1"}])

        async def results() -> Any:
            (summary,) = (await client.conversational_ai.conversations.list()).conversations
            found = await client.conversational_ai.conversations.get(summary.conversation_id)
            return [result for turn in found.transcript for result in turn.tool_results or []]

        (result,) = await until(results)
        over = call("terminate", "wacid.1", status="COMPLETED", start_time="1", duration=9)
        await deliver(http, "calls", calls=[over])
        await peer.close()
    assert (result.type, result.is_blocked) == ("mcp", policy == "require_approval_all")
    assert len(shop.ran) == (0 if result.is_blocked else 1)


async def spoken(text: str) -> bytes:
    """A sentence in a voice that the embedded recogniser understands, at the rate of a call."""
    synthesiser = EspeakSynthesiser()
    resampler = Resampler(synthesiser.rate, 16_000)
    try:
        pcm = [resampler.push(chunk.pcm) async for chunk in synthesiser.say(text, Voice())]
    finally:
        await synthesiser.aclose()
    return b"".join(pcm)


async def test_the_call_knows_the_chat_and_the_chat_the_call(
    client: AsyncElevenLabs, http: httpx2.AsyncClient, server: RunningServer, meta: CallingMeta, agent_id: str
) -> None:
    text = {"from": ANN, "timestamp": str(int(time.time())), "type": "text"}
    await deliver(http, "messages", messages=[{**text, "id": "wamid.1", "text": {"body": "I drink oolong"}}])

    async def answered(count: int) -> bool:
        return len(meta.sent) >= count

    await until(lambda: answered(1))
    peer = RtcPeer()
    session = {"sdp_type": "offer", "sdp": await peer.offer()}
    await deliver(http, "calls", calls=[call("connect", "wacid.1", session=session)])
    await peer.apply_answer((await meta.calls.action("pre_accept"))["session"]["sdp"])
    await eventually(lambda: voiced_seconds(bytes(peer.heard)) > 2.0)
    await deliver(http, "calls", calls=[call("terminate", "wacid.1", status="COMPLETED", start_time="1", duration=3)])
    await peer.close()

    async def remembered(direction: str) -> set[str]:
        rows = await server.services.pool.fetch(
            """select e.data -> 'remembered' as said from conversation c
               join conversation_event e on e.conversation_id = c.id and e.kind = 'started'
               where c.text_only = $1""",
            direction == "text",
        )
        return {entry["text"] for row in rows for entry in row["said"] or ()}

    assert "I drink oolong" in await until(lambda: remembered("voice"))
    (written,) = (await client.conversational_ai.conversations.list(text_only=True)).conversations
    await client.conversational_ai.conversations.delete(written.conversation_id)
    await deliver(http, "messages", messages=[{**text, "id": "wamid.2", "text": {"body": "And now?"}}])
    await until(lambda: answered(2))
    assert any("tea shop" in said for said in await until(lambda: remembered("text")))


async def test_a_call_of_the_business_knows_the_chat(
    client: AsyncElevenLabs, http: httpx2.AsyncClient, server: RunningServer, meta: CallingMeta, agent_id: str
) -> None:
    text = {"from": ANN, "timestamp": str(int(time.time())), "type": "text"}
    await deliver(http, "messages", messages=[{**text, "id": "wamid.1", "text": {"body": "I drink oolong"}}])

    async def answered() -> bool:
        return bool(meta.sent)

    await until(answered)
    started = await client.conversational_ai.whatsapp.outbound_call(
        whatsapp_phone_number_id=NUMBER, whatsapp_user_id=ANN, agent_id=agent_id, **PERMISSION_TEMPLATE
    )
    peer = await pick_up(http, meta)
    await eventually(lambda: voiced_seconds(bytes(peer.heard)) > 1.0)
    end = call("terminate", "wacid.OUT1", status="COMPLETED", start_time="1", duration=2)
    await deliver(http, "calls", calls=[end])
    await peer.close()
    await ended(client, started.conversation_id or "")
    known = await server.services.pool.fetchval(
        "select data -> 'remembered' from conversation_event where conversation_id = $1 and kind = 'resumed'",
        started.conversation_id,
    )
    assert "I drink oolong" in {message["text"] for message in known}


async def pick_up(http: httpx2.AsyncClient, meta: CallingMeta) -> RtcPeer:
    """The person takes the call of the business."""
    connect = await meta.calls.action("connect")
    peer = RtcPeer()
    session = {"sdp_type": "answer", "sdp": await peer.answer(connect["session"]["sdp"], setup="actpass")}
    ringing = call("connect", "wacid.OUT1", direction="BUSINESS_INITIATED", session=session)
    await deliver(http, "calls", calls=[ringing])
    await deliver(http, "calls", statuses=[{"id": "wacid.OUT1", "type": "call", "status": "ACCEPTED"}])
    return peer


async def test_the_business_calls_after_the_person_has_agreed(
    client: AsyncElevenLabs, http: httpx2.AsyncClient, meta: CallingMeta, agent_id: str
) -> None:
    meta.calls.permission = permitted("no_permission")
    started = await client.conversational_ai.whatsapp.outbound_call(
        whatsapp_phone_number_id=NUMBER,
        whatsapp_user_id=ANN,
        whatsapp_call_permission_request_template_name="may_we_call",
        whatsapp_call_permission_request_template_language_code="en",
        agent_id=agent_id,
    )
    assert started.success
    assert started.conversation_id is not None

    async def asked() -> Any:
        found = await client.conversational_ai.conversations.get(started.conversation_id)
        request = found.metadata.whatsapp.call_permission_request
        return found if request and request.state == "sent" and meta.sent else None

    found = await until(asked)
    assert (found.status, found.metadata.text_only) == ("initiated", False)
    reply = {"response": "accept", "is_permanent": True, "response_source": "user_action"}
    interactive = {"type": "call_permission_reply", "call_permission_reply": reply}
    message = {"from": ANN, "id": "wamid.P", "timestamp": "1790000000", "type": "interactive"}
    await deliver(http, "messages", messages=[{**message, "interactive": interactive}])
    connect = await meta.calls.action("connect")
    peer = RtcPeer()
    session = {"sdp_type": "answer", "sdp": await peer.answer(connect["session"]["sdp"], setup="actpass")}
    await deliver(
        http, "calls", calls=[call("connect", "wacid.OUT1", direction="BUSINESS_INITIATED", session=session)]
    )
    await deliver(http, "calls", statuses=[{"id": "wacid.OUT1", "type": "call", "status": "RINGING"}])
    await deliver(http, "calls", statuses=[{"id": "wacid.OUT1", "type": "call", "status": "ACCEPTED"}])
    await eventually(lambda: voiced_seconds(bytes(peer.heard)) > 1.0)
    await deliver(
        http, "calls", calls=[call("terminate", "wacid.OUT1", status="COMPLETED", start_time="1", duration=2)]
    )
    await peer.close()
    found = await ended(client, started.conversation_id)
    whatsapp = found.metadata.whatsapp
    assert (whatsapp.direction, whatsapp.call_result) == ("outbound", "answered")
    request = whatsapp.call_permission_request
    assert (request.state, request.permanent, request.granted_by_user_call) == ("accepted", True, False)
    assert request.requested_at_unix <= request.responded_at_unix


async def test_who_declines_is_told_of_as_the_reference_does(
    client: AsyncElevenLabs, http: httpx2.AsyncClient, meta: CallingMeta, agent_id: str
) -> None:
    meta.calls.permission = permitted("no_permission")
    body = {
        "whatsapp_phone_number_id": NUMBER,
        "whatsapp_user_id": ANN,
        "whatsapp_call_permission_request_template_name": "may_we_call",
        "whatsapp_call_permission_request_template_language_code": "en",
        "agent_id": agent_id,
    }
    started = (await http.post("/v1/convai/whatsapp/outbound-call", json=body)).json()
    with pytest.raises(ApiError) as refused:
        await client.conversational_ai.whatsapp.outbound_call(**body)
    assert refused.value.status_code == 409

    async def asked() -> bool:
        return bool(meta.sent)

    await until(asked)
    reply = {"type": "call_permission_reply", "call_permission_reply": {"response": "reject"}}
    message = {"from": ANN, "id": "wamid.P", "timestamp": "1790000000", "type": "interactive", "interactive": reply}
    await deliver(http, "messages", messages=[message])
    found = await ended(client, started["conversation_id"])
    assert found.status == "failed"
    assert found.metadata.error.reason == "User declined the call permission request."
    assert found.metadata.whatsapp.call_permission_request.state == "declined"
    page = await client.conversational_ai.conversations.list()
    assert len(page.conversations) == 1, "the answer to the request begins no conversation by text"


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"whatsapp_user_id": "+1 (555) 123-0000"}, 400, "invalid_whatsapp_user_id"),
        ({"whatsapp_phone_number_id": "1"}, 404, None),
        ({"agent_id": "agent_x"}, 404, None),
        ({"whatsapp_call_permission_request_template_name": "nope"}, 404, "template_not_found"),
    ],
)
async def test_a_wrong_request_is_refused_with_what_to_do(
    http: httpx2.AsyncClient, agent_id: str, change: dict[str, str], status: int, code: str | None
) -> None:
    body = {
        "whatsapp_phone_number_id": NUMBER,
        "whatsapp_user_id": ANN,
        "whatsapp_call_permission_request_template_name": "may_we_call",
        "whatsapp_call_permission_request_template_language_code": "en",
        "agent_id": agent_id,
        **change,
    }
    response = await http.post("/v1/convai/whatsapp/outbound-call", json=body)
    assert response.status_code == status
    detail = response.json()["detail"]
    assert detail["message"]
    assert code in (None, detail["status"])

"""The agents of calls of the business: what they know when the person picks up, and which tools they have."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from greenline.agents.initiation import InitiationData
from greenline.agents.variables import MissingVariables
from greenline.channels.live.sessions import LiveSessions
from greenline.channels.whatsapp.calls.agent import Goodbye
from greenline.channels.whatsapp.calls.live_agents import LiveCallAgents, LiveVoice
from greenline.channels.whatsapp.calls.outbound import OutboundCall
from greenline.channels.whatsapp.calls.store import CallRow, CallStore
from greenline.clock import ManualClock
from greenline.conversations import service
from greenline.conversations.events import Noted, Resumed, Started
from greenline.conversations.models import ConversationNotFound
from greenline.conversations.transcript_models import VoicemailDetectionResult
from greenline.llm.models import ModelReply, ModelRequest, ToolCall
from greenline.settings import Settings
from greenline.store.objects import FolderObjects
from greenline.store.pool import Pool
from greenline.store.vault import open_vault
from greenline.store.wakeups import Wakeups
from greenline.tools.mcp.toolbox import Mcp
from support.calling import CallChannel, calling_channel, permitted
from support.channel import ANN, ScriptedModel
from support.live import Room
from support.rows import NUMBER, WORKSPACE
from support.scripted import Answer
from support.spoken import SpokenSpeech
from support.start_data import asks, start_webhook
from support.wait import eventually, until


@dataclass
class Phone(Room):
    """A room with a keypad."""

    pressed: list[str] = field(default_factory=list)

    def press(self, digits: str) -> None:
        self.pressed.append(digits)


@dataclass
class Desk:
    """A channel, and the live agents of its calls."""

    channel: CallChannel
    agents: LiveCallAgents
    model: ScriptedModel
    phone: Phone = field(default_factory=Phone)

    async def dial(self, conversation_id: str) -> LiveVoice:
        """The agent of a call of the business, which is about to ring."""
        [data] = await self.channel.pool.fetch("select * from whatsapp_call")
        row = CallRow(**{name: data[name] for name in CallRow.__dataclass_fields__})
        assert row.conversation_id == conversation_id
        line = await CallStore(self.channel.pool).line(WORKSPACE, NUMBER, row.chat_id)
        assert line is not None
        return await self.agents.prepare(row, line, self.phone)

    @contextlib.asynccontextmanager
    async def talk(self, voice: LiveVoice) -> AsyncIterator[asyncio.Task[Goodbye]]:
        """The person has picked up."""
        listens = asyncio.Event()
        task = asyncio.create_task(voice.run(listens.set))
        await listens.wait()
        try:
            yield task
        finally:
            voice.end("Bye")
            await task

    async def ask(self, voice: LiveVoice, text: str) -> ModelRequest:
        """What the model reads when the person types ``text``."""
        before = len(self.model.requests)
        assert voice.typed(text, None)
        await eventually(lambda: len(self.model.requests) > before)
        return self.model.requests[before]


@pytest.fixture
async def desk(pool: Pool, dsn: str, clock: ManualClock, settings: Settings) -> AsyncIterator[Desk]:
    settings = settings.model_copy(update={"call_drain_seconds": 0.0})
    async with calling_channel(pool, dsn, clock, settings) as channel:
        wakeups, mcp, model = Wakeups(dsn), Mcp(pool, clock, settings), ScriptedModel()
        await wakeups.start()
        live = LiveSessions(
            pool=pool,
            wakeups=wakeups,
            vault=open_vault(settings),
            models=model,
            mcp=mcp,
            speech=SpokenSpeech(),
            objects=FolderObjects(settings.data_dir),
            clock=clock,
            settings=settings,
        )
        live.start()
        yield Desk(channel, LiveCallAgents(pool, open_vault(settings), live, clock, settings), model)
        await live.stop(0.0)
        await wakeups.aclose()
        await mcp.aclose()


async def start(channel: CallChannel, **initiation: Any) -> str:
    """The business asks for a call to Ann, who must be asked for permission first."""
    channel.meta.permission = permitted("no_permission")
    request = OutboundCall(
        phone_number_id=NUMBER,
        user_id=ANN,
        template_name="may_we_call",
        template_language="en",
        agent_id=channel.agent_id,
        initiation=InitiationData.model_validate(initiation),
    )
    conversation_id = await channel.starter.start(WORKSPACE, request)
    await channel.phase("waiting")
    return conversation_id


async def test_a_call_of_the_business_knows_the_chat_up_to_the_pick_up(desk: Desk) -> None:
    channel = desk.channel
    await channel.configure({"agent": {"prompt": {"prompt": "For {{name}}, at {{system__time_utc}}."}}})
    conversation_id = await start(channel, dynamic_variables={"name": "Ann"})
    await channel.configure({"agent": {"prompt": {"prompt": "In the chat."}}})
    channel.clock.advance(timedelta(days=3))
    await channel.hear("I drink oolong")
    await until(lambda: told(channel, "Hello!"))
    voice = await desk.dial(conversation_id)
    channel.clock.advance(timedelta(seconds=20))  # it rings
    await channel.hear("I hear it ring")
    await until(lambda: told(channel, "Hello!", 2))
    picked_up = channel.clock.now()
    async with desk.talk(voice):
        system = (await desk.ask(voice, "What do I drink?")).messages[0].text
    assert system.startswith(f"For Ann, at {picked_up.isoformat()}.")
    assert "Person: I drink oolong" in system
    assert "Person: I hear it ring" in system
    assert "May we call you?" not in system, "that is in the conversation itself"
    journal = await channel.journal(conversation_id)
    [began] = [event for event in journal if isinstance(event, Started)]
    [answered] = [event for event in journal if isinstance(event, Resumed)]
    assert (began.summary, began.remembered) == (None, ())
    assert [message.text for message in answered.remembered] == [
        "I drink oolong", "Hello!", "I hear it ring", "Hello!",
    ]  # fmt: skip
    assert answered.variables["system__call_duration_secs"] == 0


async def test_a_call_whose_conversation_was_deleted_is_not_made(desk: Desk) -> None:
    """Nor does it come back, when the phone rings already."""
    conversation_id = await start(desk.channel)
    voice = await desk.dial(conversation_id)
    objects = FolderObjects(desk.channel.settings.data_dir)
    await service.delete(desk.channel.pool, desk.channel.clock, objects, WORKSPACE, conversation_id)
    with pytest.raises(ConversationNotFound):
        await desk.dial(conversation_id)
    with pytest.raises(ConversationNotFound):
        await voice.run(lambda: None)
    assert await desk.channel.pool.fetchval("select count(*) from conversation") == 0


async def test_an_agent_in_a_call_has_no_tools_that_a_client_carries_out(desk: Desk) -> None:
    """On WhatsApp there is no client (reference: Client tools): nobody would be told, and nobody would answer."""
    show = {"type": "client", "name": "show", "description": "Shows something.", "expects_response": True}
    await desk.channel.configure({"agent": {"prompt": {"prompt": "Tea.", "tools": [show]}}})
    voice = await desk.dial(await start(desk.channel))
    async with desk.talk(voice):
        request = await desk.ask(voice, "Show me")
    assert [tool.name for tool in request.tools] == ["send_chat_message"]


VOICEMAIL = {"voicemail_detection": {"params": {"voicemail_message": "Hello {{name}}, we will call again."}}}


async def test_a_machine_that_answers_gets_a_message_and_the_call_is_over(desk: Desk) -> None:
    await desk.channel.configure({"agent": {"prompt": {"prompt": "Tea.", "built_in_tools": VOICEMAIL}}})
    conversation_id = await start(desk.channel, dynamic_variables={"name": "Ann"})
    voice = await desk.dial(conversation_id)
    found = ToolCall("call_1", "voicemail_detection", {"reason": "a beep"})
    desk.model.say = lambda request: ModelReply("m", "", (found,))
    desk.phone.at_once = False
    async with desk.talk(voice) as talk:
        await desk.ask(voice, "Please leave a message after the beep")
        await eventually(lambda: desk.phone.seconds > 1.0)
        assert voice.typed("Beep", None)
        assert desk.phone.queued > 0, "nobody cuts into it"
        desk.phone.at_once = True
        goodbye = await talk
    assert (goodbye.reason, goodbye.failed) == ("voicemail_detection tool was called: a beep", False)
    assert voice.met_voicemail
    view = await service.get(desk.channel.pool, WORKSPACE, conversation_id, link=lambda file: "")
    [turn] = [turn for turn in view.transcript if turn.tool_results]
    assert turn.message == "Hello Ann, we will call again."
    [result] = turn.tool_results
    assert result.result == VoicemailDetectionResult(reason="a beep", voicemail_message=turn.message)
    assert view.metadata.features_usage.voicemail_detection.used


async def answer(desk: Desk) -> LiveVoice:
    """The agent of a call that Ann makes; she wrote before."""
    channel = desk.channel
    await channel.hear("Hi")
    await until(lambda: bool_of(channel.meta.sent))
    [chat_id] = [row["chat_id"] for row in await channel.conversations()]
    row = CallRow("call_1", WORKSPACE, NUMBER, chat_id, "call:1", "inbound", "preparing", channel.clock.now())
    line = await CallStore(channel.pool).line(WORKSPACE, NUMBER, chat_id)
    assert line is not None
    return await desk.agents.prepare(row, line, desk.phone)


async def bool_of(found: object) -> bool:
    return bool(found)


async def test_who_calls_is_no_machine(desk: Desk) -> None:
    await desk.channel.configure({"agent": {"prompt": {"prompt": "Tea.", "built_in_tools": VOICEMAIL}}})
    voice = await answer(desk)
    async with desk.talk(voice):
        request = await desk.ask(voice, "Hi")
    assert [tool.name for tool in request.tools] == ["send_chat_message"]
    assert "Person: Hi" in request.messages[0].text


async def test_what_is_written_once_the_agent_has_ended_the_call_is_left_to_the_chat(desk: Desk) -> None:
    voice = await answer(desk)
    async with desk.talk(voice):
        voice.end("The agent ended the call")
        assert not voice.typed("Wait!", None)


async def test_a_webhook_brings_the_start_data_of_who_calls(desk: Desk) -> None:
    async with start_webhook(dynamic_variables={"name": "Ann"}, user_id="crm_7") as server:
        await desk.channel.configure({"agent": {"prompt": {"prompt": "For {{name}}."}}}, **asks(server.url))
        voice = await answer(desk)
    chat, call = server.requests
    assert (call.json["caller_id"], call.json["called_number"]) == (ANN, NUMBER)
    assert call.json["conversation_id"] == voice.conversation_id != chat.json["conversation_id"]
    async with desk.talk(voice):
        assert (await desk.ask(voice, "Hi")).messages[0].text.startswith("For Ann.")
    journal = await desk.channel.journal(voice.conversation_id)
    assert [type(event) for event in journal][:2] == [Started, Noted]
    view = await service.get(desk.channel.pool, WORKSPACE, voice.conversation_id, link=lambda file: "")
    assert view.user_id == "crm_7"


async def test_a_call_that_lacks_what_the_webhook_did_not_bring_is_not_taken(desk: Desk) -> None:
    async with start_webhook(reply=Answer(500)) as server:
        await desk.channel.configure({"agent": {"prompt": {"prompt": "For {{name}}."}}}, **asks(server.url))
        with pytest.raises(MissingVariables):
            await answer(desk)


async def test_a_call_of_the_business_has_the_data_of_its_request_or_of_the_webhook(desk: Desk) -> None:
    channel = desk.channel
    channel.meta.permission = permitted("no_permission")
    async with start_webhook(dynamic_variables={"name": "Ann"}) as server:
        await channel.configure({"agent": {"prompt": {"prompt": "For {{name}}."}}}, **asks(server.url))
        request = OutboundCall(NUMBER, ANN, channel.agent_id, "may_we_call", "en")
        with pytest.raises(MissingVariables):
            await channel.starter.start(WORKSPACE, replace(request, initiation=InitiationData()))
        assert server.requests == []
        conversation_id = await channel.starter.start(WORKSPACE, request)
    [asked] = server.requests
    assert (asked.json["caller_id"], asked.json["called_number"]) == (NUMBER, ANN)
    assert asked.json["conversation_id"] == conversation_id
    began, note, *_ = await channel.journal(conversation_id)
    assert isinstance(began, Started)
    assert began.variables["name"] == "Ann"
    assert isinstance(note, Noted)


@pytest.mark.parametrize("body", [b'{"environment": "p\\u0000"}', b'{"x": ' + b"[" * 300 + b"]" * 300 + b"}"])
async def test_a_call_of_the_business_goes_on_without_data_that_can_not_be_kept(desk: Desk, body: bytes) -> None:
    channel = desk.channel
    channel.meta.permission = permitted("no_permission")
    async with start_webhook(reply=Answer(body=body)) as server:
        await channel.configure(None, **asks(server.url))
        request = OutboundCall(NUMBER, ANN, channel.agent_id, "may_we_call", "en")
        conversation_id = await channel.starter.start(WORKSPACE, request)
    _, note, *_ = await channel.journal(conversation_id)
    assert isinstance(note, Noted)
    assert "can't be kept" in note.detail["error"]


async def told(channel: CallChannel, text: str, count: int = 1) -> bool:
    said = [message for message in channel.meta.sent if message.get("text", {}).get("body") == text]
    return len(said) >= count

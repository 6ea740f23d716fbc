"""Calls of people: answered, refused, ended from every side, and nothing left of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from greenline.channels.orders import Order, place
from greenline.channels.whatsapp.calls.service import ABANDONED_SECONDS
from greenline.clock import ManualClock
from greenline.conversations.events import UserMessage
from greenline.errors import BadRequest
from greenline.settings import Settings
from greenline.store.pool import Pool
from support.calling import CallChannel, calling_channel, offer, talking
from support.graph_stand_in import meta_error
from support.rows import WORKSPACE
from support.rtc_peer import RtcPeer
from support.scripted import Answer
from support.scripted_speech import ScriptedSpeech
from support.voice import tone, voiced_seconds
from support.wait import eventually, until


@pytest.fixture
async def channel(pool: Pool, dsn: str, clock: ManualClock, settings: Settings) -> AsyncIterator[CallChannel]:
    fast = settings.model_copy(update={"call_drain_seconds": 0.0, "lease_seconds": 3.0, "call_capacity": 2})
    async with calling_channel(pool, dsn, clock, fast) as one:
        yield one


async def test_a_person_calls_speaks_presses_a_key_and_hangs_up(channel: CallChannel) -> None:
    async with talking(channel) as (peer, voice):
        await eventually(lambda: voiced_seconds(bytes(peer.heard)) >= 0.46)
        peer.out.write(tone(0.3), 1)
        peer.out.press("7")
        await eventually(lambda: voiced_seconds(bytes(voice.pcm)) >= 0.28)
        await eventually(lambda: voice.digits == ["7"])
        await channel.tell_call("terminate", status="COMPLETED", start_time="1", end_time="9", duration=8)
        row = await channel.ended()
    assert channel.meta.names() == ["pre_accept", "accept"]
    assert (row["result"], row["talk_seconds"], row["error_code"]) == ("answered", 8, None)
    assert row["conversation_id"] == voice.conversation_id
    assert row["chat_id"] == await channel.pool.fetchval(
        "select chat_id from chat_identity where identifier = 'US.1'"
    )
    assert row["statistics"]["digits_received"] == 1
    assert not voice.running
    assert channel.calls.active == 0


async def test_whoever_got_the_number_of_somebody_else_calls_in_a_chat_of_their_own(channel: CallChannel) -> None:
    await channel.hear("My order is 77.", from_user_id="US.1")
    await channel.told(1)
    await channel.quiet()
    await channel.ring(await offer(), from_user_id="US.2")
    await channel.meta.action("pre_accept")
    await channel.tell_call("terminate", status="COMPLETED")
    row = await channel.ended()
    found = await channel.pool.fetch("select identifier, chat_id from chat_identity")
    chats = {one["identifier"]: one["chat_id"] for one in found}
    assert row["chat_id"] == chats["US.2"] == chats["15551230000"] != chats["US.1"]
    known = await channel.pool.fetch("select id, wa_id, bsuid from whatsapp_chat")
    assert {one["id"]: (one["wa_id"], one["bsuid"]) for one in known} == {
        chats["US.1"]: (None, "US.1"),
        chats["US.2"]: ("15551230000", "US.2"),
    }


async def test_the_agent_hangs_up_after_its_last_word(channel: CallChannel) -> None:
    async with talking(channel) as (peer, voice):
        voice.end("end_call tool was called: bye")
        await channel.meta.action("terminate")
        assert voiced_seconds(bytes(peer.heard)) >= 0.5, "what was said is heard to its end"
        row = await channel.ended()
    assert (row["result"], row["reason"]) == ("answered", "end_call tool was called: bye")


async def test_a_conversation_that_breaks_ends_its_call(channel: CallChannel) -> None:
    channel.agents.fail = True
    peer = RtcPeer()
    await channel.ring(await peer.offer())
    await peer.apply_answer((await channel.meta.action("pre_accept"))["session"]["sdp"])
    await channel.meta.action("terminate")
    row = await channel.ended()
    await peer.close()
    assert "RuntimeError" in row["reason"]


async def test_a_peer_that_goes_without_a_word_ends_the_call(channel: CallChannel) -> None:
    async with talking(channel) as (peer, _):
        await peer.close()
        await channel.phase("active")
        await channel.acted("terminate", step=0.5)
        row = await channel.ended()
    assert row["result"] == "answered"
    assert "lost" in row["reason"]


async def test_a_number_without_an_agent_rejects(channel: CallChannel) -> None:
    await channel.pool.execute("update whatsapp_account set assigned_agent_id = null")
    await channel.ring(await offer())
    await channel.meta.action("reject")
    row = await channel.ended()
    assert row["reason"] == "No agent is assigned to the number."
    assert row["conversation_id"] is None


async def test_a_hang_up_that_meta_did_not_take_is_said_again(channel: CallChannel) -> None:
    await channel.pool.execute("update whatsapp_account set assigned_agent_id = null")
    refusals = [meta_error(131000, 500), meta_error(130429)]
    channel.meta.refuse_action = lambda body: refusals.pop() if refusals else None
    await channel.ring(await offer())
    row = await channel.ended()
    assert (row["result"], row["reason"], row["hang_up"]) == ("busy", "No agent is assigned to the number.", "reject")
    await channel.acted("reject", step=0.2)
    await channel.quiet()
    assert refusals == []
    assert (await channel.row())["hang_up"] is None


async def test_a_call_that_ended_before_it_began_is_not_answered(channel: CallChannel) -> None:
    await channel.tell_call("terminate", status="COMPLETED")
    await channel.ring(await offer())
    row = await channel.ended()
    assert row["result"] == "no_answer"
    assert set(channel.meta.names()) <= {"pre_accept"}


@pytest.mark.parametrize(("told", "counts"), [(-7200, -7200), (60, 0), (None, 0)])
async def test_the_window_opens_when_the_person_called_and_not_when_we_were_told(
    channel: CallChannel, told: int | None, counts: int
) -> None:
    """Meta repeats what nobody took, for hours; its clock may be ahead of ours."""
    now = channel.clock.now()
    at = None if told is None else str(int(now.timestamp()) + told)
    await channel.ring(await offer(), timestamp=at)
    await channel.tell_call("terminate", status="COMPLETED")
    await channel.ended()
    opened = await channel.pool.fetchval("select last_user_message_at from whatsapp_chat")
    assert abs(opened - now - timedelta(seconds=counts)) < timedelta(seconds=1)


async def test_repeated_webhooks_change_nothing(channel: CallChannel) -> None:
    async with talking(channel):
        await channel.ring(await offer())
        for _ in range(2):
            await channel.tell_call("terminate", status="COMPLETED", start_time="1", duration=3)
        await channel.ended()
        await channel.tell_call("terminate", status="COMPLETED", start_time="1", duration=3, extra=True)
        row = await channel.ended()
    assert channel.meta.names() == ["pre_accept", "accept"]
    assert row["result"] == "answered"


@pytest.mark.parametrize(
    ("refused", "answered", "last"),
    [
        ("pre_accept", meta_error(100), "reject"),
        ("accept", meta_error(100), "reject"),
        ("accept", Answer(cut=True), "terminate"),
        ("accept", meta_error(138004, 500), "terminate"),
    ],
)
async def test_a_refused_action_ends_the_call_at_meta(
    channel: CallChannel, refused: str, answered: Answer, last: str
) -> None:
    channel.meta.refuse_action = lambda body: answered if body["action"] == refused else None
    peer = RtcPeer()
    await channel.ring(await peer.offer())
    if refused == "accept":
        await peer.apply_answer((await channel.meta.action("pre_accept"))["session"]["sdp"])
    await channel.meta.action(last)
    row = await channel.ended()
    await peer.close()
    assert row["result"] == "failed"


async def test_an_agent_that_can_not_begin_rejects(channel: CallChannel) -> None:
    channel.agents.refuse = BadRequest("The agent needs a variable.")
    await channel.ring(await offer())
    await channel.meta.action("reject")
    row = await channel.ended()
    assert row["reason"] == "The agent needs a variable."


@pytest.mark.parametrize("sdp", ["", "v=0", "nonsense"])
async def test_an_offer_that_can_not_be_used_is_rejected(channel: CallChannel, sdp: str) -> None:
    await channel.ring(sdp)
    await channel.meta.action("reject")
    assert (await channel.ended())["result"] == "failed"


async def test_media_that_never_comes_up_rejects(channel: CallChannel) -> None:
    await channel.ring(await offer())
    await channel.phase("connecting")
    await channel.acted("reject", step=1.0)
    assert (await channel.ended())["result"] == "failed"


async def test_swapped_ends_and_a_missing_direction_are_read(channel: CallChannel) -> None:
    peer = RtcPeer()
    session = {"sdp_type": "offer", "sdp": await peer.offer()}
    swapped: dict[str, Any] = {"from": "15550001111", "to": "15551230000", "from_user_id": None}
    await channel.tell_call("connect", session=session, **swapped)
    await channel.meta.action("pre_accept")
    await channel.tell_call("terminate", status="FAILED", errors=[{"code": 138020, "message": "no relay"}])
    row = await channel.ended()
    await peer.close()
    assert (row["result"], row["error_code"], row["reason"]) == ("failed", 138020, "no relay")


async def test_when_the_process_stops_talks_may_end_and_others_are_refused(channel: CallChannel) -> None:
    async with talking(channel) as (_, voice):
        stopping = asyncio.create_task(channel.calls.stop(5.0))
        await channel.meta.action("terminate")
        await stopping
        assert not voice.running
    row = await channel.ended()
    assert (row["result"], row["reason"]) == ("answered", "The server is shutting down.")


async def test_a_call_that_comes_while_the_last_process_leaves_is_rejected(
    pool: Pool, dsn: str, clock: ManualClock, settings: Settings
) -> None:
    patient = settings.model_copy(update={"call_drain_seconds": 60.0})
    async with calling_channel(pool, dsn, clock, patient) as channel, talking(channel) as (_, voice):
        stopping = asyncio.create_task(channel.calls.stop(5.0))
        await eventually(lambda: not channel.calls.state()["calls"])
        await channel.ring(await offer(), "wacid.late")
        clock.advance(timedelta(seconds=ABANDONED_SECONDS))
        rejected = await channel.meta.action("reject")
        assert rejected["call_id"] == "wacid.late"
        assert voice.running
        clock.advance(timedelta(seconds=60))
        await channel.meta.action("terminate")
        await stopping
    late = await pool.fetchrow("select result, reason from whatsapp_call where wacid = 'wacid.late'")
    assert late is not None
    assert (late["result"], late["reason"]) == ("busy", "The server is shutting down.")


async def test_what_is_typed_during_a_call_is_said_in_it_and_answered_in_the_chat_after_it(
    channel: CallChannel,
) -> None:
    async with talking(channel) as (_, voice):
        await channel.phase("active")
        wamid = await channel.hear("My address is Rose Street 5", from_user_id="US.1")
        await eventually(lambda: voice.texts == ["My address is Rose Street 5"])
        assert await channel.conversations() == []
        row = await channel.pool.fetchrow("select * from inbox where dedupe = $1", wamid)
        assert row is not None
        assert row["mailbox_id"] == "call:wacid.1"
        await channel.tell_call("terminate", status="COMPLETED", start_time="1", duration=8)
        await channel.ended()
    await channel.hear("And now?", from_user_id="US.1")
    assert await channel.told(1) == ["Hello!"]


async def test_what_is_typed_to_a_human_in_the_chat_is_not_said_to_the_agent_in_a_call(channel: CallChannel) -> None:
    await channel.hear("Hi", from_user_id="US.1")
    await channel.told(1)
    (chat,) = await channel.conversations()
    await place(channel.pool, channel.clock, WORKSPACE, chat["id"], Order("enable_human_takeover"))
    await channel.quiet()
    async with talking(channel) as (_, voice):
        await channel.phase("active")
        await channel.hear("Is my order there?", from_user_id="US.1")

        async def is_in_the_chat() -> bool:
            (*_, last) = await channel.journal(chat["id"])
            return isinstance(last, UserMessage) and last.text == "Is my order there?"

        await until(is_in_the_chat)
        assert voice.texts == []
        await place(channel.pool, channel.clock, WORKSPACE, chat["id"], Order("disable_human_takeover"))
        await channel.told(2)
        await channel.hear("And my change?", from_user_id="US.1")
        await eventually(lambda: voice.texts == ["And my change?"])
        await channel.tell_call("terminate", status="COMPLETED", start_time="1", duration=8)
        await channel.ended()


async def test_a_voice_note_during_a_call_is_answered_in_the_chat_by_one(
    pool: Pool, dsn: str, clock: ManualClock, settings: Settings
) -> None:
    async with (
        calling_channel(pool, dsn, clock, settings, ScriptedSpeech()) as channel,
        talking(channel) as (_, voice),
    ):
        await channel.phase("active")
        await channel.speak(from_user_id="US.1")
        assert await channel.told(1) == ["[media_1]"]
        assert voice.texts == []
        await channel.tell_call("terminate", status="COMPLETED", start_time="1", duration=8)
        await channel.ended()


async def test_what_nobody_in_the_call_could_hear_goes_back_to_the_chat(channel: CallChannel) -> None:
    async with talking(channel) as (_, voice):
        await channel.phase("active")
        voice.deaf = True
        await channel.hear("Are you there?", from_user_id="US.1")

        async def moved() -> bool:
            return bool(await channel.pool.fetchval("select 1 from inbox where kind = 'call_text'"))

        await until(moved)
        await channel.tell_call("terminate", status="COMPLETED", start_time="1", duration=8)
        assert await channel.told(1) == ["Hello!"]


async def test_what_is_typed_before_the_conversation_listens_is_heard_when_it_does(channel: CallChannel) -> None:
    channel.agents.listens = asyncio.Event()
    async with talking(channel) as (_, voice):
        await channel.phase("active")
        await channel.hear("Are you there?", from_user_id="US.1")

        async def moved() -> bool:
            return bool(await channel.pool.fetchval("select 1 from inbox where kind = 'call_text'"))

        await until(moved)
        channel.agents.listens.set()
        await eventually(lambda: voice.texts == ["Are you there?"])
        await channel.tell_call("terminate", status="COMPLETED", start_time="1", duration=8)
        await channel.ended()


async def test_calls_are_forgotten_when_meta_can_not_speak_of_them_any_more(channel: CallChannel) -> None:
    await channel.ring(await offer())
    await channel.meta.action("pre_accept")
    await channel.tell_call("terminate", status="COMPLETED")
    await channel.ended()
    channel.clock.advance(timedelta(days=40))

    async def gone() -> bool:
        calls = await channel.pool.fetchval("select count(*) from whatsapp_call")
        return not calls and not await channel.pool.fetchval("select count(*) from mailbox where kind = 'call'")

    await until(gone)


async def test_the_next_process_ends_the_call_of_one_that_died(
    channel: CallChannel, settings: Settings, dsn: str
) -> None:
    async with talking(channel) as (peer, voice):
        await channel.phase("active")
        (task,) = [task for _, task in channel.calls._worker._live.values()]
        task.cancel()  # as if the process had been killed: nothing is written
        await eventually(lambda: not voice.running)
        await channel.meta.action("terminate")
        row = await channel.ended()
        assert (row["result"], row["reason"]) == ("failed", "The process that held the call ended.")
        del peer

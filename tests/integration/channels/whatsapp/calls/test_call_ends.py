"""Ends that something is in the way of: Meta does not answer, the database is away, the conversation is cut short."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from greenline.channels.whatsapp.calls.outbound import OutboundCall
from greenline.channels.whatsapp.calls.run import HANG_UP_SECONDS
from greenline.clock import ManualClock
from greenline.settings import Settings
from greenline.store.pool import Pool, open_pool
from support.calling import CallChannel, another_process, calling_channel, talking
from support.flaky_database import FlakyDatabase, flaky_database
from support.graph_stand_in import meta_error
from support.rows import NUMBER, WORKSPACE
from support.rtc_peer import RtcPeer
from support.scripted import Answer
from support.voice import voiced_seconds
from support.wait import eventually


@pytest.fixture
def quick(settings: Settings) -> Settings:
    return settings.model_copy(
        update={
            "call_drain_seconds": 0.0,
            "lease_seconds": 30.0,
            "call_prices": {"1": 0.6},
            "graph_timeout_seconds": 60,
        }
    )


@pytest.fixture
async def channel(pool: Pool, dsn: str, clock: ManualClock, quick: Settings) -> AsyncIterator[CallChannel]:
    async with calling_channel(pool, dsn, clock, quick) as one:
        yield one


async def start(channel: CallChannel) -> None:
    """The business calls Ann."""
    await channel.starter.start(WORKSPACE, OutboundCall(NUMBER, "15551230000", channel.agent_id, "may_we_call", "en"))


async def test_a_call_ends_though_meta_does_not_answer_the_hang_up(channel: CallChannel) -> None:
    async with talking(channel) as (_, voice):
        hung: list[str] = []

        def hang(body: dict[str, str]) -> Answer | None:
            if body["action"] == "terminate" and not hung:
                hung.append(body["call_id"])
                return Answer(hang=True)
            return None

        channel.meta.refuse_action = hang
        voice.end("All was said.")
        await eventually(lambda: hung)
        channel.clock.advance(timedelta(seconds=HANG_UP_SECONDS))
        row = await channel.ended()
        assert (row["result"], row["reason"], row["hang_up"]) == ("answered", "All was said.", "terminate")
        assert channel.calls.active == 0
        await channel.acted("terminate", step=0.2)
        await channel.quiet()
        assert (await channel.row())["hang_up"] is None


async def test_a_hang_up_that_a_dead_token_kept_from_meta_is_said_again_by_its_successor(
    channel: CallChannel,
) -> None:
    async with talking(channel) as (_, voice):
        channel.meta.refuse_action = lambda body: meta_error(190, 401) if body["action"] == "terminate" else None
        voice.end("All was said.")
        row = await channel.ended()
        assert (row["result"], row["hang_up"]) == ("answered", "terminate")
        channel.meta.refuse_action = lambda body: None
        await channel.acted("terminate", step=0.2)
        await channel.quiet()
        assert (await channel.row())["hang_up"] is None


async def stopped(channel: CallChannel, stopping: asyncio.Task[None]) -> None:
    """Let time pass until the process has stopped: a call that leaves is written down before its timer begins."""

    async def done() -> bool:
        return stopping.done()

    await channel.phase("leaving")
    await channel.pass_time(done, step=HANG_UP_SECONDS)
    await stopping


async def test_nobody_listens_or_speaks_while_meta_is_told_of_the_end(channel: CallChannel) -> None:
    channel.meta.refuse_action = lambda body: Answer(hang=True) if body["action"] == "terminate" else None
    async with talking(channel) as (_, voice):
        stopping = asyncio.create_task(channel.calls.stop(5.0))
        await eventually(lambda: not voice.running)
        await stopped(channel, stopping)
    assert (await channel.row())["hang_up"] == "terminate", "the next process tells Meta"


async def test_an_accept_in_the_air_keeps_no_call_alive(channel: CallChannel, dsn: str) -> None:
    refusals = {"accept": Answer(hang=True), "terminate": meta_error(100)}
    asked: list[str] = []

    def refuse(body: dict[str, str]) -> Answer | None:
        asked.append(body["action"])
        return refusals.get(body["action"])

    channel.meta.refuse_action = refuse
    peer = RtcPeer()
    await channel.ring(await peer.offer())
    await peer.apply_answer((await channel.meta.action("pre_accept"))["session"]["sdp"])
    await eventually(lambda: "accept" in asked)
    stopping = asyncio.create_task(channel.calls.stop(5.0))
    await stopped(channel, stopping)
    await peer.close()
    assert (await channel.row())["hang_up"] == "terminate"
    del asked[:]
    refusals.pop("accept")
    async with another_process(channel, dsn):
        await channel.acted("reject", step=0.2)
        await channel.quiet()
    assert asked == ["terminate", "reject"], "it was not accepted: the phone rang"


async def test_a_conversation_that_is_cut_short_ends_its_call(channel: CallChannel) -> None:
    async with talking(channel) as (_, voice):
        assert voice.task is not None
        voice.task.cancel()  # as its worker does when the lease of the conversation is lost
        await channel.meta.action("terminate")
        row = await channel.ended()
    assert row["reason"] == "The conversation was cut short."


async def test_a_call_whose_connect_got_no_answer_is_ended_when_meta_tells_of_it(channel: CallChannel) -> None:
    channel.meta.refuse_action = lambda body: Answer(cut=True) if body["action"] == "connect" else None
    await start(channel)
    row = await channel.ended()
    assert (row["result"], row["wacid"]) == ("failed", None)
    await channel.tell_status("RINGING", "wacid.LOST", biz_opaque_callback_data=row["id"])
    assert (await channel.meta.action("terminate"))["call_id"] == "wacid.LOST"
    await channel.quiet()
    assert (await channel.row())["wacid"] == "wacid.LOST"


async def test_a_call_goes_on_by_metas_word_while_the_answer_to_connect_is_waited_for(channel: CallChannel) -> None:
    channel.meta.refuse_action = lambda body: Answer(hang=True) if body["action"] == "connect" else None
    await start(channel)
    await channel.phase("dialing")
    row = await channel.row()
    await channel.tell_status("RINGING", "wacid.LATE", biz_opaque_callback_data=row["id"])
    await channel.phase("ringing")
    await channel.tell_status("REJECTED", "wacid.LATE")
    row = await channel.ended()
    assert (row["result"], row["wacid"]) == ("busy", "wacid.LATE")


async def test_a_call_that_was_picked_up_and_came_to_nothing_is_answered_and_paid_for(channel: CallChannel) -> None:
    await start(channel)
    await channel.phase("ringing")
    await channel.tell_status("ACCEPTED")
    await channel.acted("terminate", step=0.2)
    row = await channel.ended()
    assert (row["result"], row["picked_up_at"]) == ("answered", None)
    (conversation,) = await channel.conversations()
    assert (conversation["status"], conversation["call_price"]) == ("failed", None)
    await channel.tell_call("terminate", "wacid.OUT1", status="COMPLETED", start_time="1", duration=11)
    await channel.quiet()
    (conversation,) = await channel.conversations()
    assert conversation["call_price"] == 0.12


async def test_metas_word_that_somebody_picked_up_counts_though_it_comes_late(channel: CallChannel) -> None:
    await start(channel)
    await channel.phase("ringing")
    await channel.acted("terminate", step=5.0)
    assert (await channel.ended())["result"] == "no_answer"
    await channel.tell_call("terminate", "wacid.OUT1", status="COMPLETED", start_time="1", duration=5)
    await channel.quiet()
    (conversation,) = await channel.conversations()
    assert ((await channel.row())["result"], conversation["call_price"]) == ("answered", 0.06)


@pytest.fixture
async def flaky(dsn: str) -> AsyncIterator[FlakyDatabase]:
    async with flaky_database(dsn) as way:
        yield way


async def test_a_call_outlives_a_moment_without_its_database(
    flaky: FlakyDatabase, clock: ManualClock, quick: Settings
) -> None:
    pool = await open_pool(flaky.dsn, size=4)
    try:
        async with calling_channel(pool, flaky.dsn, clock, quick) as channel, talking(channel) as (peer, voice):
            await channel.phase("active")
            ((claim, _),) = channel.calls._worker._live.values()
            flaky.cut()
            claim.arrived.set()
            await eventually(lambda: not claim.arrived.is_set())  # it looks, and finds no database
            flaky.mend()
            before = voiced_seconds(bytes(peer.heard))
            voice.say()
            await eventually(lambda: voiced_seconds(bytes(peer.heard)) > before + 0.4)
            await eventually(lambda: channel.calls.state()["calls"])
            flaky.cut()
            voice.end("All was said.")
            await eventually(lambda: not voice.running)
            flaky.mend()
            await channel.meta.action("terminate")
            row = await channel.ended()
        assert (row["result"], row["reason"]) == ("answered", "All was said.")
    finally:
        pool.terminate()

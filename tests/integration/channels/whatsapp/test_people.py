"""Ids of a person that had led to two chats: what is in one goes on in the other, once and in order."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from greenline.channels.whatsapp.people import join_with, learn, open_chat
from greenline.clock import ManualClock
from greenline.llm.models import ModelRequest
from greenline.store.pool import Pool
from support.channel import ANN, Channel
from support.rows import NUMBER, WORKSPACE, insert_account, insert_workspace
from support.wait import eventually

OTHER_ID = "15559990000"


@pytest.fixture
async def rows(pool: Pool, clock: ManualClock) -> Pool:
    """A database with a number."""
    await insert_workspace(pool, clock.now())
    await insert_account(pool, clock.now())
    return pool


async def chat(pool: Pool, clock: ManualClock, **ids: str | None) -> str:
    async with pool.acquire() as connection:
        known = {"wa_id": None, "bsuid": None, **ids}
        return (await open_chat(connection, WORKSPACE, NUMBER, **known, now=clock.now()))[0]


async def led_to(pool: Pool) -> dict[str, str]:
    return {row["identifier"]: row["chat_id"] for row in await pool.fetch("select * from chat_identity")}


async def tell(pool: Pool, clock: ManualClock, chat_id: str, **ids: str | None) -> None:
    await learn(pool, WORKSPACE, NUMBER, chat_id, **{"wa_id": None, "bsuid": None, **ids}, now=clock.now())


async def test_a_new_id_leads_to_the_chat(rows: Pool, clock: ManualClock) -> None:
    one = await chat(rows, clock, wa_id=ANN)
    await tell(rows, clock, one, wa_id=OTHER_ID, bsuid="US.1")
    assert await led_to(rows) == {ANN: one, OTHER_ID: one, "US.1": one}
    known = await rows.fetchrow("select wa_id, bsuid from whatsapp_chat")
    assert known is not None
    assert dict(known) == {"wa_id": OTHER_ID, "bsuid": "US.1"}


async def test_three_chats_of_one_person_become_that_of_their_user_id(rows: Pool, clock: ManualClock) -> None:
    asked = await chat(rows, clock, wa_id=ANN)
    named = await chat(rows, clock, wa_id=OTHER_ID)
    theirs = await chat(rows, clock, bsuid="US.1")
    await tell(rows, clock, asked, wa_id=OTHER_ID, bsuid="US.1")
    assert set((await led_to(rows)).values()) == {theirs}
    joined = await rows.fetch("select id from whatsapp_chat where joined_to = $1", theirs)
    assert {row["id"] for row in joined} == {asked, named}


async def test_the_number_of_somebody_else_before_is_taken_over_without_their_chat(
    rows: Pool, clock: ManualClock
) -> None:
    before = await chat(rows, clock, wa_id=OTHER_ID, bsuid="US.2")
    asked = await chat(rows, clock, wa_id=ANN)
    await tell(rows, clock, asked, wa_id=OTHER_ID, bsuid="US.1")
    assert await led_to(rows) == {ANN: asked, OTHER_ID: asked, "US.1": asked, "US.2": before}


async def test_window_rate_and_wishes_of_the_person_are_kept(rows: Pool, clock: ManualClock) -> None:
    asked = await chat(rows, clock, wa_id=ANN)
    theirs = await chat(rows, clock, wa_id=OTHER_ID)
    earlier, later = clock.now() - timedelta(hours=2), clock.now() - timedelta(hours=1)
    update = "update whatsapp_chat set last_user_message_at = $2, pair_clock = $3 where id = $1"
    await rows.execute(update, asked, later, earlier)
    await rows.execute(update, theirs, earlier, later)
    await rows.execute("update whatsapp_chat set marketing_stopped = true where id = $1", asked)
    await tell(rows, clock, asked, wa_id=OTHER_ID)
    row = await rows.fetchrow("select * from whatsapp_chat where id = $1", theirs)
    assert row is not None
    assert (row["last_user_message_at"], row["pair_clock"], row["marketing_stopped"]) == (later, later, True)


async def test_the_later_word_on_marketing_counts(rows: Pool, clock: ManualClock) -> None:
    asked = await chat(rows, clock, wa_id=ANN)
    theirs = await chat(rows, clock, wa_id=OTHER_ID)
    said = "update whatsapp_chat set marketing_stopped = $2::text::boolean, marketing_changed_at = $3 where id = $1"
    await rows.execute(said, asked, "false", clock.now())
    await rows.execute(said, theirs, "true", clock.now() - timedelta(hours=1))
    await tell(rows, clock, asked, wa_id=OTHER_ID)
    row = await rows.fetchrow("select * from whatsapp_chat where id = $1", theirs)
    assert row is not None
    assert (row["marketing_stopped"], row["marketing_changed_at"]) == (False, clock.now())


async def test_a_turn_that_has_acted_keeps_its_chat(rows: Pool, clock: ManualClock) -> None:
    asked = await chat(rows, clock, wa_id=ANN)
    theirs = await chat(rows, clock, wa_id=OTHER_ID)
    await rows.execute(
        "insert into turn_step values ($1, 1, $2, '{1}', 'tool', true, '{}', $3)", asked, WORKSPACE, clock.now()
    )
    await tell(rows, clock, asked, wa_id=OTHER_ID)
    assert await led_to(rows) == {ANN: asked, OTHER_ID: theirs}


async def test_chats_are_never_joined_in_a_circle(rows: Pool, clock: ManualClock) -> None:
    asked = await chat(rows, clock, wa_id=ANN)
    theirs = await chat(rows, clock, wa_id=OTHER_ID)
    await tell(rows, clock, asked, wa_id=OTHER_ID)
    stale = await join_with(rows, WORKSPACE, NUMBER, asked, wa_id=OTHER_ID, bsuid=None, now=clock.now())
    assert not stale
    assert await led_to(rows) == {ANN: theirs, OTHER_ID: theirs}


async def test_what_was_being_answered_is_answered_once_where_it_was_sent_on_to(channel: Channel) -> None:
    """Two ids of Ann, two chats; while the agent thinks in one of them Meta tells that they are one person's."""
    await channel.hear("before", OTHER_ID)
    await channel.told(1, OTHER_ID)
    await channel.quiet()
    channel.model.hold = asyncio.Event()

    def heard(request: ModelRequest) -> str:
        return f"You said {request.messages[-1].text}"

    channel.model.say = heard
    await channel.hear("after")
    await eventually(lambda: len(channel.model.requests) == 2)
    ids = await led_to(channel.pool)
    await tell(channel.pool, channel.clock, ids[ANN], wa_id=OTHER_ID)
    channel.model.hold.set()
    await channel.quiet()

    answers: list[Any] = [message["text"]["body"] for message in channel.meta.sent]
    assert answers == ["Hello!", "You said after"]
    assert {row["chat_id"] for row in await channel.conversations()} == {ids[OTHER_ID]}
    assert len(await channel.conversations()) == 1


async def test_a_chat_that_is_held_takes_others_in(rows: Pool, clock: ManualClock) -> None:
    held = await chat(rows, clock, bsuid="US.1")
    other = await chat(rows, clock, wa_id=ANN)
    ids: dict[str, Any] = {"wa_id": ANN, "bsuid": "US.1"}
    assert await join_with(rows, WORKSPACE, NUMBER, held, **ids, now=clock.now())
    assert await led_to(rows) == {ANN: held, "US.1": held}
    assert await rows.fetchval("select joined_to from whatsapp_chat where id = $1", other) == held
    assert not await join_with(rows, WORKSPACE, NUMBER, held, **ids, now=clock.now())

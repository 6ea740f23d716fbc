"""A database that goes away in the middle of a live conversation, for a moment or for good."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from greenline.channels.live.models import AgentResponse, ResponseComplete, SessionEnded
from greenline.channels.live.sessions import DatabaseAway
from greenline.channels.orders import Order, place
from greenline.clock import ManualClock
from greenline.conversations.events import AgentMessage, Ended, Started, UserMessage
from greenline.settings import Settings
from greenline.store.pool import Pool, open_pool
from support.flaky_database import FlakyDatabase, flaky_database
from support.live import Stage, stage, told_of
from support.rows import WORKSPACE
from support.wait import eventually, until


@pytest.fixture
async def flaky(dsn: str) -> AsyncIterator[FlakyDatabase]:
    async with flaky_database(dsn) as way:
        yield way


@pytest.fixture
async def flaky_pool(flaky: FlakyDatabase) -> AsyncIterator[Pool]:
    connections = await open_pool(flaky.dsn, size=4)
    yield connections
    connections.terminate()


@pytest.fixture
def lease_seconds() -> float:
    """Outages that are to end do so long before this."""
    return 60.0


@pytest.fixture
async def live(
    flaky: FlakyDatabase, flaky_pool: Pool, clock: ManualClock, settings: Settings, lease_seconds: float
) -> AsyncIterator[Stage]:
    leased = settings.model_copy(update={"lease_seconds": lease_seconds})
    async with stage(flaky_pool, flaky.dsn, clock, leased) as running:
        running.model.say = lambda request: f"You said {request.messages[-1].text}"
        yield running


async def kinds(pool: Pool, conversation_id: str) -> list[str]:
    rows = await pool.fetch(
        "select kind from conversation_event where conversation_id = $1 order by seq", conversation_id
    )
    return [row["kind"] for row in rows]


async def test_a_conversation_outlives_a_moment_without_its_database(
    live: Stage, flaky: FlakyDatabase, pool: Pool
) -> None:
    session, told = await live.begin()
    session.user_message("one")
    await told_of(told, ResponseComplete)
    await session._conversation._journal.flush()
    flaky.cut()
    session.user_message("two")
    await told_of(told, ResponseComplete, 2)
    await eventually(lambda: session._conversation._journal._append is not None)
    flaky.mend()
    session.user_message("three")
    await told_of(told, ResponseComplete, 3)
    session.end("Bye")
    ended = await live.tasks[0]
    assert ended == SessionEnded(1000, "Bye")
    journal = await live.journal(session)
    assert [type(event) for event in journal] == [Started, *[UserMessage, AgentMessage] * 3, Ended]
    assert (await live.row(session))["message_count"] == 6


async def test_a_conversation_begins_after_a_moment_without_its_database(live: Stage, flaky: FlakyDatabase) -> None:
    what = await live.beginning()
    flaky.cut()
    beginning = asyncio.create_task(live.begin_with(what))
    await eventually(lambda: flaky.refused)
    assert not beginning.done()
    flaky.mend()
    session, told = await beginning
    session.user_message("one")
    await told_of(told, ResponseComplete)
    session.end("Bye")
    await live.tasks[0]
    assert [type(event) for event in await live.journal(session)] == [Started, UserMessage, AgentMessage, Ended]


@pytest.mark.parametrize("lease_seconds", [3.0])
async def test_no_conversation_begins_while_the_database_stays_away(live: Stage, flaky: FlakyDatabase) -> None:
    what = await live.beginning()
    flaky.cut()
    with pytest.raises(DatabaseAway):
        await live.begin_with(what)
    assert live.tasks == []


async def test_no_file_is_unknown_while_nobody_can_tell(live: Stage, flaky: FlakyDatabase) -> None:
    session, _ = await live.begin()
    await session._conversation._journal.flush()
    assert await session.unknown_files(["file_none"]) == ("file_none",)
    flaky.cut()
    assert await session.unknown_files(["file_none"]) == ()
    flaky.mend()


async def test_what_was_written_unknown_to_the_process_is_not_written_twice(
    live: Stage, flaky: FlakyDatabase, pool: Pool
) -> None:
    session, told = await live.begin()
    await session._conversation._journal.flush()
    flaky.deafened_by = b'"kind":"user_message"'  # not before: others would use the last connections up
    session.user_message("one")

    async def written() -> bool:
        return "user_message" in await kinds(pool, session.conversation_id)

    await until(written)
    assert flaky.deaf
    flaky.mend()
    await told_of(told, ResponseComplete)
    session.end("Bye")
    await live.tasks[0]
    assert await kinds(pool, session.conversation_id) == ["started", "user_message", "agent_message", "ended"]
    row = await live.row(session)
    assert (row["last_seq"], row["message_count"], row["status"]) == (4, 2, "processing")


async def test_an_end_whose_outcome_is_unknown_ends_it_once(live: Stage, flaky: FlakyDatabase, pool: Pool) -> None:
    session, _ = await live.begin()
    await session._conversation._journal.flush()
    flaky.deafened_by = b'"kind":"ended"'  # not before, as above
    session.end("Bye")

    async def written() -> bool:
        return "ended" in await kinds(pool, session.conversation_id)

    await until(written)
    assert flaky.deaf
    flaky.mend()
    assert await live.tasks[0] == SessionEnded(1000, "Bye")
    assert await kinds(pool, session.conversation_id) == ["started", "ended"]


@pytest.mark.parametrize("lease_seconds", [3.0])
async def test_a_person_is_told_when_the_database_stays_away_and_the_conversation_ends_as_failed(
    live: Stage, flaky: FlakyDatabase, pool: Pool
) -> None:
    session, told = await live.begin()
    await session._conversation._journal.flush()
    flaky.cut()
    session.user_message("one")
    ended = await live.tasks[0]
    assert (ended.code, ended.error_type) == (1011, "unknown")
    said = [event.text for event in told if isinstance(event, AgentResponse)]
    assert said[0] == "You said one"
    assert "Sorry" in said[-1]
    flaky.mend()

    async def failed() -> bool:
        status = await pool.fetchval("select status from conversation where id = $1", session.conversation_id)
        return bool(status == "failed")

    await until(failed)
    assert (await kinds(pool, session.conversation_id)).count("ended") == 1


async def test_an_order_that_came_during_an_outage_is_obeyed_once(
    live: Stage, flaky: FlakyDatabase, pool: Pool
) -> None:
    session, told = await live.begin()
    await session._conversation._journal.flush()
    flaky.cut()
    order = Order("send_human_message", text="This is Tom.")
    await place(pool, live.clock, WORKSPACE, session.conversation_id, order)
    session._claim.arrived.set()
    flaky.mend()
    await told_of(told, AgentResponse)
    session.end("Bye")
    await live.tasks[0]
    said = [event.text for event in await live.journal(session) if isinstance(event, AgentMessage)]
    assert said == ["This is Tom."]

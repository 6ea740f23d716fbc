"""What becomes of the mailbox of a live conversation when that is over."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from greenline.channels.live.session import LiveSession
from greenline.channels.live.sessions import KIND
from greenline.channels.orders import SQL, TOO_LATE
from greenline.clock import ManualClock
from greenline.ids import new_id
from greenline.store.mailbox import LeaseLost, Mailboxes
from greenline.store.migrate import load_migrations
from greenline.store.pool import Pool
from support.journal import projection, write
from support.live import Stage
from support.rows import WORKSPACE, insert_workspace
from support.wait import until

HOUR = timedelta(hours=1)


async def over(live: Stage) -> LiveSession:
    """A conversation that has ended."""
    session, _ = await live.begin()
    session.end("Bye")
    await live.tasks.pop()
    return session


async def mailboxes(pool: Pool) -> int:
    count: int = await pool.fetchval("select count(*) from mailbox where kind = 'live'")
    return count


async def order(live: Stage, session: LiveSession) -> None:
    """An operator's, which was looked at while the conversation was still open."""
    payload = {"conversation_id": session.conversation_id, "command": "end_call", "text": ""}
    mailbox_id, now = f"{KIND}:{session.conversation_id}", live.clock.now()
    await live.pool.execute(SQL["place"], WORKSPACE, mailbox_id, KIND, new_id("order"), payload, now)


async def test_it_is_kept_for_an_hour_and_no_longer(live: Stage) -> None:
    for _ in range(3):
        await over(live)
    assert await mailboxes(live.pool) == 3
    live.clock.advance(HOUR)

    async def gone() -> bool:
        return await mailboxes(live.pool) == 0

    await until(gone)


async def test_an_order_that_comes_too_late_is_done_and_leaves_no_mailbox(live: Stage) -> None:
    session = await over(live)
    await order(live, session)

    async def done() -> Any:
        return await live.pool.fetchval("select error from inbox where done_at is not null")

    assert await until(done) == TOO_LATE
    assert await mailboxes(live.pool) == 0
    await order(live, session)  # also where there is none any more
    await until(lambda: live.pool.fetchval("select count(*) = 2 from inbox where done_at is not null"))
    assert await mailboxes(live.pool) == 0


async def test_who_comes_back_to_a_conversation_that_is_over_does_not_go_on_with_it(live: Stage) -> None:
    """However long it has been over, by whatever URL."""
    session = await over(live)
    before = await live.row(session)
    live.clock.advance(HOUR)
    await until(lambda: live.pool.fetchval("select count(*) = 0 from mailbox where kind = 'live'"))
    beginning = replace(await live.beginning(), conversation_id=session.conversation_id)
    with pytest.raises(LeaseLost):
        await live.live.begin(beginning)
    assert await live.row(session) == before


async def test_what_has_come_in_since_the_claim_keeps_it(pool: Pool, live: Stage, clock: ManualClock) -> None:
    session = await over(live)
    await live.live.stop(1.0)
    clock.advance(HOUR)
    (claim,) = await Mailboxes(pool, lease_seconds=15).claim("somebody", KIND, clock.now(), 1)
    await order(live, session)
    await live.live._due(claim)
    assert await pool.fetchval("select due_at from mailbox where kind = 'live'") == clock.now()
    (claim,) = await Mailboxes(pool, lease_seconds=15).claim("somebody", KIND, clock.now(), 1)
    late = replace(claim, epoch=claim.epoch - 1)
    await live.live._due(late)
    assert await mailboxes(pool) == 1, "somebody else holds it"
    await live.live._due(claim)
    assert await mailboxes(pool) == 0


async def test_those_from_before_are_removed_by_a_migration(pool: Pool, clock: ManualClock) -> None:
    await insert_workspace(pool, clock.now())
    states = {"conv_over": "done", "conv_on": "in-progress", "conv_ordered": "done", "conv_held": "done"}
    for name, state in states.items():
        ended_at = None if state == "in-progress" else clock.now()
        row = await write(pool, projection(name), [])
        await pool.execute(
            "update conversation set status = $2, ended_at = $3 where id = $1", row.id, state, ended_at
        )
        await pool.execute(
            "insert into mailbox(id, workspace_id, kind, owner) values ($1, $2, 'live', $3)",
            *(f"live:{name}", WORKSPACE, "somebody" if name == "conv_held" else None),
        )
    payload = {"conversation_id": "conv_ordered", "command": "end_call", "text": ""}
    await pool.execute(SQL["place"], WORKSPACE, "live:conv_ordered", KIND, "order", payload, clock.now())
    (migration,) = (found for found in load_migrations() if found.name == "0043_traces.sql")
    await pool.execute(migration.text.split("-- What came in")[0])
    left = {row["id"] for row in await pool.fetch("select id from mailbox")}
    assert left == {"live:conv_on", "live:conv_ordered", "live:conv_held"}

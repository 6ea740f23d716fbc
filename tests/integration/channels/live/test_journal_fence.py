"""The journal of a live conversation that somebody else holds by now."""

import asyncio

from structlog.testing import capture_logs

from greenline.channels.live.ending import TAKEN_OVER
from greenline.channels.live.journal import JournalWriter, LiveJournal
from greenline.channels.live.models import TakenOver
from greenline.channels.orders import ITEM
from greenline.clock import ManualClock
from greenline.conversations.events import AgentMessage
from greenline.store.mailbox import LeaseLost, Mailboxes
from greenline.store.pool import Pool
from support.journal import projection, write
from support.live import Room, Stage, told_of
from support.rows import WORKSPACE, insert_workspace
from support.spoken import SpokenSpeech, voice
from support.wait import eventually


async def test_who_has_lost_a_conversation_is_told_so_beside_the_one_who_holds_it(
    pool: Pool, clock: ManualClock
) -> None:
    """Both are of one process, and written with one statement."""
    await insert_workspace(pool, clock.now())
    row = await write(pool, projection(), [])
    mailboxes = Mailboxes(pool, lease_seconds=15)
    late = await mailboxes.hold("first", "live", "live:conv_1", WORKSPACE, clock.now())
    await pool.execute("update mailbox set lease_until = 'epoch'")
    (now,) = await mailboxes.claim("second", "live", clock.now(), 1)
    writer = JournalWriter(pool, clock, patience=5.0)
    journals = [LiveJournal(writer, clock, claim, row) for claim in (late, now)]
    for journal, text in zip(journals, ("Too late", "In time"), strict=True):
        journal.record(AgentMessage(id=text, text=text))

    lost, kept = await asyncio.gather(*(journal.flush() for journal in journals), return_exceptions=True)

    assert (type(lost), kept) == (LeaseLost, None)
    said = await pool.fetch("select data ->> 'text' as text from conversation_event where kind = 'agent_message'")
    assert [row["text"] for row in said] == ["In time"]


async def test_a_conversation_that_is_lost_while_an_order_is_written_is_no_fault_of_the_server(
    live: Stage, speech: SpokenSpeech
) -> None:
    """Its person is speaking: what they said last is waited for."""
    session, told = await live.begin(Room())
    await eventually(lambda: speech.streams)
    voice(session, 0.5)
    mailbox_id = f"live:{session.conversation_id}"
    order = {"conversation_id": session.conversation_id, "command": "enable_human_takeover", "text": ""}
    with capture_logs() as logs:
        async with live.pool.acquire() as connection, connection.transaction():
            # Until this commits, nothing is written to the journal.
            await connection.execute("update mailbox set owner = 'x', epoch = epoch + 1 where id = $1", mailbox_id)
            await live.pool.execute(
                "insert into inbox(workspace_id, dedupe, mailbox_id, kind, payload, received_at) "
                "values ($1, 'order', $2, $3, $4, $5)",
                *(WORKSPACE, mailbox_id, ITEM, order, live.clock.now()),
            )
            session._claim.arrived.set()
            await told_of(told, TakenOver)
        assert await live.tasks[0] == TAKEN_OVER
    assert {entry["event"] for entry in logs if entry["log_level"] != "info"} - {"worker.lease_lost"} == {
        "live.lease_lost"
    }

"""The journal of a live conversation that somebody else holds by now."""

import asyncio

from greenline.channels.live.journal import JournalWriter, LiveJournal
from greenline.clock import ManualClock
from greenline.conversations.events import AgentMessage
from greenline.store.mailbox import LeaseLost, Mailboxes
from greenline.store.pool import Pool
from support.journal import projection, write
from support.rows import WORKSPACE, insert_workspace


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

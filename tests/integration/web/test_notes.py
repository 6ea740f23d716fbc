"""What the server has written down of a chat, as the phone page reads it."""

from __future__ import annotations

from datetime import timedelta

from greenline.clock import ManualClock
from greenline.store.pool import Pool
from greenline.web.trace import Inside
from support.rows import NUMBER, WORKSPACE, insert_account, insert_workspace

ANN = "15551230000"


async def test_notes_are_waited_for_until_all_that_came_in_is_dealt_with(pool: Pool, clock: ManualClock) -> None:
    now = clock.now()
    await insert_workspace(pool, now)
    await insert_account(pool, now)
    inside = Inside(pool, NUMBER, [ANN], (now - timedelta(minutes=1)).timestamp())
    assert (await inside.steps(), inside.is_waiting) == ([], False)
    await pool.execute(
        """insert into whatsapp_chat(id, workspace_id, phone_number_id, wa_id, created_at)
           values ('c', $1, $2, $3, $4)""",
        WORKSPACE, NUMBER, ANN, now,
    )  # fmt: skip
    await pool.execute("insert into chat_identity values ($1, $2, 'c')", NUMBER, ANN)
    await pool.execute(
        """insert into inbox(workspace_id, dedupe, mailbox_id, kind, payload, received_at)
           values ($1, 'wamid.1', 'c', 'message', '{}', $2)""",
        WORKSPACE, now,
    )  # fmt: skip
    assert ([step.side for step in await inside.steps()], inside.is_waiting) == (["webhook"], True)
    await pool.execute("update inbox set done_at = $1", now)
    await pool.execute(
        "insert into mailbox(id, workspace_id, kind, owner) values ('c', $1, 'chat', 'me'), ('d', $1, 'chat', 'me')",
        WORKSPACE,
    )
    await inside.steps()
    assert inside.is_waiting, "who has dealt with it may be about to write down more"
    await pool.execute("update mailbox set owner = null where id = 'c'")
    assert ([step.side for step in await inside.steps()], inside.is_waiting) == (["webhook"], False)

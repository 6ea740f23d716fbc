"""What came in for a conversation is found among all that came in without reading it."""

from __future__ import annotations

from greenline.clock import ManualClock
from greenline.conversations.events import UserMessage
from greenline.store.pool import Pool
from greenline.store.sql import load_sql
from support.journal import projection, started, write
from support.plans import rows_read
from support.rows import NUMBER, WORKSPACE, insert_account, insert_workspace

ROWS = 20_000
_sql = load_sql("greenline.conversations", "erasure.sql")


async def test_what_came_in_from_a_person_is_found_without_reading_the_rest(pool: Pool, clock: ManualClock) -> None:
    now = clock.now()
    await insert_workspace(pool, now)
    await insert_account(pool, now)
    await pool.execute(
        "insert into whatsapp_chat(id, workspace_id, phone_number_id, to_be_forgotten, created_at)"
        " select $2 || ':' || n, $1, $2, true, $3 from generate_series(0, 499) n",
        WORKSPACE, NUMBER, now,
    )  # fmt: skip
    await pool.execute(
        "insert into whatsapp_call(mailbox_id, id, workspace_id, phone_number_id, chat_id, direction, phase,"
        " created_at) select 'call:' || n, 'call_' || n, $1, $2, $2 || ':' || n, 'inbound', 'ended', $3"
        " from generate_series(0, 499) n",
        WORKSPACE, NUMBER, now,
    )  # fmt: skip
    await pool.execute(
        """insert into inbox(workspace_id, dedupe, mailbox_id, kind, payload, received_at, done_at)
           select $1, 'wamid.' || n, case n % 2 when 0 then $2 || ':' || n / 2 % 500 else 'call:' || n / 2 % 500 end,
             'message', '{}', $3::timestamptz, $3
           from generate_series(0, $4 - 1) n""",
        WORKSPACE, NUMBER, now, ROWS,
    )  # fmt: skip
    await pool.execute("analyze")
    read = await rows_read(pool, "inbox", _sql["forget_person"], WORKSPACE, f"{NUMBER}:7", now)
    left = "select count(*) from inbox"
    assert await pool.fetchval(left) == ROWS - ROWS // 500
    assert not await pool.fetchval(f"{left} where mailbox_id in ($1, 'call:7')", f"{NUMBER}:7")
    assert read < 1000


async def test_what_came_in_for_a_conversation_is_found_without_reading_the_rest(
    pool: Pool, clock: ManualClock
) -> None:
    now = clock.now()
    await insert_workspace(pool, now)
    await insert_account(pool, now)
    row = projection()
    await write(pool, row, [(0, started(row)), (1, UserMessage(id="u1", text="Hi", wamid="wamid.1"))])
    await pool.execute(
        """insert into inbox(workspace_id, dedupe, mailbox_id, kind, payload, received_at, done_at)
           select $1, 'wamid.' || n, $2 || ':' || n % 500, 'message', '{}', $3::timestamptz, $3
           from generate_series(1, $4) n
           union all
           select $1, 'order_' || n, $2 || ':' || n, 'order',
             json_build_object('conversation_id', 'conv_' || n), $3, $3
           from generate_series(1, 2) n""",
        WORKSPACE, NUMBER, now, ROWS,
    )  # fmt: skip
    await pool.execute("analyze inbox")
    assert await rows_read(pool, "inbox", _sql["forget_events"], WORKSPACE, "conv_1", now) < 100
    gone = ["wamid.1", "order_1"]
    assert await pool.fetchval("select count(*) from inbox") == ROWS + 2 - len(gone)
    assert not await pool.fetch("select from inbox where dedupe = any($1)", gone)

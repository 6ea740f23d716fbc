"""Traces are looked for every few seconds, among conversations that were never vacuumed, without reading them all."""

from __future__ import annotations

from datetime import timedelta

import pytest

from greenline.clock import ManualClock
from greenline.insight.trace_export import AT_ONCE, PATIENCE
from greenline.store.pool import Pool
from greenline.store.sql import load_sql
from support.plans import rows_read
from support.rows import WORKSPACE, insert_workspace

ROWS = 20_000
_sql = load_sql("greenline.insight", "trace_export.sql")


@pytest.mark.parametrize("settled", [True, False])
async def test_a_look_reads_what_may_be_due_and_no_more(pool: Pool, clock: ManualClock, settled: bool) -> None:
    """``settled``: as with a collector; else there was none until now."""
    now = clock.now()
    await insert_workspace(pool, now)
    await pool.execute(
        """insert into conversation(id, workspace_id, agent_id, branch_id, version_id, source, text_only, status,
             started_at, ended_at, trace_due_at)
           select 'conv_' || n, $1, 'agent_1', 'branch_1', 'version_1', 'whatsapp', true, 'done',
             ended - interval '1 minute', ended,
             case when n <= 12 and n % 2 = 0 then $2 when $3 then timestamptz 'infinity' end
           from generate_series(1, $4) n, lateral (select $2::timestamptz - n * interval '10 minutes' as ended) at""",
        WORKSPACE, now, settled, ROWS,
    )  # fmt: skip
    await pool.execute("analyze conversation")
    claim = (now, now - PATIENCE, AT_ONCE, now + timedelta(seconds=20))
    assert await rows_read(pool, "conversation", _sql["claim"], *claim) < 100
    assert await rows_read(pool, "conversation", _sql["give_up"], now - PATIENCE) < 100
    tried = [row["id"] for row in await pool.fetch("select id from conversation where trace_due_at < 'infinity'")]
    assert not {"conv_6", "conv_8", "conv_10", "conv_12"} & set(tried)

"""Rows that tests need in the database before anything happens."""

from __future__ import annotations

from datetime import datetime

from greenline.store.pool import Pool

WORKSPACE = "ws_1"
NUMBER = "100200300"


async def insert_workspace(pool: Pool, now: datetime, workspace_id: str = WORKSPACE) -> None:
    await pool.execute("insert into workspace(id, name, created_at) values ($1, 'Test', $2)", workspace_id, now)


async def insert_account(
    pool: Pool,
    now: datetime,
    *,
    phone_number_id: str = NUMBER,
    workspace_id: str = WORKSPACE,
    token: bytes = b"sealed",
) -> None:
    await pool.execute(
        """insert into whatsapp_account(phone_number_id, workspace_id, business_account_id, business_account_name,
             phone_number_name, phone_number, token, created_at, updated_at)
           values ($1, $2, 'waba_1', 'Shop', 'Shop', '+15550001111', $3, $4, $4)""",
        phone_number_id,
        workspace_id,
        token,
        now,
    )

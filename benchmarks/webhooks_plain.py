"""The least that keeps a webhook: a bare ASGI handler that verifies, parses and commits it, and nothing else.

    python webhooks_plain.py SECRET DSN

No accounts, no people, no batches with poisoned items, no claims: one table of events, one of chats, a notification.
Concurrent requests share a commit. Prints its port.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import socket
import sys
from typing import Any

import asyncpg
import orjson
import uvicorn
import uvloop

TABLES = """
create table plain_event(id bigserial primary key, key text not null unique, chat text, body json not null);
create table plain_chat(id text primary key, arrivals bigint not null default 1);
"""
KEEP = """
with fresh as (
  insert into plain_event(key, chat, body) select * from unnest($1::text[], $2::text[], $3::text[]::json[])
  on conflict (key) do nothing returning chat
), rung as (
  insert into plain_chat(id) select distinct chat from fresh where chat is not null
  on conflict (id) do update set arrivals = plain_chat.arrivals + 1 returning id
)
select count(pg_notify('plain', 'work')::text) from rung
"""


class Plain:
    """The handler, with rows that wait for the next commit."""

    def __init__(self, secret: str, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._secret = secret.encode()
        self._pool = pool
        self._waiting: list[tuple[tuple[str, str | None, str], asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """As ASGI."""
        body = (await receive())["body"]
        signed = "sha256=" + hmac.new(self._secret, body, hashlib.sha256).hexdigest()
        given = dict(scope["headers"]).get(b"x-hub-signature-256", b"")
        status = 200 if hmac.compare_digest(signed.encode(), given) else 401
        if status == 200:
            await self._keep(body)
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    async def _keep(self, body: bytes) -> None:
        value = orjson.loads(body)["entry"][0]["changes"][0]["value"]
        found = (value.get("messages") or value["statuses"])[0]
        row = (f"{found['id']}:{found.get('status', '')}", found.get("from"), body.decode())
        kept = asyncio.get_running_loop().create_future()
        self._waiting.append((row, kept))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        await kept

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:200], self._waiting[200:]
            await self._pool.fetchval(KEEP, *map(list, zip(*(row for row, _ in batch), strict=True)))
            for _, kept in batch:
                kept.set_result(None)
        self._writing = None


async def serve(secret: str, dsn: str) -> None:
    """Serve until the process is ended."""
    async with asyncpg.create_pool(dsn, min_size=2, max_size=2) as pool:
        await pool.execute(TABLES)
        listener = socket.create_server(("127.0.0.1", 0))
        print(listener.getsockname()[1], flush=True)
        config = uvicorn.Config(
            Plain(secret, pool), log_level="error", access_log=False, lifespan="off", timeout_keep_alive=65
        )
        await uvicorn.Server(config).serve([listener])


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], sys.argv[2]))

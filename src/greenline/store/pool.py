"""Connections to Postgres, with JSON read and written by orjson."""

from __future__ import annotations

import json
from typing import Any, TypeAlias

import asyncpg
import orjson

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
Record: TypeAlias = asyncpg.Record


def dump_json(value: Any) -> str:
    """Compact JSON text for a parameter of type ``json`` or ``jsonb``."""
    return orjson.dumps(value).decode()


def load_json(text: str) -> Any:
    """JSON from the database. Lone surrogates, which Meta can send and orjson refuses, are kept."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text)


async def _prepare(connection: Connection) -> None:
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(
            kind, schema="pg_catalog", encoder=dump_json, decoder=load_json, format="text"
        )


async def _keep(connection: Any) -> None:
    """Nothing that runs on a pool leaves session state behind; asyncpg's own reset is a second round trip."""
    if connection.is_in_transaction():
        await connection.execute("rollback")


async def open_pool(dsn: str, *, size: int = 10, name: str = "greenline", plan_once: bool = False) -> Pool:
    """A pool of at most ``size`` connections; raises asyncpg's errors when the server can't be reached.

    ``plan_once``: each statement keeps one plan for all parameters. Right where the shape of the work never changes:
    Postgres plans statements on arrays anew each time, which costs more than running them on one element.
    """
    planning = {"plan_cache_mode": "force_generic_plan"} if plan_once else {}
    return await asyncpg.create_pool(
        dsn,
        min_size=min(2, size),
        max_size=size,
        init=_prepare,
        reset=_keep,
        command_timeout=60,
        server_settings={"application_name": name, "jit": "off", **planning},
    )

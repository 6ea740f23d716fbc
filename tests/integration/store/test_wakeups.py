"""Locks that a process holds as long as it lives and is connected: told again after each break."""

import itertools

from greenline.store.pool import Pool
from greenline.store.wakeups import Wakeups
from support.wait import until

LOCKS = """from pg_locks where locktype = 'advisory' and classid = 7 and granted
             and database = (select oid from pg_database where datname = current_database())"""


async def held(pool: Pool, *keys: int) -> None:
    """Return when these locks are held, and no others."""

    async def are() -> bool:
        return [row["key"] for row in await pool.fetch(f"select objid::int as key {LOCKS}")] == list(keys)

    await until(are)


async def test_a_lock_is_taken_anew_when_the_connection_was_lost(pool: Pool, dsn: str) -> None:
    wakeups, numbers = Wakeups(dsn), itertools.count(1)
    await wakeups.start()
    try:
        await held(pool)
        wakeups.hold(lambda: (7, next(numbers)))
        await held(pool, 1)
        await pool.execute(f"select pg_terminate_backend(pid) {LOCKS}")
        await held(pool, 2)
    finally:
        await wakeups.aclose()
    await held(pool)


async def test_many_processes_share_a_lock(pool: Pool, dsn: str) -> None:
    first, second = Wakeups(dsn), Wakeups(dsn)
    for wakeups in (first, second):
        wakeups.hold(lambda: (7, 1))
        await wakeups.start()
    try:
        await held(pool, 1, 1)
    finally:
        await first.aclose()
        await held(pool, 1)
        await second.aclose()

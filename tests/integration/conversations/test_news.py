"""Who watches a conversation is told of its news, whoever writes them, also after a lost connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from greenline.conversations.news import JournalNews
from greenline.store.pool import Pool
from greenline.store.wakeups import Wakeups
from support.journal import BEGIN, projection, write
from support.rows import insert_workspace
from support.wait import PATIENCE_SECONDS, eventually, until

GROW = "update conversation set last_seq = last_seq + 1 where id = $1"
LISTENERS = "from pg_stat_activity where datname = current_database() and query like 'LISTEN %'"


@pytest.fixture
async def news(pool: Pool, dsn: str) -> AsyncIterator[JournalNews]:
    await insert_workspace(pool, BEGIN)
    for name in ("conv_1", "conv_2"):
        await write(pool, projection(name), [])
    wakeups = Wakeups(dsn)
    listening = asyncio.Event()
    wakeups.on_listening(listening.set)
    made = JournalNews(pool, wakeups)
    await wakeups.start()
    await listening.wait()
    yield made
    await wakeups.aclose()


async def test_watchers_are_told_that_a_journal_has_grown(news: JournalNews, pool: Pool) -> None:
    async with (
        news.of("ws_1", "conv_1") as first,
        news.of("ws_1", "conv_1") as second,
        news.of("ws_1", "conv_2") as other,
    ):
        await pool.execute(GROW, "conv_1")
        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.gather(first.wait(), second.wait())
        assert not other.is_set()
    assert news._watchers == {}


async def test_what_was_written_while_nobody_listened_is_told(news: JournalNews, pool: Pool) -> None:
    async with news.of("ws_1", "conv_1") as grown:
        async with pool.acquire() as connection, connection.transaction():
            assert await connection.fetch(f"select pg_terminate_backend(pid) {LISTENERS}")
            await connection.execute(GROW, "conv_1")
        await eventually(grown.is_set)


async def test_what_is_written_at_the_moment_a_watcher_comes_is_not_missed(news: JournalNews, pool: Pool) -> None:
    """The one waits for the other: what is not in the journal yet is notified."""
    async with pool.acquire() as connection:
        writing = connection.transaction()
        await writing.start()
        await connection.execute(GROW, "conv_1")
        watching = asyncio.create_task(_seen(news, pool))
        await until(lambda: pool.fetchval("select count(*) from pg_locks where not granted"))
        assert not watching.done()
        await writing.commit()
    assert await watching == 1


async def _seen(news: JournalNews, pool: Pool) -> int:
    async with news.of("ws_1", "conv_1"):
        seen: int = await pool.fetchval("select last_seq from conversation where id = 'conv_1'")
        return seen

"""The database of the settings: a server's, or the embedded one, which is kept running as long as it is used."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

import structlog

from greenline.settings import Settings
from greenline.store.embedded import EmbeddedPostgres

log = structlog.get_logger(__name__)

WATCH_SECONDS: Final = 0.5


@contextlib.asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[str]:
    """The DSN of the database. Raises `greenline.errors.ConfigurationError` when the embedded one can't start."""
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    embedded = EmbeddedPostgres(settings.data_dir)
    try:
        dsn = await asyncio.to_thread(embedded.start)
        watcher = asyncio.create_task(_keep_running(embedded))
        try:
            yield dsn
        finally:
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)
    finally:
        await asyncio.to_thread(embedded.stop)


async def _keep_running(embedded: EmbeddedPostgres) -> None:
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        if embedded.alive():
            continue
        log.error("postgres.died", log=str(embedded.log_file))
        try:
            await asyncio.to_thread(embedded.start)
            log.info("postgres.restarted")
        except Exception:  # the boundary of the watch: recorded and tried again
            log.exception("postgres.not_restarted")
            await asyncio.sleep(WATCH_SECONDS * 10)

"""A way to the database of a test that the test cuts and mends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from support.loopback import tcp_server


@dataclass
class FlakyDatabase:
    """``dsn`` leads through it."""

    dsn: str = ""
    away: bool = False
    deaf: bool = False
    """Statements are carried out; what the database answers is lost, and the connection with it."""
    deafened_by: bytes | None = None
    """It is deaf from the statement on that holds this."""
    refused: int = 0
    """Connections that were tried while it was away."""
    pumps: set[asyncio.Task[None]] = field(default_factory=set)

    def cut(self) -> None:
        """Break all connections, and all that are made until `mend`."""
        self.away = True
        for pump in self.pumps:
            pump.cancel()

    def mend(self) -> None:
        """Let everything through again."""
        self.away = self.deaf = False


@contextlib.asynccontextmanager
async def flaky_database(dsn: str) -> AsyncIterator[FlakyDatabase]:
    """A way to the database of ``dsn``, which is reached over a Unix socket."""
    parts = urlsplit(dsn)
    query = parse_qs(parts.query)
    path = f"{query['host'][0]}/.s.PGSQL.{query['port'][0]}"
    flaky = FlakyDatabase()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool) -> None:
        while (data := await reader.read(1 << 16)) and not (answers and flaky.deaf):
            if not answers and flaky.deafened_by is not None and flaky.deafened_by in data:
                flaky.deaf, flaky.deafened_by = True, None
            writer.write(data)
            await writer.drain()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if flaky.away:
            flaky.refused += 1
            return
        connecting = asyncio.create_task(asyncio.open_unix_connection(path))
        try:
            answers, statements = await asyncio.shield(connecting)
        except asyncio.CancelledError:
            (await connecting)[1].close()
            raise
        if flaky.away:  # since
            flaky.refused += 1
            statements.close()
            return
        both = {
            asyncio.create_task(pump(reader, statements, answers=False)),
            asyncio.create_task(pump(answers, writer, answers=True)),
        }
        flaky.pumps |= both
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            statements.close()
            flaky.pumps -= both
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)

    async with tcp_server(pass_on) as port:
        flaky.dsn = f"postgresql://postgres@127.0.0.1:{port}{parts.path}?sslmode=disable"
        yield flaky

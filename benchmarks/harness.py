"""What the benchmarks share: a server of their own, rows to begin with, and tables."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import load

from greenline.agents import service as agents
from greenline.agents.config import ConversationConfig
from greenline.agents.models import AgentDefinition
from greenline.clock import SystemClock
from greenline.logs import configure_logging
from greenline.settings import Settings
from greenline.store.embedded import EmbeddedPostgres
from greenline.store.migrate import migrate
from greenline.store.pool import Pool, open_pool
from greenline.store.vault import open_vault

PROMPT = "You are Luma of Fern & Field, a plant shop.\noffline: when ^When do you open -> say We open at nine.\n"
"""A model that answers at once: the offline one, with its answer given, so that nothing is looked up."""

LOG_SEGMENTS = 30


@dataclass(frozen=True)
class Place:
    """A database with a workspace, an agent and a number, before any server runs on it."""

    data_dir: Path
    dsn: str
    pool: Pool
    agent_id: str


@contextlib.asynccontextmanager
async def place() -> AsyncIterator[Place]:
    """An embedded Postgres in a folder of its own, with the rows that a webhook needs."""
    configure_logging("warning", "console")
    with tempfile.TemporaryDirectory(prefix="greenline-benchmark-", ignore_cleanup_errors=True) as folder:
        data_dir = Path(folder) / "data"
        embedded = EmbeddedPostgres(data_dir)
        dsn = await asyncio.to_thread(embedded.start)
        try:
            await migrate(dsn)
            pool = await open_pool(dsn, size=4)
            await _age_the_log(pool)
            agent_id = await _fill(pool, Settings(data_dir=data_dir))
            yield Place(data_dir, dsn, pool, agent_id)
            await pool.close()
        finally:
            await asyncio.to_thread(embedded.stop)


async def _age_the_log(pool: Pool) -> None:
    """Give the write-ahead log the segments that a server has which runs for a while.

    Postgres fills each new one (16 MB) with zeros while commits wait for 40 ms, and uses it again after a checkpoint.
    """
    for _ in range(LOG_SEGMENTS):
        await pool.execute("select pg_logical_emit_message(true, 'benchmark', '')")
        await pool.execute("select pg_switch_wal()")
    await pool.execute("checkpoint")


async def _fill(pool: Pool, settings: Settings) -> str:
    now = datetime.now(UTC)
    await pool.execute("insert into workspace(id, name, created_at) values ('ws_bench', 'Benchmark', $1)", now)
    config = ConversationConfig.model_validate({"agent": {"prompt": {"prompt": PROMPT, "llm": "offline"}}})
    definition = AgentDefinition(conversation_config=config)
    agent_id = await agents.create(pool, SystemClock(), "ws_bench", definition, name="Luma")
    await pool.execute(
        """insert into whatsapp_account(phone_number_id, workspace_id, business_account_id, business_account_name,
             phone_number_name, phone_number, token, assigned_agent_id, created_at, updated_at)
           values ($1, 'ws_bench', '1', 'Fern & Field', 'Fern & Field', '+15550001111', $2, $3, $4, $4)""",
        load.NUMBER,
        open_vault(settings).seal("token", load.NUMBER),
        agent_id,
        now,
    )
    return agent_id


@contextlib.contextmanager
def serve(
    data_dir: Path, program: Sequence[str] = ("-m", "greenline"), **settings: str
) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """`greenline serve` as a process, or another ``program`` with its commands; gives its port when it is ready."""
    fixed = {"META_APP_SECRET": load.SECRET, "LOG_LEVEL": "error", "API_KEY": "gl_benchmark"}
    environment = {**os.environ, **{f"GREENLINE_{name}": value for name, value in fixed.items()}, **settings}
    command = [sys.executable, *program, "serve", "--port", "0", "--data-dir", str(data_dir)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("ready "), line
        yield int(line.rsplit(":", 1)[1]), process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(40)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table in Markdown."""
    print(f"\n{title}\n")
    print("| " + " | ".join(columns) + " |")
    print("|" + "---|" * len(columns))
    for row in rows:
        print("| " + " | ".join(f"{cell:.1f}" if isinstance(cell, float) else str(cell) for cell in row) + " |")


def memory_mb(pid: int) -> float:
    """Proportional memory of a process, in MB (Linux)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return float("nan")


def stopwatch() -> float:
    """Seconds of a clock that never jumps."""
    return time.perf_counter()

"""``greenline serve`` as an operator runs it: start, share, drain, die, start again."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import asyncpg
import httpx2

from greenline.store.embedded import EmbeddedPostgres
from greenline.store.postmaster import read_postmaster
from support.http import http_client
from support.server import ServeProcess, serve_process
from support.wait import until

ENVIRONMENT = {"GREENLINE_API_KEY": "gl_test", "GREENLINE_LOG_FORMAT": "console"}
AGENTS = "/v1/convai/agents"


def postmaster(data_dir: Path) -> int | None:
    """The process id of the database of a data directory, if it runs."""
    running = read_postmaster((data_dir / "postgres").resolve() / "data")
    return running.pid if running else None


async def call(server: ServeProcess, method: str = "GET", path: str = AGENTS, **body: Any) -> httpx2.Response:
    async with http_client(server.url, "gl_test") as http:
        return await http.request(method, path, **body)


async def create_agent(server: ServeProcess, name: str) -> None:
    answer = await call(server, "POST", f"{AGENTS}/create", json={"conversation_config": {}, "name": name})
    assert answer.status_code == 200, answer.text


async def agents(server: ServeProcess) -> set[str]:
    return {agent["name"] for agent in (await call(server)).json()["agents"]}


async def test_serve_starts_from_nothing_and_leaves_nothing_running(data_dir: Path) -> None:
    async with serve_process(data_dir, environment=ENVIRONMENT, fresh=True) as server:
        await server.ready()
        assert (await call(server, path="/readyz")).status_code == 200
        await create_agent(server, "first")
        server.kill(signal.SIGTERM)
        assert await server.ended() == 0
    assert postmaster(data_dir) is None


async def test_a_first_key_is_made_and_shown_once(data_dir: Path) -> None:
    keys = []
    for _ in range(2):
        async with serve_process(data_dir, environment={}) as server:
            await server.ready()
            server.kill(signal.SIGTERM)
            assert await server.ended() == 0
            keys.append([line.split()[-1] for line in server.errors if "shown only now" in line])
    [[key], none] = keys
    assert key.startswith("gl_")
    assert none == []


async def test_after_a_kill_the_database_runs_on_and_the_next_server_takes_it_over(made_data_dir: Path) -> None:
    async with serve_process(made_data_dir, environment=ENVIRONMENT) as killed:
        await killed.ready()
        await create_agent(killed, "kept")
        killed.kill()
        await killed.ended()
    before = postmaster(made_data_dir)
    assert before is not None
    async with serve_process(made_data_dir, environment=ENVIRONMENT) as server:
        await server.ready()
        assert postmaster(made_data_dir) == before
        assert await agents(server) == {"kept"}
        server.kill(signal.SIGTERM)
        assert await server.ended() == 0
    assert postmaster(made_data_dir) is None


async def test_a_killed_database_is_brought_back(made_data_dir: Path) -> None:
    async with serve_process(made_data_dir, environment=ENVIRONMENT) as server:
        await server.ready()
        await create_agent(server, "kept")
        before = postmaster(made_data_dir)
        assert before is not None
        os.kill(before, signal.SIGKILL)

        async def back() -> bool:
            answer = await call(server)
            assert answer.status_code in {200, 503}, answer.text + "".join(server.errors[-40:])
            return answer.status_code == 200 and postmaster(made_data_dir) not in (None, before)

        await until(back)
        assert await agents(server) == {"kept"}
        server.kill(signal.SIGTERM)
        assert await server.ended() == 0


async def test_everything_killed_at_once_leaves_stale_files_only(made_data_dir: Path) -> None:
    async with serve_process(made_data_dir, environment=ENVIRONMENT) as killed:
        await killed.ready()
        await create_agent(killed, "kept")
        database = postmaster(made_data_dir)
        assert database is not None
        killed.kill()
        os.kill(database, signal.SIGKILL)
        await killed.ended()
    async with serve_process(made_data_dir, environment=ENVIRONMENT) as server:
        await server.ready()
        assert await agents(server) == {"kept"}


async def test_two_starters_share_one_database_and_the_last_one_stops_it(data_dir: Path) -> None:
    async with (
        serve_process(data_dir, environment=ENVIRONMENT, fresh=True) as one,
        serve_process(data_dir, environment=ENVIRONMENT, fresh=True) as two,
    ):
        await asyncio.gather(one.ready(), two.ready())
        applied = [line for line in [*one.errors, *two.errors] if "database.migrated" in line]
        assert len(applied) == len({line.split("migration=")[1] for line in applied}) > 0
        await create_agent(one, "shared")
        assert await agents(two) == {"shared"}
        one.kill(signal.SIGTERM)
        assert await one.ended() == 0
        assert await agents(two) == {"shared"}
        two.kill(signal.SIGTERM)
        assert await two.ended() == 0
    assert postmaster(data_dir) is None


async def test_a_request_that_runs_is_finished_at_sigterm(made_data_dir: Path) -> None:
    async with serve_process(made_data_dir, environment=ENVIRONMENT) as server:
        await server.ready()
        await create_agent(server, "locked")
        database = EmbeddedPostgres(made_data_dir)
        locker = await asyncpg.connect(await asyncio.to_thread(database.start))
        await locker.execute("begin; lock table agent in access exclusive mode")
        waiting = asyncio.create_task(call(server))
        blocked = "select true from pg_stat_activity where wait_event_type = 'Lock'"
        await until(lambda: locker.fetchval(blocked))
        server.kill(signal.SIGTERM)
        await locker.execute("commit")
        await locker.close()
        await asyncio.to_thread(database.stop)
        assert (await waiting).status_code == 200
        assert await server.ended() == 0


async def test_a_second_signal_leaves_at_once(made_data_dir: Path) -> None:
    async with serve_process(made_data_dir, environment=ENVIRONMENT) as server:
        await server.ready()
        server.kill(signal.SIGINT)
        server.kill(signal.SIGINT)
        assert await server.ended() == 0


async def test_a_taken_port_is_one_clear_line(made_data_dir: Path) -> None:
    async with serve_process(made_data_dir, environment=ENVIRONMENT) as one:
        await one.ready()
        port = one.url.rpartition(":")[2]
        async with serve_process(made_data_dir, "--port", port, environment=ENVIRONMENT) as two:
            assert await two.ended() == 1
            assert len(two.errors) == 1
            assert "--port" in two.errors[0]

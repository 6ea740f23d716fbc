"""Callers who wait for a busy agent on a socket, while the database goes away."""

from __future__ import annotations

from pydantic import SecretStr

from greenline.clock import SystemClock
from greenline.settings import Settings
from support.flaky_database import flaky_database
from support.http import http_client
from support.server import run_server
from support.socket_agents import make_agent
from support.sockets import client
from support.wait import eventually


async def test_nobody_loses_their_place_while_the_database_is_away(dsn: str, settings: Settings) -> None:
    async with flaky_database(dsn) as flaky:
        changed = settings.model_copy(update={"database_url": SecretStr(flaky.dsn)})
        async with run_server(changed, SystemClock()) as server:
            async with http_client(server.url, server.api_key) as http:
                platform = {"call_limits": {"agent_concurrency_limit": 1}, "queueing_config": {"enabled": True}}
                agent_id = await make_agent(http, text_only=False, platform=platform)
            path = f"/v1/convai/conversation?agent_id={agent_id}"
            async with client(server.url, path) as waiting:
                async with client(server.url, path) as speaking:
                    await speaking.begin()
                    await speaking.until("audio")
                    await waiting.begin()
                    await waiting.until("queue_status")
                    flaky.cut()
                    refused = flaky.refused
                    await eventually(lambda: flaky.refused > refused + 2)
                    flaky.mend()
                admitted = await waiting.until("queue_status")
                assert admitted["queue_status_event"]["status"] == "admitted"

"""An agent with an MCP server on WhatsApp: over Meta's wire, through a crash, and as the official SDK sees it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import httpx2
from elevenlabs.client import AsyncElevenLabs

from greenline.store.pool import Pool
from support.mcp_server import Shop, mcp_server
from support.meta import Emulator, emulator
from support.server import ServeProcess, serve_process
from support.wait import until

KEY = "gl_mcp"
PROMPT = 'offline: when tea -> call price {{"what": "tea"}}\noffline: after price -> {then}'


def environment(meta: Emulator, dsn: str) -> dict[str, str]:
    return {
        **meta.settings(),
        "GREENLINE_DATABASE_URL": dsn,
        "GREENLINE_API_KEY": KEY,
        "GREENLINE_SECRET_KEY": "M" * 43 + "=",
        "GREENLINE_LOG_LEVEL": "error",
        "GREENLINE_OUTBOUND_ALLOW": "127.0.0.0/8",
        "GREENLINE_LEASE_SECONDS": "3",
    }


@contextlib.asynccontextmanager
async def running(meta: Emulator, dsn: str, data_dir: Path) -> AsyncIterator[ServeProcess]:
    async with serve_process(data_dir, environment=environment(meta, dsn)) as process:
        yield await process.ready()


async def furnish(meta: Emulator, server: ServeProcess, shop: Shop, then: str) -> None:
    """An agent on the emulator's number that may use the shop unasked."""
    agent_id = await meta.furnish(server.url, KEY, PROMPT.format(then=then))
    headers = {"xi-api-key": KEY}
    async with httpx2.AsyncClient(base_url=server.url, headers=headers, trust_env=False, timeout=30) as api:
        config = {**shop.config, "approval_policy": "auto_approve_all"}
        made = await api.post("/v1/convai/mcp-servers", json={"config": config})
        made.raise_for_status()
        body: dict[str, Any] = {"conversation_config": {"agent": {"prompt": {"mcp_server_ids": [made.json()["id"]]}}}}
        (await api.patch(f"/v1/convai/agents/{agent_id}", json=body)).raise_for_status()


async def test_an_agent_uses_a_tool_and_the_sdk_sees_it(dsn: str, tmp_path: Path) -> None:
    async with (
        mcp_server() as shop,
        emulator() as meta,
        running(meta, dsn, tmp_path) as server,
        httpx.AsyncClient(trust_env=False, timeout=30) as transport,
    ):
        await furnish(meta, server, shop, "say It is {result}")
        ann = await meta.person("Ann", "15550100001")
        await meta.say(ann, "How much is tea?")
        assert await meta.told(ann, 1) == ["It is price of tea: 7 euros"]

        sdk = AsyncElevenLabs(base_url=server.url, api_key=KEY, httpx_client=transport).conversational_ai
        (item,) = (await sdk.conversations.list()).conversations
        shown = await sdk.conversations.get(item.conversation_id)
        (call,) = [call for turn in shown.transcript for call in turn.tool_calls or []]
        (result,) = [result for turn in shown.transcript for result in turn.tool_results or []]

    assert (call.type, call.tool_name, call.params_as_json) == ("mcp", "price", '{"what": "tea"}')
    assert call.tool_has_been_called
    assert call.tool_details is not None
    assert call.tool_details.type == "mcp"
    assert (call.tool_details.mcp_server_name, call.tool_details.mcp_tool_name) == ("Shop", "price")
    assert call.tool_details.approval_policy == "auto_approve_all"
    assert (result.type, result.result_value, result.is_error) == ("mcp", "price of tea: 7 euros", False)
    assert (result.tool_id, result.is_blocked) == (call.tool_id, False)


async def test_a_call_that_a_crash_cut_short_is_not_made_again(dsn: str, tmp_path: Path) -> None:
    async with mcp_server() as shop, emulator() as meta:
        shop.hold = asyncio.Event()
        async with running(meta, dsn, tmp_path) as server:
            await furnish(meta, server, shop, "say {result}")
            ann = await meta.person("Ann", "15550100001")
            await meta.say(ann, "How much is tea?")
            await shop.called.wait()
            server.kill()
        async with running(meta, dsn, tmp_path) as server:
            await meta.send_webhooks_to(f"{server.url}/webhooks/whatsapp")
            (told,) = await meta.told(ann, 1)
    assert told.startswith("Nobody knows whether this tool has run.")
    assert shop.begun == 1


async def test_a_tool_that_ran_is_not_run_again_after_a_crash(dsn: str, pool: Pool, tmp_path: Path) -> None:
    async with mcp_server() as shop, emulator() as meta:
        async with running(meta, dsn, tmp_path) as server:
            await furnish(meta, server, shop, "wait 2 ; say It is {result}")
            ann = await meta.person("Ann", "15550100001")
            await meta.say(ann, "How much is tea?")

            async def has_run() -> bool:
                return bool(
                    await pool.fetchval("select count(*) from turn_step where result ->> 'text' like 'price%'")
                )

            await until(has_run)
            server.kill()
        shop.tools = []
        async with running(meta, dsn, tmp_path) as server:
            await meta.send_webhooks_to(f"{server.url}/webhooks/whatsapp")
            assert await meta.told(ann, 1) == ["It is price of tea: 7 euros"]
    assert len(shop.ran) == 1

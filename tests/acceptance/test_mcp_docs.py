"""The examples of docs/mcp.md, run in order against a server and a real MCP server."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import httpx
from elevenlabs import ElevenLabs

from support.mcp_server import mcp_server
from support.server import RunningServer

DOCUMENT = Path(__file__).parents[2] / "docs" / "mcp.md"


def run(examples: list[str], names: dict[str, object]) -> None:
    for example in examples:
        exec(compile(example, str(DOCUMENT), "exec"), names)  # noqa: S102 - our own document


async def test_the_examples_work(server: RunningServer) -> None:
    examples = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert len(examples) == 3
    async with mcp_server() as shop:
        with httpx.Client(trust_env=False, timeout=30) as transport:
            client = ElevenLabs(base_url=server.url, api_key=server.api_key, httpx_client=transport)
            await asyncio.to_thread(run, examples, {"client": client, "url": shop.url})

"""The example of README.md, run against a server."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx
from elevenlabs import ElevenLabs
from elevenlabs.client import AsyncElevenLabs

from support.server import RunningServer

DOCUMENT = Path(__file__).parents[2] / "README.md"
BEGINNING = 'client = ElevenLabs(base_url="http://127.0.0.1:8080", api_key="gl_...")\n'


def run(example: str, server: RunningServer) -> dict[str, Any]:
    with httpx.Client(trust_env=False, timeout=30) as transport:
        sdk = ElevenLabs(base_url=server.url, api_key=server.api_key, httpx_client=transport)
        names: dict[str, Any] = {"client": sdk}
        exec(compile(example.replace(BEGINNING, ""), str(DOCUMENT), "exec"), names)  # noqa: S102 - our own document
        return names


async def test_the_example_works(server: RunningServer, client: AsyncElevenLabs) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert BEGINNING in example

    names = await asyncio.to_thread(run, example, server)

    agent = await client.conversational_ai.agents.get(names["agent"].agent_id)
    assert agent.name == "Flower shop"

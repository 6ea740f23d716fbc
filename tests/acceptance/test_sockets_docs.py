"""The Python examples of docs/sockets.md, run in order against a server."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx
import httpx2
from elevenlabs import ElevenLabs

from support import sdk_conversation  # noqa: F401 - keeps the warning of the module that the example imports quiet
from support.server import RunningServer
from support.socket_agents import make_agent
from support.sockets import client

DOCUMENT = Path(__file__).parents[2] / "docs" / "sockets.md"
BEGINNING = re.compile(r'client = ElevenLabs\(base_url="http://127.0.0.1:8080", api_key="..."\)\n')


def run(examples: list[str], names: dict[str, Any]) -> None:
    for example in examples:
        exec(compile(BEGINNING.sub("", example), str(DOCUMENT), "exec"), names)  # noqa: S102 - our own document


async def test_the_examples_work(server: RunningServer, http: httpx2.AsyncClient) -> None:
    examples = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert len(examples) == 5
    agent_id = await make_agent(http)
    with httpx.Client(trust_env=False, timeout=30) as transport:
        sdk = ElevenLabs(base_url=server.url, api_key=server.api_key, httpx_client=transport)
        async with client(server.url, f"/v1/convai/conversation?agent_id={agent_id}") as socket:
            metadata = (await socket.begin())["conversation_initiation_metadata_event"]
            names = {
                "client": sdk,
                "agent_id": agent_id,
                "conversation_id": metadata["conversation_id"],
                "url": server.url,
                "key": server.api_key,
            }
            await asyncio.to_thread(run, examples, names)
            await socket.until("agent_response", lambda f: "Tom" in f["agent_response_event"]["agent_response"])

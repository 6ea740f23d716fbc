"""The examples of docs/agents.md, run in order against a server."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import httpx
from elevenlabs import ElevenLabs

from support.server import RunningServer

DOCUMENT = Path(__file__).parents[2] / "docs" / "agents.md"


def run(examples: list[str], url: str, api_key: str) -> None:
    with httpx.Client(trust_env=False, timeout=30) as transport:
        names = {"client": ElevenLabs(base_url=url, api_key=api_key, httpx_client=transport)}
        for example in examples:
            exec(compile(example, str(DOCUMENT), "exec"), names)  # noqa: S102 - our own document


async def test_the_examples_work(server: RunningServer) -> None:
    examples = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)

    assert len(examples) >= 5
    await asyncio.to_thread(run, examples, server.url, server.api_key)

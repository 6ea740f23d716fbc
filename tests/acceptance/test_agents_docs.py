"""The examples of docs/agents.md and docs/guardrails.md, run in order against a server."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import httpx
import pytest
from elevenlabs import ElevenLabs

from support.server import RunningServer

DOCS = Path(__file__).parents[2] / "docs"


def run(examples: list[str], document: Path, url: str, api_key: str) -> None:
    with httpx.Client(trust_env=False, timeout=30) as transport:
        names = {"client": ElevenLabs(base_url=url, api_key=api_key, httpx_client=transport)}
        for example in examples:
            exec(compile(example, str(document), "exec"), names)  # noqa: S102 - our own document


@pytest.mark.parametrize(("name", "least"), [("agents.md", 5), ("guardrails.md", 1)])
async def test_the_examples_work(server: RunningServer, name: str, least: int) -> None:
    document = DOCS / name
    examples = re.findall(r"```python\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL)
    assert len(examples) >= least
    await asyncio.to_thread(run, examples, document, server.url, server.api_key)

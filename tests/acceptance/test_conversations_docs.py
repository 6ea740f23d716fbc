"""The examples of docs/conversations.md, run in order against a server."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx
from elevenlabs import ElevenLabs

from greenline.agents import service as agents
from greenline.agents.models import AgentDefinition
from greenline.conversations.events import AgentMessage, UserMessage
from greenline.workspaces.models import DEFAULT_ID
from support.journal import projection, started, write
from support.server import RunningServer

DOCUMENT = Path(__file__).parents[2] / "docs" / "conversations.md"


def run(examples: list[str], server: RunningServer, names: dict[str, Any]) -> None:
    with httpx.Client(trust_env=False, timeout=30) as transport:
        names["client"] = ElevenLabs(base_url=server.url, api_key=server.api_key, httpx_client=transport)
        for example in examples:
            exec(compile(example, str(DOCUMENT), "exec"), names)  # noqa: S102 - our own document


async def test_the_examples_work(server: RunningServer) -> None:
    examples = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert len(examples) >= 6
    pool, clock = server.services.pool, server.services.clock
    agent_id = await agents.create(pool, clock, DEFAULT_ID, AgentDefinition())
    version = await agents.live_version(pool, DEFAULT_ID, agent_id)
    row = projection(workspace_id=DEFAULT_ID, agent_id=agent_id, branch_id=version.branch_id, version_id=version.id)
    asked = UserMessage(id="u1", text="When do you open?")
    await write(pool, row, [(0, started(row)), (1, asked), (2, AgentMessage(id="a1", text="At nine."))])

    await asyncio.to_thread(run, examples, server, {"conversation_id": row.id})

    assert await pool.fetchval("select count(*) from conversation") == 0

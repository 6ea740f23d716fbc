"""The examples of docs/calls.md and docs/demo.md by which a business calls, run against a server."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import httpx2
import pytest
from elevenlabs import ElevenLabs
from elevenlabs.client import AsyncElevenLabs

from greenline.settings import Settings
from support.calling import CallingMeta, permitted
from support.graph_stand_in import NUMBER, asking, connect
from support.meta import emulator_here
from support.server import RunningServer
from support.wait import until

DOCS = Path(__file__).parents[2] / "docs"
BEGINNING = 'client = ElevenLabs(base_url="http://127.0.0.1:8080", api_key="gl_...")\n'


@pytest.fixture
def meta() -> CallingMeta:
    """Meta's side, where the person has to be asked first."""
    calling = CallingMeta()
    calling.calls.permission = permitted("no_permission")
    return calling


@pytest.fixture
async def settings(settings: Settings, meta: CallingMeta) -> AsyncIterator[Settings]:
    """The server of these tests asks the stand-in."""
    async with asking(meta, settings) as changed:
        yield changed


def run(example: str, document: Path, server: RunningServer, agent_id: str) -> None:
    with httpx.Client(trust_env=False, timeout=30) as transport:
        sdk = ElevenLabs(base_url=server.url, api_key=server.api_key, httpx_client=transport)
        code = compile(example.replace(BEGINNING, ""), str(document), "exec")
        exec(code, {"client": sdk, "agent_id": agent_id})  # noqa: S102 - our own document


@pytest.mark.parametrize("name", ["calls.md", "demo.md"])
async def test_the_example_works(
    name: str, server: RunningServer, client: AsyncElevenLabs, http: httpx2.AsyncClient, meta: CallingMeta
) -> None:
    await connect(http)
    agent = await client.conversational_ai.agents.create(conversation_config={})
    await client.conversational_ai.whatsapp_accounts.update(NUMBER, assigned_agent_id=agent.agent_id)
    document = DOCS / name
    (example,) = re.findall(r"```python\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL)

    await asyncio.to_thread(run, example, document, server, agent.agent_id)

    async def asked() -> bool:
        return bool(meta.sent)

    await until(asked)
    assert meta.sent[0]["template"]["name"] == "may_we_call"


async def test_the_template_that_asks_is_one() -> None:
    (template,) = re.findall(r"```json\n(.*?)```", (DOCS / "calls.md").read_text(encoding="utf-8"), re.DOTALL)
    async with emulator_here() as emulator:
        account = emulator.business["waba_id"]
        made = await emulator.graph("POST", f"{account}/message_templates", json.loads(template))
    assert made["status"] == "PENDING", made

"""docs/whatsapp.md says what the code does: its examples run, its tables are whole."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import httpx2
import pytest
from elevenlabs import ElevenLabs

from greenline.channels.whatsapp.graph_errors import ADVICE
from greenline.channels.whatsapp.inbound_text import FORMS
from greenline.settings import Settings
from support.graph_stand_in import GraphStandIn, asking, connect
from support.server import RunningServer

DOCUMENT = Path(__file__).parents[2] / "docs" / "whatsapp.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")
ORDER = {
    "name": "order_update",
    "language": "en_US",
    "status": "APPROVED",
    "category": "UTILITY",
    "components": [
        {"type": "HEADER", "format": "TEXT", "text": "Order {{1}}"},
        {"type": "BODY", "text": "Hello {{1}}, it comes on {{2}}."},
        {"type": "BUTTONS", "buttons": [{"type": "URL", "text": "Track", "url": "https://e.com/{{1}}"}]},
    ],
}


@pytest.fixture
async def settings(settings: Settings) -> AsyncIterator[Settings]:
    """The server of these tests asks a stand-in of Meta's."""
    async with asking(GraphStandIn(templates=[ORDER]), settings) as changed:
        yield changed


def run(examples: list[str], url: str, api_key: str) -> None:
    with httpx.Client(trust_env=False, timeout=30) as transport:
        names = {"client": ElevenLabs(base_url=url, api_key=api_key, httpx_client=transport)}
        for example in examples:
            exec(compile(example, str(DOCUMENT), "exec"), names)  # noqa: S102 - our own document


async def test_the_examples_work(server: RunningServer, http: httpx2.AsyncClient) -> None:
    await connect(http)
    examples = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert len(examples) >= 3
    await asyncio.to_thread(run, examples, server.url, server.api_key)


def test_every_type_is_in_the_table() -> None:
    section = TEXT.split("## What the agent sees")[1].split("\n## ")[0]
    assert set(re.findall(r"`([a-z_]+)`", section)) >= set(FORMS)


def test_the_advice_is_that_of_the_code() -> None:
    rows = dict(re.findall(r"^\| (\d+) \| (.+) \|$", TEXT, re.MULTILINE))
    codes = {str(code): text for code, text in ADVICE.items()}
    assert {code: rows.get(code) for code in codes} == codes


def test_every_finding_and_setting_is_named() -> None:
    folder = Path(__file__).parents[2] / "src" / "greenline" / "channels" / "whatsapp"
    modules = [
        folder / name for name in ("account_findings.py", "account_events.py", "accounts.py", "account_checks.py")
    ]
    code = "".join(module.read_text(encoding="utf-8") for module in modules)
    findings = re.findall(r'Finding\(\s*"([a-z_]+)"', code)
    assert len(findings) >= 10
    assert [finding for finding in findings if f"`{finding}`" not in TEXT] == []
    for setting in re.findall(r"GREENLINE_([A-Z_]+)", TEXT):
        assert setting.lower() in Settings.model_fields or setting == "API_KEY"

"""The documentation of the emulator tells of every fault, event and route."""

import re
from pathlib import Path

import pytest

from greenline.emulator.control import create_control
from greenline.emulator.fault_kinds import NAMES
from greenline.emulator.journal import KINDS
from greenline.emulator.meta import Meta

DOCS = (Path(__file__).parents[3] / "docs" / "emulator.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "text"), [*NAMES.items(), *KINDS.items()])
def test_every_fault_and_event_is_told(name: str, text: str) -> None:
    assert f"| `{name}` | {text} |" in DOCS


async def test_every_route_is_told() -> None:
    """By its last word."""
    meta = Meta()
    paths = create_control(meta).openapi()["paths"]
    await meta.aclose()
    words = {path: [part for part in path.split("/") if not part.startswith("{")][-1] for path in paths}
    assert [path for path, word in words.items() if not re.search(rf"`[^`]*/{re.escape(word)}\b", DOCS)] == []

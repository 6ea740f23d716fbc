"""From the content blocks of an answer to the text that a model reads, and to what a client is shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from greenline.tools.mcp.client import Answer

MAX_TEXT: Final = 32_768
"""Characters of an answer that the model reads: some 8,000 tokens, of each further request too."""
CUT: Final = "\n[The rest of the answer was too long.]"
NOTHING: Final = "The tool answered nothing."
MAX_SHOWN: Final = 65_536
"""Bytes of content blocks that a client is sent; beyond them it gets the text that the model reads."""


def text_of(answer: Answer) -> str:
    """What the model reads. Pictures and sounds are only named: no provider takes them as the result of a tool."""
    text = _words(answer)
    if not text and answer.structured is not None:
        text = orjson.dumps(answer.structured).decode()
    return shortened(text) or NOTHING


def shortened(text: str) -> str:
    """As much of it as a model reads."""
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + CUT


def data_of(answer: Answer) -> Any:
    """What the answer is as data; None for words. Of what is too long for the model, too."""
    if answer.structured is not None:
        return answer.structured
    try:
        return orjson.loads(_words(answer))
    except orjson.JSONDecodeError:
        return None


def blocks_of(answer: Answer) -> tuple[Mapping[str, Any], ...]:
    """What a client is shown."""
    if sum(len(orjson.dumps(block)) for block in answer.blocks) > MAX_SHOWN:
        return ({"type": "text", "text": text_of(answer)},)
    return answer.blocks


def _words(answer: Answer) -> str:
    return "\n".join(part for block in answer.blocks for part in _parts(block))


def _parts(block: Mapping[str, Any]) -> Iterator[str]:
    kind = block.get("type")
    if kind == "text":
        yield str(block.get("text", ""))
    elif kind in ("image", "audio"):
        yield f"[{kind} of the type {block.get('mimeType')}, {_size(block.get('data'))} bytes, which can't be shown]"
    elif kind == "resource_link":
        yield f"[{block.get('title') or block.get('name')}: {block.get('uri')}]"
    elif kind == "resource":
        resource = block.get("resource") or {}
        yield str(resource.get("text") or f"[{resource.get('uri')}, which can't be shown]")


def _size(data: Any) -> int:
    """Of what is written in base64."""
    return len(str(data or "").rstrip("=")) * 3 // 4
